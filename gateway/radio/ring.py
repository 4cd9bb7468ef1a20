"""A ring of 20 ms frames between one writing and one reading thread, without a lock.

The writer never waits: when the reader is slow, the oldest frames are overwritten and the reader counts them. It works
because each side writes only its own counter and CPython makes a store of an int visible whole; the reader looks at
the writer's counter again after copying, as a sequence lock does.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongpin.gateway.media.packet import PACKET_SAMPLES

Frame = NDArray[np.int16]


def new_frame() -> Frame:
    """A silent one."""
    return np.zeros(PACKET_SAMPLES, np.int16)


class FrameRing:
    """Holds at most ``capacity`` frames of 960 int16 samples, each with a small mark (for instance the COS line)."""

    def __init__(self, capacity: int) -> None:
        self._slots: Final = capacity + 1  # One more, so that the writer is never in a slot that may still be read.
        self._frames = np.zeros((self._slots, PACKET_SAMPLES), np.int16)
        self._marks = [0] * self._slots
        self._capacity: Final = capacity
        self._written = 0
        self._read = 0
        self._dropped = 0

    def write(self, frame: Frame, mark: int = 0) -> None:
        """Writer: add one frame (960 int16 samples; copied). The oldest goes when the ring is full."""
        slot = self._written % self._slots
        self._frames[slot] = frame
        self._marks[slot] = mark
        self._written += 1

    def read_into(self, frame: Frame) -> int | None:
        """Reader: copy the oldest frame out.

        Args:
            frame: int16, shape (960,); written unless the ring is empty.
        Returns:
            The frame's mark, or None when the ring is empty.
        """
        while True:
            read, written = self._read, self._written
            if read == written:
                return None
            behind = written - read - self._capacity
            if behind > 0:
                self._dropped += behind
                self._read = read = read + behind
            slot = read % self._slots
            frame[:] = self._frames[slot]
            mark = self._marks[slot]
            if self._written - read <= self._capacity:
                self._read = read + 1
                return mark

    def clear(self) -> int:
        """Reader: forget everything, uncounted, and say how many frames that were."""
        written = self._written
        gone = min(written - self._read, self._capacity)
        self._read = written
        return gone

    @property
    def depth(self) -> int:
        """Frames waiting, 0 to capacity. Either side may ask."""
        return min(self._written - self._read, self._capacity)

    @property
    def dropped(self) -> int:
        """Frames that were overwritten before they were read, as far as the reader has noticed."""
        return self._dropped
