"""Server-sent events: from where one left off, only what one may see, and never without bounds."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from tongpin.channels import effects as e
from tongpin.channels.ids import AgencyId, GroupId, NetId, Origin, PartyId, PartyKind, PatchEndCause, PatchId, Priority
from tongpin.channels.ids import ReleaseCause as Cause
from tongpin.gateway.errors import CallerError
from tongpin.gateway.events import stream as module
from tongpin.gateway.events.log import EventLog
from tongpin.gateway.events.stream import QUEUE_LIMIT, STREAMS_PER_USER, EventStreams
from tongpin.gateway.records import Role
from tongpin.gateway.rights import Identity, Right

CENTRE = Identity("u-1", "chief", Role.ADMIN, None)
POLICE = Identity("u-2", "chen", Role.DISPATCHER, "gongan")
URBAN = Identity("u-3", "wang", Role.DISPATCHER, "chengguan")
FIRE = Identity("u-4", "li", Role.DISPATCHER, "xiaofang")
ALL: frozenset[str] = frozenset()


class HandClock:
    def now(self) -> float:
        return 0.0

    def at(self) -> datetime:
        return datetime(2026, 3, 4, 19, 40, tzinfo=UTC)


class Gatekeeper:
    """Revokes everybody's log-in when it is told to."""

    def __init__(self) -> None:
        self.watched: list[Callable[[], None]] = []

    def watch(self, identity: Identity, end: Callable[[], None]) -> Callable[[], None]:
        self.watched.append(end)
        return lambda: self.watched.remove(end)


GUARD = Gatekeeper()


@pytest.fixture
def log() -> EventLog:
    return EventLog(HandClock())


def fields(message: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in message.strip().splitlines() if not line.startswith(":"))


async def opened(streams: EventStreams, who: Identity, last: str | None = None, kinds: frozenset[str] = ALL) -> tuple[
    AsyncIterator[str], dict[str, str]
]:  # fmt: skip
    """A stream and its first message."""
    made = streams.open(who, last, kinds)
    return made, fields(await anext(made))


async def read(stream: AsyncIterator[str], count: int) -> list[str]:
    """The kinds of the next events."""
    async with asyncio.timeout(5):
        return [fields(await anext(stream))["event"] for _ in range(count)]


async def test_what_happens_is_told_with_its_number_and_what_was_missed_comes_first(log: EventLog) -> None:
    streams = EventStreams(log, GUARD)
    first, start = await opened(streams, CENTRE)
    assert start == {"retry": "2000", "id": str(log.sequence)}
    for number in range(3):
        log.tell({"kind": f"k{number}"})
    message = fields(await anext(first))
    assert message["event"] == "k0"
    assert json.loads(message["data"])["sequence"] == int(message["id"]) == int(start["id"]) + 1
    assert await read(first, 2) == ["k1", "k2"]
    again, _ = await opened(streams, CENTRE, message["id"])
    assert await read(again, 2) == ["k1", "k2"]
    log.tell({"kind": "k3"})
    assert await read(again, 1) == await read(first, 1) == ["k3"]


@pytest.mark.parametrize("last", ["1", "99999999999999999"])
async def test_what_is_no_longer_known_is_a_reset(last: str, log: EventLog) -> None:
    stream, _ = await opened(EventStreams(log, GUARD), CENTRE, last)
    message = fields(await anext(stream))
    assert message["event"] == "reset"
    assert json.loads(message["data"])["sequence"] == log.sequence == int(message["id"])
    log.tell({"kind": "after"})
    assert await read(stream, 1) == ["after"]


@pytest.mark.parametrize("last", ["", "x", "-1", "1" * 19, "１"])
def test_an_id_that_is_none_is_refused(last: str, log: EventLog) -> None:
    with pytest.raises(CallerError) as caught:
        EventStreams(log, GUARD).open(CENTRE, last, ALL)
    assert caught.value.status == 422


