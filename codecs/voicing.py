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
    return ((low_hz <= _HZ) & (high_hz >= _HZ)).astype(np.float32)


_EDGES_HZ = np.array([200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700, 3150, 3600])
_BANDS = np.stack([_band(low, high) / 1 for low, high in zip(_EDGES_HZ, _EDGES_HZ[1:], strict=False)], axis=1)
_VOICE = _band(280, 3400)
_DE_EMPHASIS = np.asarray((1_000 / np.maximum(_HZ, 100)) ** 2, np.float32)
_LINES = _band(230, 3600)
_FLAT = np.flatnonzero(_band(320, 3300))
_PERIODIC = (_band(280, 2000) * _DE_EMPHASIS, _band(280, 2800), _band(800, 3000))


def _window_correction() -> NDArray[np.float32]:
    """What the window alone does to the autocorrelation of a periodic signal, per lag."""
    own = np.fft.irfft(np.abs(np.fft.rfft(_HANN, 2 * _FFT)) ** 2)[: WINDOW + 1]
    lags = np.arange(_PITCH_LAGS.stop) * RATE_HZ / _LAG_RATE_HZ
    return np.asarray(np.interp(lags, np.arange(own.size), own / own[0]), np.float32)


_CORRECTION = _window_correction()


def _line_shares(power: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Shares of the energy in the strongest and in the two strongest spectral lines."""
    rows = np.arange(power.shape[0])[:, None]
    around = np.arange(-_LINE_BINS, _LINE_BINS + 1)[None, :]
    left, total = power.copy(), power.sum(axis=1)
    taken, shares = np.zeros_like(total), []
    for _ in range(2):
        columns = np.clip(left.argmax(axis=1)[:, None] + around, 0, power.shape[1] - 1)
        line = left[rows, columns]
        left[rows, columns] = 0
        taken = taken + line.sum(axis=1)
        shares.append(np.minimum(taken / total, 1))
    return shares


def features_of(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Describe windows of 40 ms.

    Args:
        windows: shape (n, 320), 8 kHz, int16 units.
    Returns:
        float32, shape (n, 26): 15 bands' levels against the whole (log10), the level itself (log10 of power), three
        harmonicities, pitch lag, short-lag correlation, four line shares, flatness. All but the level are
        independent of the level, down to about −60 dBFS.
    """
    power = np.abs(np.fft.rfft(windows * _HANN, _FFT)).astype(np.float32) ** 2 + _FLOOR
    total = power @ _VOICE
    found = [np.log10(power @ _BANDS / total[:, None] + 1e-6), np.log10(total)[:, None]]
    first: NDArray[np.float32] | None = None
    for weights in _PERIODIC:
        spectrum = power * weights
        correlation = np.fft.irfft(spectrum, _LAG_FFT).astype(np.float32)[:, : _PITCH_LAGS.stop]
        correlation = correlation / (correlation[:, :1] * _CORRECTION)
        found.append(correlation[:, _PITCH_LAGS].max(axis=1)[:, None])
        if first is None:
            first = correlation
    assert first is not None
    lag = _PITCH_LAGS.start + first[:, _PITCH_LAGS].argmax(axis=1)
    found += [np.log2(lag / 100)[:, None], first[:, _SHORT_LAGS].max(axis=1)[:, None]]
    lines = power * _LINES
    found += [share[:, None] for share in _line_shares(lines) + _line_shares(lines * _DE_EMPHASIS)]
    flat = power[:, _FLAT]
    found.append((np.log10(flat).mean(axis=1) - np.log10(flat.mean(axis=1)))[:, None])
    return np.concatenate(found, axis=1, dtype=np.float32)
