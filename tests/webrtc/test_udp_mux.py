"""One port for everybody: real sockets against it, honest and hostile. aioice's STUN is the oracle of ours."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
from aioice import stun as oracle
from aiortc import RTCPeerConnection, RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st

from tests.scenarios.listeners import connected, tap
from tests.webrtc.test_peer import PARTY, Told, client, offer_of, running_engine, until
from tongpin.channels.ids import GroupId, PartyId
from tongpin.codecs.opus import silence_packet
from tongpin.config.models import WebrtcConfig
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Talk
from tongpin.gateway.webrtc import stun
from tongpin.gateway.webrtc.dtls import Identity
from tongpin.gateway.webrtc.engine import MediaEngine
from tongpin.gateway.webrtc.peer import MediaPeer
from tongpin.gateway.webrtc.transport import CONSENT_S, MAX_PATHS, Remote, Transport
from tongpin.gateway.webrtc.udp_mux import Local, UdpMux, own_addresses

THEIRS = "their-password-of-22-chars"


class Owner:
    """Nobody to tell."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def connected(self, keys: object, destination: object) -> None: ...

    def moved(self, destination: object) -> None: ...

    def suspected(self) -> None: ...

    def gone(self, reason: str) -> None:
        self.reasons.append(reason)

    def rtp_came(self, data: bytes) -> None: ...

    def rtcp_came(self, data: bytes) -> None: ...


