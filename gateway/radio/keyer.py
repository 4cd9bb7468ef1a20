"""The transmitter's key: held only while somebody keeps renewing the lease, watched by a thread of its own.

Nothing here knows the gateway or the audio. Whatever hangs or dies around it, the line goes inactive when the lease
has run out, when the talk limit is reached, when the line fails, and on every way out of the process.
"""

import atexit
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.drivers.line import KeyLine

MAX_LEASE_S = 0.5
"""However long a lease is asked for, the line is inactive this long after the last renewal."""
_COS_POLL_S = 0.01
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 5.0

KeyMovedCallback = Callable[[bool, str], None]
"""Called by the keyer's thread: whether keyed, and why."""
LineMovedCallback = Callable[[bool, str], None]
"""Called by the keyer's thread: whether the line is usable, and why not."""


class Keyer:
    """Drives one line. All methods may be called from any thread and return at once, except close.

    It never keys by itself: not at the start, and not after a failed line comes back unless the lease still runs.
    """

    def __init__(
        self, line: KeyLine, limit_s: float, key_moved: KeyMovedCallback, line_moved: LineMovedCallback
    ) -> None:
        """Args: limit_s: longest unbroken transmission; after it the key stays off until :meth:`unkey`."""
        self._line: Final = line
        self._limit_s: Final = limit_s
        self._key_moved: Final = key_moved
        self._line_moved: Final = line_moved
        self._changed = threading.Condition()
        self._lease_until = float("-inf")
        self._unkey_cause: str | None = None
        self._keyed_at: float | None = None
        self._is_over_limit = False
        self._is_closing = False
        self._is_online: bool | None = None
        self._cos: bool | None = None
        self._thread = threading.Thread(target=self._run, name="keyer", daemon=True)

    @property
    def is_keyed(self) -> bool:
        return self._keyed_at is not None

    @property
    def is_wanted(self) -> bool:
        """Whether the lease runs: the line is active, or will be in a moment."""
        return monotonic() < self._lease_until

    @property
    def cos(self) -> bool | None:
        """The COS input as of the last poll (every 10 ms); None without one, and while the line is gone."""
        return self._cos

    @property
    def is_online(self) -> bool:
        return self._is_online is True

    @property
    def is_alive(self) -> bool:
        """False only after close, or if the watchdog itself has failed: then the process must end."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Open the line, inactive, and begin to watch."""
        atexit.register(self.close)
        self._thread.start()

    def lease(self, lease_s: float) -> None:
        """Key, or stay keyed, for ``lease_s`` seconds from now, at most :data:`MAX_LEASE_S`."""
        with self._changed:
            if not self._line.can_key or self._is_over_limit or self._is_closing:
                return
            is_first = self._keyed_at is None
            self._unkey_cause = None
            self._lease_until = monotonic() + min(max(lease_s, 0.0), MAX_LEASE_S)
            if is_first:
                self._changed.notify()

    def unkey(self, cause: str) -> None:
        """End the lease now. Also lifts the lock that the talk limit has set."""
        with self._changed:
            self._lease_until = float("-inf")
            self._unkey_cause = cause
            self._is_over_limit = False
            self._changed.notify()

    def close(self) -> None:
        """Unkey, let go of the line and end the thread. May be called twice."""
        atexit.unregister(self.close)
        with self._changed:
            self._is_closing = True
            self._lease_until = float("-inf")
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(2.0)
        if self._thread.is_alive():
            self._line.close()  # The thread hangs in the driver: try past it, there is nothing to lose.

    def _run(self) -> None:
        try:
            retry_s = _FIRST_RETRY_S
            while not self._is_closing:
                try:
                    self._line.open()
                    retry_s = _FIRST_RETRY_S
                    self._note_line(True, "")
                    self._serve()
                except DeviceError as error:
                    self._line.close()
                    self._cos = None
                    self._note_unkeyed("the keying line failed")
                    self._note_line(False, str(error))
                with self._changed:
                    if not self._is_closing:
                        self._changed.wait_for(lambda: self._is_closing, retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
        finally:
            self._line.close()
            self._note_unkeyed("the worker ends")

    def _serve(self) -> None:
        """Watch lease, limit and COS until closing. Raises DeviceError when the line fails."""
        while True:
            now = monotonic()
            cause = self._cause_to_unkey(now)
            if self._keyed_at is not None and cause is not None:
                self._line.set(False)
                self._note_unkeyed(cause)
            elif self._keyed_at is None and cause is None:
                self._line.set(True)
                self._keyed_at = monotonic()
                self._key_moved(True, "asked")
            if self._line.has_cos:
                self._cos = self._line.read_cos()
            with self._changed:
                if self._is_closing:
                    return
                wait_s = self._wait_s(monotonic())
                if wait_s > 0:
                    self._changed.wait(wait_s)

    def _cause_to_unkey(self, now: float) -> str | None:
        """Why the line must be inactive now; None means it must be active."""
        with self._changed:
            if self._is_closing:
                return "the worker ends"
            if self._keyed_at is not None and now >= self._keyed_at + self._limit_s:
                self._is_over_limit = True
                self._lease_until = float("-inf")
                return "talk limit of the keyer"
            if now < self._lease_until:
                return None
            cause, self._unkey_cause = self._unkey_cause, None
            return cause or "the lease ran out"

    def _wait_s(self, now: float) -> float:
        """How long nothing can happen; holds the lock. A new lease or unkey wakes earlier."""
        wait_s = _COS_POLL_S if self._line.has_cos else 60.0
        if self._keyed_at is not None:
            wait_s = min(wait_s, self._lease_until - now, self._keyed_at + self._limit_s - now)
        elif now < self._lease_until:
            wait_s = 0.0
        return wait_s

    def _note_unkeyed(self, cause: str) -> None:
        if self._keyed_at is not None:
            self._keyed_at = None
            self._key_moved(False, cause)

    def _note_line(self, is_online: bool, reason: str) -> None:
        if self._is_online is not is_online:
            self._is_online = is_online
            self._line_moved(is_online, reason)
