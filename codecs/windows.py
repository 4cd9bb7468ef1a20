"""Overlapping windows over a stream of blocks, without building anything anew for each block."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class SlidingWindows:
    """The windows that end within the newest block, oldest first.

    Args:
        samples: length of a window.
        hop: distance of two windows; divides ``block``.
        block: length of what is pushed.
    """

    def __init__(self, samples: int, hop: int, block: int) -> None:
        self._past = samples - hop
        self._buffer = np.zeros(self._past + block, np.float32)
        self._view = np.lib.stride_tricks.sliding_window_view(self._buffer, samples)[::hop]
        # A copy in rows of their own is what the matrix product is fast on.
        self._rows = np.zeros(self._view.shape, np.float32)

    def push(self, block: Floats) -> Floats:
        """Shape (block / hop, samples); the same array every time, good until the next call."""
        buffer = self._buffer
        buffer[: self._past] = buffer[block.size :]
        buffer[self._past :] = block
        np.copyto(self._rows, self._view)
        return self._rows
