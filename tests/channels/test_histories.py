"""Random histories: whatever is asked in whatever order, the promises of the floor hold."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.channels.replay import Replay
from tongpin.channels import commands as c
from tongpin.channels import effects as e
from tongpin.channels.errors import SwitchboardError
from tongpin.channels.ids import AgencyId, FloorState, GroupId, Origin, PartyId, PartyKind, PatchId, Priority, Timer
from tongpin.channels.switchboard import Switchboard, SwitchboardSettings
from tongpin.channels.view import NetView

GROUPS = [GroupId(name) for name in ("fire", "police", "urban", "water")]
LEGS = [PartyId(f"leg:{name}") for name in ("a", "b", "c")]
PEOPLE = [PartyId(f"session:{name}") for name in ("x", "y", "z")]
AGENCIES = [AgencyId(name) for name in ("brigade", "bureau")]
PATCHES = [PatchId(name) for name in ("jc1", "jc2")]


def _attach(party: PartyId, may_queue: bool = True, label: str = "") -> c.AttachParty:
    is_leg = party in LEGS
    kind = PartyKind.LEG if is_leg else PartyKind.SESSION
    limit_s = 8.0 if is_leg else 6.0
    return c.AttachParty(party, kind, label or party, None, is_leg, limit_s, 0.4 if is_leg else 4.0, may_queue)


class Author:
    """Writes commands from a seed. Talking is asked for far more often than things are torn down.

    Drawn evenly, nearly all histories leave nobody to contend for a floor: queues and pre-emption go untested.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def pause_s(self) -> float:
        return self._random.choice([0.0, 0.0, 0.01, 0.3, 1.0, 3.0])

    def command(self) -> c.Command:
        random = self._random
        party, group = random.choice([*LEGS, *PEOPLE]), random.choice(GROUPS[:3])
        priority = random.choice([*Priority, Priority.NORMAL, Priority.NORMAL])
        match random.choices(range(14), [30, 10, 12, 5, 4, 2, 2, 2, 1, 2, 4, 3, 3, 3])[0]:
            case 0:
                return c.RequestFloor(party, group, priority, random.choice(list(Origin)))
            case 1:
                return c.ReleaseFloor(party)
            case 2:
                return c.Advance()
            case 3:
                return c.MediaSeen(party, random.uniform(0, 100))
            case 4:
                rights = random.random() < 0.8, random.random() < 0.8
                return c.SetMembership(party, group, *rights, random.choice(list(Priority)))
            case 5:
                return c.EndMembership(party, group)
            case 6:
                return _attach(party, random.random() < 0.8, random.choice([party, "renamed"]))
            case 7:
                return c.DetachParty(party)
            case 8:
                return c.RetireGroup(random.choice(GROUPS))
            case 9:
                agency = random.choice([None, *AGENCIES])
                return c.DefineGroup(random.choice(GROUPS), random.choice(["one", "two"]), agency)
            case 10:
                if random.random() < 0.5:
                    return c.RemovePatch(random.choice(PATCHES))
                return self._plan(random.choice(PATCHES))
            case 11:
                plans = tuple(self._plan(patch) for patch in random.choices(PATCHES, k=random.choice([0, 1, 1, 2])))
                removed = tuple(patch for patch in PATCHES if random.random() < 0.25)
                return c.ArrangePatches(plans, removed)
            case 12:
                return c.NameTalker(party, random.choice(["Unit 7", "Unit 8"]), random.choice([None, "u7"]))
            case _:
                return c.OverrideFloor(group, party)

    def _plan(self, patch: PatchId) -> c.InstallPatch:
        random = self._random
        chosen = tuple(random.choices(GROUPS, k=random.choice([1, 2, 2, 3])))
        ends = random.choice([None, random.uniform(0, 60)])
        policy = tuple((agency, random.choice(list(Priority)[:3])) for agency in AGENCIES if random.random() < 0.5)
        return c.InstallPatch(patch, random.choice(["joint", "other"]), chosen, ends, policy)


def _set_up(hang_s: float) -> tuple[Switchboard, Replay]:
    board = Switchboard(SwitchboardSettings(hang_s=hang_s, queue_limit=3))
    replay = Replay()
    start: list[c.Command] = [c.DefineGroup(group, group) for group in GROUPS]
    start += [_attach(party) for party in [*LEGS, *PEOPLE]]
    start += [c.SetMembership(leg, group) for leg, group in zip(LEGS, GROUPS, strict=False)]
    start += [c.SetMembership(LEGS[0], GROUPS[1]), c.SetMembership(LEGS[1], GROUPS[0], max_priority=Priority.HIGH)]
    start += [c.SetMembership(person, group, max_priority=Priority.EMERGENCY) for person in PEOPLE for group in GROUPS]
    for command in start:
        for effect in board.apply(command, 0.0):
            replay(effect)
    return board, replay


