"""Scenarios: groups go over from patch to patch as one, and who leads is heard first."""

import pytest

from tests.channels.boards import FIRE, JOINT, POLICE, WATER, A, B, X, Y, ask, heard_by, kinds, leg, member, person
from tests.channels.boards import switchboard as bare
from tongpin.channels import commands as c
from tongpin.channels import effects as e
from tongpin.channels.errors import (
    GroupInOtherNetError,
    PatchExistsError,
    PatchTooSmallError,
    SwitchboardError,
    UnknownGroupError,
    UnknownPatchError,
)
from tongpin.channels.ids import AgencyId, GroupId, NetId, PartyId, PatchEndCause, PatchId, Priority, ReleaseCause
from tongpin.channels.switchboard import Switchboard

BRIGADE, BUREAU = AgencyId("brigade"), AgencyId("bureau")
FIRE_LEADS, POLICE_LEADS = ((BRIGADE, Priority.HIGH),), ((BUREAU, Priority.HIGH),)
P, Q, W = PartyId("leg:p"), PartyId("session:q"), PartyId("leg:w")
OTHER = PatchId("other")


def plan(
    *groups: GroupId, patch: PatchId = JOINT, policy: tuple[tuple[AgencyId, Priority], ...] = ()
) -> c.InstallPatch:
    return c.InstallPatch(patch, "Flood", groups, None, policy)


def arrange(*plans: c.InstallPatch, removed: tuple[PatchId, ...] = ()) -> c.ArrangePatches:
    return c.ArrangePatches(plans, removed)


def switchboard(*more: c.Command) -> Switchboard:
    """Fire's and the police's groups have agencies; a radio and a person in police, a radio in water."""
    owned = (c.DefineGroup(FIRE, FIRE, BRIGADE), c.DefineGroup(POLICE, POLICE, BUREAU))
    return bare(*owned, leg(P), person(Q), leg(W), member(P, POLICE), member(Q, POLICE), member(W, WATER), *more)


def floor_of(board: Switchboard, net: str) -> tuple[PartyId | None, Priority | None, list[tuple[PartyId, Priority]]]:
    floor = next(view.floor for view in board.view().nets if view.net == net)
    return floor.holder, floor.priority, [(entry.party, entry.priority) for entry in floor.queue]


# -- who leads -------------------------------------------------------------------------------------------------------


def test_the_leader_goes_before_others_and_nobody_goes_before_an_emergency() -> None:
    board = switchboard(plan(FIRE, POLICE, policy=FIRE_LEADS))
    board.apply(ask(Q, Priority.HIGH, POLICE), 1.0)
    assert floor_of(board, JOINT)[:2] == (Q, Priority.NORMAL), "others count as normal"
    assert e.FloorRevoking(NetId(JOINT), Q, ReleaseCause.PREEMPTED, 4.1) in board.apply(ask(X), 1.1)
    board.apply(c.ReleaseFloor(Q), 1.2)
    assert floor_of(board, JOINT)[:2] == (X, Priority.HIGH)
    board.apply(ask(Q, Priority.EMERGENCY, POLICE), 1.3)
    assert floor_of(board, JOINT)[:2] == (Q, Priority.EMERGENCY)
    board.apply(ask(Y, Priority.LOW), 1.4)
    assert floor_of(board, JOINT)[2] == [(Y, Priority.LOW)], "low stays low"


def test_another_leader_counts_whoever_talks_and_waits_anew() -> None:
    board = switchboard(plan(FIRE, POLICE, policy=FIRE_LEADS))
    board.apply(ask(X), 1.0)
    board.apply(ask(Y), 1.1)
    board.apply(ask(Q, group=POLICE), 1.2)
    assert floor_of(board, JOINT) == (X, Priority.HIGH, [(Y, Priority.HIGH), (Q, Priority.NORMAL)])
    effects = board.apply(arrange(plan(FIRE, POLICE, policy=POLICE_LEADS)), 2.0)
    assert effects[0] == e.PatchChanged(JOINT, NetId(JOINT), "Flood", (FIRE, POLICE), POLICE_LEADS)
    assert e.FloorRevoking(NetId(JOINT), X, ReleaseCause.PREEMPTED, 5.0) in effects
    assert floor_of(board, JOINT) == (X, Priority.NORMAL, [(Q, Priority.HIGH), (Y, Priority.NORMAL)])
    assert board.apply(arrange(plan(FIRE, POLICE, policy=POLICE_LEADS)), 2.1) == [], "nothing new, nothing said"


def test_without_the_net_everybody_counts_as_asked_again() -> None:
    board = switchboard(plan(FIRE, POLICE, policy=FIRE_LEADS))
    board.apply(ask(Q, Priority.HIGH, POLICE), 1.0)
    board.apply(ask(P, Priority.HIGH, POLICE), 1.1)
    assert floor_of(board, JOINT) == (Q, Priority.NORMAL, [(P, Priority.NORMAL)])
    effects = board.apply(c.RemovePatch(JOINT), 2.0)
    assert [effect.priority for effect in effects if isinstance(effect, e.FloorGranted)] == [Priority.HIGH]
    assert floor_of(board, POLICE) == (Q, Priority.HIGH, [(P, Priority.HIGH)])


def test_of_two_talkers_the_leaders_survives_the_merge() -> None:
    board = switchboard()
    board.apply(ask(Q, Priority.HIGH, POLICE), 1.0)
    board.apply(ask(X), 1.1)
    board.apply(plan(FIRE, POLICE, policy=FIRE_LEADS), 2.0)
    assert floor_of(board, JOINT)[:2] == (X, Priority.HIGH)


