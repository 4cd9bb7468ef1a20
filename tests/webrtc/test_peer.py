"""Real DTLS-SRTP on loopback: aiortc as the client, our peer as the gateway."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.scenarios.listeners import SpeakingTrack, connected, tap
from tongpin.channels.commands import DefineGroup
from tongpin.channels.effects import FloorGranted, FloorReleased, RouteInstalled, RouteRemoved
from tongpin.channels.ids import GroupId, PartyId
from tongpin.channels.switchboard import Switchboard
from tongpin.codecs.opus import silence_packet
from tongpin.config.models import WebrtcConfig
from tongpin.gateway.errors import CallerError
from tongpin.gateway.media.fanout import TAIL_PACKETS
from tongpin.gateway.media.hub import Hub
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Talk
from tongpin.gateway.records import Role
from tongpin.gateway.rights import Identity
from tongpin.gateway.runner import Runner
from tongpin.gateway.webrtc.engine import MediaEngine
from tongpin.gateway.webrtc.peer import MediaPeer
from tongpin.gateway.webrtc.whip import StandardClients, VoiceActivity

PARTY = PartyId("session:x")


@dataclass
class Told:
    """What a peer told the gateway."""

    packets: list[Packet] = field(default_factory=list)
    levels: list[int | None] = field(default_factory=list)
    slots: list[tuple[int, int | None]] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def packet(self, packet: Packet, level: int | None) -> None:
        self.packets.append(packet)
        self.levels.append(level)

    def slot(self, number: int, talk: Talk | None) -> None:
        self.slots.append((number, talk.number if talk is not None else None))

    def gone(self, reason: str) -> None:
        self.closed.set()


@asynccontextmanager
async def running_engine(max_peers: int = 10) -> AsyncIterator[MediaEngine]:
    engine = MediaEngine(WebrtcConfig(include_loopback=True, max_peers=max_peers))
    task = asyncio.create_task(engine.run())
    try:
        yield engine
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await engine.close()


def client() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def offer_of(connection: RTCPeerConnection) -> str:
    await connection.setLocalDescription(await connection.createOffer())
    return connection.localDescription.sdp


async def until(check: "object", within_s: float = 5.0) -> None:
    assert callable(check)
    async with asyncio.timeout(within_s):
        while not check():
            await asyncio.sleep(0.01)


async def _join(engine: MediaEngine, told: Told, connection: RTCPeerConnection) -> MediaPeer:
    peer = engine.create_peer(PARTY, told.packet, told.slot, told.gone)
    answer = await peer.answer(await offer_of(connection))
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await connected(connection)
    await until(lambda: peer.is_connected)
    return peer


async def test_packets_out_arrive_byte_for_byte_as_one_stream() -> None:
    told = Told()
    async with running_engine() as engine:
        connection = client()
        heard: list[tuple[float, int, bytes]] = []
        tap(connection.addTransceiver("audio", direction="recvonly").receiver, heard)
        peer = await _join(engine, told, connection)
        assert peer.slot_count == 1
        sent = []
        for number in (1, 2):
            peer.begin(Talk(number, PartyId("leg:a"), GroupId("g")))
            for index in range(5):
                payload = bytes([0x78, number, index]) * 9
                sent.append(payload)
                peer.send(number, Packet(payload, 7_000 * number + index, 960 * index))
            peer.end(number)
            await until(lambda: len(heard) >= len(sent) + told.slots.count((0, None)) * TAIL_PACKETS)
        payloads = [payload for _, _, payload in heard]
        assert [payload for payload in payloads if payload != silence_packet()] == sent
        assert payloads.count(silence_packet()) == 2 * TAIL_PACKETS
        stamps = [stamp for _, stamp, _ in heard]
        steps = [(b - a) % 2**32 for a, b in zip(stamps, stamps[1:], strict=False)]
        assert all(step >= 960 for step in steps)
        assert told.slots == [(0, 1), (0, None), (0, 2), (0, None)]
        assert peer.statistics["packets_out"] == len(heard)
        await connection.close()
        async with asyncio.timeout(5):
            await told.closed.wait()


async def test_packets_in_come_as_they_were_encoded_with_their_level() -> None:
    told = Told()
    async with running_engine() as engine:
        connection = client()
        tone = np.asarray(8_000 * np.sin(np.arange(48_000) / 20), dtype=np.int16)
        connection.addTransceiver(SpeakingTrack(tone), direction="sendonly")
        await _join(engine, told, connection)
        await until(lambda: len(told.packets) >= 20)
        sequences = [packet.sequence for packet in told.packets[:20]]
        assert [(b - a) & 0xFFFF for a, b in zip(sequences, sequences[1:], strict=False)] == [1] * 19
        stamps = [packet.timestamp for packet in told.packets[:20]]
        assert [(b - a) % 2**32 for a, b in zip(stamps, stamps[1:], strict=False)] == [960] * 19
        assert all(level is not None and level > -30 for level in told.levels[2:20])
        await connection.close()


async def test_datagrams_from_strangers_do_not_end_a_connection() -> None:
    told = Told()
    async with running_engine() as engine:
        connection = client()
        heard: list[tuple[float, int, bytes]] = []
        tap(connection.addTransceiver("audio", direction="recvonly").receiver, heard)
        peer = engine.create_peer(PARTY, told.packet, told.slot, told.gone)
        answer = await peer.answer(await offer_of(connection))
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await connected(connection)
        await until(lambda: peer.is_connected)
        ports = {int(line.split()[5]) for line in answer.splitlines() if line.startswith("a=candidate:")}
        assert ports == {engine.udp_port}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for data in (b"", b"\x16", b"\x80", b"\xff" * 1400, bytes(60_000), b"\x80\x6f" + bytes(30), bytes(20)):
                stranger.sendto(data, ("127.0.0.1", engine.udp_port))
        counters = engine.mux.counters
        await until(lambda: counters.garbage + counters.strange >= 7)
        assert (counters.garbage, counters.strange) == (5, 2)
        peer.begin(Talk(1, PartyId("leg:a"), GroupId("g")))
        peer.send(1, Packet(silence_packet(), 1, 960))
        await until(lambda: len(heard) == 1)
        assert peer.is_connected
        await connection.close()


async def test_a_peer_takes_one_offer_and_keeps_it_after_a_bad_one() -> None:
    told = Told()
    async with running_engine() as engine:
        peer = engine.create_peer(PARTY, told.packet, told.slot, told.gone)
        for bad in ("", "v=0\r\n", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"):
            with pytest.raises(CallerError):
                await peer.answer(bad)
        with pytest.raises(CallerError, match="candidate"):
            await peer.add_candidate("candidate:garbage", "0")


async def test_there_are_so_many_peers_and_no_more() -> None:
    told = Told()
    async with running_engine(max_peers=1) as engine:
        engine.create_peer(PARTY, told.packet, told.slot, told.gone)
        with pytest.raises(CallerError) as caught:
            engine.create_peer(PartyId("session:y"), told.packet, told.slot, told.gone)
        assert caught.value.status == 503


@dataclass
class Gateway:
    """Switchboard, hub and standard clients, as app.py joins them."""

    engine: MediaEngine
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.hub = Hub()
        self.effects: list[object] = []
        self.runner = Runner(Switchboard(), self.hub.last_media_at)
        self.runner.add_handler(self._handle)
        self.runner.apply(DefineGroup(GroupId("g"), "Group"))
        self.watched: list[tuple[Identity, Callable[[], None]]] = []
        self.clients = StandardClients(self.engine, self.hub, self.runner, self._spawn, self)

    def watch(self, identity: Identity, end: Callable[[], None]) -> Callable[[], None]:
        entry = (identity, end)
        self.watched.append(entry)
        return lambda: self.watched.remove(entry)

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _handle(self, effect: object, now: float) -> None:
        self.effects.append(effect)
        if isinstance(effect, RouteInstalled):
            self.hub.install_route(effect.source, effect.talk, effect.listeners)
        elif isinstance(effect, RouteRemoved):
            self.hub.remove_route(effect.source)

    def of(self, kind: type) -> list[object]:
        return [effect for effect in self.effects if isinstance(effect, kind)]


def who(user: str) -> Identity:
    return Identity(user, user.title(), Role.DISPATCHER, None)


async def test_whip_voice_takes_the_floor_and_whep_hears_it() -> None:
    async with running_engine() as engine:
        gateway = Gateway(engine)
        ear = client()
        heard: list[tuple[float, int, bytes]] = []
        tap(ear.addTransceiver("audio", direction="recvonly").receiver, heard)
        _, answer = await gateway.clients.play("g", await offer_of(ear), who("u1"))
        await ear.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await connected(ear)

        quiet, loud = np.zeros(24_000, np.int16), np.asarray(9_000 * np.sin(np.arange(24_000) / 20), dtype=np.int16)
        mouth = client()
        mouth.addTransceiver(SpeakingTrack(np.concatenate([quiet, loud])), direction="sendonly")
        resource, answer = await gateway.clients.publish("g", await offer_of(mouth), who("u2"))
        await mouth.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await connected(mouth)
        await until(lambda: bool(gateway.of(FloorReleased)))
        assert len(gateway.of(FloorGranted)) == 1
        # Half a second of voice, 60 ms before it, 600 ms of hang: what was heard is that, not the silence around it.
        assert 25 + 25 <= len(heard) <= 25 + 3 + 30 + TAIL_PACKETS + 5
        with pytest.raises(CallerError):
            await gateway.clients.delete(resource, "somebody-else")
        await gateway.clients.delete(resource, "u2")
        assert [party.party for party in gateway.runner.view().parties if party.party.startswith("whip:")] == []
        assert [identity.user for identity, _ in gateway.watched] == ["u1"]
        gateway.watched[0][1]()
        await until(lambda: gateway.runner.view().parties == ())
        assert gateway.watched == []
        await mouth.close()
        await ear.close()
        gateway.runner.close()


async def test_whip_into_no_group_leaves_nothing_behind() -> None:
    async with running_engine() as engine:
        gateway = Gateway(engine)
        mouth = client()
        mouth.addTransceiver("audio", direction="sendonly")
        with pytest.raises(CallerError) as caught:
            await gateway.clients.publish("nowhere", await offer_of(mouth), who("u"))
        assert caught.value.status == 404
        with pytest.raises(CallerError):
            await gateway.clients.play("g", "garbage", who("u"))
        assert engine.peers == ()
        assert gateway.runner.view().parties == ()
        await mouth.close()
        gateway.runner.close()


def test_voice_activity_by_size_when_no_level_is_stated() -> None:
    activity = VoiceActivity()
    assert not any(activity.push(8, None) for _ in range(20))
    assert all(activity.push(60, None) for _ in range(5))
    after = [activity.push(8, None) for _ in range(40)]
    assert after == [True] * 29 + [False] * 11
