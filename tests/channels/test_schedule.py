"""Recurrences: the wall clock's time in every season, bounded, and what cannot be is said."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrule, rrulestr
from hypothesis import given
from hypothesis import strategies as st

from tongpin.channels.schedule import Occurrence, Recurrence, ScheduleError, check, current_or_next, occurrences

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
PEAKS = Recurrence("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=7,17;BYMINUTE=30", "Asia/Shanghai", 2 * 3600)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def starts(rule: str, zone: str, first: datetime, last: datetime) -> list[str]:
    """Starts as the wall shows them."""
    found = occurrences(Recurrence(rule, zone, 60), first, last)
    return [one.start.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M%z") for one in found]


def test_peaks_are_twice_a_working_day() -> None:
    found = current_or_next(PEAKS, FIRST, FIRST + timedelta(days=30), at("2026-03-06T18:00", "Asia/Shanghai"))
    assert found == Occurrence(at("2026-03-06T17:30", "Asia/Shanghai"), at("2026-03-06T19:30", "Asia/Shanghai")), "now"
    assert found is not None
    after = current_or_next(PEAKS, FIRST, FIRST + timedelta(days=30), found.end)
    assert after is not None
    assert after.start == at("2026-03-09T07:30", "Asia/Shanghai"), "after Friday comes Monday"
    assert current_or_next(PEAKS, FIRST, FIRST + timedelta(days=5), at("2026-03-08T00:00")) is None


def test_a_night_inspection_goes_on_after_midnight_and_ends_with_the_whole() -> None:
    night = Recurrence("FREQ=DAILY;BYHOUR=22", "UTC", 6 * 3600)
    assert [one.end.isoformat() for one in occurrences(night, FIRST, FIRST + timedelta(hours=25))] == [
        "2026-03-02T01:00:00+00:00"
    ]


def test_seven_stays_seven_when_summer_time_begins_and_ends() -> None:
    spring = starts("FREQ=DAILY;BYHOUR=7", "Europe/Berlin", at("2026-03-28T00:00"), at("2026-03-30T12:00"))
    assert spring == ["03-28 07:00+0100", "03-29 07:00+0200", "03-30 07:00+0200"]
    autumn = starts("FREQ=DAILY;BYHOUR=7", "Europe/Berlin", at("2026-10-24T00:00"), at("2026-10-26T12:00"))
    assert autumn == ["10-24 07:00+0200", "10-25 07:00+0100", "10-26 07:00+0100"]


def test_a_time_that_the_wall_leaves_out_comes_once_and_one_that_comes_twice_is_the_first() -> None:
    rule = "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=30"
    gap = starts(rule, "Europe/Berlin", at("2026-03-29T00:00"), at("2026-03-29T12:00"))
    assert gap == ["03-29 03:30+0200"]
    twice = starts(
        "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
        "Europe/Berlin",
        at("2026-10-25T00:00", "Europe/Berlin"),
        at("2026-10-25T12:00"),
    )
    assert twice == ["10-25 02:30+0200"]


@pytest.mark.parametrize(
    ("more", "count"),
    [(";COUNT=3", 3), (";UNTIL=20260304", 4), (";UNTIL=20260304T120000Z", 4), (";UNTIL=20260304T110000", 3)],
)
def test_count_and_until_end_it(more: str, count: int) -> None:
    found = starts(f"FREQ=DAILY;BYHOUR=12{more}", "UTC", FIRST, FIRST + timedelta(days=30))
    assert len(found) == count


@pytest.mark.parametrize(
    ("rule", "zone", "told"),
    [
        ("FREQ=SECONDLY", "UTC", "needs FREQ="),
        ("BYHOUR=1", "UTC", "needs FREQ="),
        ("FREQ=DAILY;INTERVAL=0", "UTC", "numbers from 1"),
        ("FREQ=DAILY;COUNT=99999", "UTC", "numbers from 1"),
        ("FREQ=DAILY;BYSECOND=1", "UTC", "not understood: 'BYSECOND=1'"),
        ("FREQ=DAILY;FREQ=DAILY", "UTC", "not understood"),
        ("", "UTC", "not understood"),
        ("FREQ=DAILY;BYHOUR=99", "UTC", "cannot be read"),
        ("FREQ=DAILY;BYDAY=XX", "UTC", "cannot be read"),
        ("FREQ=DAILY;UNTIL=20261350", "UTC", "names no moment"),
        ("FREQ=DAILY;UNTIL=SOON", "UTC", "UNTIL is written"),
        ("FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5", "UTC", "24 times of a day"),
        ("FREQ=DAILY", "Mars/Olympus", "no time zone"),
        ("FREQ=DAILY", "../etc", "no time zone"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31", "UTC", "no occurrence"),
    ],
)
def test_what_cannot_be_is_said(rule: str, zone: str, told: str) -> None:
    with pytest.raises(ScheduleError, match=told):
        check(Recurrence(rule, zone, 60), FIRST, FIRST + timedelta(days=1000))


def test_too_much_is_refused() -> None:
    ok = Recurrence("FREQ=DAILY", "UTC", 60)
    check(ok, FIRST, FIRST + timedelta(days=1000))
    with pytest.raises(ScheduleError, match="more than 3000"):
        check(Recurrence("FREQ=DAILY;BYHOUR=1,2,3", "UTC", 60), FIRST, FIRST + timedelta(days=1500))
    with pytest.raises(ScheduleError, match="it may be"):
        check(ok, FIRST, FIRST + timedelta(days=2000))
    with pytest.raises(ScheduleError, match="at most seven days"):
        check(Recurrence("FREQ=DAILY", "UTC", 8 * 86_400), FIRST, FIRST + timedelta(days=9))
    with pytest.raises(ScheduleError, match="2093"):
        check(ok, FIRST.replace(year=2095), FIRST.replace(year=2096))


@pytest.mark.timeout(8)  # dateutil alone searches 8,000 years, for longer than this; ours takes a tenth of a second
def test_a_rule_that_never_comes_is_found_out_soon() -> None:
    assert starts("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31", "UTC", FIRST, FIRST + timedelta(days=1800)) == []


RULES = st.sampled_from(
    [
        "FREQ=WEEKLY;BYDAY=MO,FR",
        "FREQ=WEEKLY;INTERVAL=3;WKST=SU;BYDAY=SU",
        "FREQ=MONTHLY;BYDAY=-1SU",
        "FREQ=MONTHLY;BYMONTHDAY=-1,31",
        "FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=MO,SU",
        "FREQ=YEARLY;BYYEARDAY=-1,60",
        "FREQ=DAILY;INTERVAL=10;BYHOUR=6,18",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
    ]
)


@given(RULES, st.datetimes(datetime(2001, 1, 1), datetime(2093, 12, 31)), st.integers(1, 1830))
def test_it_is_what_dateutil_says(rule: str, first: datetime, days: int) -> None:
    first = first.replace(second=0, microsecond=0)
    last = first + timedelta(days=days)
    plain = rrulestr(rule, dtstart=first)
    assert isinstance(plain, rrule)
    want = [one.replace(tzinfo=UTC) for one in plain.replace(until=last) if one < last]
    found = occurrences(Recurrence(rule, "UTC", 60), first.replace(tzinfo=UTC), last.replace(tzinfo=UTC))
    assert [one.start for one in found] == want


@given(st.datetimes(datetime(2026, 3, 1), datetime(2026, 12, 31)))
def test_what_is_on_or_next_is_never_over(moment: datetime) -> None:
    last = datetime(2027, 1, 31, tzinfo=UTC)
    found = current_or_next(PEAKS, FIRST, last, moment.replace(tzinfo=UTC))
    assert found is not None
    assert found.end > moment.replace(tzinfo=UTC)
    earlier = [one for one in occurrences(PEAKS, FIRST, last) if one.start < found.start]
    assert all(one.end <= moment.replace(tzinfo=UTC) for one in earlier)
