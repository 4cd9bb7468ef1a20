"""Recorded transmissions as plain records, and the port to their catalogue. Times are aware UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from tongpin.gateway.records import AuditDraft


class RecordingState(StrEnum):
    """How whole a recording is."""

    OPEN = "open"
    """Still being spoken; what is on disk can be heard already."""
    COMPLETE = "complete"
    RECOVERED = "recovered"
    """The gateway ended in the middle; what had been written until then is kept."""
    FAILED = "failed"
    """Nothing, or not all of it, could be written (disk full); the catalogue still says who talked when."""
    EXPIRED = "expired"
    """The audio was deleted by the retention rules; the row stays."""


@dataclass(frozen=True, slots=True)
class Transmission:
    """One talk, from grant to release.

    Attributes:
        id: sortable by time, e.g. ``20260304T194000-1a2b3c4d``.
        talk: the switchboard's number in that run of the service.
        talker, label: the party and its name; ``leg`` when a radio spoke; ``unit`` when its id is known.
        agency: the talker's; ``agencies``: those that own a talk group of the net, who may hear the recording.
        net, talk_group, talk_groups: the net, the group the talker spoke in, all groups of the net.
        joint_channel: the joint channel the net was, or None.
        cause: why the talk ended, once it has.
        duration_ms: sound with its gaps; ``lost_ms``: gaps in it.
        file: path below the recordings folder; ``size_bytes`` and ``sha256`` of the finished file.
        peak_dbfs: loudest sample; ``peaks``: loudest sample of every 100 ms in dBFS, rounded, -99 for silence.
    """

    id: str
    talk: int
    started_at: datetime
    talker: str
    label: str
    agency: str | None
    unit: str | None
    leg: str | None
    net: str
    talk_group: str
    talk_groups: tuple[str, ...]
    agencies: tuple[str, ...]
    joint_channel: str | None
    priority: str
    origin: str
    file: str
    state: RecordingState = RecordingState.OPEN
    ended_at: datetime | None = None
    cause: str | None = None
    duration_ms: int = 0
    lost_ms: int = 0
    size_bytes: int = 0
    sha256: str | None = None
    peak_dbfs: int | None = None
    peaks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TransmissionFilter:
    """What to look for; None = any.

    Attributes:
        visible_to: only what an agency may hear: None = everything.
        has_audio: only finished ones whose audio has not been deleted.
        is_oldest_first: else the newest come first.
        beyond: the id to go on from, in that order (not included).
    """

    since: datetime | None = None
    until: datetime | None = None
    talk_group: str | None = None
    agency: str | None = None
    unit: str | None = None
    talker: str | None = None
    joint_channel: str | None = None
    state: RecordingState | None = None
    visible_to: str | None = None
    has_audio: bool = False
    is_oldest_first: bool = False
    beyond: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Note:
    """What a listener wrote to a place in a recording."""

    id: str
    transmission: str
    author: str
    at: datetime
    at_ms: int
    text: str


class TransmissionStore(Protocol):
    """The catalogue. Every call is one transaction. Raises (all methods): StoreError when the database fails."""

    async def save(self, transmission: Transmission, audit: Sequence[AuditDraft] = ()) -> None:
        """Insert, or replace what has this id."""

    async def get(self, transmission_id: str) -> Transmission | None: ...

    async def search(self, wanted: TransmissionFilter) -> Sequence[Transmission]: ...

    async def expire(self, transmission_ids: Sequence[str], audit: Sequence[AuditDraft]) -> None:
        """Mark the audio of these as deleted."""

    async def add_note(self, note: Note) -> None: ...

    async def notes(self, transmission_id: str) -> Sequence[Note]: ...
