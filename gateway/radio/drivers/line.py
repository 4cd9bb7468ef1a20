"""The port through which the keyer reaches a keying line, whatever it is made of."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LineInputs:
    """What is wired beside the PTT output, polarity already minded; None = not wired, or not known yet.

    Attributes:
        cos: a carrier is received.
        ctcss: the radio's own decoder hears the right tone.
        tx_detect: the transmitter is on the air.
    """

    cos: bool | None = None
    ctcss: bool | None = None
    tx_detect: bool | None = None


NO_INPUTS = LineInputs()


class KeyLine(Protocol):
    """One PTT output and its inputs. Used by one thread at a time; any call may block for a moment.

    Every method but ``close`` raises DeviceError when the line is gone; then it is closed and opened again later.
    """

    @property
    def can_key(self) -> bool:
        """Whether this leg may transmit at all."""

    @property
    def poll_s(self) -> float:
        """How often :meth:`read` is to be called: often for inputs, seldom to notice that the line has gone."""

    def open(self) -> None:
        """Make the line ready, at its inactive level from the first moment on."""

    def set(self, is_active: bool) -> None:
        """Key or unkey."""

    def read(self) -> LineInputs:
        """The inputs now."""

    def close(self) -> None:
        """Let go of the line, inactive if that can still be done. Never raises."""
