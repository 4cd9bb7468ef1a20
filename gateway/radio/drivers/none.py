"""Legs without a keying line: receive only, or radios that key themselves on audio."""

from tongpin.gateway.radio.drivers.line import NO_INPUTS, LineInputs


class AudioOnlyLine:
    """Nothing to drive. A VOX radio keys on the audio it is given, a receive-only leg never."""

    poll_s = 60.0

    def __init__(self, can_key: bool) -> None:
        self.can_key = can_key

    def open(self) -> None:
        """There is nothing to open."""

    def set(self, is_active: bool) -> None:
        """There is nothing to set: silence unkeys a VOX radio."""

    def read(self) -> LineInputs:
        return NO_INPUTS

    def close(self) -> None:
        """There is nothing to close."""
