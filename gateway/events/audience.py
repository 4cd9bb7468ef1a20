"""Whom an event concerns, so that nobody follows what their agency may not hear."""

from collections import deque

from tongpin.channels import effects as e
from tongpin.channels.ids import GroupId, NetId, PartyId
from tongpin.gateway.rights import Identity, Reach, Right, may, reach

Agencies = frozenset[str | None]
"""The agencies that an event concerns; None among them = the command centre."""
ENDED_KEPT = 64


def may_follow(identity: Identity, agencies: Agencies | None) -> bool:
    """What concerns all (None) is for everybody who may see things, the rest for who may listen to one it concerns."""
    if agencies is None:
        return reach(identity, Right.SEE) is not Reach.NONE
    return any(may(identity, Right.LISTEN, agency) for agency in agencies)


class Audience:
    """Follows the effects, and says of each whom it concerns: the agencies of all groups on the net, or the party's."""

    def __init__(self) -> None:
        self._groups: dict[GroupId, str | None] = {}
        self._parties: dict[PartyId, str | None] = {}
        self._nets: dict[NetId, tuple[GroupId, ...]] = {}
        self._net_of: dict[GroupId, NetId] = {}
        self._ended: deque[NetId] = deque()

    def of(self, effect: e.Effect) -> Agencies | None:
        """None = everybody."""
        match effect:
            case e.GroupDefined():
                self._groups[effect.group] = effect.agency
                return None
            case e.GroupRetired():
                self._groups.pop(effect.group, None)
                return None
            case e.PatchInstalled() | e.PatchChanged():
                self._leave(effect.net)
                self._nets[effect.net] = effect.groups
                self._net_of.update(dict.fromkeys(effect.groups, effect.net))
                return None
            case e.PatchRemoved():
                self._leave(effect.net)
                self._nets[effect.net] = effect.groups  # what ends with it is told after it
                self._ended.append(effect.net)
                if len(self._ended) > ENDED_KEPT and (oldest := self._ended.popleft()) not in self._net_of.values():
                    self._nets.pop(oldest, None)
                return None
            case e.PartyAttached():
                self._parties[effect.party] = effect.agency
                return frozenset((effect.agency,))
            case e.PartyDetached():
                return frozenset((self._parties.pop(effect.party, None),))
            case e.MembershipSet() | e.MembershipEnded():
                return self._on(self._net_of.get(effect.group, NetId(effect.group)))
            case e.RouteInstalled() | e.RouteRemoved() | e.FloorDenied() | e.TalkLimitNear():
                return frozenset()
            case _:
                return self._on(effect.net)

    def _on(self, net: NetId) -> Agencies:
        groups = self._nets.get(net, (GroupId(net),))
        return frozenset(self._groups.get(group) for group in groups)

    def _leave(self, net: NetId) -> None:
        for group in self._nets.pop(net, ()):
            self._net_of.pop(group, None)
