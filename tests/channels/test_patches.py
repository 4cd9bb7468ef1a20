"""Scenarios: joint channels put groups on one floor and part them; and what is refused."""

import pytest

from tests.channels.boards import (
    FIRE,
    JOINT,
    POLICE,
    WATER,
    A,
    B,
    X,
    Y,
    Z,
    ask,
    heard_by,
    kinds,
    leg,
    member,
    person,
    switchboard,
)
from tongpin.channels import commands as c
from tongpin.channels import effects as e
from tongpin.channels.errors import (
    GroupInOtherNetError,
    GroupInPatchError,
    PatchExistsError,
    PatchTooSmallError,
    SwitchboardError,
    UnknownGroupError,
    UnknownPartyError,
    UnknownPatchError,
)
from tongpin.channels.ids import (
    GroupId,
    NetId,
    PartyId,
    PatchEndCause,
    PatchId,
    Priority,
    ReleaseCause,
    Timer,
)

# -- joint channels --------------------------------------------------------------------------------------------------

PATCH = c.InstallPatch(JOINT, "Flood", (FIRE, POLICE))
P, Q = PartyId("leg:p"), PartyId("session:q")
POLICE_PARTIES = (leg(P), person(Q), member(P, POLICE), member(Q, POLICE))


def test_a_patch_joins_who_is_heard_and_taking_it_down_parts_them() -> None:
    board = switchboard(*POLICE_PARTIES)
    board.apply(ask(X), 1.0)
    effects = board.apply(PATCH, 2.0)
    assert kinds(effects) == ["PatchInstalled", "RouteInstalled", "LegKeyed"]
    assert heard_by(board, X) == [A, B, P, Q, Y, Z]
    assert board.net_of(POLICE) == NetId(JOINT)
    effects = board.apply(c.RemovePatch(JOINT), 3.0)
    assert kinds(effects) == ["PatchRemoved", "RouteInstalled", "LegUnkeyed"]
    assert heard_by(board, X) == [A, B, Y, Z]
    assert board.holder_of(NetId(FIRE)) == X


def test_a_party_of_two_patched_groups_is_heard_through_the_smaller_once() -> None:
    board = switchboard(member(Y, POLICE), PATCH)
    board.apply(ask(X), 1.0)
    (route,) = board.view().routes
    assert [listener.group for listener in route.listeners if listener.party == Y] == [FIRE]


def test_of_two_talkers_the_more_urgent_then_the_earlier_survives() -> None:
    board = switchboard(*POLICE_PARTIES)
    board.apply(ask(X), 1.0)
    board.apply(ask(Q, Priority.HIGH, POLICE), 1.5)
    effects = board.apply(PATCH, 2.0)
    assert effects[:2] == [
        e.RouteRemoved(X, NetId(FIRE), 1),
        e.FloorReleased(NetId(FIRE), X, 1, ReleaseCause.NET_CHANGED),
    ]
    assert board.holder_of(NetId(JOINT)) == Q
    assert X in heard_by(board, Q)


def test_a_radio_that_loses_the_merge_is_deaf_and_waits() -> None:
    board = switchboard(*POLICE_PARTIES)
    board.apply(ask(X), 1.0)
    board.apply(ask(P, group=POLICE), 1.5)
    effects = board.apply(PATCH, 1.6)
    assert e.DeafnessBegan(NetId(POLICE), P) in effects
    assert e.FloorQueued(NetId(JOINT), P, POLICE, 1, Priority.NORMAL) in effects
    effects = board.apply(c.RemovePatch(JOINT), 1.7)
    assert e.DeafnessEnded(NetId(POLICE), P) in effects
    assert board.holder_of(NetId(POLICE)) == P
    assert board.holder_of(NetId(FIRE)) == X


def test_deafness_ends_on_the_net_that_there_is_now() -> None:
    board = switchboard(*POLICE_PARTIES)
    board.apply(ask(Q, group=POLICE), 1.0)
    board.apply(ask(P, group=POLICE), 1.1)
    board.apply(PATCH, 1.2)
    assert e.DeafnessEnded(NetId(JOINT), P) in board.apply(c.ReleaseFloor(P), 1.3)


def test_a_merge_does_not_leave_the_urgent_waiting_for_the_less_urgent() -> None:
    board = switchboard(*POLICE_PARTIES)
    board.apply(ask(Q, group=POLICE), 0.5)
    board.apply(ask(X), 1.0)
    board.apply(ask(Y, Priority.HIGH), 1.1)
    effects = board.apply(PATCH, 2.0)
    assert board.holder_of(NetId(JOINT)) == Q
    assert e.FloorRevoking(NetId(JOINT), Q, ReleaseCause.PREEMPTED, 5.0) in effects


def test_a_time_box_takes_its_patch_down() -> None:
    board = switchboard(*POLICE_PARTIES, c.InstallPatch(JOINT, "Flood", (FIRE, POLICE), 10.0))
    due = board.next_deadline()
    assert due is not None
    assert (due.when, due.why, due.patch) == (10.0, Timer.PATCH_END, JOINT)
    removed = e.PatchRemoved(JOINT, NetId(JOINT), (FIRE, POLICE), PatchEndCause.EXPIRED)
    assert board.apply(c.Advance(), 10.0) == [removed]


# -- what is refused -------------------------------------------------------------------------------------------------

NOBODY, NOWHERE = PartyId("session:nobody"), GroupId("nowhere")


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (ask(NOBODY), UnknownPartyError),
        (ask(X, group=NOWHERE), UnknownGroupError),
        (c.DetachParty(NOBODY), UnknownPartyError),
        (c.MediaSeen(NOBODY, 1.0), UnknownPartyError),
        (c.EndMembership(X, NOWHERE), UnknownGroupError),
        (c.RetireGroup(FIRE), GroupInPatchError),
        (c.RemovePatch(PatchId("other")), UnknownPatchError),
        (PATCH, PatchExistsError),
        (c.InstallPatch(PatchId("other"), "Other", (WATER, WATER)), PatchTooSmallError),
        (c.InstallPatch(PatchId("other"), "Other", (WATER, NOWHERE)), UnknownGroupError),
        (c.InstallPatch(PatchId("other"), "Other", (WATER, POLICE)), GroupInOtherNetError),
    ],
)
def test_an_illegal_command_is_refused_and_changes_nothing(command: c.Command, error: type[SwitchboardError]) -> None:
    board = switchboard(PATCH)
    before = board.view()
    with pytest.raises(error):
        board.check(command, 1.0)
    with pytest.raises(error):
        board.apply(command, 1.0)
    assert board.view() == before


def test_a_group_in_another_net_is_refused_with_that_nets_name() -> None:
    board = switchboard(PATCH)
    with pytest.raises(GroupInOtherNetError, match="Flood") as refused:
        board.apply(c.InstallPatch(PatchId("other"), "Other", (WATER, POLICE)), 1.0)
    assert (refused.value.group, refused.value.patch) == (POLICE, JOINT)
