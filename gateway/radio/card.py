"""The port through which a worker reaches a sound card, real or simulated."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from tongpin.gateway.radio.ring import FrameRing

NO_CARRIER, CARRIER, UNMARKED = 0, 1, -1
"""Marks of captured frames: what the card says of the carrier; a real card cannot say."""
CAPTURE_FRAMES = 10
"""200 ms: what the worker may be late by before sound is lost."""
PLAYOUT_FRAMES = 8
"""More than the worker ever puts ahead; the ring itself never drops."""


@dataclass(frozen=True, slots=True)
class CardState:
    """Whether both directions run; if not, why. Counts rise from the worker's start.

    ``playout_delay_s`` is how long a frame that the card has taken needs to the plug, as the card says.
    ``capture_ppm`` and ``playout_ppm`` are how much faster than monotonic time its clocks run, once that is known.
    """

    is_online: bool
    reason: str
    overruns: int
    underruns: int
    playout_delay_s: float
    capture_ppm: float | None = None
    playout_ppm: float | None = None


class Card(Protocol):
    """20 ms frames of 48 kHz mono int16 in both directions, at the card's own pace, from a thread of its own.

    For every frame it captures and for every frame it wants it calls the wake function given when it was made.
    """

    @property
    def capture(self) -> FrameRing:
        """Written by the card, read by the worker."""

    @property
    def playout(self) -> FrameRing:
        """Written by the worker, read by the card, which plays silence when it is empty."""

    @property
    def state(self) -> CardState: ...

    def start(self) -> None:
        """Begin; a card that is not there yet is looked for again and again."""

    def stop(self) -> None:
        """End the thread and close what is open."""


class Waker:
    """Wakes a selector from other threads: an eventfd, or a pipe where there is none."""

    def __init__(self) -> None:
        if hasattr(os, "eventfd"):
            self._write_fd = self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._word = (1).to_bytes(8, "little")
        else:
            self.fd, self._write_fd = os.pipe()
            os.set_blocking(self.fd, False)
            os.set_blocking(self._write_fd, False)
            self._word = b"\0"

    def wake(self) -> None:
        """Make ``fd`` readable. Never blocks."""
        with suppress(OSError):  # Full means that it is readable already; closed, that nobody waits any more.
            os.write(self._write_fd, self._word)

    def clear(self) -> None:
        """Make ``fd`` unreadable again."""
        with suppress(BlockingIOError):
            os.read(self.fd, 4096)

    def close(self) -> None:
        os.close(self.fd)
        if self._write_fd != self.fd:
            os.close(self._write_fd)


WakeFunction = Callable[[], None]
