"""What a 40 ms window looks like, in numbers that do not depend on its level: the speech detector's eyes.

Speech is periodic at 80–400 Hz, noise is not; steady tones are periodic too, but put their energy into one or two
spectral lines. Each is measured on the audio as it is and on a de-emphasised copy, because a discriminator tap and a
speaker tap differ by 6 dB an octave and the gate is not told which one it hears. Everything works on many windows at
once, so that training and live audio pass through the same code.
"""

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8_000
HOP = 160
"""20 ms."""
WINDOW = 320
"""40 ms."""
FEATURES = 26

_FFT = 512
_LAG_FFT = 1024
"""Twice the resolution in lag: at 8 kHz a period between two samples would look less periodic than it is."""
_LAG_RATE_HZ = RATE_HZ * _LAG_FFT // _FFT
_PITCH_LAGS = slice(_LAG_RATE_HZ * 25 // 10_000, _LAG_RATE_HZ * 125 // 10_000 + 1)
_SHORT_LAGS = slice(_LAG_RATE_HZ * 5 // 10_000, _LAG_RATE_HZ * 22 // 10_000 + 1)
_HANN = np.hanning(WINDOW).astype(np.float32)
_HZ = np.fft.rfftfreq(_FFT, 1 / RATE_HZ)
_FLOOR = np.float32((32_768 * 10 ** (-75 / 20)) ** 2 * np.sum(_HANN**2))
"""As if white noise of −75 dBFS were added: digital silence and the last bit then look like noise, not like a tone."""
_LINE_BINS = 2 * _FFT // WINDOW + 1
"""Half the width of a Hann window's main lobe: what belongs to one spectral line."""


def _band(low_hz: float, high_hz: float) -> NDArray[np.float32]:
    return np.asarray((low_hz <= _HZ) & (high_hz >= _HZ), np.float32)


_EDGES_HZ = np.array([200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700, 3150, 3600])
_BANDS = np.stack([_band(low, high) for low, high in zip(_EDGES_HZ, _EDGES_HZ[1:], strict=False)], axis=1)
_VOICE = _band(280, 3400)
_DE_EMPHASIS = np.asarray((1_000 / np.maximum(_HZ, 100)) ** 2, np.float32)
_LINES = np.stack([_band(230, 3600), _band(230, 3600) * _DE_EMPHASIS])
_AROUND = np.arange(-_LINE_BINS, _LINE_BINS + 1)[None, :]
_FLAT = slice(int(np.searchsorted(_HZ, 320)), int(np.searchsorted(_HZ, 3300)))
_PERIODIC = np.stack([_band(280, 2000) * _DE_EMPHASIS, _band(280, 2800), _band(800, 3000)])


def _window_correction() -> NDArray[np.float32]:
    """What the window alone does to the autocorrelation of a periodic signal, per lag."""
    own = np.fft.irfft(np.abs(np.fft.rfft(_HANN, 2 * _FFT)) ** 2)[: WINDOW + 1]
    lags = np.arange(_PITCH_LAGS.stop) * RATE_HZ / _LAG_RATE_HZ
    return np.asarray(np.interp(lags, np.arange(own.size), own / own[0]), np.float32)


_CORRECTION = _window_correction()


def _line_shares(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shares of the energy in the strongest and in the two strongest spectral lines; consumes ``power``.

    Args:
        power: shape (n, 257 + margins), its margins of ``_LINE_BINS`` empty.
    Returns:
        Shape (n, 2).
    """
    rows = np.arange(power.shape[0])[:, None]
    total = power.sum(axis=1)
    taken: list[NDArray[np.float32]] = []
    for _ in range(2):
        columns = power.argmax(axis=1)[:, None] + _AROUND
        taken.append(power[rows, columns].sum(axis=1))
        power[rows, columns] = 0
    taken[1] = taken[0] + taken[1]
    return np.asarray(np.minimum(np.stack(taken, axis=1) / total[:, None], 1), np.float32)


def features_of(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Describe windows of 40 ms.

    Args:
        windows: shape (n, 320), 8 kHz, int16 units.
    Returns:
        float32, shape (n, 26): 15 bands' levels against the whole (log10), the level itself (log10 of power), three
        harmonicities, pitch lag, short-lag correlation, four line shares, flatness. All but the level are
        independent of the level, down to about −60 dBFS.
    """
    count = windows.shape[0]
    spectrum = np.fft.rfft(windows * _HANN, _FFT)
    power = spectrum.real**2 + spectrum.imag**2 + _FLOOR
    out = np.empty((count, FEATURES), np.float32)
    total = power @ _VOICE
    out[:, :15] = np.log10(power @ _BANDS / total[:, None] + np.float32(1e-6))
    out[:, 15] = np.log10(total)
    correlation = np.fft.irfft(power[:, None, :] * _PERIODIC, _LAG_FFT)[:, :, : _PITCH_LAGS.stop]
    correlation /= correlation[:, :, :1] * _CORRECTION
    pitch = correlation[:, :, _PITCH_LAGS]
    out[:, 16:19] = pitch.max(axis=2)
    out[:, 19] = np.log2((_PITCH_LAGS.start + pitch[:, 0].argmax(axis=1)) / 100)
    out[:, 20] = correlation[:, 0, _SHORT_LAGS].max(axis=1)
    lines = np.zeros((count, 2, _HZ.size + 2 * _LINE_BINS), np.float32)
    np.multiply(power[:, None, :], _LINES, out=lines[:, :, _LINE_BINS:-_LINE_BINS])
    out[:, 21:25] = _line_shares(lines.reshape(2 * count, -1)).reshape(count, 4)
    flat = power[:, _FLAT]
    out[:, 25] = np.log10(flat).mean(axis=1) - np.log10(flat.mean(axis=1))
    return out
