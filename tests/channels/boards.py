"""A switchboard to try things on: three groups, two radios, three people; and the words of the tests."""

from collections.abc import Iterable

from tongpin.channels import commands as c
from tongpin.channels import effects as e
from tongpin.channels.ids import (
    FloorState,
    GroupId,
    PartyId,
    PartyKind,
    PatchId,
    Priority,
)
from tongpin.channels.switchboard import Switchboard, SwitchboardSettings

FIRE, POLICE, WATER = GroupId("fire"), GroupId("police"), GroupId("water")
A, B = PartyId("leg:a"), PartyId("leg:b")
X, Y, Z = PartyId("session:x"), PartyId("session:y"), PartyId("session:z")
JOINT = PatchId("jc")


def leg(party: PartyId) -> c.AttachParty:
    return c.AttachParty(party, PartyKind.LEG, party, None, True, 60.0, 0.4)


def person(party: PartyId, *, may_queue: bool = True) -> c.AttachParty:
    return c.AttachParty(party, PartyKind.SESSION, party, may_queue=may_queue)


def member(party: PartyId, group: GroupId = FIRE, priority: Priority = Priority.EMERGENCY) -> c.SetMembership:
    return c.SetMembership(party, group, max_priority=priority)


def ask(party: PartyId, priority: Priority = Priority.NORMAL, group: GroupId = FIRE) -> c.RequestFloor:
    return c.RequestFloor(party, group, priority)


def switchboard(*more: c.Command, settings: SwitchboardSettings | None = None) -> Switchboard:
    """Three groups; legs a and b and people x, y, z in fire; then ``more``."""
    board = Switchboard(settings)
    start: list[c.Command] = [c.DefineGroup(group, group) for group in (FIRE, POLICE, WATER)]
    start += [leg(A), leg(B), person(X), person(Y), person(Z)]
    start += [member(party) for party in (A, B, X, Y, Z)]
    for command in [*start, *more]:
        board.apply(command, 0.0)
    return board


def kinds(effects: Iterable[e.Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def heard_by(board: Switchboard, source: PartyId) -> list[PartyId]:
    (route,) = [route for route in board.view().routes if route.source == source]
    return [listener.party for listener in route.listeners]


def floor_state(board: Switchboard, net: str = FIRE) -> FloorState:
    return next(view.floor.state for view in board.view().nets if view.net == net)
