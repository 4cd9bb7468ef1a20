"""The band filter of a leg: DC and rumble out, hiss out, a discriminator's treble brought down."""

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import FRAME_SAMPLES, SAMPLE_RATE_HZ, PcmFrame, check_frame

_FFT = 2 * FRAME_SAMPLES
_GRID = 16 * _FFT
"""Points on which the response is designed; many, so that folding of the cepstrum does no harm."""
_EMPHASIS_HZ = 300.0
"""From here to 3 kHz a transmitter raises 6 dB an octave (TIA-603, pre-emphasis); we take it back."""


class BandFilter:
    """Streams frames through a minimum-phase band-pass: the voice band loses no more than about 2 ms.

    Butterworth slopes of order 4 below and 6 above; the impulse response is cut at 20 ms.

    Args:
        low_hz, high_hz: −3 dB points; 60 keeps a CTCSS tone, 300 removes it.
        is_de_emphasised: −6 dB an octave above 300 Hz, level kept at 1 kHz; for discriminator audio.
    Raises:
        ValueError: not 10 ≤ low < high ≤ 20 000 Hz.
    """

    def __init__(self, low_hz: float, high_hz: float, *, is_de_emphasised: bool = False) -> None:
        if not 10 <= low_hz < high_hz <= 20_000:
            raise ValueError(f"a band from {low_hz:g} to {high_hz:g} Hz cannot be filtered")
        hz = np.fft.rfftfreq(_GRID, 1 / SAMPLE_RATE_HZ)
        magnitude = 1 / np.sqrt(1 + (low_hz / np.maximum(hz, low_hz / 10)) ** 8) / np.sqrt(1 + (hz / high_hz) ** 12)
        if is_de_emphasised:
            magnitude *= np.sqrt((_EMPHASIS_HZ**2 + 1_000**2) / (_EMPHASIS_HZ**2 + hz**2))
        taps = _minimum_phase(np.maximum(magnitude, 1e-5))[: FRAME_SAMPLES + 1]
        self._response = np.fft.rfft(taps - taps.mean(), _FFT)  # Whatever the cut left: DC does not pass.
        self._held = np.zeros(_FFT, np.float32)

    def push(self, pcm: PcmFrame) -> NDArray[np.float32]:
        """One frame in; float32, shape (960,), in int16 units, out. Raises FrameShapeError; nothing changed."""
        check_frame(pcm)
        self._held[:FRAME_SAMPLES] = self._held[FRAME_SAMPLES:]
        self._held[FRAME_SAMPLES:] = pcm
        filtered = np.fft.irfft(np.fft.rfft(self._held) * self._response)[FRAME_SAMPLES:]
        return np.asarray(filtered, np.float32)


def _minimum_phase(magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """The impulse response that has this magnitude and its energy as early as can be (by the folded cepstrum)."""
    cepstrum = np.fft.irfft(np.log(magnitude))
    half = cepstrum.size // 2
    cepstrum[1:half] *= 2
    cepstrum[half + 1 :] = 0
    return np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))
