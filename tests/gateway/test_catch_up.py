"""What a radio missed while it transmitted in vain: kept, played to it when it is free, keys and order right."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.gateway.test_hub import Ear
from tests.gateway.test_wiring import GROUP, Radio
from tongpin.channels import commands as c
from tongpin.channels.ids import PartyId, PartyKind, Priority
from tongpin.channels.switchboard import Switchboard
from tongpin.gateway import catch_up
from tongpin.gateway.catch_up import CatchUp, CatchUps
from tongpin.gateway.media.hub import Hub
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Talk
from tongpin.gateway.runner import Runner
from tongpin.gateway.wiring import KeyHandler, RouteHandler

LEG, CHIEF, OTHER = PartyId("leg:a"), PartyId("session:chief"), PartyId("session:other")


class Net:
    """A radio with a catch-up, a chief who may interrupt, and another listener."""

    def __init__(self, limit_s: float = 10.0) -> None:
        self.hub = Hub()
        self.runner = Runner(Switchboard(), self.hub.last_media_at)
        self.radio, self.ear = Radio(), Ear()
        self.moves: list[float] = []
        self.over = asyncio.Event()
        self.leg = CatchUp(self.ear, self.radio, limit_s, self._moved)
        self.runner.add_handler(RouteHandler(self.hub))
        self.runner.add_handler(CatchUps({LEG: self.leg}, self.hub.tap, self.hub.untap))
        self.runner.add_handler(KeyHandler({LEG: self.leg}))
        self.hub.add_sink(LEG, self.leg)
        self.runner.apply(c.DefineGroup(GROUP, "G"))
        for party, kind in ((LEG, PartyKind.LEG), (CHIEF, PartyKind.SESSION), (OTHER, PartyKind.SESSION)):
            self.hub.add_source(party)
            self.runner.apply(c.AttachParty(party, kind, party, half_duplex=kind is PartyKind.LEG))
            self.runner.apply(c.SetMembership(party, GROUP, max_priority=Priority.EMERGENCY))

    def _moved(self, seconds: float) -> None:
        self.moves.append(seconds)
        if not seconds:
            self.over.set()

    def press(self, party: PartyId, priority: Priority = Priority.NORMAL) -> None:
        self.runner.apply(c.RequestFloor(party, GROUP, priority))

    def release(self, party: PartyId) -> None:
        self.runner.apply(c.ReleaseFloor(party))

    def say(self, party: PartyId, *words: str) -> None:
        for number, word in enumerate(words):
            self.hub.push(party, Packet(word.encode(), number, number * 960))

    @property
    def heard(self) -> list[str]:
        return [payload.decode() for _, payload in self.ear.heard]

    async def caught_up(self) -> None:
        async with asyncio.timeout(10):
            await self.over.wait()


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    net = Net()
    yield net
    net.leg.clear()
    net.runner.close()


async def test_what_the_winner_said_is_played_when_the_radio_is_free(net: Net) -> None:
    net.press(LEG)
    net.press(CHIEF, Priority.HIGH)
    net.say(CHIEF, "all", "units")
    net.release(CHIEF)
    assert net.heard == []
    assert net.radio.said == [], "a radio that transmits is not keyed"
    net.release(LEG)
    assert net.moves == [pytest.approx(0.04)]
    assert net.radio.said == ["key"]
    await net.caught_up()
    assert net.heard == ["all", "units"]
    assert (net.ear.begun, net.ear.ended) == ([2], [2])
    assert net.radio.said == ["key", "unkey"]
    assert net.runner.view().nets[0].floor.holder is None


async def test_then_it_hears_live_and_in_order(net: Net) -> None:
    net.press(LEG)
    net.press(CHIEF, Priority.HIGH)
    net.say(CHIEF, "one", "two")
    net.release(LEG)
    net.say(CHIEF, "three")
    await net.caught_up()
    assert net.heard == ["one", "two", "three"]
    net.say(CHIEF, "four")
    assert net.heard[-1] == "four", "straight through"
    assert net.ear.begun == [2], "one talk"
    assert net.radio.said.count("unkey") == 0
    net.release(CHIEF)
    assert net.ear.ended == [2]
    assert net.radio.said[-1] == "unkey"


async def test_a_talk_that_ends_while_it_is_played_does_not_unkey(net: Net) -> None:
    net.press(LEG)
    net.press(CHIEF, Priority.HIGH)
    net.say(CHIEF, *"abcdef")
    net.release(LEG)
    net.release(CHIEF)
    assert "unkey" not in net.radio.said
    net.press(OTHER)
    net.say(OTHER, "g")
    net.release(OTHER)
    await net.caught_up()
    assert "".join(net.heard) == "abcdefg"
    assert net.ear.begun == net.ear.ended == [2, 3]
    assert net.radio.said[-1] == "unkey"


async def test_the_oldest_goes_when_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "START_S", 0.0)
    net = Net(limit_s=0.1)
    net.press(LEG)
    net.press(CHIEF, Priority.HIGH)
    net.say(CHIEF, *"abcdefgh")
    net.release(LEG)
    net.release(CHIEF)
    await net.caught_up()
    assert "".join(net.heard) == "defgh"
    net.runner.close()


async def test_a_leg_may_be_without(net: Net) -> None:
    bare = Net(limit_s=0.0)
    bare.press(LEG)
    bare.press(CHIEF, Priority.HIGH)
    bare.say(CHIEF, "lost")
    bare.release(LEG)
    bare.say(CHIEF, "live")
    assert bare.heard == ["live"]
    assert bare.moves == []
    bare.runner.close()


async def test_a_radio_that_missed_nothing_is_left_alone(net: Net) -> None:
    net.press(LEG)
    net.press(CHIEF, Priority.HIGH)
    net.release(LEG)
    net.say(CHIEF, "live")
    assert net.heard == ["live"]
    assert net.moves == []


async def test_a_radio_that_speaks_again_keeps_the_rest(net: Net) -> None:
    net.press(CHIEF, Priority.HIGH)
    net.press(LEG)
    net.say(CHIEF, "one")
    net.release(LEG)
    net.press(LEG)
    assert net.moves == [pytest.approx(0.02), 0.0]
    net.over.clear()
    net.say(CHIEF, "two")
    net.release(LEG)
    await net.caught_up()
    assert net.heard == ["one", "two"]


async def test_a_radio_that_goes_takes_its_store_along(net: Net) -> None:
    net.press(LEG)
    net.press(CHIEF, Priority.HIGH)
    net.say(CHIEF, "one")
    net.release(LEG)
    net.runner.apply(c.DetachParty(LEG))
    assert net.moves[-1] == 0.0
    net.leg.begin(Talk(9, CHIEF, GROUP))
    net.leg.send(9, Packet(b"later", 0, 0))
    assert net.heard == ["later"]


async def test_two_radios_in_a_queue_miss_and_hear(net: Net) -> None:
    """The leg waits while the chief talks, and gets the floor: what it missed comes after its own words."""
    net.press(CHIEF)
    net.press(LEG)
    net.say(CHIEF, "missed")
    net.release(CHIEF)
    assert net.runner.view().nets[0].floor.holder == LEG
    net.over.clear()
    net.release(LEG)
    await net.caught_up()
    assert net.heard == ["missed"]
