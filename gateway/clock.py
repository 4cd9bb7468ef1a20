"""Wall time and monotonic time, in one place so that tests can put others there."""

from datetime import UTC, datetime
from time import monotonic
from typing import Protocol


class Clock(Protocol):
    """Two readings of one moment."""

    def now(self) -> float:
        """Monotonic seconds."""

    def at(self) -> datetime:
        """UTC, aware."""


class SystemClock:
    """The machine's own."""

    def now(self) -> float:
        return monotonic()

    def at(self) -> datetime:
        return datetime.now(UTC)
