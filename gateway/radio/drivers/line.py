"""The port through which the keyer reaches a keying line, whatever it is made of."""

from typing import Protocol


class KeyLine(Protocol):
    """One PTT output and, if wired, one COS input. Used by one thread at a time; any call may block for a moment.

    Every method but ``close`` raises DeviceError when the line is gone; then it is closed and opened again later.
    """

    @property
    def can_key(self) -> bool:
        """Whether this leg may transmit at all."""

    @property
    def has_cos(self) -> bool:
        """Whether :meth:`read_cos` will ever say anything but None."""

    def open(self) -> None:
        """Make the line ready, at its inactive level from the first moment on."""

    def set(self, is_active: bool) -> None:
        """Key or unkey."""

    def read_cos(self) -> bool | None:
        """Whether a carrier is detected; None when no line is wired."""

    def close(self) -> None:
        """Let go of the line, inactive if that can still be done. Never raises."""
