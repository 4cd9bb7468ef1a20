"""The dry run: which nets there would be, who would hear whom in them, what is in the way and who is asked."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from tongpin.channels import joint
from tongpin.channels.ids import PartyId
from tongpin.channels.joint import JointChannel, JointState
from tongpin.channels.schedule import Occurrence, occurrences
from tongpin.channels.view import View
from tongpin.gateway.joint.requests import Outlook
from tongpin.gateway.joint.wire import API_PATH, Json, moment, record_json

MOST_PARTIES = 500
MOST_OCCURRENCES = 10


def preview_json(outlook: Outlook, standing: Iterable[JointChannel], view: View, at: datetime) -> dict[str, Json]:
    """What a request would do, by what is on line now."""
    after = outlook.after
    conflicts: list[Json] = [
        {
            "talk_group": conflict.group,
            "joint_channel": conflict.other.id,
            "joint_channel_name": conflict.other.name,
            "path": f"{API_PATH}/{conflict.other.id}",
            "would_be_taken_over": conflict.is_taken,
        }
        for conflict in outlook.conflicts
    ]
    is_refused = any(not conflict.is_taken for conflict in outlook.conflicts)
    record = record_json(after)
    if outlook.before is None:
        record["id"] = None
    return {
        "joint_channel": record,
        "result": "conflict" if is_refused and _is_due(after, at) else after.state.value,
        "conflicts": conflicts,
        "awaits": [*after.awaited],
        "nets": _nets(after, standing, view),
        "occurrences": [{"start": moment(one.start), "end": moment(one.end)} for one in _occurrences(after)],
    }


def _is_due(channel: JointChannel, at: datetime) -> bool:
    if channel.state is JointState.ACTIVE:
        return True
    occurrence = channel.occurrence(at)
    return channel.state is JointState.SCHEDULED and occurrence is not None and occurrence.start <= at


def _occurrences(channel: JointChannel) -> list[Occurrence]:
    start = channel.starts_at or channel.created_at
    if channel.recurrence is None:
        return [Occurrence(start, channel.expires_at)]
    return list(islice(occurrences(channel.recurrence, start, channel.expires_at), MOST_OCCURRENCES))


def _nets(after: JointChannel, standing: Iterable[JointChannel], view: View) -> list[Json]:
    """The net that the channel would be, and what would be left of those it takes from."""
    others = [channel for channel in standing if channel.id != after.id]
    left = joint.claims(others)
    own = after.talk_groups if not after.is_over else ()
    nets: dict[str, tuple[str, list[str]]] = {after.id: (after.name, [*own])}
    for group, channel in sorted(left.items()):
        if any(group_id in own for group_id, other in left.items() if other.id == channel.id) and group not in own:
            nets.setdefault(channel.id, (channel.name, []))[1].append(group)
    found: list[Json] = []
    for id_, (name, groups) in nets.items():
        net: dict[str, Json] = {"name": name, "talk_groups": [*groups]}
        net["leader"] = after.leader if id_ == after.id else None
        found.append(net | _parties(set(groups), view))
    return found


def _parties(groups: set[str], view: View) -> dict[str, Json]:
    """Everybody on the net: whoever hears, hears everybody who talks, but never itself."""
    rights: dict[PartyId, tuple[bool, bool]] = {}
    for group in view.groups:
        if group.group in groups:
            for party in {*group.listeners, *group.talkers}:
                hears, talks = rights.get(party, (False, False))
                rights[party] = (hears or party in group.listeners, talks or party in group.talkers)
    known = {party.party: party for party in view.parties}
    shown: list[Json] = [
        {
            "id": party,
            "name": known[party].label if party in known else party,
            "agency": known[party].agency if party in known else None,
            "hears": hears,
            "talks": talks,
        }
        for party, (hears, talks) in sorted(rights.items())[:MOST_PARTIES]
    ]
    return {"party_count": len(rights), "parties": shown}
