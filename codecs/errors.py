"""What the codecs refuse. A raised call has changed nothing."""


class CodecError(Exception):
    """Base of this room's errors."""


class FrameShapeError(CodecError):
    """The array is not one 20 ms frame of int16."""


class CodecLibraryError(CodecError):
    """libopus cannot be loaded."""


class OpusError(CodecError):
    """libopus refused: the packet is not Opus, or the arguments are wrong."""


class ExpressionError(CodecError):
    """A gate expression cannot be read; ``column`` counts from 1."""

    def __init__(self, reason: str, column: int) -> None:
        super().__init__(f"{reason} (column {column})")
        self.column = column


class SignallingError(CodecError):
    """A tone, code or call that cannot be sent or listened for; the text says what can."""
