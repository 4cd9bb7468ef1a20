"""A view and the events after it are the fresh view: for every kind of event, in any history."""

import json
from datetime import UTC, datetime
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from tests.channels.boards import FIRE, JOINT, POLICE, WATER, A, X, Y, Z, ask, member, person, switchboard
from tests.events.fold import Fold
from tongpin.channels import commands as c
from tongpin.channels import effects as e
from tongpin.channels.errors import SwitchboardError
from tongpin.channels.ids import AgencyId, GroupId, PartyId, Priority
from tongpin.channels.switchboard import Switchboard
from tongpin.gateway.events.log import PRIVATE, EventLog, kind_of, view_json

PUBLIC = {kind_of(kind) for kind in get_args(e.Effect) if not issubclass(kind, PRIVATE)}


class HandClock:
    """Wall time stands; the switchboard's time is a number that the test passes."""

    def now(self) -> float:
        return 0.0

    def at(self) -> datetime:
        return datetime(2026, 3, 4, 19, 40, tzinfo=UTC)


class Client:
    """Follows a board by its log, from a view taken at the beginning."""

    def __init__(self, board: Switchboard, now: float = 0.0) -> None:
        self.board = board
        self.log = EventLog(HandClock())
        self.seen: set[str] = set()
        self._fold = Fold(json.loads(json.dumps(view_json(board.view(), now))), now)
        self._sequence = self.log.sequence

    def do(self, command: c.Command, now: float) -> None:
        """Apply, take the events, and compare with a fresh view."""
        try:
            effects = self.board.apply(command, now)
        except SwitchboardError:
            return
        for effect in effects:
            self.log(effect, now)
        missed = self.log.since(self._sequence)
        assert missed is not None
        for event in missed:
            message = json.loads(event.text)
            assert message["sequence"] == self._sequence + 1, "without gaps"
            assert message["event"]["kind"] == event.kind
            self._sequence += 1
            self.seen.add(event.kind)
            self._fold.take(message["event"], now)
        assert self._fold.view(now) == json.loads(json.dumps(view_json(self.board.view(), now)))


def test_every_kind_of_event_brings_a_view_up_to_date() -> None:
    """A new kind of effect must come here (or be private), and must say enough."""
    client = Client(switchboard(member(A, POLICE), member(X, WATER)))
    new, one = PartyId("session:n"), GroupId("one")
    policy = ((AgencyId("gongan"), Priority.HIGH),)
    script: list[tuple[c.Command, float]] = [
        (c.DefineGroup(one, "One", AgencyId("gongan")), 1),
        (c.DefineGroup(FIRE, "Fire brigade"), 1),
        (person(new), 1),
        (c.SetMembership(new, one, may_talk=False), 1),
        (c.SetMembership(new, FIRE), 1),
        (c.EndMembership(new, one), 1),
        (ask(X), 2),
        (ask(Y), 2.5),
        (ask(Z, Priority.HIGH), 3),
        (c.ReleaseFloor(Z), 3.2),
        (c.ReleaseFloor(X), 3.4),
        (c.ReleaseFloor(Y), 4),
        (ask(A), 5),
        (c.NameTalker(A, "Patrol 7", "u7"), 5),
        (ask(X, Priority.EMERGENCY), 5.5),
        (c.ReleaseFloor(A), 6),
        (c.InstallPatch(JOINT, "Mill", (FIRE, POLICE)), 6.5),
        (c.ReleaseFloor(X), 7),
        (ask(Y), 7.5),
        (ask(Z), 7.6),
        (c.ArrangePatches((c.InstallPatch(JOINT, "Mill and dam", (FIRE, WATER), None, policy),)), 8),
        (c.RemovePatch(JOINT), 8.5),
        (c.DetachParty(new), 9),
        (c.RetireGroup(one), 9.5),
        (c.ReleaseFloor(Z), 10),
        (c.ReleaseFloor(Y), 10),
        (c.Advance(), 60),
    ]
    for command, now in script:
        client.do(command, now)
    assert client.seen == PUBLIC


PARTIES = st.sampled_from([A, X, Y, Z])
GROUPS = st.sampled_from([FIRE, POLICE, WATER])
SOME_GROUPS = st.sets(GROUPS, min_size=2).map(lambda some: tuple(sorted(some)))
COMMANDS = st.one_of(
    st.builds(c.RequestFloor, PARTIES, GROUPS, st.sampled_from(Priority)),
    st.builds(c.ReleaseFloor, PARTIES),
    st.builds(c.OverrideFloor, GROUPS, PARTIES),
    st.builds(c.SetMembership, PARTIES, GROUPS, st.booleans(), st.booleans(), st.sampled_from(Priority)),
    st.builds(c.EndMembership, PARTIES, GROUPS),
    st.builds(c.DetachParty, PARTIES),
    st.builds(person, st.sampled_from([X, Y, Z])),
    st.builds(
        c.InstallPatch,
        st.just(JOINT),
        st.just("Joint"),
        st.sets(GROUPS, min_size=2).map(lambda some: tuple(sorted(some))),
    ),
    SOME_GROUPS.map(lambda groups: c.ArrangePatches((c.InstallPatch(JOINT, "Changed", groups),))),
    st.just(c.RemovePatch(JOINT)),
    st.just(c.Advance()),
)


@given(st.lists(st.tuples(COMMANDS, st.sampled_from([0.0, 0.1, 1.0, 5.0, 40.0])), max_size=30))
def test_in_any_history(history: list[tuple[c.Command, float]]) -> None:
    client = Client(switchboard(member(A, POLICE), member(X, POLICE), member(Y, WATER)))
    now = 1.0
    for command, pause_s in history:
        now += pause_s
        client.do(c.Advance(), now)
        client.do(command, now)


def test_a_number_of_an_earlier_life_is_known_as_such() -> None:
    log = EventLog(HandClock())
    first = log.sequence
    assert log.since(first) == []
    assert log.since(first - 1) is None
    assert log.since(5) is None
    log.tell({"kind": "x"})
    kept = log.since(first)
    assert kept is not None
    assert [event.sequence for event in kept] == [first + 1]
    assert log.since(first + 2) is None
    for _ in range(EventLog.LIMIT):
        log.tell({"kind": "x"})
    assert log.since(first) is None
    following = log.since(first + 1)
    assert following is not None
    assert len(following) == EventLog.LIMIT