def test_a_group_that_goes_to_another_agency_takes_that_agencys_place() -> None:
    board = switchboard(plan(FIRE, POLICE, policy=FIRE_LEADS))
    board.apply(ask(X), 1.0)
    board.apply(ask(Q, group=POLICE), 1.1)
    board.apply(c.DefineGroup(FIRE, FIRE, None), 2.0)
    assert floor_of(board, JOINT)[:2] == (X, Priority.NORMAL)
    effects = board.apply(c.DefineGroup(POLICE, POLICE, BRIGADE), 3.0)
    assert e.FloorRevoking(NetId(JOINT), X, ReleaseCause.PREEMPTED, 6.0) in effects


def test_asking_again_more_urgently_raises_whoever_waits() -> None:
    board = switchboard()
    board.apply(ask(A), 1.0)
    board.apply(ask(X, Priority.LOW), 1.1)
    board.apply(ask(Y), 1.2)
    board.apply(ask(X, Priority.NORMAL), 1.3)
    assert floor_of(board, FIRE)[2] == [(X, Priority.NORMAL), (Y, Priority.NORMAL)]


# -- changing patches ------------------------------------------------------------------------------------------------


def test_a_group_comes_in_and_goes_while_somebody_talks() -> None:
    board = switchboard(plan(FIRE, POLICE))
    board.apply(ask(X), 1.0)
    effects = board.apply(arrange(plan(FIRE, POLICE, WATER)), 2.0)
    assert kinds(effects) == ["PatchChanged", "RouteInstalled", "LegKeyed"]
    assert W in heard_by(board, X)
    effects = board.apply(arrange(plan(FIRE, WATER)), 3.0)
    assert kinds(effects) == ["PatchChanged", "LegUnkeyed", "RouteInstalled"]
    assert P not in heard_by(board, X)
    assert board.holder_of(NetId(JOINT)) == X
    assert board.net_of(POLICE) == NetId(POLICE)


def test_a_talker_whose_group_leaves_talks_on_in_its_own_net() -> None:
    board = switchboard(plan(FIRE, POLICE, WATER))
    board.apply(ask(Q, group=POLICE), 1.0)
    board.apply(ask(X), 1.1)
    board.apply(arrange(plan(FIRE, WATER)), 2.0)
    assert heard_by(board, Q) == [P]
    assert board.holder_of(NetId(JOINT)) == X, "who waited in the net has its floor now"


def test_a_take_over_and_the_giving_back_are_one_step_each() -> None:
    board = switchboard(plan(FIRE, POLICE, WATER))
    board.apply(ask(Q, group=POLICE), 1.0)
    board.apply(c.DefineGroup(GroupId("urban"), "urban"), 1.1)
    effects = board.apply(arrange(plan(FIRE, WATER), plan(POLICE, GroupId("urban"), patch=OTHER)), 2.0)
    assert [kind for kind in kinds(effects) if kind.startswith("Patch")] == ["PatchChanged", "PatchInstalled"]
    assert not any(isinstance(effect, e.FloorReleased) for effect in effects), "who talks is not cut off"
    assert board.holder_of(NetId(OTHER)) == Q
    effects = board.apply(arrange(plan(FIRE, POLICE, WATER), removed=(OTHER,)), 3.0)
    assert [kind for kind in kinds(effects) if kind.startswith("Patch")] == ["PatchRemoved", "PatchChanged"]
    assert board.holder_of(NetId(JOINT)) == Q


def test_a_patch_with_none_of_its_groups_left_is_another_one() -> None:
    urban = GroupId("urban")
    board = switchboard(c.DefineGroup(urban, "urban"), plan(FIRE, POLICE))
    effects = board.apply(arrange(plan(WATER, urban)), 1.0)
    assert effects[0] == e.PatchRemoved(JOINT, NetId(JOINT), (FIRE, POLICE), PatchEndCause.REPLACED)
    assert isinstance(effects[1], e.PatchInstalled)


def test_deafness_goes_along_with_the_group() -> None:
    board = switchboard(plan(FIRE, POLICE, WATER))
    board.apply(ask(X), 1.0)
    board.apply(ask(P, group=POLICE), 1.1)
    board.apply(c.ReleaseFloor(X), 1.2)
    board.apply(ask(X, Priority.EMERGENCY), 1.3)
    board.apply(arrange(plan(FIRE, WATER)), 2.0)
    assert e.DeafnessEnded(NetId(POLICE), P) in board.apply(c.ReleaseFloor(P), 3.0)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (arrange(plan(FIRE, WATER, patch=OTHER)), GroupInOtherNetError),
        (arrange(plan(FIRE, WATER), plan(WATER, POLICE, patch=OTHER)), GroupInOtherNetError),
        (arrange(plan(FIRE, GroupId("nowhere"))), UnknownGroupError),
        (arrange(plan(FIRE, FIRE)), PatchTooSmallError),
        (arrange(plan(WATER, FIRE), removed=(JOINT,)), PatchExistsError),
        (arrange(removed=(OTHER,)), UnknownPatchError),
    ],
)
def test_what_cannot_be_arranged_changes_nothing(command: c.Command, error: type[SwitchboardError]) -> None:
    board = switchboard(plan(FIRE, POLICE))
    board.apply(ask(B), 1.0)
    before = board.view()
    with pytest.raises(error):
        board.apply(command, 2.0)
    assert board.view() == before