async def test_a_slow_reader_gets_what_was_kept_and_then_a_reset(log: EventLog) -> None:
    stream, _ = await opened(EventStreams(log, GUARD), CENTRE)
    for _ in range(QUEUE_LIMIT + 5):
        log.tell({"kind": "x"})
    assert await read(stream, QUEUE_LIMIT + 1) == ["x"] * QUEUE_LIMIT + ["reset"]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_streams_are_bounded_and_counted(log: EventLog) -> None:
    streams = EventStreams(log, GUARD)
    made = [await opened(streams, POLICE) for _ in range(STREAMS_PER_USER)]
    with pytest.raises(CallerError) as caught:
        streams.open(POLICE, None, ALL)
    assert caught.value.status == 429
    await opened(streams, URBAN)
    for stream, _ in made:
        await stream.aclose()  # type: ignore[attr-defined]
    assert streams.count == 1
    await opened(streams, POLICE)


async def test_all_end_with_the_service(log: EventLog) -> None:
    streams = EventStreams(log, GUARD)
    stream, _ = await opened(streams, CENTRE)
    streams.close()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    late, _ = await opened(streams, CENTRE)
    with pytest.raises(StopAsyncIteration):
        await anext(late)


async def test_a_quiet_stream_has_heartbeats(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.01)
    stream, _ = await opened(EventStreams(log, GUARD), CENTRE)
    assert await anext(stream) == ": heartbeat\n\n"


async def test_a_revoked_log_in_ends_its_stream_at_once(log: EventLog) -> None:
    guard = Gatekeeper()
    stream, _ = await opened(EventStreams(log, guard), CENTRE)
    log.tell({"kind": "x"})
    guard.watched[0]()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert guard.watched == []


def _district(log: EventLog) -> None:
    """Police and urban management with a group each, one of the centre's, and a net of the first two."""
    police, urban, all_ = GroupId("p"), GroupId("u"), GroupId("all")
    officer = PartyId("session:chen")
    net, lone = NetId("jc"), NetId("p")
    for effect in (
        e.GroupDefined(police, "Police", AgencyId("gongan")),
        e.GroupDefined(urban, "Urban", AgencyId("chengguan")),
        e.GroupDefined(all_, "All", None),
        e.PartyAttached(officer, PartyKind.SESSION, "chen", AgencyId("gongan")),
        e.MembershipSet(officer, police, True, True),
        e.FloorGranted(lone, officer, police, Priority.NORMAL, Origin.PTT, 1, 30.0),
        e.FloorReleased(lone, officer, 1, Cause.RELEASED),
        e.NetIdle(NetId("all")),
        e.PatchInstalled(PatchId("jc"), net, "Joint", (police, urban)),
        e.FloorGranted(net, officer, police, Priority.NORMAL, Origin.PTT, 2, 30.0),
        e.PatchRemoved(PatchId("jc"), net, (police, urban), PatchEndCause.CLOSED),
        e.FloorReleased(net, officer, 2, Cause.NET_CHANGED),
        e.MembershipEnded(officer, police),
        e.PartyDetached(officer),
    ):
        log(effect, 0.0)


async def test_an_agency_follows_what_it_may_hear_and_what_concerns_all(log: EventLog) -> None:
    streams = EventStreams(log, GUARD)
    start = str(log.sequence)
    _district(log)
    public = ["group_defined", "group_defined", "group_defined", "patch_installed", "patch_removed"]
    talk = ["party_attached", "membership_set", "floor_granted", "floor_released"]
    joint = ["patch_installed", "floor_granted", "patch_removed", "floor_released"]
    ending = ["membership_ended", "party_detached"]
    keyed_only_to_see = Identity("k-1", "key", Role.DISPATCHER, "gongan", frozenset((Right.SEE,)))
    wanted = {
        CENTRE: ["group_defined"] * 3 + talk + ["net_idle"] + joint + ending,
        POLICE: ["group_defined"] * 3 + talk + ["net_idle"] + joint + ending,
        URBAN: ["group_defined"] * 3 + ["net_idle"] + joint,
        FIRE: ["group_defined"] * 3 + ["net_idle", "patch_installed", "patch_removed"],
        keyed_only_to_see: public,
    }
    log.tell({"kind": "end"})
    for who, kinds in wanted.items():
        stream, _ = await opened(streams, who, start)
        assert await read(stream, len(kinds) + 1) == [*kinds, "end"], who.username
    stream, _ = await opened(streams, CENTRE, start, frozenset(("net_idle", "end")))
    assert await read(stream, 2) == ["net_idle", "end"]
