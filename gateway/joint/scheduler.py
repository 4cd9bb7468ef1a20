"""One task and one timer for whatever is due in the life of all joint channels."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog

from tongpin.channels.errors import SwitchboardError
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import TongpinError
from tongpin.gateway.joint.records import JointStore
from tongpin.gateway.joint.service import JointChannels

_log = structlog.get_logger(__name__)

RETRY_S = 2.0
LONGEST_WAIT_S = 30.0
"""So that a wall clock that is put right is noticed."""
TIDY_EVERY = timedelta(hours=1)


class Scheduler:
    """Drives starts, warnings, ends and recurrences; forgets old answers."""

    def __init__(self, channels: JointChannels, store: JointStore, clock: Clock) -> None:
        self._channels = channels
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """Ends by cancellation. While the store is away it tries again every ``RETRY_S``."""
        tidied = self._clock.at()
        while True:
            self._channels.stirred.clear()
            due, at = self._channels.due_at(), self._clock.at()
            wait_s = LONGEST_WAIT_S
            if due is not None:
                wait_s = min(wait_s, max(0.0, (due - at).total_seconds()))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._channels.stirred.wait()
            try:
                await self._channels.tick()
                if at - tidied > TIDY_EVERY:
                    await self._store.forget_answers(at)
                    tidied = at
            except (TongpinError, SwitchboardError) as error:
                _log.error("joint channels are not up to date", reason=str(error))
                await asyncio.sleep(RETRY_S)
