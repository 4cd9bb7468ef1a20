"""What the switchboard did, as entries for the audit log."""

from collections.abc import Callable

from tongpin.channels import effects as e
from tongpin.channels.ids import GroupId, PartyId, PartyKind, ReleaseCause
from tongpin.gateway.records import AuditDraft, Json

SYSTEM = "system"
_ENDINGS = {ReleaseCause.PREEMPTED: "floor.preempted", ReleaseCause.OVERRIDDEN: "floor.overridden"}

NOT_AUDITED = (
    e.GroupDefined,
    e.GroupRetired,
    e.MembershipSet,
    e.MembershipEnded,
    e.RouteInstalled,
    e.RouteRemoved,
    e.TalkLimitNear,
    e.NetIdle,
)
"""Effects without an entry: changes of groups are entered with the change itself; the others say nothing more."""


class Trail:
    """Implements ``EffectHandler``: one entry for each thing that somebody may later ask about.

    An entry belongs to the agency of who did it; the centre's people and things of no agency are the talk group's.
    """

    def __init__(self, record: Callable[[AuditDraft], None]) -> None:
        self._record = record
        self._parties: dict[PartyId, tuple[str, str | None]] = {}
        self._groups: dict[GroupId, str | None] = {}
        self._talks: dict[PartyId, GroupId] = {}
        self._queued: dict[PartyId, GroupId] = {}

    def __call__(self, effect: e.Effect, now: float) -> None:
        match effect:
            case e.GroupDefined():
                self._groups[effect.group] = effect.agency
            case e.GroupRetired():
                self._groups.pop(effect.group, None)
            case e.PartyAttached():
                name = str(effect.party) if effect.kind is PartyKind.LEG else effect.label
                self._parties[effect.party] = (name, effect.agency)
                action = "leg.online" if effect.kind is PartyKind.LEG else "session.opened"
                self._enter(action, effect.party, effect.party, None, kind=effect.kind.value)
            case e.PartyDetached():
                is_leg = effect.party.startswith("leg:")
                self._enter("leg.missing" if is_leg else "session.closed", effect.party, effect.party, None)
                self._parties.pop(effect.party, None)
                self._queued.pop(effect.party, None)
            case e.PatchInstalled():
                self._system("patch.installed", effect.patch, name=effect.name, groups=list(effect.groups))
            case e.PatchChanged():
                self._system("patch.changed", effect.patch, name=effect.name, groups=list(effect.groups))
            case e.PatchRemoved():
                self._system("patch.removed", effect.patch, cause=effect.cause.value, groups=list(effect.groups))
            case e.TalkerNamed():
                if effect.label is not None:
                    self._enter("talker.named", effect.party, effect.party, None, label=effect.label, unit=effect.unit)
            case e.LegKeyed():
                self._enter("leg.keyed", None, effect.party, None, net=effect.net)
            case e.LegUnkeyed():
                self._enter("leg.unkeyed", None, effect.party, None, net=effect.net)
            case _:
                self._floor(effect)

    def _floor(self, effect: e.Effect) -> None:
        match effect:
            case e.FloorGranted():
                self._queued.pop(effect.party, None)
                self._talks[effect.party] = effect.group
                self._enter(
                    "floor.granted",
                    effect.party,
                    effect.group,
                    effect.group,
                    net=effect.net,
                    talk=effect.talk,
                    priority=effect.priority.name.lower(),
                    origin=effect.origin.value,
                )
            case e.FloorDenied():
                detail: dict[str, Json] = {"cause": effect.cause.value}
                if effect.holder is not None:
                    detail["holder"] = self._name(effect.holder)
                self._enter("floor.denied", effect.party, effect.group, effect.group, **detail)
            case e.FloorQueued():
                if self._queued.get(effect.party) != effect.group:  # said again whenever the position changes
                    self._queued[effect.party] = effect.group
                    self._enter("floor.queued", effect.party, effect.group, effect.group, position=effect.position)
            case e.QueueLeft():
                group = self._queued.pop(effect.party, None)
                subject = group if group is not None else effect.net
                self._enter("floor.queue-left", effect.party, subject, group, cause=effect.cause.value)
            case e.FloorRevoking():
                group = self._talks.get(effect.party)
                subject = group if group is not None else effect.net
                self._enter("floor.revoking", effect.party, subject, group, net=effect.net, cause=effect.cause.value)
            case e.FloorReleased():
                group = self._talks.pop(effect.party, None)
                action = _ENDINGS.get(effect.cause, "floor.released")
                subject = group if group is not None else effect.net
                detail = {"net": effect.net, "talk": effect.talk, "cause": effect.cause.value}
                self._enter(action, effect.party, subject, group, **detail)
            case e.DeafnessBegan():
                self._enter("leg.deaf", effect.party, effect.net, None)
            case e.DeafnessEnded():
                self._enter("leg.hears-again", effect.party, effect.net, None)
            case _:
                pass

    def _name(self, party: PartyId) -> str:
        return self._parties.get(party, (str(party), None))[0]

    def _enter(self, action: str, actor: PartyId | None, subject: str, group: GroupId | None, **detail: Json) -> None:
        """``actor`` None = the system did it to the party that the subject names."""
        party = actor if actor is not None else PartyId(subject)
        name, agency = self._parties.get(party, (str(party), None))
        if agency is None and group is not None:
            agency = self._groups.get(group)
        if actor is not None and name != actor:
            detail["party"] = actor
        self._record(AuditDraft(action, name if actor is not None else SYSTEM, subject, agency, detail))

    def _system(self, action: str, subject: str, **detail: Json) -> None:
        self._record(AuditDraft(action, SYSTEM, subject, None, detail))
