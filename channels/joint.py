"""The joint channel: a record with members, reason, consents, leader, rules and an end; and what may follow what.

Times are aware UTC and passed in. Every function answers a new record; a raised one has changed nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from tongpin.channels.ids import AgencyId, Priority
from tongpin.channels.schedule import Occurrence, Recurrence, current_or_next

WARN_BEFORE = timedelta(minutes=5)
LEAD_PRIORITY = Priority.HIGH


class JointState(StrEnum):
    DRAFT = "draft"
    PROPOSED = "proposed"
    """Waits for consents."""
    SCHEDULED = "scheduled"
    """Every agency has consented; waits for its start, or for the next occurrence."""
    ACTIVE = "active"
    CLOSED = "closed"
    EXPIRED = "expired"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class JointEvent(StrEnum):
    """What moves a joint channel from state to state."""

    PROPOSE = "propose"
    AGREE = "agree"
    """The last consent that was missing."""
    START = "start"
    PAUSE = "pause"
    """An occurrence ended and there is another."""
    CLOSE = "close"
    EXPIRE = "expire"
    REFUSE = "refuse"
    CANCEL = "cancel"


TRANSITIONS: dict[tuple[JointState, JointEvent], JointState] = {
    (JointState.DRAFT, JointEvent.PROPOSE): JointState.PROPOSED,
    (JointState.DRAFT, JointEvent.CANCEL): JointState.CANCELLED,
    (JointState.DRAFT, JointEvent.EXPIRE): JointState.EXPIRED,
    (JointState.PROPOSED, JointEvent.AGREE): JointState.SCHEDULED,
    (JointState.PROPOSED, JointEvent.REFUSE): JointState.REFUSED,
    (JointState.PROPOSED, JointEvent.CANCEL): JointState.CANCELLED,
    (JointState.PROPOSED, JointEvent.EXPIRE): JointState.EXPIRED,
    (JointState.SCHEDULED, JointEvent.START): JointState.ACTIVE,
    (JointState.SCHEDULED, JointEvent.REFUSE): JointState.REFUSED,
    (JointState.SCHEDULED, JointEvent.CANCEL): JointState.CANCELLED,
    (JointState.SCHEDULED, JointEvent.EXPIRE): JointState.EXPIRED,
    (JointState.ACTIVE, JointEvent.PAUSE): JointState.SCHEDULED,
    (JointState.ACTIVE, JointEvent.CLOSE): JointState.CLOSED,
    (JointState.ACTIVE, JointEvent.EXPIRE): JointState.EXPIRED,
}

FINAL = frozenset(JointState) - {state for state, _ in TRANSITIONS}


class JointError(Exception):
    """Base: the record cannot do that; nothing changed. ``code`` is stable."""

    code = "refused"


class WrongStateError(JointError):
    code = "wrong-state"

    def __init__(self, name: str, state: JointState) -> None:
        super().__init__(f"{name!r} is {state}: that cannot be done now")
        self.state = state


class ConsentNotAskedError(JointError):
    code = "consent-not-asked"

    def __init__(self, name: str, agency: str) -> None:
        super().__init__(f"{name!r} does not ask agency {agency!r} for its consent")


class AlreadyDecidedError(JointError):
    code = "already-decided"

    def __init__(self, agency: str, decision: "Decision") -> None:
        super().__init__(f"agency {agency!r} has {decision} already")


class MemberKind(StrEnum):
    TALK_GROUP = "talk_group"
    LEG = "leg"
    """The talk group that the leg serves: a radio's frequency is everybody's who is on it."""
    GRID = "grid"
    """The talk groups of the units of a grid."""


@dataclass(frozen=True, slots=True)
class Member:
    """Who takes part. ``agency`` narrows a grid to the people of one agency; it is None for the other kinds."""

    kind: MemberKind
    id: str
    agency: str | None = None


class Decision(StrEnum):
    PENDING = "pending"
    GRANTED = "granted"
    REFUSED = "refused"


class Basis(StrEnum):
    """On what an agency's consent rests."""

    OWN = "own"
    """It proposed the joint channel itself."""
    AGREEMENT = "agreement"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Consent:
    """One agency's answer.

    Attributes:
        by: who decided: a username, or the id of the agreement.
        reason: of a refusal.
    """

    agency: str
    decision: Decision = Decision.PENDING
    basis: Basis | None = None
    by: str | None = None
    at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """A standing agreement: its agencies consent at once to what one of them proposes.

    Attributes:
        includes_centre: also to what the command centre itself proposes.
        document: where the signed paper is.
    """

    id: str
    name: str
    agencies: tuple[str, ...]
    includes_centre: bool
    created_by: str
    created_at: datetime
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    document: str | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None

    def covers(self, agency: str, proposer: str | None, at: datetime) -> bool:
        """Whether an agency consents by it to what the proposer (None = the centre) proposes at this moment."""
        is_valid = (
            self.ended_at is None
            and (self.valid_from is None or self.valid_from <= at)
            and (self.valid_until is None or at < self.valid_until)
        )
        is_party = self.includes_centre if proposer is None else proposer in self.agencies
        return is_valid and is_party and agency in self.agencies


