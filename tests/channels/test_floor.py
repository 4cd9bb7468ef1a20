"""The table of transitions, and the page drawn from it."""

from pathlib import Path

import pytest

from tongpin.channels.floor import TIMERS, TRANSITIONS, Floor, FloorEvent, draw
from tongpin.channels.ids import FloorState, Timer

ALL = [(state, event) for state in FloorState for event in FloorEvent]


@pytest.mark.parametrize(("state", "event"), ALL)
def test_a_floor_moves_only_as_the_table_says(state: FloorState, event: FloorEvent) -> None:
    floor = Floor(state)
    following = TRANSITIONS.get((state, event))
    if following is None:
        with pytest.raises(KeyError):
            floor.move(event)
        assert floor.state is state
    else:
        floor.move(event)
        assert floor.state is following


def test_only_a_grant_leaves_idle_and_every_other_state_can_come_back_to_it() -> None:
    assert [event for state, event in TRANSITIONS if state is FloorState.IDLE] == [FloorEvent.GRANT]
    for state in (FloorState.TAKEN, FloorState.PENDING_REVOKE):
        for event in (FloorEvent.RELEASE, FloorEvent.END_OF_MEDIA, FloorEvent.CUT):
            assert TRANSITIONS[state, event] is FloorState.IDLE


def test_every_timer_is_explained() -> None:
    assert set(TIMERS) == set(Timer)


def test_the_page_shows_the_table_as_it_is() -> None:
    drawn = draw()
    for (state, event), following in TRANSITIONS.items():
        assert f"    {state} --> {following}: {event}\n" in drawn
    page = Path(__file__).parents[2] / "docs" / "floor.md"
    assert drawn in page.read_text(encoding="utf-8"), "docs/floor.md is stale: put the text of floor.draw() in it"
