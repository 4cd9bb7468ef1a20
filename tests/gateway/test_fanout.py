"""Native and pure fan-out: one class of tests for both, and random packets compared byte for byte."""

import os
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from struct import unpack
from time import monotonic, sleep
from types import ModuleType

import pytest

from tongpin.gateway.media import _fanout_py, fanout
from tongpin.gateway.media.destination import Destination
from tongpin.gateway.media.fanout import TAIL_PACKETS, Fanout
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.webrtc.dtls import PROFILES, SrtpKeys, SrtpProfile
from tongpin.gateway.webrtc.srtp import TxSession, protect_address, rx_session

IMPLEMENTATIONS: list[ModuleType] = [_fanout_py]
if fanout.IS_NATIVE:
    from tongpin.gateway.media import _fanout

    IMPLEMENTATIONS.append(_fanout)


def test_ci_has_the_native_part() -> None:
    assert fanout.IS_NATIVE or os.environ.get("TONGPIN_NATIVE") != "yes"


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda module: module.__name__.rpartition(".")[2])
def parts(request: pytest.FixtureRequest) -> ModuleType:
    module = request.param
    assert isinstance(module, ModuleType)
    return module


@dataclass(frozen=True)
class Rtp:
    has_marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class Wire:
    """Sockets on loopback: ours, and a listener's with its keys."""

    def __init__(self, profile: SrtpProfile = PROFILES[0], family: int = socket.AF_INET) -> None:
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        self.local = socket.socket(family, socket.SOCK_DGRAM)
        self.local.bind((host, 0))
        self.local.setblocking(False)
        self.ear = socket.socket(family, socket.SOCK_DGRAM)
        self.ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.ear.bind((host, 0))
        self.ear.settimeout(5)
        self.destination = Destination(self.local, self.ear.getsockname())
        key = bytes(range(profile.key + profile.salt))
        self.keys = SrtpKeys(profile, key, key)
        self._rx = rx_session(self.keys)

    def session(self) -> TxSession:
        return TxSession(self.keys)

    def raw(self, count: int) -> list[bytes]:
        return [self.ear.recv(2048) for _ in range(count)]

    def heard(self, count: int) -> list[Rtp]:
        packets = []
        for data in self.raw(count):
            plain = self._rx.unprotect(data)
            first, second, sequence, timestamp, ssrc = unpack("!BBHII", plain[:12])
            assert first == 0x80
            packets.append(Rtp(bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, plain[12:]))
        self.ear.setblocking(False)
        with pytest.raises(BlockingIOError):
            self.ear.recv(1)
        self.ear.settimeout(5)
        return packets

    def close(self) -> None:
        self.local.close()
        self.ear.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


def _sender(parts: ModuleType, threaded_from: int = 0) -> "_fanout_py.Sender":
    made: _fanout_py.Sender = parts.Sender(protect_address(), threaded_from)
    return made


def _stream(parts: ModuleType, wire: Wire, ssrc: int = 77) -> "_fanout_py.Stream":
    stream: _fanout_py.Stream = parts.Stream(ssrc)
    stream.open(wire.session(), wire.destination, 111)
    return stream


