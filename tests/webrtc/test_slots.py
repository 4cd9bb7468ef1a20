"""Receive slots: one continuous RTP stream over many talks."""

from struct import unpack

from tongpin.channels.ids import GroupId, PartyId
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Talk
from tongpin.gateway.webrtc.slots import TAIL_PACKETS, Slot, SlotPool

Rtp = tuple[int, int, int, int, int]


def talk(number: int) -> Talk:
    return Talk(number, PartyId("leg:a"), GroupId("g"))


class Wire:
    """Takes what a slot sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[bool, int, int, bytes]] = []
        self.is_up = True

    def __call__(self, data: bytes) -> bool:
        first, second, sequence, timestamp, ssrc = unpack("!BBHII", data[:12])
        assert (first, second & 0x7F, ssrc) == (0x80, 111, 77)
        if self.is_up:
            self.sent.append((bool(second & 0x80), sequence, timestamp, data[12:]))
        return self.is_up


def test_two_talks_are_one_stream_with_a_tail_between() -> None:
    wire = Wire()
    slot = Slot(0, 77, wire, b"quiet")
    slot.begin(talk(1))
    for index in range(3):
        slot.send(Packet(b"a", (65_534 + index) & 0xFFFF, 1_000 + 960 * index), 111, 1_000_000 + 960 * index)
    slot.end(1_003_000)
    while slot.has_tail:
        slot.send_tail(111, 1_004_000)
    assert len(wire.sent) == 3 + TAIL_PACKETS
    sequences = [sequence for _, sequence, _, _ in wire.sent]
    assert sequences == list(range(1, 4 + TAIL_PACKETS))
    stamps = [stamp for _, _, stamp, _ in wire.sent]
    assert [b - a for a, b in zip(stamps, stamps[1:], strict=False)] == [960] * (len(stamps) - 1)
    assert [marker for marker, *_ in wire.sent] == [True] + [False] * (len(stamps) - 1)
    # One second of silence later another source, with numbers of its own.
    slot.begin(talk(2))
    slot.send(Packet(b"b", 40_000, 5), 111, 1_004_000 + 48_000)
    marker, sequence, stamp, payload = wire.sent[-1]
    assert (marker, sequence, payload) == (True, sequences[-1] + 1, b"b")
    assert stamp - stamps[-1] == 48_000


def test_a_lost_packet_of_the_source_stays_a_gap() -> None:
    wire = Wire()
    slot = Slot(0, 77, wire, b"quiet")
    slot.begin(talk(1))
    for number in (10, 11, 13, 12):
        slot.send(Packet(b"a", number, 960 * number), 111, 960 * number)
    assert [sequence for _, sequence, _, _ in wire.sent] == [1, 2, 4, 3]
    slot.end(0)
    slot.send_tail(111, 0)
    assert wire.sent[-1][1] == 5, "the tail follows the highest, not the last"


def test_a_talk_without_packets_needs_no_tail() -> None:
    slot = Slot(0, 77, Wire(), b"quiet")
    slot.begin(talk(1))
    slot.end(0)
    assert not slot.has_tail


def test_what_cannot_be_sent_is_counted() -> None:
    wire = Wire()
    wire.is_up = False
    slot = Slot(0, 77, wire, b"quiet")
    slot.begin(talk(1))
    slot.send(Packet(b"a", 1, 1), 111, 1)
    assert (slot.packets, slot.failed) == (0, 1)


def _pool(count: int, *, newest_wins: bool = False) -> SlotPool:
    return SlotPool([Slot(number, 77, Wire(), b"q") for number in range(count)], newest_wins=newest_wins)


def test_the_slot_that_was_free_longest_is_taken() -> None:
    pool = _pool(2)
    first, second = pool.begin(talk(1), 0), pool.begin(talk(2), 0)
    assert first is not None
    assert second is not None
    assert pool.end(2, 10) is second
    assert pool.end(1, 20) is first
    assert pool.begin(talk(3), 30) is second


def test_with_no_slot_free_nobody_is_cut_off() -> None:
    pool = _pool(1)
    first = pool.begin(talk(1), 0)
    assert pool.begin(talk(2), 0) is None
    assert pool.refused == 1
    assert pool.of(1) is first
    assert pool.of(2) is None
    assert pool.end(2, 0) is None


def test_a_simple_player_hears_the_newest() -> None:
    pool = _pool(1, newest_wins=True)
    pool.begin(talk(1), 0)
    slot = pool.begin(talk(2), 5)
    assert slot is not None
    assert slot.talk == talk(2)
    assert pool.of(1) is None
    assert pool.end(1, 6) is None
