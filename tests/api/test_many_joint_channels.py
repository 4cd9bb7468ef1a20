"""Two hundred joint channels by twenty clients at once while forty groups talk: nothing is lost or left over."""

import asyncio
import gc
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.api.house import AGENCIES, House, house
from tongpin.channels import commands as c
from tongpin.channels import effects as e
from tongpin.channels.ids import FloorState, GroupId, NetId, PartyId, PartyKind, PatchId, Priority
from tongpin.config.models import AgencyConfig, AgreementConfig, Config, TalkGroupConfig
from tongpin.gateway.events.log import Event
from tongpin.gateway.records import Role

NET = NetId("a")
GROUPS = [GroupId(f"g{number:02}") for number in range(40)]
CLIENTS, EACH = 20, 10


def settings(folder: Path) -> Config:
    return Config(
        data_folder=folder / "data",
        agencies=tuple(AgencyConfig(id=agency, name=agency) for agency in AGENCIES),
        talk_groups=tuple(
            TalkGroupConfig(id=group, name=group, agency=AGENCIES[number % 3]) for number, group in enumerate(GROUPS)
        ),
        agreements=(AgreementConfig(id="all", name="All", agencies=AGENCIES),),
    )


class Watch:
    """Follows effects and events as they come and checks what must hold at every moment."""

    def __init__(self) -> None:
        self.patches: dict[PatchId, tuple[GroupId, ...]] = {}
        self.routes: set[PartyId] = set()
        self.sequences: list[int] = []
        self.states: dict[str, list[str]] = {}

    def effect(self, effect: e.Effect, now: float) -> None:
        match effect:
            case e.PatchInstalled() | e.PatchChanged():
                self.patches[effect.patch] = effect.groups
                taken = [group for groups in self.patches.values() for group in groups]
                assert len(taken) == len(set(taken)), "a group in two nets"
            case e.PatchRemoved():
                del self.patches[effect.patch]
            case e.RouteInstalled():
                self.routes.add(effect.source)
            case e.RouteRemoved():
                self.routes.remove(effect.source)
            case _:
                pass

    def event(self, event: Event) -> None:
        self.sequences.append(event.sequence)
        said = json.loads(event.text)["event"]
        if said["kind"] == "joint_channel":
            record = said["joint_channel"]
            self.states.setdefault(record["id"], []).append(record["state"])


async def _talk(home: House, group: GroupId, ends: asyncio.Event, random: Random) -> None:
    """Two members of a group take turns on its floor, whatever net it is in."""
    runner = home.gateway.runner
    pair = [PartyId(f"session:{group}-{name}") for name in "ab"]
    for party in pair:
        runner.apply(c.AttachParty(party, PartyKind.SESSION, party))
        runner.apply(c.SetMembership(party, group, max_priority=Priority.HIGH))
    while not ends.is_set():
        party = random.choice(pair)
        runner.apply(c.RequestFloor(party, group, random.choice([Priority.NORMAL, Priority.HIGH])))
        await asyncio.sleep(random.uniform(0.3, 1.5))
        runner.apply(c.ReleaseFloor(party))
    for party in pair:
        runner.apply(c.DetachParty(party))


async def _run(client: httpx.AsyncClient, number: int, random: Random, opened: set[str]) -> None:
    """Open and close, mostly one's own two groups; when one is taken others are tried."""
    done = 0
    while done < EACH:
        ends = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        body = {"name": f"{number}-{done}", "purpose": "x", "expires_at": ends}
        own = GROUPS[2 * number : 2 * number + 2]
        groups = random.sample(GROUPS, random.choice([2, 3])) if random.random() < 0.2 else own
        take_over = random.random() < 0.3
        answer = await client.post("/joint-channels", json={**body, "talk_groups": groups, "take_over": take_over})
        if answer.status_code == 409:
            assert answer.json()["type"].endswith("group-in-other-net")
            continue
        assert answer.status_code == 201, answer.text
        channel = answer.json()
        assert channel["state"] == "active"
        opened.add(channel["id"])
        closed = await client.post(f"/joint-channels/{channel['id']}/close")
        assert closed.status_code == 200, closed.text
        done += 1


async def _round(home: House, clients: list[httpx.AsyncClient], opened: set[str]) -> None:
    ends = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        talks = [tasks.create_task(_talk(home, group, ends, Random(group))) for group in GROUPS]
        work = [_run(client, number, Random(number), opened) for number, client in enumerate(clients)]
        await asyncio.gather(*work)
        ends.set()
        await asyncio.wait(talks)


@pytest.mark.timeout(300)
async def test_two_hundred_at_once(tmp_path: Path) -> None:
    watch, opened = Watch(), set[str]()
    async with house(tmp_path, settings(tmp_path)) as home:
        home.gateway.runner.add_handler(watch.effect)
        home.gateway.log.subscribe(watch.event)
        clients = [await home.client(Role.DISPATCHER) for _ in range(CLIENTS)]
        await _round(home, clients, opened)
        assert len(opened) == CLIENTS * EACH
        view = home.gateway.runner.view()
        assert all(net.patch is None and net.floor.state is FloorState.IDLE for net in view.nets)
        assert [net.groups for net in view.nets] == [(group,) for group in GROUPS], "every group is at home"
        assert (view.routes, watch.routes, watch.patches) == ((), set(), {})
        assert home.gateway.hub.route_count == 0
        assert list(home.gateway.joint_channels.standing) == []
        assert home.gateway.joint_channels.due_at() is None
        assert watch.sequences == list(range(watch.sequences[0], watch.sequences[0] + len(watch.sequences)))
        assert watch.states == {channel: ["active", "closed"] for channel in opened}, "no event is lost or said twice"
        stored = (await clients[0].get("/joint-channels", params={"state": "closed", "limit": 500})).json()["items"]
        assert {channel["id"] for channel in stored} == opened


async def test_what_has_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    """Memory: after as many joint channels again the service holds no more than before them."""
    async with house(tmp_path, settings(tmp_path)) as home:
        client = await home.client(Role.DISPATCHER)
        ends = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        body = {"name": "x", "purpose": "x", "expires_at": ends, "talk_groups": GROUPS[:3]}

        async def some(count: int) -> int:
            for _ in range(count):
                channel = (await client.post("/joint-channels", json=body)).json()
                await client.post(f"/joint-channels/{channel['id']}/close")
            home.gateway.log._kept.clear()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            await some(20)  # caches and pools fill
            first, second = await some(20), await some(40)
        finally:
            tracemalloc.stop()
        assert second - first < 240_000, "6 KB a channel would be a leak"


def test_the_watch_would_see_a_group_in_two_nets() -> None:
    watch = Watch()
    watch.effect(e.PatchInstalled(PatchId("a"), NET, "a", (GROUPS[0], GROUPS[1])), 0.0)
    with pytest.raises(AssertionError, match="two nets"):
        watch.effect(e.PatchInstalled(PatchId("b"), NET, "b", (GROUPS[1], GROUPS[2])), 0.0)
