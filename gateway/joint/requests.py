"""What is asked about joint channels, what it would do, and the checks that need no state."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tongpin.channels.joint import JointChannel, Member
from tongpin.channels.schedule import Recurrence, ScheduleError, check
from tongpin.gateway.errors import CallerError
from tongpin.gateway.joint.wire import API_PATH, Json, record_json
from tongpin.gateway.records import AuditDraft

LONGEST = timedelta(days=5 * 366)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody wants to open; fields as in the record."""

    name: str
    purpose: str
    members: tuple[Member, ...]
    expires_at: datetime
    lead_agency: str | None = None
    event: str | None = None
    policy: tuple[tuple[str, str], ...] = ()
    starts_at: datetime | None = None
    recurrence: Recurrence | None = None
    may_take_over: bool = False
    incident: str | None = None
    template: str | None = None
    is_draft: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """A change of a joint channel; None = as it is. ``lead_agency`` "" = by the policy again."""

    name: str | None = None
    purpose: str | None = None
    expires_at: datetime | None = None
    add: tuple[Member, ...] = ()
    remove: tuple[Member, ...] = ()
    lead_agency: str | None = None
    event: str | None = None
    policy: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A talk group that is in another net. ``is_taken``: it would be taken over."""

    group: str
    other: JointChannel
    is_taken: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a request would do. ``before`` None: the record would be new."""

    before: JointChannel | None
    after: JointChannel
    conflicts: Sequence[Conflict] = ()
    audit: Sequence[AuditDraft] = ()


def check_times(proposal: Proposal, at: datetime) -> None:
    check_end(proposal.expires_at, proposal.starts_at, at)
    if proposal.recurrence is not None:
        try:
            check(proposal.recurrence, proposal.starts_at or at, proposal.expires_at)
        except ScheduleError as error:
            raise CallerError(422, "bad-recurrence", str(error)) from error


def check_end(expires_at: datetime, starts_at: datetime | None, at: datetime) -> None:
    if expires_at <= at:
        raise CallerError(422, "expired-already", "expires_at lies in the past")
    if starts_at is not None and starts_at >= expires_at:
        raise CallerError(422, "ends-before-start", "expires_at lies before starts_at")
    if expires_at - at > LONGEST:
        raise CallerError(422, "too-long", f"a joint channel stands at most {LONGEST.days} days")


def refuse(conflicts: Iterable[Conflict]) -> None:
    """Raise CallerError 409 that names the net and the path, for what cannot be taken over."""
    for conflict in conflicts:
        if not conflict.is_taken:
            other = conflict.other
            extra: dict[str, str | list[str]] = {
                "talk_group": conflict.group,
                "joint_channel": other.id,
                "joint_channel_name": other.name,
                "path": f"{API_PATH}/{other.id}",
            }
            detail = f"talk group {conflict.group!r} is in the joint channel {other.name!r} already; close that first"
            raise CallerError(409, "group-in-other-net", detail, extra)


def difference(before: JointChannel, after: JointChannel) -> dict[str, Json]:
    """What is new, for the audit log."""
    was, now = record_json(before), record_json(after)
    return {name: value for name, value in now.items() if value != was[name] and name != "version"}