@dataclass(frozen=True, slots=True)
class JointChannel:
    """Several agencies' talk groups on one floor: why, by whom, until when.

    Attributes:
        talk_groups: what the members are as talk groups, when it was last looked up; sorted.
        owners: (talk group, agency or None) of the same.
        event: what kind of event it is for (``fire``); with ``policy`` it names the leader.
        policy: (event, agency that leads in it).
        proposer: agency of who proposed it; None = the command centre.
        starts_at: not before; for a recurrence the day and time of day it counts from.
        expires_at: its end, whatever recurs.
        may_take_over: takes groups from other nets and gives them back at its end.
        ends_at: when it, or its present occurrence, comes down; None unless active.
        version: rises by one with every change that is stored.
    """

    id: str
    name: str
    purpose: str
    members: tuple[Member, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime
    proposer: str | None = None
    talk_groups: tuple[str, ...] = ()
    owners: tuple[tuple[str, str | None], ...] = ()
    lead_agency: str | None = None
    event: str | None = None
    policy: tuple[tuple[str, str], ...] = ()
    starts_at: datetime | None = None
    recurrence: Recurrence | None = None
    may_take_over: bool = False
    incident: str | None = None
    template: str | None = None
    state: JointState = JointState.DRAFT
    consents: tuple[Consent, ...] = ()
    activated_at: datetime | None = None
    ends_at: datetime | None = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    version: int = 1

    @property
    def is_over(self) -> bool:
        return self.state in FINAL

    @property
    def awaited(self) -> tuple[str, ...]:
        """Agencies whose consent is missing."""
        return tuple(consent.agency for consent in self.consents if consent.decision is Decision.PENDING)

    @property
    def ready_groups(self) -> tuple[str, ...]:
        """Talk groups that may take part: nobody's, and those of agencies that have consented."""
        granted = {consent.agency for consent in self.consents if consent.decision is Decision.GRANTED}
        return tuple(group for group, agency in self.owners if agency is None or agency in granted)

    @property
    def leader(self) -> str | None:
        """The agency that leads: named, or by the policy for this event."""
        return self.lead_agency or (dict(self.policy).get(self.event) if self.event is not None else None)

    @property
    def priorities(self) -> tuple[tuple[AgencyId, Priority], ...]:
        """The net's policy for the switchboard."""
        return ((AgencyId(self.leader), LEAD_PRIORITY),) if self.leader is not None else ()

    def moved(self, event: JointEvent) -> "JointChannel":
        """Follow the table. Raises WrongStateError for a transition that it does not have."""
        following = TRANSITIONS.get((self.state, event))
        if following is None:
            raise WrongStateError(self.name, self.state)
        return replace(self, state=following)

    def occurrence(self, at: datetime) -> Occurrence | None:
        """When it stands, now or next; None when that is over."""
        start = self.starts_at or self.created_at
        if self.recurrence is not None:
            return current_or_next(self.recurrence, start, self.expires_at, at)
        return Occurrence(start, self.expires_at) if at < self.expires_at else None


def with_members(
    channel: JointChannel, owners: Mapping[str, str | None], agreements: Iterable[Agreement], at: datetime
) -> JointChannel:
    """The record with these talk groups and their owners; agencies that are new are asked, those that left are not.

    An agency consents at once when it proposed the channel itself or a standing agreement says so.
    """
    known = {consent.agency: consent for consent in channel.consents}
    agencies = sorted({agency for agency in owners.values() if agency is not None})
    standing = list(agreements)
    consents = tuple(known.get(agency) or _first_answer(channel, agency, standing, at) for agency in agencies)
    return replace(channel, talk_groups=tuple(sorted(owners)), owners=tuple(sorted(owners.items())), consents=consents)


def _first_answer(channel: JointChannel, agency: str, agreements: list[Agreement], at: datetime) -> Consent:
    if agency == channel.proposer:
        return Consent(agency, Decision.GRANTED, Basis.OWN, channel.created_by, at)
    for agreement in agreements:
        if agreement.covers(agency, channel.proposer, at):
            return Consent(agency, Decision.GRANTED, Basis.AGREEMENT, agreement.id, at)
    return Consent(agency)


def propose(channel: JointChannel) -> JointChannel:
    """Ask for consents; with none missing it is agreed at once. Raises WrongStateError."""
    return _agreed(channel.moved(JointEvent.PROPOSE))


def _agreed(channel: JointChannel) -> JointChannel:
    is_agreed = channel.state is JointState.PROPOSED and not channel.awaited
    return channel.moved(JointEvent.AGREE) if is_agreed else channel


def decide(
    channel: JointChannel, agency: str, *, is_granted: bool, by: str, reason: str | None, at: datetime
) -> JointChannel:
    """An agency's answer, by a person of that agency.

    Before the channel is active one refusal ends it. While it is active a refusal takes that agency's talk groups out,
    and a later consent brings them in again.

    Raises:
        WrongStateError: it is a draft, or over.
        ConsentNotAskedError, AlreadyDecidedError.
    """
    if channel.state not in (JointState.PROPOSED, JointState.SCHEDULED, JointState.ACTIVE):
        raise WrongStateError(channel.name, channel.state)
    consents = {consent.agency: consent for consent in channel.consents}
    if agency not in consents:
        raise ConsentNotAskedError(channel.name, agency)
    decision = Decision.GRANTED if is_granted else Decision.REFUSED
    if consents[agency].decision is decision:
        raise AlreadyDecidedError(agency, decision)
    consents[agency] = Consent(agency, decision, Basis.PERSON, by, at, reason)
    channel = replace(channel, consents=tuple(consents.values()))
    if not is_granted and channel.state is not JointState.ACTIVE:
        return replace(channel.moved(JointEvent.REFUSE), closed_at=at, closed_by=by)
    return _agreed(channel)


def start(channel: JointChannel, at: datetime) -> JointChannel:
    """It stands from now to the end of its present occurrence. Raises WrongStateError, also before its time."""
    occurrence = channel.occurrence(at)
    if occurrence is None or occurrence.start > at:
        raise WrongStateError(channel.name, channel.state)
    return replace(channel.moved(JointEvent.START), activated_at=at, ends_at=occurrence.end)


def end(channel: JointChannel, by: str, at: datetime) -> JointChannel:
    """Closed while it stands, cancelled before. Raises WrongStateError."""
    event = JointEvent.CLOSE if channel.state is JointState.ACTIVE else JointEvent.CANCEL
    return replace(channel.moved(event), closed_at=at, closed_by=by, ends_at=None)


def run_out(channel: JointChannel, at: datetime) -> JointChannel:
    """Its time, or its occurrence's, is over: it waits for the next one, or is expired. Raises WrongStateError."""
    if channel.state is JointState.ACTIVE and channel.recurrence is not None and channel.occurrence(at) is not None:
        return replace(channel.moved(JointEvent.PAUSE), ends_at=None)
    return replace(channel.moved(JointEvent.EXPIRE), closed_at=at, ends_at=None)


def with_times(channel: JointChannel, expires_at: datetime, at: datetime) -> JointChannel:
    """Extended or cut short; an occurrence that stands keeps its own end where that comes first."""
    channel = replace(channel, expires_at=expires_at)
    occurrence = channel.occurrence(at) if channel.state is JointState.ACTIVE else None
    return replace(channel, ends_at=occurrence.end) if occurrence is not None else channel


class Due(StrEnum):
    START = "start"
    WARN = "warn"
    RUN_OUT = "run_out"


@dataclass(frozen=True, slots=True)
class Moment:
    """When something of a joint channel is due, and what. A moment in the past is due at once."""

    at: datetime
    what: Due


def next_moment(channel: JointChannel, at: datetime, *, is_warned: bool) -> Moment | None:
    """What a joint channel waits for; None when it is over."""
    if channel.is_over:
        return None
    if channel.state is JointState.ACTIVE:
        assert channel.ends_at is not None and channel.activated_at is not None
        warning = channel.ends_at - WARN_BEFORE
        if not is_warned and channel.activated_at < warning and at < channel.ends_at:
            return Moment(warning, Due.WARN)
        return Moment(channel.ends_at, Due.RUN_OUT)
    occurrence = channel.occurrence(at)
    if occurrence is None:
        return Moment(min(at, channel.expires_at), Due.RUN_OUT)
    if channel.state is JointState.SCHEDULED:
        return Moment(occurrence.start, Due.START)
    return Moment(channel.expires_at, Due.RUN_OUT)


def claims(channels: Iterable[JointChannel]) -> dict[str, JointChannel]:
    """To which active joint channel every talk group belongs now, by group.

    One that may take over wins over one that may not, the later over the earlier; the loser has its group again when
    the winner has ended.
    """
    active = [channel for channel in channels if channel.state is JointState.ACTIVE]
    active.sort(key=lambda channel: (channel.may_take_over, channel.activated_at or channel.created_at, channel.id))
    return {group: channel for channel in active for group in channel.ready_groups}


@dataclass(frozen=True, slots=True)
class Shift:
    """Talk groups that went from one active joint channel to another.

    Attributes:
        is_taken: ``source`` still stands and has lost them; otherwise it has ended and ``target`` has its own back.
    """

    source: str
    target: str
    groups: tuple[str, ...]
    is_taken: bool


def shifts(before: Iterable[JointChannel], after: Iterable[JointChannel]) -> list[Shift]:
    """What take-overs did between two moments."""
    after = list(after)
    had, have = claims(before), claims(after)
    stood = {channel.id for channel in had.values()}
    wanted = {channel.id: channel.ready_groups for channel in after if channel.state is JointState.ACTIVE}
    moved: dict[tuple[str, str, bool], list[str]] = {}
    for group in sorted(had.keys() & have.keys()):
        source, target = had[group].id, have[group].id
        is_taken = group in wanted.get(source, ())
        if source != target and (is_taken or target in stood):
            moved.setdefault((source, target, is_taken), []).append(group)
    return [Shift(source, target, tuple(groups), is_taken) for (source, target, is_taken), groups in moved.items()]


def draw() -> str:
    """The state diagram (mermaid)."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {JointState.DRAFT}"]
    lines += [f"    {state} --> {following}: {event}" for (state, event), following in TRANSITIONS.items()]
    lines += [f"    {state} --> [*]" for state in JointState if state in FINAL]
    return "\n".join([*lines, "```"]) + "\n"
