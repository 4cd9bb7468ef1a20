"""Legs on the floor: edges become requests, route effects reach the hub, key effects the transmitter."""

from collections.abc import AsyncIterator

import pytest

from tests.gateway.test_hub import Ear
from tongpin.channels import commands as c
from tongpin.channels.ids import GroupId, PartyId, PartyKind
from tongpin.channels.switchboard import Switchboard
from tongpin.config.models import LegConfig, SimCard
from tongpin.gateway.media.hub import Hub
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.runner import Runner
from tongpin.gateway.wiring import COS_END_OF_MEDIA_S, KeyHandler, LegOnFloor, RouteHandler

GROUP = GroupId("g")


class Radio:
    """Counts its keying."""

    def __init__(self) -> None:
        self.keyed = 0
        self.said: list[str] = []

    def key(self) -> None:
        self.said.append("key")

    def unkey(self, drain: bool = True) -> None:
        self.said.append("unkey")


class Bench:
    """Two legs on one group, joined as app.py joins them."""

    def __init__(self, config: LegConfig | None = None) -> None:
        """Args: config: of the first leg, ``a``."""
        self.hub = Hub()
        self.runner = Runner(Switchboard(), self.hub.last_media_at)
        self.radios = {PartyId("leg:a"): Radio(), PartyId("leg:b"): Radio()}
        self.ears = {party: Ear() for party in self.radios}
        self.runner.add_handler(RouteHandler(self.hub))
        self.runner.add_handler(KeyHandler(self.radios))
        self.group: GroupId | None = GROUP
        self.legs = {
            party: LegOnFloor(
                config
                if config is not None and party == "leg:a"
                else LegConfig(name=party[4:], card=SimCard(kind="sim"), has_cos=party == "leg:a"),
                self.runner,
                self.hub,
                self.ears[party],
                lambda name: self.group,
                4.0,
            )
            for party in self.radios
        }
        self.a, self.b = self.legs.values()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.runner.close()


async def test_a_gate_that_opens_is_heard_and_keys_the_others(bench: Bench) -> None:
    bench.runner.apply(c.DefineGroup(GROUP, "G"))
    for leg in bench.legs.values():
        leg.online(True)
        leg.online(True)
    bench.a.gate_moved(True)
    bench.a.gate_moved(True)
    bench.a.packet(Packet(b"one", 1, 960))
    assert [payload for _, payload in bench.ears[PartyId("leg:b")].heard] == [b"one"]
    assert bench.ears[PartyId("leg:a")].heard == []
    bench.a.gate_moved(False)
    bench.a.packet(Packet(b"two", 2, 1920))
    assert len(bench.ears[PartyId("leg:b")].heard) == 1
    assert bench.radios[PartyId("leg:b")].said == ["key", "unkey"]
    assert bench.radios[PartyId("leg:a")].said == []
    (net,) = bench.runner.view().nets
    assert net.floor.holder is None


async def test_a_leg_that_goes_leaves_the_floor_and_the_group_goes_on(bench: Bench) -> None:
    bench.runner.apply(c.DefineGroup(GROUP, "G"))
    for leg in bench.legs.values():
        leg.online(True)
    bench.a.gate_moved(True)
    bench.a.online(False)
    bench.a.gate_moved(False)
    assert [party.party for party in bench.runner.view().parties] == ["leg:b"]
    bench.b.gate_moved(True)
    assert bench.runner.view().nets[0].floor.holder == "leg:b"
    bench.a.online(True)
    bench.b.packet(Packet(b"x", 1, 1))
    assert [payload for _, payload in bench.ears[PartyId("leg:a")].heard] == [b"x"], "late entry"


async def test_a_leg_waits_for_its_group(bench: Bench) -> None:
    bench.a.online(True)
    bench.a.gate_moved(True)
    bench.a.gate_moved(False)
    assert bench.runner.view().groups == ()
    bench.runner.apply(c.DefineGroup(GROUP, "G"))
    bench.a.join_group()
    bench.a.gate_moved(True)
    assert bench.runner.view().nets[0].floor.holder == "leg:a"
    deadline = bench.runner._switchboard.next_deadline()
    assert deadline is not None
    floor = bench.runner.view().nets[0].floor
    assert floor.limit_at is not None
    assert deadline.when == pytest.approx(floor.limit_at - 60 + COS_END_OF_MEDIA_S)


async def test_a_leg_without_a_group_is_on_line_and_no_more(bench: Bench) -> None:
    bench.group = None
    bench.a.online(True)
    bench.a.gate_moved(True)
    (party,) = bench.runner.view().parties
    assert party.kind is PartyKind.LEG
