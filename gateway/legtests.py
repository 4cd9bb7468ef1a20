"""The daily test of each leg that has a time for it: a second of tone on the air, and a report in red or green."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from tongpin.config.models import LegConfig
from tongpin.gateway.clock import SystemClock
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.events.log import Json
from tongpin.gateway.radio.supervisor import LegSupervisor

_TONE_S = 1.0
_BUSY_S = 600.0
"""A leg that is in use all this time is not tested today."""
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class LegTest:
    """The last test of a leg. ``problems`` empty = green."""

    at: datetime
    problems: tuple[str, ...]


def seconds_until(clock_time: str, now: datetime) -> float:
    """From ``now`` (with a zone) to the next ``HH:MM`` of that zone; never 0."""
    hour, minute = (int(part) for part in clock_time.split(":"))
    due = datetime.combine(now.date(), time(hour, minute), now.tzinfo)
    if due <= now:
        due += timedelta(days=1)
    return (due - now).total_seconds()


class DailyTests:
    """Event-loop thread only. ``last`` has the newest report by leg."""

    def __init__(
        self, legs: Iterable[tuple[LegConfig, LegSupervisor]], tell: Callable[[dict[str, Json]], None]
    ) -> None:
        self._legs: Final = [(config, leg) for config, leg in legs if config.daily_test is not None]
        self._tell: Final = tell
        self._clock = SystemClock()
        self.last: dict[str, LegTest] = {}

    async def run(self) -> None:
        """Test each leg at its time, for ever. Ends by cancellation."""
        async with asyncio.TaskGroup() as tasks:
            for config, leg in self._legs:
                tasks.create_task(self._daily(config, leg))

    async def _daily(self, config: LegConfig, leg: LegSupervisor) -> None:
        assert config.daily_test is not None
        while True:
            await asyncio.sleep(seconds_until(config.daily_test, self._clock.at().astimezone()))
            await self.test(config, leg)

    async def test(self, config: LegConfig, leg: LegSupervisor) -> LegTest:
        """Wait until nobody uses the leg, test it, and tell everybody."""
        try:
            async with asyncio.timeout(_BUSY_S):
                while leg.status.is_keyed or leg.status.gate_open:
                    await asyncio.sleep(_LOOK_S)
            report = await leg.test(0.0, _TONE_S, False, lambda step: None)
            problems = report.problems
        except TimeoutError:
            problems = ("it was in use for ten minutes: not tested",)
        except DeviceError as error:
            problems = (str(error),)
        done = self.last[config.name] = LegTest(self._clock.at(), problems)
        self._tell({"kind": "leg_test", "leg": config.name, "passed": not problems, "problems": list(problems)})
        return done
