"""The demo district's configuration: who is in it and when its radios speak."""

from pathlib import Path

import pytest

from tongpin.config.models import LegConfig, SimCard
from tongpin.gateway.demo import Chatter, demo_config, demo_users

FOLDER = Path("/tmp/nowhere")
WINDOW_S = 120.0


def spoken(leg: LegConfig) -> list[tuple[float, float]]:
    """From when to when the leg speaks, over the window."""
    card = leg.card
    assert isinstance(card, SimCard)
    times = []
    turn_s = 0.0
    while card.utterances and turn_s < WINDOW_S:
        times += [(turn_s + said.at_s, turn_s + said.at_s + said.seconds) for said in card.utterances]
        assert card.repeat_s is not None
        turn_s += card.repeat_s
    return times


def test_who_is_there() -> None:
    config = demo_config(FOLDER, "127.0.0.1", 0, Chatter.NORMAL)
    assert [agency.id for agency in config.agencies] == ["gongan", "chengguan", "xiaofang"]
    assert {(group.id, group.agency) for group in config.talk_groups} == {
        ("police-1", "gongan"),
        ("urban-1", "chengguan"),
        ("fire-1", "xiaofang"),
    }
    assert [(leg.agency, leg.talk_group) for leg in config.legs] == [("gongan", "police-1"), ("chengguan", "urban-1")]
    assert config.data_folder == FOLDER


def test_quiet_says_nothing() -> None:
    assert [spoken(leg) for leg in demo_config(FOLDER, "127.0.0.1", 0, Chatter.QUIET).legs] == [[], []]


def test_normal_speaks_every_15_s_and_in_turns() -> None:
    legs = [spoken(leg) for leg in demo_config(FOLDER, "127.0.0.1", 0, Chatter.NORMAL).legs]
    for times in legs:
        starts = [0.0, *(start for start, _ in times)]
        assert max(late - early for early, late in zip(starts, starts[1:], strict=False)) <= 15.0
    everything = sorted(legs[0] + legs[1])
    assert all(end <= start for (_, end), (start, _) in zip(everything, everything[1:], strict=False))


def test_busy_always_speaks() -> None:
    legs = [spoken(leg) for leg in demo_config(FOLDER, "127.0.0.1", 0, Chatter.BUSY).legs]
    everything = sorted(legs[0] + legs[1])
    assert everything[0][0] == 0.0
    assert all(start <= end for (_, end), (start, _) in zip(everything, everything[1:], strict=False))


@pytest.mark.parametrize("place", [0, 1])
def test_passwords_are_made_anew(place: int) -> None:
    first, second = demo_users()[place], demo_users()[place]
    assert (first.username, first.role) == (("admin", "admin"), ("dispatcher", "dispatcher"))[place]
    assert first.password != second.password
    assert len(first.password) >= 16
