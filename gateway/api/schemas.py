"""Bodies of requests and answers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from tongpin.gateway.chain import Fault
from tongpin.gateway.passwords import MAX_PASSWORD
from tongpin.gateway.records import Role
from tongpin.gateway.rights import Right
from tongpin.gateway.webhooks import MAX_URL

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Color = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]
Password = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD)]


class Body(BaseModel):
    """Base: unknown fields are refused, so that a typing error is not taken for a wish."""

    model_config = ConfigDict(extra="forbid")


class ProblemOut(BaseModel):
    """RFC 9457. ``type`` is stable; some types have members of their own beside these."""

    type: str
    title: str
    status: int
    detail: str


class TokenOut(BaseModel):
    """Seconds. ``refresh_token`` is null for browsers, which have it as a cookie; each is good once.

    ``must_enrol_totp``: the token is good for nothing but enrolling a second factor; then log in again.
    """

    access_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: int
    refresh_token: str | None = None
    refresh_expires_in: int
    must_enrol_totp: bool = False


class RefreshIn(Body):
    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class PasswordChangeIn(Body):
    old: Password
    password: Password


class TotpStateOut(BaseModel):
    is_enrolled: bool


class TotpOut(BaseModel):
    """``uri`` is what the QR code says; ``secret`` is the same to type in."""

    secret: str
    uri: str


class TotpCodeIn(Body):
    code: Annotated[str, StringConstraints(min_length=6, max_length=10)]


class RecoveryOut(BaseModel):
    recovery_codes: list[str]


class KeyIn(Body):
    """``verbs`` are rights (docs/roles.md) of the role, there where it is held."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
    role: Role
    agency: Slug | None = None
    verbs: Annotated[list[Right], Field(min_length=1, max_length=len(Right))]
    expires_at: AwareDatetime


class KeyOut(BaseModel):
    id: str
    name: str
    role: Role
    agency: str | None
    verbs: list[Right]
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    secret: str


class MethodsOut(BaseModel):
    """``oidc``: what the button says, or null."""

    password: Literal[True] = True
    oidc: str | None


class TicketOut(BaseModel):
    ticket: str
    expires_in_s: int


class MeOut(BaseModel):
    """``rights``: what the caller may do, and whose things that reaches."""

    id: str
    name: str
    role: Role
    agency: str | None
    rights: dict[Right, Literal["own", "own-and-centre", "all"]]


class AgencyIn(Body):
    id: Slug
    name: Name
    color: Color = "#3b6fb5"


class AgencyChange(Body):
    name: Name | None = None
    color: Color | None = None


class AgencyOut(BaseModel):
    id: str
    name: str
    color: str


class UserIn(Body):
    username: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,63}$")]
    password: Password
    role: Role
    agency: Slug | None = None


class UserOut(BaseModel):
    id: str
    name: str
    role: Role
    agency: str | None
    is_disabled: bool


class PasswordIn(Body):
    password: Password


class UserPage(BaseModel):
    """``next``: give it as ``after`` for the following page; null = the last one."""

    items: list[UserOut]
    next: str | None


class UserChange(Body):
    """What is left out stays; ``agency`` null moves the user to the command centre."""

    role: Role | None = None
    agency: Slug | None = None
    is_disabled: bool | None = None


class TalkGroupIn(Body):
    id: Slug
    name: Name
    agency: Slug | None = None


class TalkGroupChange(Body):
    name: Name


class MemberOut(BaseModel):
    id: str
    name: str
    kind: str
    agency: str | None
    is_deaf: bool


class TalkGroupOut(BaseModel):
    """``net`` is the group's own id, or the joint channel's while it is in one; ``holder`` talks on that net now."""

    id: str
    name: str
    agency: str | None
    net: str
    joint_channel: str | None
    holder: MemberOut | None
    members: list[MemberOut]


class LegOut(BaseModel):
    """Levels are dBFS; ``playout_depth`` is frames of 20 ms waiting for the radio; ``reason`` says why not online.

    ``capture_ppm`` and ``playout_ppm``: how fast the sound card's clocks are, null until known; ``keying``: why the
    transmitter is never keyed and what to do, empty when it may be. ``last_test_problems`` of the daily test: empty =
    green, null = not tested. ``emergency``: who has raised one by radio and waits to be cleared.
    """

    id: str
    name: str
    label: str
    party: str
    agency: str | None
    talk_group: str | None
    online: bool
    reason: str
    cos: bool | None
    keyed: bool
    gate_open: bool
    rx_dbfs: float
    tx_dbfs: float
    playout_depth: int
    dropped: int
    lost: int
    concealed: int
    underruns: int
    restarts: int
    last_audio_in_s_ago: float | None
    last_audio_out_s_ago: float | None
    emergency: str | None
    capture_ppm: float | None
    playout_ppm: float | None
    keying: str
    last_test_at: str | None
    last_test_problems: list[str] | None


class CheckpointOut(BaseModel):
    """Where the audit chain stood. ``mac`` is this installation's HMAC, ``key`` the name of its key."""

    sequence: int
    hash: str
    at: str
    key: str
    mac: str


class AuditEntryOut(BaseModel):
    """``hash`` is SHA-256 over the canonical JSON of all fields but ``id``, ``name`` and itself."""

    id: str
    name: str
    sequence: int
    at: str
    action: str
    actor: str
    agency: str | None
    subject: str
    detail: dict[str, JsonValue]
    previous: str
    hash: str


class AuditPage(BaseModel):
    """``checkpoint`` stands on the last page of the whole log, so that a file of it shows whether it was cut short."""

    items: list[AuditEntryOut]
    next: str | None
    checkpoint: CheckpointOut | None


class FindingOut(BaseModel):
    fault: Fault
    entry: int
    text: str


class VerdictOut(BaseModel):
    """``first`` to ``last`` are the entries that were read."""

    is_whole: bool
    first: int
    last: int
    count: int
    findings: list[FindingOut]


class ViewOut(BaseModel):
    """The picture as the session's `view` message has it."""

    sequence: int
    view: dict[str, JsonValue]


EventKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,62}$")]


class WebhookIn(Body):
    """``kinds``: those wanted, empty = all that the agency may follow. Without ``agency`` it is the caller's own."""

    name: Name
    url: Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL)]
    agency: Slug | None = None
    kinds: Annotated[list[EventKind], Field(max_length=50)] = []


class WebhookChange(Body):
    name: Name | None = None
    url: Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL)] | None = None
    kinds: Annotated[list[EventKind], Field(max_length=50)] | None = None
    is_active: bool | None = None


class WebhookOut(BaseModel):
    """``waiting`` and ``dead`` count deliveries."""

    id: str
    name: str
    url: str
    agency: str | None
    kinds: list[str]
    is_active: bool
    created_by: str
    created_at: datetime
    waiting: int
    dead: int


class WebhookSecretOut(WebhookOut):
    secret: str


class OutcomeOut(BaseModel):
    is_delivered: bool
    status: int | None
    error: str
    took_ms: int


class DeliveryOut(BaseModel):
    """``name`` is the kind of the event, ``body`` what is sent."""

    id: str
    name: str
    created_at: datetime
    attempts: int
    status: int | None
    error: str
    body: str


class DeliveryPage(BaseModel):
    items: list[DeliveryOut]
    next: str | None


class HealthOut(BaseModel):
    status: Literal["ok", "degraded"]
    database: bool = True
    legs_online: int = 0
    legs: int = 0