class TestStream:
    def test_two_talks_are_one_stream_with_a_tail_between(self, parts: ModuleType, wire: Wire) -> None:
        sender, stream = _sender(parts), _stream(parts, wire)
        stream.begin(1)
        for index in range(3):
            now = 1_000_000 + 960 * index
            sender.send((stream,), 1, b"a", (65_534 + index) & 0xFFFF, 1_000 + 960 * index, now)
        stream.end(TAIL_PACKETS)
        while stream.tail_left:
            sender.send_tails((stream,), b"quiet", 1_004_000)
        first = wire.heard(3 + TAIL_PACKETS)
        assert [packet.sequence for packet in first] == list(range(1, 4 + TAIL_PACKETS))
        stamps = [packet.timestamp for packet in first]
        assert [b - a for a, b in zip(stamps, stamps[1:], strict=False)] == [960] * (len(stamps) - 1)
        assert [packet.has_marker for packet in first] == [True] + [False] * (len(stamps) - 1)
        assert {(packet.payload_type, packet.ssrc) for packet in first} == {(111, 77)}
        # One second of silence later another source, with numbers of its own.
        stream.begin(2)
        sender.send((stream,), 2, b"b", 40_000, 5, 1_004_000 + 48_000)
        (after,) = wire.heard(1)
        assert (after.has_marker, after.sequence, after.payload) == (True, first[-1].sequence + 1, b"b")
        assert after.timestamp - stamps[-1] == 48_000
        assert (stream.packets, stream.octets) == (4 + TAIL_PACKETS, 3 + 5 * TAIL_PACKETS + 1)

    def test_a_lost_packet_of_the_source_stays_a_gap(self, parts: ModuleType, wire: Wire) -> None:
        sender, stream = _sender(parts), _stream(parts, wire)
        stream.begin(1)
        for number in (10, 11, 13, 12):
            sender.send((stream,), 1, b"a", number, 960 * number, 960 * number)
        stream.end(1)
        sender.send_tails((stream,), b"q", 0)
        heard = [packet.sequence for packet in wire.heard(5)]
        assert heard == [1, 2, 4, 3, 5], "the tail follows the highest, not the last"

    def test_a_talk_without_packets_needs_no_tail(self, parts: ModuleType, wire: Wire) -> None:
        stream = _stream(parts, wire)
        stream.begin(1)
        stream.end(TAIL_PACKETS)
        assert stream.tail_left == 0

    def test_a_stream_that_is_not_open_counts_and_keeps_its_place(self, parts: ModuleType, wire: Wire) -> None:
        sender, stream = _sender(parts), parts.Stream(77)
        stream.begin(1)
        sender.send((stream,), 1, b"a", 1, 1, 1)
        assert (stream.packets, stream.failed) == (0, 1)
        stream.open(wire.session(), wire.destination, 111)
        sender.send((stream,), 1, b"b", 2, 961, 961)
        (packet,) = wire.heard(1)
        assert (packet.has_marker, packet.sequence, packet.payload) == (True, 1, b"b")
        stream.close()
        sender.send((stream,), 1, b"c", 3, 1921, 1921)
        assert (stream.packets, stream.failed) == (1, 2)

    def test_a_frame_of_an_older_talk_is_not_for_it(self, parts: ModuleType, wire: Wire) -> None:
        sender, stream = _sender(parts), _stream(parts, wire)
        stream.begin(2)
        sender.send((stream,), 1, b"old", 1, 1, 1)
        sender.send((stream,), 2, b"new", 1, 1, 1)
        assert [packet.payload for packet in wire.heard(1)] == [b"new"]

    def test_it_goes_where_it_is_redirected(self, parts: ModuleType, wire: Wire) -> None:
        other = Wire()
        try:
            sender, stream = _sender(parts), _stream(parts, wire)
            stream.begin(1)
            stream.redirect(other.destination)
            sender.send((stream,), 1, b"a", 1, 1, 1)
            assert len(other.raw(1)) == 1
        finally:
            other.close()

    @pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 in this Python")
    def test_ipv6_listeners_hear_too(self, parts: ModuleType) -> None:
        wire = Wire(family=socket.AF_INET6)
        try:
            sender, stream = _sender(parts), _stream(parts, wire)
            stream.begin(1)
            sender.send((stream,), 1, b"six", 1, 1, 1)
            assert [packet.payload for packet in wire.heard(1)] == [b"six"]
        finally:
            wire.close()


class TestSender:
    def test_a_dead_destination_costs_the_others_nothing(self, parts: ModuleType, wire: Wire) -> None:
        """Port 0 can never be sent to; it stands among 130 that can."""
        sender = _sender(parts)
        dead = parts.Stream(1)
        dead.open(wire.session(), Destination(wire.local, ("127.0.0.1", 0)), 111)
        streams = [_stream(parts, wire, 100 + index) for index in range(130)]
        streams[3:3] = [dead]
        for stream in streams:
            stream.begin(1)
        sender.send(tuple(streams), 1, b"x" * 80, 1, 1, 1)
        assert {packet.ssrc for packet in wire.heard(130)} == set(range(100, 230))
        assert (dead.packets, dead.octets, dead.failed) == (0, 0, 1)
        assert all((stream.packets, stream.failed) == (1, 0) for stream in streams if stream is not dead)

    def test_many_frames_through_the_thread_arrive_in_order(self, parts: ModuleType, wire: Wire) -> None:
        sender = _sender(parts, threaded_from=2)
        streams = tuple(_stream(parts, wire, 100 + index) for index in range(3))
        for stream in streams:
            stream.begin(1)
        for number in range(20):
            sender.send(streams, 1, bytes([number]), number, 960 * number, 960 * number)
            _settle(sender)
        heard = wire.heard(60)
        for stream in streams:
            payloads = [packet.payload[0] for packet in heard if packet.ssrc == stream.ssrc]
            assert payloads == list(range(20))
        sender.close()
        with pytest.raises(RuntimeError, match="closed"):
            sender.send(streams, 1, b"x", 1, 1, 1)

    def test_closing_sends_what_waits(self, parts: ModuleType, wire: Wire) -> None:
        sender = _sender(parts, threaded_from=1)
        stream = _stream(parts, wire)
        stream.begin(1)
        for number in range(4):
            sender.send((stream,), 1, b"x", number, 960 * number, 1)
        sender.close()
        assert len(wire.heard(4)) == 4

    def test_what_is_no_packet_is_refused(self, parts: ModuleType, wire: Wire) -> None:
        sender, stream = _sender(parts), _stream(parts, wire)
        stream.begin(1)
        for payload in (b"", b"x" * 1276):
            with pytest.raises(ValueError, match="1275"):
                sender.send((stream,), 1, payload, 1, 1, 1)
        with pytest.raises(TypeError):
            sender.send([stream], 1, b"x", 1, 1, 1)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="tail"):
            stream.end(-1)
        sender.send((stream,), 1, b"x" * 1275, 1, 1, 1)
        assert [len(packet.payload) for packet in wire.heard(1)] == [1275]

    def test_nobody_to_send_to_is_no_error(self, parts: ModuleType) -> None:
        sender = _sender(parts)
        sender.send((), 1, b"x", 1, 1, 1)
        sender.send_tails((), b"x", 1)


