"""A reader of effects that keeps its own picture: what a client does with view + events."""

from collections.abc import Callable

from tongpin.channels import effects as e
from tongpin.channels.ids import AgencyId, FloorState, GroupId, NetId, PartyId, PatchId, Priority
from tongpin.channels.view import View


class Replay:
    """Holder, queue, nets, routes, keys and deafness, from effects alone."""

    def __init__(self) -> None:
        self.groups: dict[GroupId, tuple[str, NetId]] = {}
        self.parties: dict[PartyId, str] = {}
        self.patches: dict[PatchId, tuple[str, tuple[GroupId, ...], tuple[tuple[AgencyId, Priority], ...]]] = {}
        self.members: dict[tuple[GroupId, PartyId], tuple[bool, bool]] = {}
        self.holders: dict[NetId, tuple[PartyId, GroupId, Priority, int]] = {}
        self.revoking: set[NetId] = set()
        self.queues: dict[NetId, dict[PartyId, tuple[int, GroupId, Priority]]] = {}
        self.routes: dict[PartyId, tuple[int, tuple[e.Listener, ...]]] = {}
        self.keyed: set[PartyId] = set()
        self.deaf: set[PartyId] = set()
        self.talkers: dict[PartyId, tuple[str, str | None]] = {}

    def __call__(self, effect: e.Effect) -> None:
        match effect:
            case e.GroupDefined():
                net = self.groups.get(effect.group, ("", NetId(effect.group)))[1]
                self.groups[effect.group] = (effect.name, net)
            case e.GroupRetired():
                del self.groups[effect.group]
            case e.PartyAttached():
                self.parties[effect.party] = effect.label
            case e.PartyDetached():
                del self.parties[effect.party]
                self.talkers.pop(effect.party, None)
                self.members = {key: rights for key, rights in self.members.items() if key[1] != effect.party}
            case e.MembershipSet():
                self.members[effect.group, effect.party] = (effect.may_listen, effect.may_talk)
            case e.MembershipEnded():
                del self.members[effect.group, effect.party]
            case e.RouteInstalled():
                assert effect.source not in {listener.party for listener in effect.listeners}
                self.routes[effect.source] = (effect.talk, effect.listeners)
            case e.RouteRemoved():
                del self.routes[effect.source]
            case e.FloorGranted():
                assert self.routes[effect.party][0] == effect.talk, "the route stands before the word"
                self.holders[effect.net] = (effect.party, effect.group, effect.priority, effect.talk)
                self._leave(effect.party)
            case e.FloorQueued():
                self._leave(effect.party)
                self.queues.setdefault(effect.net, {})[effect.party] = (effect.position, effect.group, effect.priority)
            case e.QueueLeft():
                self._leave(effect.party)
            case e.FloorRevoking():
                self.revoking.add(effect.net)
            case e.FloorReleased():
                assert self.holders.pop(effect.net)[0] == effect.party
                self.revoking.discard(effect.net)
            case e.DeafnessBegan():
                self.deaf.add(effect.party)
            case e.DeafnessEnded():
                self.deaf.remove(effect.party)
            case e.LegKeyed():
                assert effect.party not in self.keyed
                self.keyed.add(effect.party)
            case e.LegUnkeyed():
                self.keyed.remove(effect.party)
            case e.PatchInstalled():
                assert effect.patch not in self.patches
                self.patches[effect.patch] = (effect.name, effect.groups, effect.priorities)
                self._regroup(effect.groups, lambda _: effect.net)
            case e.PatchChanged():
                both = tuple(sorted({*self.patches[effect.patch][1], *effect.groups}))
                self.patches[effect.patch] = (effect.name, effect.groups, effect.priorities)
                self._regroup(both, lambda group: effect.net if group in effect.groups else NetId(group))
            case e.PatchRemoved():
                del self.patches[effect.patch]
                self._regroup(effect.groups, lambda group: NetId(group))
            case e.TalkerNamed():
                assert effect.label is not None or effect.party in self.talkers
                self.talkers.pop(effect.party, None)
                if effect.label is not None:
                    self.talkers[effect.party] = (effect.label, effect.unit)
            case e.FloorDenied() | e.TalkLimitNear() | e.NetIdle():
                pass
            case _:
                raise AssertionError(f"an effect nobody replays: {effect}")

    def _leave(self, party: PartyId) -> None:
        for queue in self.queues.values():
            queue.pop(party, None)

    def _regroup(self, groups: tuple[GroupId, ...], net_of: Callable[[GroupId], NetId]) -> None:
        old = {self.groups[group][1] for group in groups}
        for group in groups:
            self.groups[group] = (self.groups[group][0], net_of(group))
        moved = [(self.holders.pop(net), net in self.revoking) for net in sorted(old) if net in self.holders]
        self.revoking -= old
        for holder, is_revoking in moved:
            self.holders[net_of(holder[1])] = holder
            if is_revoking:
                self.revoking.add(net_of(holder[1]))
        waiting = [item for net in old for item in self.queues.pop(net, {}).items()]
        for party, entry in waiting:
            self.queues.setdefault(net_of(entry[1]), {})[party] = entry

    def agrees_with(self, view: View) -> None:
        """Every part of the view follows from the effects."""
        assert {group.group: (group.name, group.net) for group in view.groups} == self.groups
        assert {party.party: party.label for party in view.parties} == self.parties
        assert {party.party for party in view.parties if party.is_keyed} == self.keyed
        assert {party.party for party in view.parties if party.is_deaf} == self.deaf
        talkers = {party.party: (party.talker, party.talker_unit) for party in view.parties if party.talker is not None}
        assert talkers == self.talkers
        assert {route.source: (route.talk, route.listeners) for route in view.routes} == self.routes
        listening = {(group.group, party) for group in view.groups for party in group.listeners}
        assert listening == {key for key, (may_listen, _) in self.members.items() if may_listen}
        talking = {(group.group, party) for group in view.groups for party in group.talkers}
        assert talking == {key for key, (_, may_talk) in self.members.items() if may_talk}
        assert {net.net for net in view.nets} == {net for _, net in self.groups.values()}
        for net in view.nets:
            floor = net.floor
            holder = self.holders.get(net.net)
            if holder is None:
                assert (floor.state, floor.holder, floor.talk) == (FloorState.IDLE, None, None)
            else:
                assert (floor.holder, floor.group, floor.priority, floor.talk) == holder
                is_revoking = net.net in self.revoking
                assert floor.state is (FloorState.PENDING_REVOKE if is_revoking else FloorState.TAKEN)
            queue = sorted(self.queues.get(net.net, {}).items(), key=lambda item: item[1][0])
            assert [entry.party for entry in floor.queue] == [party for party, _ in queue]
            assert [position for _, (position, _, _) in queue] == list(range(1, len(queue) + 1))
            assert [(entry.group, entry.priority) for entry in floor.queue] == [entry[1:] for _, entry in queue]
            if net.patch is None:
                assert (net.groups, net.priorities) == ((GroupId(net.net),), ())
            else:
                assert (net.patch_name, net.groups, net.priorities) == self.patches[net.patch]
