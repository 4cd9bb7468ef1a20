"""An FM voice channel at complex baseband: transmitter, fading, receiver noise, discriminator, the radio's two taps.

Nothing is assumed about the noise: carrier and complex Gaussian noise go through a real discriminator, so quieting,
the parabolic noise spectrum and the clicks near threshold come out by themselves. 24 kHz, seeded by the caller.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.bench.fm.corpus import RATE_HZ, Audio, band_pass

_EMPHASIS_S = 750e-6


@dataclass(frozen=True, slots=True)
class Channel:
    """One radio and its way to us.

    Attributes:
        cn_db: carrier to noise in the IF bandwidth; its mean when it fades.
        deviation_hz, if_hz: peak deviation and (two-sided) IF bandwidth.
        fading_hz: Doppler spread of Rayleigh fading; 0 = none. ``line_of_sight`` is the Rice factor.
        is_flat: the discriminator tap; otherwise speaker audio, de-emphasised, ``low_hz``–``high_hz``.
        tilt_db: at 3 kHz against 300 Hz, of whatever hangs between tap and sound card.
        hum_hz, hum: ground loop, as a share of full deviation.
        card_noise: noise of the sound card, as a share of full deviation.
        splatter: the neighbour's mean power within our IF bandwidth, as a share of the noise's; it comes and goes.
        squelch_ms: the radio's own squelch: opening time, tail of open noise; None = open squelch.
        ctcss_hz: sub-audible tone of the transmitter, 12 % of the deviation; 0 = none.
    """

    cn_db: float = 20.0
    deviation_hz: float = 2_500.0
    if_hz: float = 11_000.0
    fading_hz: float = 0.0
    line_of_sight: float = 0.0
    is_flat: bool = False
    low_hz: float = 300.0
    high_hz: float = 3_400.0
    tilt_db: float = 0.0
    hum_hz: float = 0.0
    hum: float = 0.0
    card_noise: float = 0.0003
    splatter: float = 0.0
    squelch_ms: tuple[float, float] | None = None
    ctcss_hz: float = 0.0


def random_channel(rng: np.random.Generator, cn_db: float, *, is_clean: bool = False) -> Channel:
    """A radio as one meets them. ``is_clean``: neither fading nor splatter nor hum."""
    is_wide = rng.random() < 0.3
    is_flat = rng.random() < 0.35
    is_fading = not is_clean and rng.random() < 0.25
    has_hum = not is_clean and rng.random() < 0.25
    return Channel(
        cn_db=cn_db,
        deviation_hz=5_000.0 if is_wide else 2_500.0,
        if_hz=15_000.0 if is_wide else float(rng.choice([8_500.0, 11_000.0])),
        fading_hz=float(rng.uniform(1, 25)) if is_fading else 0.0,
        line_of_sight=float(rng.choice([0.0, 3.0, 10.0])),
        is_flat=is_flat,
        low_hz=float(rng.uniform(200, 400)),
        high_hz=float(rng.uniform(2_700, 3_800)),
        tilt_db=float(rng.uniform(-6, 6)),
        hum_hz=float(rng.choice([50.0, 60.0])) if has_hum else 0.0,
        hum=float(10 ** rng.uniform(-2.5, -1)),
        card_noise=float(10 ** rng.uniform(-4, -2.5)),
        splatter=float(rng.uniform(0.5, 4)) if not is_clean and rng.random() < 0.15 else 0.0,
        ctcss_hz=float(rng.uniform(67, 254)) if rng.random() < 0.4 else 0.0,
    )


def pre_emphasised(audio: Audio, drive: float) -> Audio:
    """A transmitter's way from microphone to modulator: band filter, 6 dB an octave, limiter, low pass.

    Args:
        audio: active level 1 (see ``corpus.Utterance``).
        drive: 1 = the active level makes 40 % of full deviation at 1 kHz; more runs into the limiter.
    """
    spectrum = np.fft.rfft(audio)
    hz = np.fft.rfftfreq(audio.size, 1 / RATE_HZ)
    shape = np.clip((hz - 200) / 100, 0, 1) * np.clip((3_600 - hz) / 400, 0, 1) * hz / 1_000
    shaped = np.fft.irfft(spectrum * shape, audio.size) * 0.4 * drive
    return np.clip(band_pass(np.clip(shaped, -1, 1), 150, 3_300), -1, 1)


def _complex_noise(count: int, half_hz: float, rng: np.random.Generator) -> NDArray[np.complex128]:
    """Unit power within ±half_hz."""
    spectrum = np.zeros(count, np.complex128)
    inside = np.flatnonzero(np.abs(np.fft.fftfreq(count, 1 / RATE_HZ)) < half_hz)
    spectrum[inside] = rng.normal(size=inside.size) + 1j * rng.normal(size=inside.size)
    return np.asarray(np.fft.ifft(spectrum) * (count / np.sqrt(2 * max(1, inside.size))))


def transmit(
    modulation: Audio, carrier: NDArray[np.bool_], channel: Channel, rng: np.random.Generator
) -> tuple[Audio, NDArray[np.bool_]]:
    """Send ``modulation`` (±1 = full deviation) while ``carrier`` is true; what arrives at the sound card.

    Returns:
        Audio in units of full deviation at 1 kHz, not limited to ±1 (open noise is far louder), and where the radio's
        squelch was open (everywhere when it has none).
    """
    count = modulation.size
    t = np.arange(count) / RATE_HZ
    sent = 0.88 * modulation + 0.12 * np.sin(2 * np.pi * channel.ctcss_hz * t) if channel.ctcss_hz else modulation
    signal = np.exp(2j * np.pi * np.cumsum(sent) * channel.deviation_hz / RATE_HZ)
    signal *= carrier * 10 ** (channel.cn_db / 20)
    if channel.fading_hz:
        scattered = _complex_noise(count, channel.fading_hz, rng)
        direct = np.sqrt(channel.line_of_sight)
        signal *= (direct + scattered) / np.sqrt(1 + channel.line_of_sight)
    noise = _complex_noise(count, channel.if_hz / 2, rng)
    if channel.splatter:
        slow = np.abs(band_pass(rng.normal(size=count), 0, 4)) * np.sqrt(count / RATE_HZ)
        slow /= np.mean(slow)
        noise += _complex_noise(count, channel.if_hz / 2, rng) * np.sqrt(channel.splatter) * np.clip(slow - 1, 0, None)
    received = signal + noise
    found = np.zeros(count)
    found[1:] = np.angle(received[1:] * np.conj(received[:-1])) * (RATE_HZ / (2 * np.pi * channel.deviation_hz))
    tapped = _tapped(found, channel, rng)
    if channel.squelch_ms is None:
        return tapped, np.ones(count, np.bool_)
    is_open = _squelched(carrier, channel.squelch_ms)
    card = rng.normal(0, channel.card_noise, count)
    return np.where(is_open, tapped, card), is_open


def _tapped(found: Audio, channel: Channel, rng: np.random.Generator) -> Audio:
    count = found.size
    hz = np.fft.rfftfreq(count, 1 / RATE_HZ)
    spectrum = np.fft.rfft(found)
    if channel.is_flat:
        spectrum *= np.clip((9_000 - hz) / 1_000, 0, 1)
    else:
        edge = 1 + 2j * np.pi * hz * _EMPHASIS_S
        spectrum *= abs(1 + 2j * np.pi * 1_000 * _EMPHASIS_S) / edge
        spectrum /= 1 + (channel.low_hz / np.maximum(hz, 1)) ** 8
        spectrum /= 1 + (hz / channel.high_hz) ** 10
    spectrum *= 10 ** (channel.tilt_db / 20 * np.log10(np.maximum(hz, 50) / 1_000))
    audio = np.fft.irfft(spectrum, count) + rng.normal(0, channel.card_noise, count)
    if channel.hum_hz:
        t = np.arange(count) / RATE_HZ
        for harmonic in (1, 2, 3, 5, 7, 9, 13):
            strength = channel.hum / harmonic * rng.uniform(0.3, 1)
            audio += strength * np.sin(2 * np.pi * channel.hum_hz * harmonic * t + rng.uniform(0, 6.3))
    return audio


def _squelched(carrier: NDArray[np.bool_], times_ms: tuple[float, float]) -> NDArray[np.bool_]:
    opening, tail = (round(ms * RATE_HZ / 1000) for ms in times_ms)
    moves = np.flatnonzero(np.diff(np.concatenate(([0], carrier.astype(np.int8), [0]))))
    is_open = np.zeros(carrier.size, np.bool_)
    for begin, end in moves.reshape(-1, 2):
        if end - begin > opening:
            is_open[begin + opening : end + tail] = True
    return is_open


def at_card(audio: Audio, level_dbfs: float) -> NDArray[np.int16]:
    """48 kHz int16 as a sound card gives it: full deviation at 1 kHz is a sine of ``level_dbfs`` (RMS)."""
    doubled = np.zeros(2 * audio.size)
    doubled[::2] = audio
    spectrum = np.fft.rfft(doubled)
    spectrum[int(spectrum.size * 0.49) :] = 0
    loud = np.fft.irfft(spectrum, doubled.size) * (2 * np.sqrt(2) * 32_768 * 10 ** (level_dbfs / 20))
    return np.asarray(np.clip(np.rint(loud), -32_768, 32_767), np.int16)
