"""Units and grids: what is in the field, and where; and the ports to their store."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tongpin.gateway.errors import CallerError
from tongpin.gateway.geometry import Area
from tongpin.gateway.records import AuditDraft


class UnitKind(StrEnum):
    TEAM = "team"
    VEHICLE = "vehicle"
    PERSON = "person"


class Signalling(StrEnum):
    """How a radio says who it is: MDC1200 burst, 5-tone call (selcall), keypad tones."""

    MDC1200 = "mdc1200"
    SELCALL = "selcall"
    DTMF = "dtmf"


_CODES = {
    Signalling.MDC1200: (re.compile(r"[0-9A-F]{4}"), "four hexadecimal digits"),
    Signalling.SELCALL: (re.compile(r"[0-9A-F]{4,8}"), "four to eight tones 0-9 and A-F"),
    Signalling.DTMF: (re.compile(r"[0-9A-D*#]{1,16}"), "one to sixteen keys 0-9, A-D, * and #"),
}


@dataclass(frozen=True, slots=True, order=True)
class RadioId:
    """A radio's own number in one kind of signalling; one unit at most has it."""

    kind: Signalling
    code: str


def radio_id(kind: Signalling, code: str) -> RadioId:
    """The id in its usual writing (capitals). Raises CallerError 422 when the kind has no such code."""
    pattern, meaning = _CODES[kind]
    written = code.strip().upper()
    if not pattern.fullmatch(written):
        raise CallerError(422, "bad-radio-id", f"{code[:40]!r} is no {kind.value} id: {meaning}, quoted")
    return RadioId(kind, written)


@dataclass(frozen=True, slots=True)
class Unit:
    """A team, vehicle or person.

    Attributes:
        agency: None = the command centre's own.
        home_talk_group: where it is reached when nothing else is said.
        grids: the ids of the grids it serves.
    """

    id: str
    name: str
    kind: UnitKind
    agency: str | None
    home_talk_group: str | None = None
    grids: tuple[str, ...] = ()
    radio_ids: tuple[RadioId, ...] = ()
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """An area of a scheme; several schemes (city management's grids, public security's areas) lie over each other."""

    id: str
    name: str
    scheme: str
    agency: str | None
    area: Area
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class UnitFilter:
    """Which units; everything given must hold. ``grids``: in any of them. Ordered by id, beginning after ``after``."""

    agency: str | None = None
    kind: UnitKind | None = None
    talk_group: str | None = None
    grids: frozenset[str] | None = None
    radio_id: RadioId | None = None
    with_retired: bool = False
    after: str = ""
    limit: int | None = None


ALL_UNITS = UnitFilter()


class Units(Protocol):
    """Where units are kept. Every call is one transaction; raises StoreError when the database fails."""

    async def units(self, wanted: UnitFilter = ...) -> Sequence[Unit]: ...

    async def unit(self, unit_id: str) -> Unit | None: ...

    async def save_unit(self, unit: Unit, *, is_new: bool, audit: Sequence[AuditDraft] = ()) -> None:
        """Raises CallerError: 409 the id or a radio id is taken, 422 it names what is not there or retired."""


class Grids(Protocol):
    """Where grids are kept. Every call is one transaction; raises StoreError when the database fails."""

    async def grids(self, *, scheme: str | None = None, with_retired: bool = False) -> Sequence[Grid]: ...

    async def grid(self, grid_id: str) -> Grid | None: ...

    async def save_grid(self, grid: Grid, *, is_new: bool, audit: Sequence[AuditDraft] = ()) -> None:
        """Raises CallerError: 409 when the id is taken or a grid in use is to be retired, 422 unknown agency."""
