"""The daily leg test: when it is due, and that red and green are told and kept."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.radio.legs import SimFolder, running
from tongpin.gateway.events.log import Json
from tongpin.gateway.legtests import DailyTests, seconds_until

ZONE = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("now", "seconds"),
    [("04:29:59", 1), ("04:30:00", 86_400), ("04:30:01", 86_399), ("00:00:00", 16_200), ("23:59:59", 16_201)],
)
def test_it_is_due_at_the_next_such_time(now: str, seconds: float) -> None:
    at = datetime.fromisoformat(f"2026-03-04T{now}").replace(tzinfo=ZONE)
    assert seconds_until("04:30", at) == seconds


async def test_green_is_told_and_kept(tmp_path: Path) -> None:
    sim = SimFolder(tmp_path)
    told: list[dict[str, Json]] = []
    config = sim.config(daily_test="04:30")
    async with running(config) as (leg, ear):
        tests = DailyTests([(config, leg)], told.append)
        assert tests.last == {}
        done = await tests.test(config, leg)
        assert done.problems == ()
        assert tests.last["sim"] == done
        assert told == [{"kind": "leg_test", "leg": "sim", "passed": True, "problems": []}]
        assert [is_keyed for is_keyed, _ in ear.keys] == [True, False]
        assert ear.gates == [], "nobody on the floor hears of it"
    assert sim.record.stat().st_size > 48_000


async def test_a_leg_that_is_missing_is_red(tmp_path: Path) -> None:
    told: list[dict[str, Json]] = []
    config = SimFolder(tmp_path).config(daily_test="04:30")
    async with running(config) as (leg, _):
        pass
    tests = DailyTests([(config, leg)], told.append)
    done = await tests.test(config, leg)
    assert "the leg is missing" in done.problems[0]
    assert told[0]["passed"] is False
