"""The band filter of a leg: DC and rumble out, hiss out, a discriminator's treble brought down."""

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import FRAME_SAMPLES, SAMPLE_RATE_HZ, PcmFrame, check_frame

_FFT = 2 * FRAME_SAMPLES
_GRID = 16 * _FFT
"""Points on which the response is designed."""
DELAY_SAMPLES = 288
_EMPHASIS_HZ = 300.0
"""From here to 3 kHz a transmitter raises 6 dB an octave (TIA-603, pre-emphasis); we take it back."""


class BandFilter:
    """Streams frames through a linear-phase band-pass: every frequency is 6 ms late, so voices keep their shape.

    Butterworth slopes of order 4 below and 6 above, as far as an impulse response of 12 ms can have them.

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
        centred = np.roll(np.fft.irfft(magnitude), DELAY_SAMPLES)[: 2 * DELAY_SAMPLES + 1]
        window = np.hanning(2 * DELAY_SAMPLES + 3)[1:-1]
        taps = centred * window
        taps -= window * taps.sum() / window.sum()  # Whatever the cut left: DC does not pass.
        self._response = np.fft.rfft(taps, _FFT)
        self._held = np.zeros(_FFT, np.float32)

    def push(self, pcm: PcmFrame) -> NDArray[np.float32]:
        """One frame in; float32, shape (960,), in int16 units, out. Raises FrameShapeError; nothing changed."""
        check_frame(pcm)
        self._held[:FRAME_SAMPLES] = self._held[FRAME_SAMPLES:]
        self._held[FRAME_SAMPLES:] = pcm
        filtered = np.fft.irfft(np.fft.rfft(self._held) * self._response)[FRAME_SAMPLES:]
        return np.asarray(filtered, np.float32)
