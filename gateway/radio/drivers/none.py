"""Legs without a keying line: receive only, or radios that key themselves on audio."""


class AudioOnlyLine:
    """Nothing to drive. A VOX radio keys on the audio it is given, a receive-only leg never."""

    has_cos = False

    def __init__(self, can_key: bool) -> None:
        self.can_key = can_key

    def open(self) -> None:
        """There is nothing to open."""

    def set(self, is_active: bool) -> None:
        """There is nothing to set: silence unkeys a VOX radio."""

    def read_cos(self) -> bool | None:
        return None

    def close(self) -> None:
        """There is nothing to close."""
