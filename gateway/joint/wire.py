"""A joint channel as REST, events and the audit log say it."""

from datetime import UTC, datetime

from tongpin.channels.joint import JointChannel, Member

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

API_PATH = "/api/v1/joint-channels"


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at is not None else None


def member_json(member: Member) -> dict[str, Json]:
    return {"kind": member.kind.value, "id": member.id, "agency": member.agency}


def record_json(channel: JointChannel) -> dict[str, Json]:
    """The whole record."""
    consents: list[Json] = [
        {
            "agency": consent.agency,
            "decision": consent.decision.value,
            "basis": consent.basis.value if consent.basis is not None else None,
            "by": consent.by,
            "at": moment(consent.at),
            "reason": consent.reason,
        }
        for consent in channel.consents
    ]
    recurrence: Json = None
    if channel.recurrence is not None:
        rule = channel.recurrence
        recurrence = {"rule": rule.rule, "zone": rule.zone, "duration_s": rule.duration_s}
    return {
        "id": channel.id,
        "name": channel.name,
        "purpose": channel.purpose,
        "state": channel.state.value,
        "talk_groups": [*channel.talk_groups],
        "members": [member_json(member) for member in channel.members],
        "lead_agency": channel.leader,
        "event": channel.event,
        "priority_policy": dict(channel.policy),
        "proposer": channel.proposer,
        "consents": consents,
        "awaits": [*channel.awaited],
        "created_by": channel.created_by,
        "created_at": moment(channel.created_at),
        "starts_at": moment(channel.starts_at),
        "expires_at": moment(channel.expires_at),
        "recurrence": recurrence,
        "activated_at": moment(channel.activated_at),
        "ends_at": moment(channel.ends_at),
        "take_over": channel.may_take_over,
        "incident": channel.incident,
        "template": channel.template,
        "closed_at": moment(channel.closed_at),
        "closed_by": channel.closed_by,
        "version": channel.version,
    }