class Bench:
    """A mux on loopback with one transport, and clients' sockets."""

    def __init__(self) -> None:
        self.mux = UdpMux(WebrtcConfig(interfaces=("lo",), include_loopback=True))
        self.local = next(local for local in self.mux.locals if local.host == "127.0.0.1")
        self.owner = Owner()
        self.transport = self.join(self.owner)
        self.clients: list[socket.socket] = []

    def join(self, owner: Owner) -> Transport:
        remote = Remote("their", THEIRS, {"sha-256": "00"})
        return Transport(self.mux, Identity(), remote, 0.0, owner)

    def client(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 0))
        made.connect(("127.0.0.1", self.mux.port))
        made.settimeout(2)
        self.clients.append(made)
        return made

    def request(self, transport: Transport, password: str | None = None, *, nominate: bool = True) -> bytes:
        message = oracle.Message(oracle.Method.BINDING, oracle.Class.REQUEST)
        message.attributes["USERNAME"] = f"{transport.fragment}:their"
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLING"] = 5
        if nominate:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity((password or transport.password).encode())
        return bytes(message)

    def drain(self, expected: int) -> None:
        before = self.mux.counters.received
        for _ in range(10_000):
            self.mux.drain(1.0)
            if self.mux.counters.received >= before + expected:
                return
        raise AssertionError("the datagrams did not come")

    def close(self) -> None:
        for made in self.clients:
            made.close()
        self.transport.close()
        self.mux.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def _silent(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        peer.recv(2048)
    except BlockingIOError:
        return True
    finally:
        peer.settimeout(2)
    return False


class TestStun:
    def test_a_signed_request_is_answered_as_aioice_understands_it(self, bench: Bench) -> None:
        peer = bench.client()
        request = bench.request(bench.transport)
        peer.send(request)
        bench.drain(1)
        answer = oracle.parse_message(peer.recv(2048))
        assert answer.message_class == oracle.Class.RESPONSE
        assert answer.transaction_id == oracle.parse_message(request).transaction_id
        assert answer.check_message_integrity(bench.transport.password.encode())
        assert answer.attributes["XOR-MAPPED-ADDRESS"] == peer.getsockname()
        assert bench.transport.path is not None
        assert bench.transport.path.address == peer.getsockname()

    def test_ipv6_addresses_are_mapped(self) -> None:
        transaction = bytes(range(12))
        made = stun.response(transaction, stun.mapped_address("2001:db8::5", 4711, transaction), stun.Integrity("x"))
        assert oracle.parse_message(made).attributes["XOR-MAPPED-ADDRESS"] == ("2001:db8::5", 4711)

    def test_our_requests_are_signed_for_the_client(self, bench: Bench) -> None:
        peer = bench.client()
        peer.send(bench.request(bench.transport))
        bench.drain(1)
        peer.recv(2048)
        bench.transport.ask_consent()
        asked = oracle.parse_message(peer.recv(2048))
        assert asked.check_message_integrity(THEIRS.encode())
        assert asked.attributes["USERNAME"] == f"their:{bench.transport.fragment}"
        assert "ICE-CONTROLLED" in asked.attributes

    def test_two_controlled_ends_are_a_conflict(self, bench: Bench) -> None:
        message = oracle.Message(oracle.Method.BINDING, oracle.Class.REQUEST)
        message.attributes["USERNAME"] = f"{bench.transport.fragment}:their"
        message.attributes["ICE-CONTROLLED"] = 5
        message.add_message_integrity(bench.transport.password.encode())
        peer = bench.client()
        peer.send(bytes(message))
        bench.drain(1)
        answer = oracle.parse_message(peer.recv(2048))
        assert answer.error_code == 487
        assert answer.check_message_integrity(bench.transport.password.encode())

    def test_unknown_attributes_are_skipped_and_what_follows_the_signature_is_not_taken(self) -> None:
        message = oracle.Message(oracle.Method.BINDING, oracle.Class.REQUEST)
        message.attributes["USERNAME"] = "a:b"
        signed = bytes(message)
        odd = signed[:2] + (len(signed) - 20 + 8).to_bytes(2, "big") + signed[4:] + b"\xc0\x57\0\x04\0\0\0\1"
        full = odd[:2] + (len(odd) - 20 + 24).to_bytes(2, "big") + odd[4:]
        full += b"\0\x08\0\x14" + stun.Integrity("secret").digest(full)
        late = full[:2] + (len(full) - 20 + 4).to_bytes(2, "big") + full[4:] + b"\0\x25\0\0"
        read = stun.parse(late)
        assert read is not None
        assert read.is_signed_by(stun.Integrity("secret"))
        assert not read.has_use_candidate

    @given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
    def test_no_bytes_hurt_the_reader(self, noise: bytes, at: int, value: int) -> None:
        integrity = stun.Integrity("secret")
        good = stun.request(bytes(12), b"a:b", 1, 2, integrity, is_controlling=True)
        assert stun.parse(good) is not None
        bad = bytearray(good)
        bad[at % (len(bad) - 8)] = value  # the fingerprint is a check sum, not a signature
        for data in (noise, good[:4] + stun.COOKIE + noise, bytes(bad), good[:at]):
            read = stun.parse(data)
            if read is not None and data != good:
                assert not read.is_signed_by(integrity)


class TestHostile:
    def test_strangers_get_no_answer_and_leave_nothing(self, bench: Bench) -> None:
        """A flood of first packets: unknown names, wrong passwords, replies to nothing, broken ones."""
        before = bench.mux.table_sizes
        unknown = oracle.Message(oracle.Method.BINDING, oracle.Class.REQUEST)
        unknown.attributes["USERNAME"] = "nobody:their"
        unknown.add_message_integrity(b"x")
        stray = oracle.Message(oracle.Method.BINDING, oracle.Class.RESPONSE)
        forged = bench.request(bench.transport, "wrong-password-wrong-password")
        peer = bench.client()
        for _ in range(100):
            for data in (bytes(unknown), bytes(stray), forged, forged[:-3], b"\x80" * 60, b"\x16" * 60, b""):
                peer.send(data)
        bench.drain(700)
        counters = bench.mux.counters
        assert (counters.unknown, counters.forged, counters.garbage, counters.strange) == (200, 100, 200, 200)
        assert _silent(peer)
        assert bench.mux.table_sizes == before
        assert bench.transport.path is None

    def test_a_response_counts_only_from_where_it_was_asked(self, bench: Bench) -> None:
        peer, thief = bench.client(), bench.client()
        peer.send(bench.request(bench.transport))
        bench.drain(1)
        peer.recv(2048)
        bench.transport.ask_consent()
        asked = oracle.parse_message(peer.recv(2048))
        answer = oracle.Message(oracle.Method.BINDING, oracle.Class.RESPONSE, asked.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = thief.getsockname()
        answer.add_message_integrity(THEIRS.encode())
        thief.send(bytes(answer))
        bench.drain(1)
        assert bench.mux.counters.forged == 1
        peer.send(bytes(answer))
        bench.drain(1)
        assert bench.mux.counters.forged == 1
        peer.send(bytes(answer))
        bench.drain(1)
        assert bench.mux.counters.unknown == 1, "once"

    def test_another_peers_address_cannot_be_claimed(self, bench: Bench) -> None:
        """One who may join sends a request with the victim's address as its source: the victim's route stays."""
        victim = bench.client()
        victim.send(bench.request(bench.transport))
        bench.drain(1)
        rogue = bench.join(Owner())
        bench.mux.take(bench.request(rogue), bench.local, victim.getsockname(), 1.0)
        assert bench.local.routes[victim.getsockname()] is bench.transport
        assert rogue.path is None
        rogue.close()
        assert bench.local.routes[victim.getsockname()] is bench.transport

    def test_paths_are_bounded(self, bench: Bench) -> None:
        for _ in range(3 * MAX_PATHS):
            bench.client().send(bench.request(bench.transport, nominate=False))
            bench.drain(1)
        assert bench.mux.table_sizes == (1, 0, MAX_PATHS)

    def test_every_table_is_empty_after_the_end(self, bench: Bench) -> None:
        bench.client().send(bench.request(bench.transport))
        bench.drain(1)
        bench.transport.ask_consent()
        assert bench.mux.table_sizes == (1, 1, 1)
        bench.transport.close()
        bench.transport.close()
        assert bench.mux.table_sizes == (0, 0, 0)

    def test_without_consent_it_ends(self, bench: Bench) -> None:
        bench.client().send(bench.request(bench.transport))
        bench.drain(1)
        bench.transport.keep(1e12)
        assert bench.owner.reasons == ["the client does not answer"]
        assert CONSENT_S == 30.0
        assert bench.mux.table_sizes == (0, 0, 0)


class TestBinding:
    def test_all_addresses_share_the_port(self) -> None:
        mux = UdpMux(WebrtcConfig())
        try:
            assert {local.socket.getsockname()[1] for local in mux.locals} == {mux.port}
            assert [local.host for local in mux.locals] == own_addresses((), include_loopback=True)
            assert {local.is_ipv6 for local in mux.locals} >= {False}
        finally:
            mux.close()

    def test_only_the_named_interfaces_are_used(self) -> None:
        assert set(own_addresses(("lo",), include_loopback=True)) <= {"127.0.0.1", "::1"}
        assert own_addresses(("lo",), include_loopback=False) == []
        assert own_addresses(("no-such-card",), include_loopback=True) == []
        with pytest.raises(DeviceError, match=r"webrtc\.interfaces"):
            UdpMux(WebrtcConfig(interfaces=("no-such-card",)))

    def test_a_taken_port_is_said_by_its_number(self) -> None:
        first = UdpMux(WebrtcConfig(interfaces=("lo",)))
        try:
            with pytest.raises(DeviceError, match=f"{first.port} is taken"):
                UdpMux(WebrtcConfig(interfaces=("lo",), udp_port=first.port))
        finally:
            first.close()


class Mover:
    """Between an aiortc client and the gateway: a NAT that can give the client another port, and a wire tap."""

    def __init__(self, engine: MediaEngine) -> None:
        self._loop = asyncio.get_running_loop()
        self._gateway = ("127.0.0.1", engine.udp_port)
        self._client: tuple[str, int] | None = None
        self.inside = self._socket()
        self.outside = self._socket()
        self.requests: list[bytes] = []
        self._loop.add_reader(self.inside, self._from_client)
        self._loop.add_reader(self.outside, self._from_gateway)

    def _socket(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        return made

    def _from_client(self) -> None:
        data, self._client = self.inside.recvfrom(2048)
        if data[0] == 0 and data[1] == 1:
            self.requests.append(data)
        self.outside.sendto(data, self._gateway)

    def _from_gateway(self) -> None:
        data = self.outside.recv(2048)
        if self._client is not None:
            self.inside.sendto(data, self._client)

    def rebind(self) -> None:
        self._loop.remove_reader(self.outside)
        self.outside.close()
        self.outside = self._socket()
        self._loop.add_reader(self.outside, self._from_gateway)

    def close(self) -> None:
        for one in (self.inside, self.outside):
            self._loop.remove_reader(one)
            one.close()


async def _join_through(mover: Mover, engine: MediaEngine, connection: RTCPeerConnection) -> MediaPeer:
    told = Told()
    peer = engine.create_peer(PARTY, told.packet, told.slot, told.gone)
    answer = await peer.answer(await offer_of(connection))
    lines = [line for line in answer.split("\r\n") if not line.startswith("a=candidate:")]
    at = lines.index("a=end-of-candidates")
    lines.insert(at, f"a=candidate:1 1 udp 1 127.0.0.1 {mover.inside.getsockname()[1]} typ host")
    await connection.setRemoteDescription(RTCSessionDescription("\r\n".join(lines), "answer"))
    await connected(connection)
    await until(lambda: peer.is_connected)
    return peer


async def test_a_live_peer_that_moves_is_followed_when_it_proves_itself() -> None:
    async with running_engine() as engine:
        mover, connection = Mover(engine), client()
        heard: list[tuple[float, int, bytes]] = []
        tap(connection.addTransceiver("audio", direction="recvonly").receiver, heard)
        peer = await _join_through(mover, engine, connection)
        peer.begin(Talk(1, PartyId("leg:a"), GroupId("g")))
        peer.send(1, Packet(silence_packet(), 1, 960))
        await until(lambda: len(heard) == 1)
        mover.rebind()
        # The client's next check comes from the new port; it is answered, asked back, and only then followed.
        transport = peer.transport
        assert transport is not None
        assert transport.path is not None
        old = transport.path.address
        mover.outside.sendto(mover.requests[-1], ("127.0.0.1", engine.udp_port))
        await until(lambda: engine.mux.counters.moved == 1)
        assert transport.path.address == mover.outside.getsockname() != old
        peer.send(1, Packet(silence_packet(), 2, 1920))
        await until(lambda: len(heard) == 2)
        await connection.close()
        mover.close()


async def test_a_replayed_request_moves_nobody() -> None:
    """Someone on the wire sends the client's own request again, from an address of its own."""
    async with running_engine() as engine:
        mover, connection = Mover(engine), client()
        connection.addTransceiver("audio", direction="recvonly")
        peer = await _join_through(mover, engine, connection)
        transport = peer.transport
        assert transport is not None
        assert transport.path is not None
        old = transport.path.address
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.bind(("127.0.0.1", 0))
            thief.setblocking(False)
            loop = asyncio.get_running_loop()
            nominating = next(data for data in mover.requests if b"\0\x25\0\0" in data)
            await loop.sock_sendto(thief, nominating, ("127.0.0.1", engine.udp_port))
            kinds = [(await loop.sock_recv(thief, 2048))[:2] for _ in range(2)]
            assert sorted(kinds) == [b"\0\1", b"\1\1"], "an answer, and a question that the thief cannot answer"
            await loop.sock_sendto(thief, b"\1\1" + bytes(18), ("127.0.0.1", engine.udp_port))
        await until(lambda: engine.mux.counters.garbage == 1)
        assert transport.path.address == old
        assert engine.mux.counters.moved == 0
        await connection.close()
        mover.close()


async def test_one_port_serves_many_and_forgets_them() -> None:
    told = Told()
    async with running_engine() as engine:
        connections = [client() for _ in range(5)]
        peers = []
        for index, connection in enumerate(connections):
            connection.addTransceiver("audio", direction="recvonly")
            peer = engine.create_peer(PartyId(f"p{index}"), told.packet, told.slot, told.gone)
            answer = await peer.answer(await offer_of(connection))
            await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            peers.append(peer)
        await asyncio.gather(*(connected(connection) for connection in connections))
        await until(lambda: all(peer.is_connected for peer in peers))
        assert engine.mux.table_sizes[0] == 5
        for peer in peers:
            await peer.close()
        assert engine.mux.table_sizes == (0, 0, 0)
        assert engine.peers == ()
        for connection in connections:
            await connection.close()


def test_a_local_knows_what_it_is() -> None:
    made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    made.bind(("::1", 0))
    local = Local(made)
    assert (local.is_ipv6, local.is_loopback) == (True, True)
    made.close()
