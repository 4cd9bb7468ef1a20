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
from tongpin.gateway.radio.drivers.line import NO_INPUTS, KeyLine, LineInputs

MAX_LEASE_S = 0.5
"""However long a lease is asked for, the line is inactive this long after the last renewal."""
REST_S = 3.0
"""Key time adds up over transmissions with shorter pauses than this, so that keying anew does not evade the limit."""
_FIRST_RETRY_S = 0.1
"""Soon, because opening a line is what makes it inactive again."""
_LAST_RETRY_S = 5.0

KeyMovedCallback = Callable[[bool, str], None]
"""Called by the keyer's thread: whether keyed, and why."""
LineMovedCallback = Callable[[bool, str], None]
"""Called by the keyer's thread: whether the line is usable, and why not."""


class Keyer:
    """Drives one line. All methods may be called from any thread and return at once, except close.

    It never keys by itself: not at the start, and not when a line that has failed comes back.
    """

    def __init__(
        self,
        line: KeyLine,
        limit_s: float,
        key_moved: KeyMovedCallback,
        line_moved: LineMovedCallback,
        rest_s: float = REST_S,
    ) -> None:
        """Args: limit_s: most key time without a pause of ``rest_s``; after it the key stays off until :meth:`unkey`
        and for ``rest_s``.
        """
        self._line: Final = line
        self._limit_s: Final = limit_s
        self._rest_s: Final = rest_s
        self._key_moved: Final = key_moved
        self._line_moved: Final = line_moved
        self._changed = threading.Condition()
        self._lease_until = float("-inf")
        self._unkey_cause: str | None = None
        self._keyed_at: float | None = None
        self._unkeyed_at = float("-inf")
        self._spent_s = 0.0
        """Key time of the transmissions before this one that no rest has forgiven."""
        self._is_over_limit = False
        self._is_closing = False
        self._is_online: bool | None = None
        self._inputs = NO_INPUTS
        self._thread = threading.Thread(target=self._run, name="keyer", daemon=True)

    @property
    def is_keyed(self) -> bool:
        return self._keyed_at is not None

    @property
    def is_wanted(self) -> bool:
        """Whether the lease runs: the line is active, or will be in a moment."""
        return monotonic() < self._lease_until

    @property
    def inputs(self) -> LineInputs:
        """As of the last poll (every 10 ms on most lines); all None while the line is gone."""
        return self._inputs

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
            if not self._line.can_key or self._is_over_limit or self._is_closing or self._is_resting(monotonic()):
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
                    with self._changed:
                        self._lease_until = float("-inf")
                    self._line.close()
                    self._inputs = NO_INPUTS
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
        """Watch lease, limit and inputs until closing. Raises DeviceError when the line fails."""
        read_at = monotonic()
        while True:
            now = monotonic()
            cause = self._cause_to_unkey(now)
            if self._keyed_at is not None and cause is not None:
                self._line.set(False)
                self._note_unkeyed(cause)
            elif self._keyed_at is None and cause is None:
                self._line.set(True)
                self._keyed_at = monotonic()
                if self._keyed_at - self._unkeyed_at >= self._rest_s:
                    self._spent_s = 0.0
                self._key_moved(True, "asked")
            if now >= read_at:
                self._inputs = self._line.read()
                read_at = monotonic() + self._line.poll_s
            with self._changed:
                if self._is_closing:
                    return
                wait_s = self._wait_s(monotonic(), read_at)
                if wait_s > 0:
                    self._changed.wait(wait_s)

    def _cause_to_unkey(self, now: float) -> str | None:
        """Why the line must be inactive now; None means it must be active."""
        with self._changed:
            if self._is_closing:
                return "the worker ends"
            if self._keyed_at is not None and now >= self._limit_at(self._keyed_at):
                self._is_over_limit = True
                self._lease_until = float("-inf")
                return "talk limit of the keyer"
            if now < self._lease_until:
                return None
            cause, self._unkey_cause = self._unkey_cause, None
            return cause or "the lease ran out"

    def _is_resting(self, now: float) -> bool:
        """Whether the limit is used up and the pause after it is still too short."""
        return self._keyed_at is None and self._spent_s >= self._limit_s and now < self._unkeyed_at + self._rest_s

    def _limit_at(self, keyed_at: float) -> float:
        return keyed_at + self._limit_s - self._spent_s

    def _wait_s(self, now: float, read_at: float) -> float:
        """How long nothing can happen; holds the lock. A new lease or unkey wakes earlier."""
        wait_s = read_at - now
        if self._keyed_at is not None:
            wait_s = min(wait_s, self._lease_until - now, self._limit_at(self._keyed_at) - now)
        elif now < self._lease_until:
            wait_s = 0.0
        return wait_s

    def _note_unkeyed(self, cause: str) -> None:
        if self._keyed_at is not None:
            self._unkeyed_at = monotonic()
            self._spent_s += self._unkeyed_at - self._keyed_at
            self._keyed_at = None
            self._key_moved(False, cause)

    def _note_line(self, is_online: bool, reason: str) -> None:
        if self._is_online is not is_online:
            self._is_online = is_online
            self._line_moved(is_online, reason)
