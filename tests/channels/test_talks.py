"""Scenarios: who talks, who waits, who is heard, told by effects."""

import pytest

from tests.channels.boards import (
    FIRE,
    POLICE,
    A,
    B,
    X,
    Y,
    Z,
    ask,
    floor_state,
    heard_by,
    kinds,
    member,
    person,
    switchboard,
)
from tongpin.channels import commands as c
from tongpin.channels import effects as e
from tongpin.channels.ids import (
    DenyCause,
    FloorState,
    NetId,
    PartyId,
    PartyKind,
    Priority,
    ReleaseCause,
    Timer,
)
from tongpin.channels.switchboard import SwitchboardSettings

# -- grant and release ---------------------------------------------------------------------------------------------


def test_a_grant_installs_the_route_keys_the_radios_and_then_says_the_word() -> None:
    board = switchboard(settings=SwitchboardSettings(first_talk=7))
    effects = board.apply(ask(X), 1.0)
    assert kinds(effects) == ["RouteInstalled", "LegKeyed", "LegKeyed", "FloorGranted"]
    granted = effects[-1]
    assert isinstance(granted, e.FloorGranted)
    assert (granted.talk, granted.limit_at) == (7, 31.0)
    assert heard_by(board, X) == [A, B, Y, Z]
    assert board.holder_of(board.net_of(FIRE)) == X
    assert board.holder_of(NetId("nowhere")) is None


def test_a_radio_that_talks_is_not_keyed() -> None:
    board = switchboard()
    keyed = [effect.party for effect in board.apply(ask(A), 1.0) if isinstance(effect, e.LegKeyed)]
    assert keyed == [B]


def test_a_radio_that_talks_on_one_net_is_not_keyed_by_another() -> None:
    board = switchboard(member(A, POLICE), member(X, POLICE))
    board.apply(ask(Y), 0.5)
    effects = board.apply(ask(A, group=POLICE), 1.0)
    assert e.LegUnkeyed(A, NetId(FIRE)) in effects
    assert A not in heard_by(board, Y)
    effects = board.apply(c.ReleaseFloor(A), 2.0)
    assert e.LegKeyed(A, NetId(FIRE)) in effects
    assert A in heard_by(board, Y)


def test_a_release_without_a_successor_unkeys_at_once() -> None:
    board = switchboard()
    board.apply(ask(X), 1.0)
    assert kinds(board.apply(c.ReleaseFloor(X), 2.0)) == ["RouteRemoved", "FloorReleased", "LegUnkeyed", "LegUnkeyed"]
    assert board.apply(c.ReleaseFloor(X), 2.0) == []


def test_hang_time_keeps_radios_keyed_and_a_talk_within_it_does_not_touch_them() -> None:
    board = switchboard(settings=SwitchboardSettings(hang_s=2.0))
    board.apply(ask(X), 1.0)
    assert kinds(board.apply(c.ReleaseFloor(X), 2.0)) == ["RouteRemoved", "FloorReleased"]
    assert kinds(board.apply(ask(Y), 3.0)) == ["RouteInstalled", "FloorGranted"]
    board.apply(c.ReleaseFloor(Y), 4.0)
    due = board.next_deadline()
    assert due is not None
    assert (due.when, due.why) == (6.0, Timer.HANG)
    assert kinds(board.apply(c.Advance(), 6.0)) == ["LegUnkeyed", "LegUnkeyed"]


def test_a_retired_group_lets_its_hanging_radios_go() -> None:
    board = switchboard(settings=SwitchboardSettings(hang_s=2.0))
    board.apply(ask(X), 1.0)
    board.apply(c.ReleaseFloor(X), 2.0)
    effects = board.apply(c.RetireGroup(FIRE), 2.5)
    assert kinds(effects).count("LegUnkeyed") == 2
    assert not any(party.is_keyed for party in board.view().parties)


def test_asking_again_is_idempotent_and_may_raise_the_priority() -> None:
    board = switchboard()
    board.apply(ask(X), 1.0)
    assert board.apply(ask(X), 1.1) == []
    (raised,) = board.apply(ask(X, Priority.HIGH), 1.2)
    assert isinstance(raised, e.FloorGranted)
    assert (raised.priority, raised.talk) == (Priority.HIGH, 1)
    assert board.apply(ask(Y), 1.3) == [e.FloorQueued(NetId(FIRE), Y, FIRE, 1, Priority.NORMAL)]
    assert board.apply(ask(Y), 1.4) == []


