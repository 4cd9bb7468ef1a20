"""The error tree of the gateway (conventions.md): what went wrong decides who must act."""


class TongpinError(Exception):
    """Base of all errors the gateway raises on purpose."""


class CallerError(TongpinError):
    """The caller asked for something that cannot be: a 4xx. ``code`` is the stable end of the problem type.

    Attributes:
        status: HTTP status.
        code: stable slug, e.g. ``group-in-other-net``; the problem type is ``urn:tongpin:problem:<code>``.
        extra: further members of the problem document (strings or lists of strings only).
    """

    def __init__(self, status: int, code: str, detail: str, extra: dict[str, str | list[str]] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.extra = extra or {}


class PeerError(TongpinError):
    """Bytes from outside were wrong. Counted and dropped; never ends a task."""


class DeviceError(TongpinError):
    """A sound card, keying line or worker failed."""


class StoreError(TongpinError):
    """The database did not do what was asked; nothing was applied (503)."""
