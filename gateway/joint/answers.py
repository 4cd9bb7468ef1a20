"""The same request twice has one effect and one answer."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import CallerError
from tongpin.gateway.joint.records import Answer, JointStore

KEPT_FOR = timedelta(hours=24)
LONGEST_KEY = 200


class Answers:
    """Answers under idempotency keys: in the store, the latest in memory too. Event-loop thread only."""

    LIMIT = 1_000

    def __init__(self, store: JointStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._latest: OrderedDict[tuple[str, str], Answer] = OrderedDict()
        self._turns: dict[tuple[str, str], tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def turn(self, caller: str, key: str) -> AsyncIterator[None]:
        """One request at a time under a key. Raises CallerError 422 for a key that is no key."""
        if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
            raise CallerError(422, "bad-idempotency-key", f"an Idempotency-Key has 1 to {LONGEST_KEY} characters")
        lock, waiting = self._turns.get((caller, key), (asyncio.Lock(), 0))
        self._turns[caller, key] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns.pop((caller, key))
            if waiting > 1:
                self._turns[caller, key] = (lock, waiting - 1)

    async def given(self, caller: str, key: str, body_hash: str) -> Answer | None:
        """The answer that was given under the key. Raises CallerError 422 when that was for another body."""
        at = self._clock.at()
        answer = self._latest.get((caller, key))
        if answer is None or answer.expires_at <= at:
            answer = await self._store.answer(caller, key, at)
        if answer is None:
            return None
        if answer.body_hash != body_hash:
            raise CallerError(
                422, "idempotency-key-reused", "this Idempotency-Key was used for another request; take a new one"
            )
        self.remember(answer)
        return answer

    def remember(self, answer: Answer) -> None:
        """Keep an answer that the store has."""
        self._latest[answer.caller, answer.key] = answer
        self._latest.move_to_end((answer.caller, answer.key))
        while len(self._latest) > self.LIMIT:
            self._latest.popitem(last=False)