def test_priority_is_lowered_to_what_the_membership_allows() -> None:
    board = switchboard(member(X, priority=Priority.LOW))
    granted = board.apply(ask(X, Priority.EMERGENCY), 1.0)[-1]
    assert isinstance(granted, e.FloorGranted)
    assert granted.priority is Priority.LOW


# -- queue -----------------------------------------------------------------------------------------------------------


def test_the_queue_goes_by_priority_then_turn_and_says_changed_positions() -> None:
    board = switchboard()
    board.apply(ask(X, Priority.HIGH), 1.0)
    net = NetId(FIRE)
    assert board.apply(ask(Y), 1.1) == [e.FloorQueued(net, Y, FIRE, 1, Priority.NORMAL)]
    assert board.apply(ask(Z, Priority.HIGH), 1.2) == [
        e.FloorQueued(net, Z, FIRE, 1, Priority.HIGH),
        e.FloorQueued(net, Y, FIRE, 2, Priority.NORMAL),
    ]
    effects = board.apply(c.ReleaseFloor(X), 2.0)
    assert kinds(effects) == [
        "RouteRemoved",
        "FloorReleased",
        "FloorQueued",
        "RouteInstalled",
        "FloorGranted",
    ]
    assert board.holder_of(net) == Z
    assert board.apply(c.ReleaseFloor(Y), 3.0) == [e.QueueLeft(net, Y, ReleaseCause.RELEASED)]


def test_a_waiting_party_that_asks_more_urgently_moves_up_and_may_preempt() -> None:
    board = switchboard()
    board.apply(ask(X), 1.0)
    board.apply(ask(Y), 1.1)
    board.apply(ask(Z), 1.2)
    assert kinds(board.apply(ask(Z, Priority.HIGH), 1.3)) == ["FloorQueued", "FloorQueued", "FloorRevoking"]
    effects = board.apply(ask(Y, Priority.EMERGENCY), 1.4)
    assert e.FloorReleased(NetId(FIRE), X, 1, ReleaseCause.PREEMPTED) in effects
    assert board.holder_of(NetId(FIRE)) == Y


@pytest.mark.parametrize("cause", [DenyCause.TAKEN, DenyCause.QUEUE_FULL])
def test_who_cannot_wait_is_denied_with_cause_and_holder(cause: DenyCause) -> None:
    board = switchboard(settings=SwitchboardSettings(queue_limit=1))
    board.apply(ask(X), 1.0)
    other = PartyId("session:other")
    board.apply(person(other, may_queue=cause is not DenyCause.TAKEN), 1.0)
    board.apply(member(other), 1.0)
    if cause is DenyCause.QUEUE_FULL:
        board.apply(ask(Y), 1.0)
    assert board.apply(ask(other), 1.1) == [e.FloorDenied(other, FIRE, cause, X)]


def test_without_membership_or_right_the_floor_is_denied() -> None:
    board = switchboard(c.SetMembership(Y, FIRE, may_talk=False))
    assert board.apply(ask(X, group=POLICE), 1.0) == [e.FloorDenied(X, POLICE, DenyCause.NOT_A_MEMBER)]
    assert board.apply(ask(Y), 1.0) == [e.FloorDenied(Y, FIRE, DenyCause.NO_RIGHT_TO_TALK)]


@pytest.mark.parametrize("talker", [X, A])
def test_one_party_holds_or_waits_on_one_net_and_a_radio_that_is_heard_is_not_deaf(talker: PartyId) -> None:
    board = switchboard(member(talker, POLICE))
    board.apply(ask(talker), 1.0)
    denied = e.FloorDenied(talker, POLICE, DenyCause.ALREADY_HOLDS_ANOTHER)
    assert board.apply(ask(talker, group=POLICE), 1.1) == [denied]
    assert board.holder_of(NetId(FIRE)) == talker


# -- pre-emption and override -----------------------------------------------------------------------------------------


def test_a_radio_that_is_preempted_loses_its_route_at_once_and_is_deaf() -> None:
    board = switchboard()
    board.apply(ask(A), 1.0)
    effects = board.apply(ask(X, Priority.HIGH), 2.0)
    assert kinds(effects) == ["RouteRemoved", "FloorReleased", "DeafnessBegan", "RouteInstalled", "FloorGranted"]
    assert heard_by(board, X) == [B, Y, Z], "a radio that transmits is left out"
    ended = board.apply(c.ReleaseFloor(A), 3.0)
    assert kinds(ended) == ["DeafnessEnded", "RouteInstalled", "LegKeyed"]
    assert heard_by(board, X) == [A, B, Y, Z]


