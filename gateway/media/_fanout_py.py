"""The fan-out without a compiler: the same streams and the same bytes as ``_fanout.c``, one listener after another."""

from collections.abc import Sequence
from struct import Struct

from tongpin.gateway.media.destination import Destination, Protector
from tongpin.gateway.media.packet import PACKET_SAMPLES

MAX_PAYLOAD = 1275
_HEADER = Struct("!BBHII")
_SAMPLES = PACKET_SAMPLES


class Stream:
    """See :mod:`tongpin.gateway.media.fanout`."""

    __slots__ = (
        "_destination",
        "_has_sent",
        "_is_first",
        "_payload_type",
        "_protector",
        "_sequence_shift",
        "_timestamp_shift",
        "failed",
        "octets",
        "packets",
        "sent_at",
        "sequence",
        "ssrc",
        "tail_left",
        "talk",
        "timestamp",
    )

    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self.packets = self.octets = self.failed = 0
        self.sequence = self.timestamp = self.tail_left = self.sent_at = self.talk = 0
        self._sequence_shift = self._timestamp_shift = 0
        self._is_first = self._has_sent = False
        self._payload_type = 0
        self._protector: Protector | None = None
        self._destination: Destination | None = None

    def open(self, protector: Protector, destination: Destination, payload_type: int) -> None:
        self._protector, self._destination, self._payload_type = protector, destination, payload_type & 0x7F

    def redirect(self, destination: Destination) -> None:
        self._destination = destination

    def begin(self, talk: int) -> None:
        self.talk = talk
        self._is_first = True
        self.tail_left = 0

    def end(self, tail: int) -> None:
        if not 0 <= tail <= 1000:
            raise ValueError("a tail has 0 to 1000 packets")
        self.tail_left = 0 if self._is_first else tail
        self._is_first = False

    def close(self) -> None:
        self._protector = None
        self.tail_left = 0

    def _send(self, payload: bytes, sequence: int, timestamp: int, now: int) -> None:
        if self._protector is None:
            self.failed += 1
            return
        marker = 0
        if self._is_first:
            elapsed = max(_SAMPLES, (now - self.sent_at) & 0xFFFFFFFF) if self._has_sent else _SAMPLES
            self._sequence_shift = self.sequence + 1 - sequence
            self._timestamp_shift = self.timestamp + elapsed - timestamp
            self._is_first = False
            marker = 0x80
        sequence = (sequence + self._sequence_shift) & 0xFFFF
        timestamp = (timestamp + self._timestamp_shift) & 0xFFFFFFFF
        if (sequence - self.sequence) & 0xFFFF < 0x8000:
            self.sequence, self.timestamp = sequence, timestamp
        self._out(marker | self._payload_type, sequence, timestamp, payload, now)

    def _send_tail(self, payload: bytes, now: int) -> None:
        if self.tail_left <= 0 or self._protector is None:
            return
        self.tail_left -= 1
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + _SAMPLES) & 0xFFFFFFFF
        self._out(self._payload_type, self.sequence, self.timestamp, payload, now)

    def _out(self, second: int, sequence: int, timestamp: int, payload: bytes, now: int) -> None:
        assert self._protector is not None
        assert self._destination is not None
        try:
            packet = self._protector.protect(_HEADER.pack(0x80, second, sequence, timestamp, self.ssrc) + payload)
        except Exception:  # libsrtp's own class, which this room does not know
            self.failed += 1
            return
        self._has_sent, self.sent_at = True, now
        if self._destination.send(packet):
            self.packets += 1
            self.octets += len(payload)
        else:
            self.failed += 1


class Sender:
    """See :mod:`tongpin.gateway.media.fanout`. Never drops a frame: it sends in the caller's thread."""

    def __init__(self, protect: int, threaded_from: int) -> None:
        self.frames = 0
        self.dropped = 0
        self._is_closed = False

    def send(
        self, streams: tuple[Stream, ...], talk: int, payload: bytes, sequence: int, timestamp: int, now: int
    ) -> None:
        self._check(streams, payload)
        for stream in streams:
            if stream.talk == talk:
                stream._send(payload, sequence, timestamp, now)

    def send_tails(self, streams: tuple[Stream, ...], payload: bytes, now: int) -> None:
        self._check(streams, payload)
        for stream in streams:
            stream._send_tail(payload, now)

    def reap(self) -> int:
        return 0

    def close(self) -> None:
        self._is_closed = True

    def _check(self, streams: Sequence[object], payload: bytes) -> None:
        if self._is_closed:
            raise RuntimeError("the sender is closed")
        if not 1 <= len(payload) <= MAX_PAYLOAD:
            raise ValueError(f"a payload has 1 to {MAX_PAYLOAD} bytes")
        if not isinstance(streams, tuple):
            raise TypeError("streams is a tuple of Stream")
        self.frames += 1
