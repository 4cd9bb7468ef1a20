"""48 kHz down to 16 or 8 kHz by an FIR low-pass, as a stream of frames: only every so many samples are computed."""

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import SAMPLE_RATE_HZ, PcmFrame, check_frame

_TAPS_PER_RATIO = 32


def _low_pass(ratio: int) -> NDArray[np.float32]:
    """Blackman-windowed sinc: cut-off 90 % of the new Nyquist frequency, stop band below −70 dB."""
    taps = _TAPS_PER_RATIO * ratio
    positions = np.arange(taps) - (taps - 1) / 2
    ideal = np.sinc(0.9 / ratio * positions)
    windowed = ideal * np.blackman(taps)
    return np.asarray(windowed / windowed.sum(), dtype=np.float32)


class Decimator:
    """Streams audio at 48 kHz into blocks at ``48 / ratio`` kHz. Delay: 16 output samples.

    Args:
        ratio: 3 = 16 kHz, 6 = 8 kHz.
    """

    def __init__(self, ratio: int = 3) -> None:
        self.rate_hz = SAMPLE_RATE_HZ // ratio
        self._ratio = ratio
        self._taps = _low_pass(ratio)
        self._history = np.zeros(self._taps.size - 1, np.float32)

    def push(self, pcm: PcmFrame) -> NDArray[np.float32]:
        """One frame in; float32, shape (960 / ratio,), in int16 units, out. Raises FrameShapeError; nothing changed."""
        check_frame(pcm)
        return self.push_many(pcm)

    def push_many(self, pcm: NDArray[np.int16]) -> NDArray[np.float32]:
        """Whole frames in one call; the same samples as frame by frame."""
        joined = np.concatenate([self._history, pcm.astype(np.float32)])
        self._history = joined[-(self._taps.size - 1) :]
        windows = np.lib.stride_tricks.sliding_window_view(joined, self._taps.size)[:: self._ratio]
        return np.asarray(windows @ self._taps, dtype=np.float32)
