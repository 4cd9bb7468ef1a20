"""What was good and is no longer: users disabled, demoted or given another password, log-ins and keys that ended.

The store numbers revocations, also those of the command line and of other nodes; this watches them, answers
:meth:`is_revoked` from memory, and ends at once whatever long-lived thing stands on a revoked identity.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import structlog

from tongpin.gateway.credentials import Logins
from tongpin.gateway.errors import StoreError
from tongpin.gateway.rights import Identity

_log = structlog.get_logger(__name__)

POLL_S = 0.5
LIMIT = 100_000
"""Revocations kept in memory: many more than can matter while an access token lives."""


class Revocations:
    """Event-loop thread only. Implements ``Guard``."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self._epochs: OrderedDict[str, int] = OrderedDict()
        self._last = 0
        self._watched: dict[int, tuple[Identity, Callable[[], None]]] = {}
        self._next = 0

    def is_revoked(self, identity: Identity) -> bool:
        """Whether what the identity was read from is worth nothing any more."""
        return self._epochs.get(identity.user, 0) > identity.epoch or self._epochs.get(identity.login, 0) > 0

    def watch(self, identity: Identity, end: Callable[[], None]) -> Callable[[], None]:
        """Call ``end`` (must not block) once when the identity is revoked; the answer takes the watch away."""
        if self.is_revoked(identity):
            end()
            return lambda: None
        self._next += 1
        number = self._next
        self._watched[number] = (identity, end)

        def leave() -> None:
            self._watched.pop(number, None)

        return leave

    async def refresh(self) -> None:
        """Read what is new and end what stands on it. Raises StoreError."""
        is_new = False
        for revoked in await self._logins.revoked_since(self._last):
            self._last = max(self._last, revoked.number)
            if self._epochs.get(revoked.subject, 0) < revoked.epoch:
                self._epochs[revoked.subject] = revoked.epoch
                self._epochs.move_to_end(revoked.subject)
                is_new = True
        if not is_new:
            return
        while len(self._epochs) > LIMIT:
            self._epochs.popitem(last=False)
        for number, (identity, end) in list(self._watched.items()):
            if self.is_revoked(identity) and self._watched.pop(number, None) is not None:
                end()

    async def run(self) -> None:
        """Look twice a second, so that what another process revokes ends within a second. Ends by cancellation."""
        is_away = False
        while True:
            try:
                await self.refresh()
                is_away = False
            except StoreError as error:
                if not is_away:
                    _log.error("revocations cannot be read", reason=str(error))
                is_away = True
            await asyncio.sleep(POLL_S)
