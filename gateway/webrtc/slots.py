"""A receive slot: one m-line of a peer that carries one talk after another as one continuous RTP stream."""

from collections.abc import Callable
from struct import Struct

from tongpin.gateway.media.packet import PACKET_SAMPLES, Packet
from tongpin.gateway.media.ports import Talk

TAIL_PACKETS = 15
"""300 ms of silence after a talk: without them Chromium makes up sound for as long."""
_HEADER = Struct("!BBHII")


class Slot:
    """Continuity of one outgoing RTP stream. Not thread-safe, no clock: ``now`` is the RTP clock (48 kHz).

    Sequence numbers run on over talks; gaps inside a talk stay gaps, so that the listener conceals or recovers them.
    """

    def __init__(self, number: int, ssrc: int, send: Callable[[bytes], bool], silence: bytes) -> None:
        self.number = number
        self.talk: Talk | None = None
        self.freed_at = 0
        self.packets = 0
        self.octets = 0
        self.failed = 0
        self._ssrc = ssrc
        self._send = send
        self._silence = silence
        self._sequence = 0
        self._timestamp = 0
        self._sequence_shift = 0
        self._timestamp_shift = 0
        self._is_first = False
        self._sent_at: int | None = None
        self._tail_left = 0

    @property
    def has_tail(self) -> bool:
        return self._tail_left > 0

    @property
    def last_timestamp(self) -> int:
        return self._timestamp

    def begin(self, talk: Talk) -> None:
        self.talk = talk
        self._is_first = True
        self._tail_left = 0

    def send(self, packet: Packet, payload_type: int, now: int) -> None:
        """One packet of the talk; the first one joins on to what the slot sent before."""
        if self._is_first:
            self._sequence_shift = self._sequence + 1 - packet.sequence
            elapsed = PACKET_SAMPLES if self._sent_at is None else max(PACKET_SAMPLES, (now - self._sent_at) % 2**32)
            self._timestamp_shift = self._timestamp + elapsed - packet.timestamp
        marker = 0x80 if self._is_first else 0
        self._is_first = False
        sequence = (packet.sequence + self._sequence_shift) & 0xFFFF
        timestamp = (packet.timestamp + self._timestamp_shift) & 0xFFFFFFFF
        if (sequence - self._sequence) & 0xFFFF < 0x8000:
            self._sequence, self._timestamp = sequence, timestamp
        self._out(marker | payload_type, sequence, timestamp, packet.payload, now)

    def end(self, now: int) -> None:
        self.talk = None
        self.freed_at = now
        # A talk without a packet needs no tail: nothing was begun at the listener.
        self._tail_left = 0 if self._is_first else TAIL_PACKETS

    def send_tail(self, payload_type: int, now: int) -> None:
        """One packet of silence after a talk."""
        self._tail_left -= 1
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + PACKET_SAMPLES) & 0xFFFFFFFF
        self._out(payload_type, self._sequence, self._timestamp, self._silence, now)

    def _out(self, second: int, sequence: int, timestamp: int, payload: bytes, now: int) -> None:
        if self._send(_HEADER.pack(0x80, second, sequence, timestamp, self._ssrc) + payload):
            self.packets += 1
            self.octets += len(payload)
            self._sent_at = now
        else:
            self.failed += 1


class SlotPool:
    """The fixed pool of one peer. A talk takes the slot that has been free longest; with none free it is not heard.

    A talk that is being heard is never pushed out by a new one: a dispatcher must not lose a sentence half-way. With
    ``newest_wins`` (a pool of one, for simple players) the new talk replaces the old.
    """

    def __init__(self, slots: list[Slot], *, newest_wins: bool = False) -> None:
        self.slots = slots
        self.refused = 0
        self._by_talk: dict[int, Slot] = {}
        self._newest_wins = newest_wins

    def begin(self, talk: Talk, now: int) -> Slot | None:
        free = [slot for slot in self.slots if slot.talk is None]
        if not free and self._newest_wins and self.slots:
            old = self.slots[0]
            assert old.talk is not None
            self._by_talk.pop(old.talk.number)
            old.end(now)
            free = [old]
        if not free:
            self.refused += 1
            return None
        slot = min(free, key=lambda candidate: (candidate.freed_at, candidate.number))
        slot.begin(talk)
        self._by_talk[talk.number] = slot
        return slot

    def of(self, talk: int) -> Slot | None:
        return self._by_talk.get(talk)

    def end(self, talk: int, now: int) -> Slot | None:
        slot = self._by_talk.pop(talk, None)
        if slot is not None:
            slot.end(now)
        return slot
