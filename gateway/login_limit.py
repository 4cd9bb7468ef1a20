"""How often one may be wrong at the log-in. The clock is passed in; unknown names count as known ones do."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_S = 300.0
FORGET_S = 900.0
LIMIT = 10_000


@dataclass(slots=True)
class _Count:
    failures: int = 0
    until: float = 0.0
    last: float = float("-inf")


class _Backoff:
    """After some free tries each further failure doubles the wait: 2 s, 4 s … 5 min. Forgotten after a quiet 15 min."""

    def __init__(self, free_tries: int, clock: Callable[[], float]) -> None:
        self._free_tries = free_tries
        self._clock = clock
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def wait_s(self, key: str) -> float:
        count = self._counts.get(key)
        return max(0.0, count.until - self._clock()) if count is not None else 0.0

    def failed(self, key: str) -> bool:
        """Whether this failure begins the waiting."""
        now = self._clock()
        count = self._counts.pop(key, _Count())
        if now - count.last > FORGET_S:
            count = _Count()
        count.failures += 1
        count.last = now
        extra = count.failures - self._free_tries
        if extra >= 0:
            count.until = now + min(LONGEST_S, 2.0 ** min(extra + 1, 20))
        self._counts[key] = count
        while len(self._counts) > LIMIT:
            self._counts.popitem(last=False)
        return extra == 0

    def forget(self, key: str) -> None:
        self._counts.pop(key, None)


class LoginLimiter:
    """Three counts: of a name from an address, of a name from everywhere, of an address for all names.

    A name that is tried from everywhere is locked, but not at an address where its owner logged in before: nobody can
    keep a dispatcher out by being wrong in their name.
    """

    PAIR_TRIES = 5
    NAME_TRIES = 20
    ADDRESS_TRIES = 50

    def __init__(self, clock: Callable[[], float]) -> None:
        self._pairs = _Backoff(self.PAIR_TRIES, clock)
        self._names = _Backoff(self.NAME_TRIES, clock)
        self._addresses = _Backoff(self.ADDRESS_TRIES, clock)
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait_s(self, username: str, address: str) -> float:
        """Seconds until the next try is let through; 0 = now."""
        pair = _key(username, address)
        by_name = 0.0 if pair in self._known else self._names.wait_s(_key(username))
        return max(self._pairs.wait_s(pair), by_name, self._addresses.wait_s(address))

    def failed(self, username: str, address: str) -> bool:
        """Count a failure; whether it begins a lock-out."""
        counts = [
            self._pairs.failed(_key(username, address)),
            self._names.failed(_key(username)),
            self._addresses.failed(address),
        ]
        return any(counts)

    def succeeded(self, username: str, address: str) -> None:
        pair = _key(username, address)
        self._pairs.forget(pair)
        self._names.forget(_key(username))
        self._known.pop(pair, None)
        self._known[pair] = None
        while len(self._known) > LIMIT:
            self._known.popitem(last=False)


def _key(*parts: str) -> str:
    """Of one size, whatever was typed."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