def test_a_person_who_is_preempted_has_a_grace_and_is_heard_in_it() -> None:
    board = switchboard()
    board.apply(ask(X), 1.0)
    assert kinds(board.apply(ask(Y, Priority.HIGH), 2.0)) == ["FloorQueued", "FloorRevoking"]
    assert floor_state(board) is FloorState.PENDING_REVOKE
    assert heard_by(board, X) == [A, B, Y, Z]
    assert kinds(board.apply(ask(Z, Priority.HIGH), 2.5)) == ["FloorQueued"]
    board.apply(c.MediaSeen(X, 4.0), 4.0)
    effects = board.apply(c.Advance(), 5.0)
    assert e.FloorReleased(NetId(FIRE), X, 1, ReleaseCause.PREEMPTED) in effects
    assert board.holder_of(NetId(FIRE)) == Y


def test_a_person_who_stops_in_the_grace_is_followed_at_once() -> None:
    board = switchboard()
    board.apply(ask(X), 1.0)
    board.apply(ask(Y, Priority.HIGH), 2.0)
    effects = board.apply(c.ReleaseFloor(X), 2.2)
    assert e.FloorReleased(NetId(FIRE), X, 1, ReleaseCause.PREEMPTED) in effects
    assert board.holder_of(NetId(FIRE)) == Y


@pytest.mark.parametrize("is_revoking", [False, True])
def test_an_emergency_waits_for_nobody(is_revoking: bool) -> None:
    board = switchboard()
    board.apply(ask(X), 1.0)
    if is_revoking:
        board.apply(ask(Y, Priority.HIGH), 1.5)
    effects = board.apply(ask(Z, Priority.EMERGENCY), 2.0)
    assert kinds(effects) == ["RouteRemoved", "FloorReleased", "RouteInstalled", "FloorGranted"]
    assert board.holder_of(NetId(FIRE)) == Z


def test_a_radio_that_waits_is_deaf_and_gets_the_floor_as_a_late_entry() -> None:
    board = switchboard()
    board.apply(ask(X), 1.0)
    assert kinds(board.apply(ask(A), 1.5)) == ["FloorQueued", "DeafnessBegan", "LegUnkeyed", "RouteInstalled"]
    effects = board.apply(c.ReleaseFloor(X), 2.0)
    assert e.DeafnessEnded(NetId(FIRE), A) in effects
    assert board.holder_of(NetId(FIRE)) == A


def test_a_dispatcher_overrides_without_grace_and_the_queue_goes_on() -> None:
    board = switchboard()
    assert board.apply(c.OverrideFloor(FIRE, Z), 0.5) == []
    board.apply(ask(X), 1.0)
    board.apply(ask(Y), 1.1)
    effects = board.apply(c.OverrideFloor(FIRE, Z), 2.0)
    assert e.FloorReleased(NetId(FIRE), X, 1, ReleaseCause.OVERRIDDEN) in effects
    assert board.holder_of(NetId(FIRE)) == Y


# -- timers ----------------------------------------------------------------------------------------------------------


def test_t1_ends_a_talk_without_media_and_media_seen_puts_it_off() -> None:
    board = switchboard()
    board.apply(ask(X), 1.0)
    assert board.apply(c.MediaSeen(X, 3.0), 4.9) == []
    assert board.apply(c.MediaSeen(Y, 9.0), 4.9) == []
    assert board.apply(c.Advance(), 6.9) == []
    effects = board.apply(c.Advance(), 7.0)
    assert e.FloorReleased(NetId(FIRE), X, 1, ReleaseCause.END_OF_MEDIA) in effects


def test_t2_warns_then_revokes_a_person_and_asks_for_silence() -> None:
    board = switchboard()
    board.apply(ask(X), 0.0)
    board.apply(c.MediaSeen(X, 40.0), 1.0)
    assert board.apply(c.Advance(), 27.0) == [e.TalkLimitNear(NetId(FIRE), X, 3.0)]
    assert board.apply(c.Advance(), 30.0) == [e.FloorRevoking(NetId(FIRE), X, ReleaseCause.TALK_LIMIT, 33.0)]
    released = e.FloorReleased(NetId(FIRE), X, 1, ReleaseCause.TALK_LIMIT)
    assert released in board.apply(c.Advance(), 33.0)
    denied = [e.FloorDenied(X, FIRE, DenyCause.PENALTY)]
    assert board.apply(ask(X), 50.0) == denied, "no release yet: the key is still held down"
    board.apply(c.ReleaseFloor(X), 51.0)
    assert board.apply(ask(X), 53.9) == denied
    assert kinds(board.apply(ask(X), 54.0))[-1] == "FloorGranted"