def _follows_policy(net: NetView, agencies: dict[GroupId, AgencyId | None]) -> None:
    """Normal and high talk counts as the net's policy says, and nobody waits for somebody less urgent."""
    floor, policy = net.floor, dict(net.priorities)
    counted = [(entry.group, entry.priority) for entry in floor.queue]
    if floor.group is not None and floor.priority is not None:
        counted.append((floor.group, floor.priority))
        if floor.queue and floor.state is FloorState.TAKEN:
            assert floor.queue[0].priority <= floor.priority
    for group, priority in counted if policy else []:
        agency = agencies[group]
        given = policy.get(agency, Priority.NORMAL) if agency is not None else Priority.NORMAL
        assert priority in (Priority.LOW, given, Priority.EMERGENCY)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 80), st.sampled_from([0.0, 2.0]))
def test_promises_hold_in_any_history(seed: int, length: int, hang_s: float) -> None:
    author = Author(seed)
    board, replay = _set_up(hang_s)
    now = 0.0
    for _ in range(length):
        command = author.command()
        now += author.pause_s()
        before = board.view()
        try:
            foreseen: list[e.Effect] | None = board.check(command, now)
        except SwitchboardError:
            foreseen = None
        assert board.view() == before, "check changes nothing"
        try:
            effects = board.apply(command, now)
        except SwitchboardError:
            assert foreseen is None
            assert board.view() == before, "a refused command changes nothing"
            continue
        assert effects == foreseen
        if isinstance(command, c.RetireGroup):
            assert not any(isinstance(effect, e.FloorGranted) for effect in effects)
        if isinstance(command, c.DetachParty):
            assert not any(isinstance(effect, e.LegKeyed) and effect.party == command.party for effect in effects)
        for effect in effects:
            replay(effect)
        view = board.view()
        replay.agrees_with(view)
        routes = {route.source: route for route in view.routes}
        agencies = {group.group: group.agency for group in view.groups}
        queued = [entry.party for net in view.nets for entry in net.floor.queue]
        assert len(queued) == len(set(queued)), "a party waits in one queue at most"
        for net in view.nets:
            assert (net.floor.state is FloorState.IDLE) == (net.floor.holder is None)
            if net.floor.holder is not None:
                listeners = {listener.party for listener in routes[net.floor.holder].listeners}
                assert net.floor.holder not in listeners
                assert net.floor.holder not in queued
                hearing = {p for group in view.groups if group.net == net.net for p in group.listeners}
                deaf = {party.party for party in view.parties if party.is_deaf}
                talking_legs = {other.floor.holder for other in view.nets} & set(LEGS)
                assert listeners == hearing - deaf - talking_legs - {net.floor.holder}
                keyed = {party.party for party in view.parties if party.is_keyed}
                assert listeners & set(LEGS) <= keyed
                assert not keyed & talking_legs, "a radio that is received is not keyed"
            else:
                assert not net.floor.queue, "nobody waits for an idle floor"
            _follows_policy(net, agencies)
        holders = [net.floor.holder for net in view.nets if net.floor.holder is not None]
        assert len(holders) == len(set(holders)) == len(routes)
        if command == c.Advance():
            due = board.next_deadline()
            assert due is None or due.when > now

    # Silence: every talk and every patch with an end comes to its end, every transmitter is let go.
    for _ in range(1000):
        due = board.next_deadline()
        if due is None:
            break
        now = max(now, due.when)
        for effect in board.apply(c.Advance(), now):
            replay(effect)
    view = board.view()
    replay.agrees_with(view)
    assert board.next_deadline() is None
    assert all(net.floor.state is FloorState.IDLE for net in view.nets)
    assert not any(party.is_keyed for party in view.parties)
    assert view.routes == ()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_holder_is_the_party_of_the_end_of_media_deadline(seed: int) -> None:
    board, _ = _set_up(0.0)
    who = [*LEGS, *PEOPLE][seed % 6]
    group = GROUPS[LEGS.index(who)] if who in LEGS else GROUPS[seed % 4]
    board.apply(c.RequestFloor(who, group), 1.0)
    due = board.next_deadline()
    assert due is not None
    assert due.party == who
    assert due.why is (Timer.T1_END_OF_MEDIA if who in LEGS else Timer.T2_WARNING)