def _settle(sender: "_fanout_py.Sender") -> None:
    end = monotonic() + 5
    while sender.reap():
        assert monotonic() < end
        sleep(0.0005)


@pytest.mark.skipif(not fanout.IS_NATIVE, reason="built without a compiler")
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name.decode())
def test_native_and_pure_write_the_same_bytes(profile: SrtpProfile) -> None:
    """Random talks, sizes, losses, silences and tails; the encrypted packets are the same."""
    chance = random.Random(5)
    said: list[list[bytes]] = []
    for parts in IMPLEMENTATIONS:
        chance.seed(5)
        wire = Wire(profile)
        sender = _sender(parts, threaded_from=3)
        streams = [_stream(parts, wire, 1_000 + index) for index in range(5)]
        got: list[bytes] = []
        now = 2**32 - 300_000
        for talk in range(1, 13):
            chosen = tuple(chance.sample(streams, chance.randint(1, 5)))
            sequence, timestamp = chance.randrange(65_536), chance.randrange(2**32)
            for stream in chosen:
                stream.begin(talk)
            for _ in range(chance.randint(0, 12)):
                payload = chance.randbytes(chance.randint(1, 1275))
                step = chance.choice([1, 1, 1, 2, 40])
                sequence, timestamp = (sequence + step) & 0xFFFF, (timestamp + 960 * step) & 0xFFFFFFFF
                sender.send(chosen, talk, payload, sequence, timestamp, now)
                _settle(sender)
                got += wire.raw(len(chosen))
                now = (now + 960 * step) & 0xFFFFFFFF
            for stream in chosen:
                stream.end(chance.randint(0, 3))
            for _ in range(3):
                owing = sum(1 for stream in chosen if stream.tail_left)
                sender.send_tails(chosen, b"quiet", now)
                _settle(sender)
                got += wire.raw(owing)
            now = (now + chance.randrange(200_000)) & 0xFFFFFFFF
        sender.close()
        wire.close()
        said.append(got)
    assert len(said[0]) > 100
    assert said[0] == said[1]


def test_the_table_of_talks_is_empty_when_nobody_listens(wire: Wire) -> None:
    table = Fanout(protect_address(), b"quiet", lambda: 5)
    streams = [fanout.Stream(ssrc) for ssrc in (1, 2)]
    for stream in streams:
        stream.open(wire.session(), wire.destination, 111)
        table.begin(9, stream)
    table.send(9, Packet(b"a", 1, 1))
    table.send(8, Packet(b"nobody", 1, 1))
    assert [packet.payload for packet in wire.heard(2)] == [b"a", b"a"]
    table.end(9, streams[0])
    table.end(9, streams[0])
    table.send(9, Packet(b"b", 2, 961))
    table.end(9, streams[1])
    assert table.owes_tails
    while table.owes_tails:
        table.send_tails()
    assert [packet.payload for packet in wire.heard(1 + 2 * TAIL_PACKETS)].count(b"quiet") == 2 * TAIL_PACKETS
    table.begin(10, streams[0])
    table.send_one(10, streams[0], Packet(b"c", 1, 1))
    assert [packet.payload for packet in wire.heard(1)] == [b"c"]
    table.end(10, streams[0])
    table.forget(streams)
    assert not table.owes_tails
    table.close()