def test_t2_cuts_a_radio_at_once_and_the_next_talks() -> None:
    board = switchboard()
    board.apply(ask(A), 0.0)
    board.apply(c.MediaSeen(A, 70.0), 1.0)
    board.apply(ask(X), 2.0)
    effects = board.apply(c.Advance(), 60.0)
    assert e.FloorReleased(NetId(FIRE), A, 1, ReleaseCause.TALK_LIMIT) in effects
    assert e.DeafnessBegan(NetId(FIRE), A) in effects
    assert board.holder_of(NetId(FIRE)) == X


def test_t4_says_once_that_a_net_is_idle() -> None:
    board = switchboard()
    assert board.next_deadline() is None
    board.apply(ask(X), 1.0)
    board.apply(c.ReleaseFloor(X), 2.0)
    assert board.apply(c.Advance(), 31.9) == []
    assert board.apply(c.Advance(), 32.0) == [e.NetIdle(NetId(FIRE))]
    assert board.next_deadline() is None


def test_time_does_not_go_back() -> None:
    board = switchboard()
    board.apply(c.Advance(), 10.0)
    granted = board.apply(ask(X), 5.0)[-1]
    assert isinstance(granted, e.FloorGranted)
    assert granted.limit_at == 40.0


# -- coming and going ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        (c.DetachParty(X, ReleaseCause.HEARTBEAT_LOST), ReleaseCause.HEARTBEAT_LOST),
        (c.EndMembership(X, FIRE), ReleaseCause.RIGHT_LOST),
        (c.SetMembership(X, FIRE, may_talk=False), ReleaseCause.RIGHT_LOST),
    ],
)
def test_a_talker_that_goes_is_followed_by_the_next(command: c.Command, cause: ReleaseCause) -> None:
    board = switchboard()
    board.apply(ask(X), 1.0)
    board.apply(ask(Y), 1.1)
    effects = board.apply(command, 2.0)
    assert e.FloorReleased(NetId(FIRE), X, 1, cause) in effects
    assert board.holder_of(NetId(FIRE)) == Y


def test_a_retired_group_hands_its_floor_to_nobody() -> None:
    board = switchboard()
    board.apply(ask(X), 1.0)
    board.apply(ask(Y), 1.1)
    effects = board.apply(c.RetireGroup(FIRE), 2.0)
    assert "FloorGranted" not in kinds(effects)
    assert e.QueueLeft(NetId(FIRE), Y, ReleaseCause.RIGHT_LOST) in effects
    assert e.FloorReleased(NetId(FIRE), X, 1, ReleaseCause.RIGHT_LOST) in effects
    assert effects[-1] == e.GroupRetired(FIRE)


def test_a_deaf_radio_that_is_taken_off_line_is_not_keyed_on_its_way() -> None:
    board = switchboard()
    board.apply(ask(X), 1.0)
    board.apply(ask(A), 1.1)
    effects = board.apply(c.DetachParty(A), 2.0)
    assert kinds(effects) == ["QueueLeft", "DeafnessEnded", "PartyDetached"]


def test_a_listener_that_comes_in_the_middle_is_put_on_the_route_once() -> None:
    board = switchboard(c.EndMembership(B, FIRE))
    board.apply(ask(X), 1.0)
    assert kinds(board.apply(member(B), 1.5)) == ["MembershipSet", "RouteInstalled", "LegKeyed"]
    assert board.apply(member(B), 1.6) == []
    assert kinds(board.apply(c.EndMembership(B, FIRE), 2.0)) == ["MembershipEnded", "LegUnkeyed", "RouteInstalled"]
    assert board.apply(c.EndMembership(B, FIRE), 2.1) == []


def test_saying_the_same_again_changes_nothing_and_a_new_name_is_told() -> None:
    board = switchboard()
    assert board.apply(person(X), 1.0) == []
    assert board.apply(c.DefineGroup(FIRE, FIRE), 1.0) == []
    renamed = c.AttachParty(X, PartyKind.SESSION, "desk", talk_limit_s=5.0)
    assert board.apply(renamed, 1.0) == [e.PartyAttached(X, PartyKind.SESSION, "desk", None)]
    granted = board.apply(ask(X), 1.0)[-1]
    assert isinstance(granted, e.FloorGranted)
    assert granted.limit_at == 31.0, "the label is all that changes on line"
    assert board.apply(c.DefineGroup(FIRE, "Fire"), 1.0) == [e.GroupDefined(FIRE, "Fire", None)]
