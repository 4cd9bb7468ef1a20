"""When something that recurs takes place: RFC 5545 rules in a time zone, with a bounded look-ahead.

A rule speaks of the clock on the wall: "every working day at 07:00" stays at 07:00 when summer time begins. A time that
the wall clock leaves out is taken with the offset before the change (02:30 becomes 03:30); of a time that comes twice
the first is meant (RFC 5545, section 3.3.5).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rrulestr

LONGEST = timedelta(days=5 * 366)
"""Between the first moment and the end of everything: with ``MOST_TIMES`` it bounds every search."""
MOST_TIMES = 3_000
MOST_A_DAY = 24
_PARTS = {
    *("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY"),
    *("BYDAY", "BYHOUR", "BYMINUTE", "BYSETPOS"),
}
_FREQUENCIES = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
_VALUE = re.compile(r"[A-Z0-9,+-]{1,200}")
_UNTIL = re.compile(r"\d{8}(T\d{6}Z?)?")


class ScheduleError(ValueError):
    """The recurrence cannot be; the text says why."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Attributes: rule: ``FREQ=DAILY;BYHOUR=7,17``; zone: ``Asia/Shanghai``; duration_s: of each occurrence."""

    rule: str
    zone: str
    duration_s: int


@dataclass(frozen=True, slots=True)
class Occurrence:
    """From when until when, aware UTC."""

    start: datetime
    end: datetime


def check(recurrence: Recurrence, first: datetime, last: datetime) -> None:
    """Raise ScheduleError when the recurrence cannot be, never takes place, or takes place too often."""
    if not 1 <= recurrence.duration_s <= 7 * 86_400:
        raise ScheduleError("an occurrence lasts at least a second and at most seven days")
    if last - first > LONGEST:
        raise ScheduleError(f"from the first moment to the end it may be {LONGEST.days} days")
    count = sum(1 for _ in islice(occurrences(recurrence, first, last), MOST_TIMES + 1))
    if count == 0:
        raise ScheduleError("the rule has no occurrence before the end")
    if count > MOST_TIMES:
        raise ScheduleError(f"the rule has more than {MOST_TIMES} occurrences; let it end earlier")


def occurrences(recurrence: Recurrence, first: datetime, last: datetime) -> Iterator[Occurrence]:
    """All occurrences from the minute of ``first`` up to ``last``, in order; none goes on after ``last``.

    Args:
        first: aware; gives the rule its day and minute of the day, as DTSTART does.
    Raises:
        ScheduleError: the zone or the rule cannot be read.
    """
    zone = _zone(recurrence.zone)
    begin, last = first.astimezone(zone).replace(second=0, tzinfo=None), last.astimezone(UTC)
    later = _years_to_the_end_of_time(begin.year)
    times, count, until = _read(recurrence.rule, _shifted(begin, later), zone)
    stop = min(last, until) if until is not None else last
    duration = timedelta(seconds=recurrence.duration_s)
    before: datetime | None = None
    for local in islice(times.replace(until=_shifted(stop.astimezone(zone).replace(tzinfo=None), later)), count):
        start = _shifted(local, -later).replace(tzinfo=zone).astimezone(UTC)
        if start == before or start >= last:
            continue
        before = start
        yield Occurrence(start, min(start + duration, last))


def current_or_next(recurrence: Recurrence, first: datetime, last: datetime, at: datetime) -> Occurrence | None:
    """The first occurrence that is not over at ``at``; None when there is none any more."""
    return next((found for found in occurrences(recurrence, first, last) if found.end > at), None)


def _years_to_the_end_of_time(year: int) -> int:
    """How many years to add to come near the year 9999 with the same calendar for six years.

    dateutil looks for the next match up to the year 9999, whatever UNTIL says: a rule that never matches (31 February)
    would stop the service for ten seconds. Calendars repeat every 28 years where no century interferes: near the end
    of its time there is little left to search.
    """
    if not 2001 <= year <= 2093:
        raise ScheduleError("a recurrence begins between 2001 and 2093")
    like = next(
        other
        for other in range(9994, 9966, -1)
        if date(other, 1, 1).weekday() == date(year, 1, 1).weekday() and (other - year) % 4 == 0
    )
    return like - year


def _shifted(moment: datetime, years: int) -> datetime:
    return moment.replace(year=moment.year + years)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"there is no time zone {name!r}; write one like 'Asia/Shanghai'") from error


def _read(text: str, start: datetime, zone: ZoneInfo) -> tuple[rrule, int | None, datetime | None]:
    """The rule without its COUNT and UNTIL, and those.

    They are ours to count: a rule that has no occurrence would otherwise be searched up to the year 9999.
    """
    parts: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").split(";"):
        name, _, value = part.partition("=")
        if name not in _PARTS or name in parts or not _VALUE.fullmatch(value):
            raise ScheduleError(f"the rule has a part that is not understood: {part[:60]!r}")
        parts[name] = value
    if parts.get("FREQ") not in _FREQUENCIES:
        raise ScheduleError("the rule needs FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
    if len(parts.get("BYHOUR", "").split(",")) * len(parts.get("BYMINUTE", "").split(",")) > MOST_A_DAY:
        raise ScheduleError(f"a rule may name {MOST_A_DAY} times of a day")
    count, until = parts.pop("COUNT", None), parts.pop("UNTIL", None)
    if any(value is not None and not re.fullmatch(r"[1-9]\d{0,3}", value) for value in (count, parts.get("INTERVAL"))):
        raise ScheduleError("COUNT and INTERVAL are numbers from 1 to 9999")
    try:
        rule = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=start)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ScheduleError(f"the rule cannot be read: {error}") from error
    assert isinstance(rule, rrule)
    return rule, int(count) if count is not None else None, _until(until, zone) if until is not None else None


def _until(text: str, zone: ZoneInfo) -> datetime:
    """UNTIL, inclusive; a date alone means the whole day, a time without Z is the zone's."""
    if not _UNTIL.fullmatch(text):
        raise ScheduleError("UNTIL is written 20261231 or 20261231T235959Z")
    try:
        if len(text) == 8:
            return datetime.strptime(text + "T235959", "%Y%m%dT%H%M%S").replace(tzinfo=zone).astimezone(UTC)
        found = datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S")
    except ValueError as error:
        raise ScheduleError(f"UNTIL names no moment: {text!r}") from error
    return found.replace(tzinfo=UTC if text.endswith("Z") else zone).astimezone(UTC)
