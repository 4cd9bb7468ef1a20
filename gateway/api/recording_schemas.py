"""Bodies about recordings."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from tongpin.gateway.api.schemas import Body
from tongpin.gateway.transmissions import RecordingState


class TransmissionOut(BaseModel):
    """One talk. ``lost_ms`` are gaps in its sound; ``sha256`` is that of the finished file, as in the audit log."""

    id: str
    name: str
    started_at: datetime
    ended_at: datetime | None
    state: RecordingState
    talker: str
    label: str
    agency: str | None
    unit: str | None
    leg: str | None
    net: str
    talk_group: str
    talk_groups: list[str]
    joint_channel: str | None
    priority: str
    origin: str
    cause: str | None
    duration_ms: int
    lost_ms: int
    size_bytes: int
    sha256: str | None
    peak_dbfs: int | None
    audio: str


class TransmissionPage(BaseModel):
    items: list[TransmissionOut]
    next: str | None


class WaveformOut(BaseModel):
    id: str
    step_ms: int
    peaks_dbfs: list[int]
    is_open: bool


class NoteIn(Body):
    """``at_ms`` is the place in the recording."""

    at_ms: Annotated[int, Field(ge=0, le=3_600_000)] = 0
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class NoteOut(BaseModel):
    id: str
    name: str
    author: str
    at: datetime
    at_ms: int
    text: str
