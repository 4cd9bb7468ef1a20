"""Bodies of requests and answers about joint channels, agreements and templates."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from tongpin.channels.joint import Basis, Decision, JointState, MemberKind
from tongpin.gateway.api.schemas import Body, Name, Slug

Purpose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
Groups = Annotated[list[Slug], Field(max_length=200)]
Policy = Annotated[dict[Slug, Slug], Field(max_length=50)]


class MemberIn(Body):
    """A talk group, the talk group of a leg, or the talk groups of the units of a grid (``agency``: only its own)."""

    kind: MemberKind
    id: Slug
    agency: Slug | None = None


Members = Annotated[list[MemberIn], Field(max_length=200)]
Changed = Annotated[list[Slug | MemberIn], Field(max_length=200)]


class RecurrenceIn(Body):
    """``rule``: RFC 5545 (``FREQ=WEEKLY;BYDAY=MO,TU;BYHOUR=7;BYMINUTE=0``); ``zone``: IANA name."""

    rule: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    zone: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    duration_s: Annotated[int, Field(ge=1, le=7 * 86_400)]


class JointChannelIn(Body):
    """``name``, ``purpose``, ``expires_at`` and members may come from ``template``; without one they are needed.

    An end is always needed: a joint channel without one is a patch somebody forgot.
    """

    name: Name | None = None
    purpose: Purpose | None = None
    talk_groups: Groups = Field(default_factory=list)
    members: Members = Field(default_factory=list)
    expires_at: AwareDatetime | None = None
    starts_at: AwareDatetime | None = None
    recurrence: RecurrenceIn | None = None
    lead_agency: Slug | None = None
    event: Slug | None = None
    priority_policy: Policy | None = None
    take_over: bool = False
    incident: Slug | None = None
    template: Slug | None = None
    draft: bool = False


class JointChannelChange(Body):
    """What is not named stays. ``lead_agency`` or ``event`` "" takes it away."""

    name: Name | None = None
    purpose: Purpose | None = None
    expires_at: AwareDatetime | None = None
    add: Changed = Field(default_factory=list)
    remove: Changed = Field(default_factory=list)
    lead_agency: Slug | Literal[""] | None = None
    event: Slug | Literal[""] | None = None
    priority_policy: Policy | None = None


class ConsentIn(Body):
    """``agency``: whose; your own unless you say so. A refusal needs a reason."""

    decision: Literal["grant", "refuse"]
    reason: Text | None = None
    agency: Slug | None = None


class MemberOut(BaseModel):
    kind: MemberKind
    id: str
    agency: str | None


class ConsentOut(BaseModel):
    agency: str
    decision: Decision
    basis: Basis | None
    by: str | None
    at: datetime | None
    reason: str | None


class RecurrenceOut(BaseModel):
    rule: str
    zone: str
    duration_s: int


class JointChannelOut(BaseModel):
    """``lead_agency``: named, or by the policy for the event. ``version`` is the ETag."""

    id: str
    name: str
    purpose: str
    state: JointState
    talk_groups: list[str]
    members: list[MemberOut]
    lead_agency: str | None
    event: str | None
    priority_policy: dict[str, str]
    proposer: str | None
    consents: list[ConsentOut]
    awaits: list[str]
    created_by: str
    created_at: datetime
    starts_at: datetime | None
    expires_at: datetime
    recurrence: RecurrenceOut | None
    activated_at: datetime | None
    ends_at: datetime | None
    take_over: bool
    incident: str | None
    template: str | None
    closed_at: datetime | None
    closed_by: str | None
    version: int


class AgreementIn(Body):
    """``includes_centre``: the agencies consent to what the command centre itself proposes, too."""

    name: Name
    agencies: Annotated[list[Slug], Field(min_length=1, max_length=100)]
    includes_centre: bool = False
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None
    document: Text | None = None


class AgreementOut(BaseModel):
    id: str
    name: str
    agencies: list[str]
    includes_centre: bool
    valid_from: datetime | None
    valid_until: datetime | None
    document: str | None
    created_by: str
    created_at: datetime
    ended_at: datetime | None
    ended_by: str | None


class TemplateIn(Body):
    id: Slug
    name: Name
    purpose: Purpose
    talk_groups: Groups = Field(default_factory=list)
    members: Members = Field(default_factory=list)
    duration_s: Annotated[int, Field(ge=60, le=30 * 86_400)]
    agency: Slug | None = None
    event: Slug | None = None
    priority_policy: Policy = Field(default_factory=dict)
    lead_agency: Slug | None = None


class TemplateChange(Body):
    name: Name | None = None
    purpose: Purpose | None = None
    talk_groups: Groups | None = None
    members: Members | None = None
    duration_s: Annotated[int, Field(ge=60, le=30 * 86_400)] | None = None
    event: Slug | None = None
    priority_policy: Policy | None = None
    lead_agency: Slug | None = None


class TemplateOut(BaseModel):
    id: str
    name: str
    purpose: str
    members: list[MemberOut]
    duration_s: int
    agency: str | None
    event: str | None
    priority_policy: dict[str, str]
    lead_agency: str | None


class ConflictOut(BaseModel):
    talk_group: str
    joint_channel: str
    joint_channel_name: str
    path: str
    would_be_taken_over: bool


class PartyOut(BaseModel):
    id: str
    name: str
    agency: str | None
    hears: bool
    talks: bool


class NetOut(BaseModel):
    """Everybody who hears, hears everybody else who talks; ``parties`` shows at most 500 of ``party_count``."""

    name: str
    talk_groups: list[str]
    leader: str | None
    party_count: int
    parties: list[PartyOut]


class OccurrenceOut(BaseModel):
    start: datetime
    end: datetime


class PlannedChannelOut(JointChannelOut):
    """``id`` is null: nothing was made."""

    id: str | None  # type: ignore[assignment]


class PreviewOut(BaseModel):
    """A dry run. ``result``: the state it would have, or ``conflict``; ``occurrences``: at most ten."""

    joint_channel: PlannedChannelOut
    result: JointState | Literal["conflict"]
    conflicts: list[ConflictOut]
    awaits: list[str]
    nets: list[NetOut]
    occurrences: list[OccurrenceOut]
