"""The front end that all signalling decoders share: 48 kHz once into a voice band and a sub-audible band."""

from dataclasses import dataclass

import numpy as np

from tongpin.codecs.frame import FRAME_SAMPLES, SAMPLE_RATE_HZ, PcmFrame, check_frame
from tongpin.codecs.windows import Floats, SlidingWindows

VOICE_RATE_HZ = 8_000
VOICE_SAMPLES = 160
LOW_RATE_HZ = 1_000
LOW_SAMPLES = 20


def _low_pass(taps: int, cut_off_hz: float, rate_hz: int) -> Floats:
    positions = np.arange(taps) - (taps - 1) / 2
    windowed = np.sinc(2 * cut_off_hz / rate_hz * positions) * np.blackman(taps)
    return np.asarray(windowed / windowed.sum(), dtype=np.float32)


class _Stage:
    """FIR low-pass that keeps every ``ratio``-th sample; computes only those."""

    def __init__(self, taps: Floats, ratio: int, block: int) -> None:
        self._taps = taps
        self._windows = SlidingWindows(taps.size, ratio, block)

    def push(self, block: Floats) -> Floats:
        return np.asarray(self._windows.push(block) @ self._taps, dtype=np.float32)


VOICE_DELAY_SAMPLES = 96
"""Delay of the voice band in samples of 48 kHz."""
LOW_DELAY_SAMPLES = VOICE_DELAY_SAMPLES + 48 * SAMPLE_RATE_HZ // VOICE_RATE_HZ
"""Delay of the low band in samples of 48 kHz."""


@dataclass(frozen=True, slots=True)
class Bands:
    """20 ms in both bands, in int16 units.

    Attributes:
        voice: float32, shape (160,), 8 kHz: up to 3.4 kHz.
        low: float32, shape (20,), 1 kHz: up to 300 Hz, DC included.
    """

    voice: Floats
    low: Floats


class FrontEnd:
    """Streams frames into both bands."""

    def __init__(self) -> None:
        self._voice = _Stage(_low_pass(2 * VOICE_DELAY_SAMPLES + 1, 3_700.0, SAMPLE_RATE_HZ), 6, FRAME_SAMPLES)
        self._low = _Stage(_low_pass(97, 350.0, VOICE_RATE_HZ), 8, VOICE_SAMPLES)

    def push(self, pcm: PcmFrame) -> Bands:
        """One frame. Raises FrameShapeError; nothing changed."""
        check_frame(pcm)
        voice = self._voice.push(pcm.astype(np.float32))
        return Bands(voice, self._low.push(voice))
