"""48 kHz to 16 kHz, frame by frame: an FIR low-pass with the two samples between left out."""

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import PcmFrame, check_frame

RATIO = 3
TAPS = 96
_CUT_OFF_HZ = 7_200.0


def _low_pass() -> NDArray[np.float32]:
    positions = np.arange(TAPS) - (TAPS - 1) / 2
    ideal = np.sinc(2 * _CUT_OFF_HZ / 48_000 * positions)
    windowed = ideal * np.blackman(TAPS)
    return np.asarray(windowed / windowed.sum(), dtype=np.float32)


class Decimator:
    """Streams frames of 960 samples into blocks of 320 at 16 kHz. Delay 1 ms."""

    def __init__(self) -> None:
        self._taps = _low_pass()
        self._history = np.zeros(TAPS - 1, np.float32)

    def push(self, pcm: PcmFrame) -> NDArray[np.float32]:
        """One frame in; float32, shape (320,), in int16 units, out. Raises FrameShapeError; nothing changed."""
        check_frame(pcm)
        joined = np.concatenate([self._history, pcm.astype(np.float32)])
        self._history = joined[-(TAPS - 1) :]
        windows = np.lib.stride_tricks.sliding_window_view(joined, TAPS)[::RATIO]
        return np.asarray(windows @ self._taps, dtype=np.float32)
