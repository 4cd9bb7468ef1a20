"""RTP and RTCP as bytes (RFC 3550, RFC 6464, RFC 8285): read with bounds, written from tables."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct

RATE = 48_000
SENDER_REPORT, RECEIVER_REPORT = 200, 201
_NTP_EPOCH = 2_208_988_800

_HEADER = Struct("!BBHII")
_EXTENSION = Struct("!HH")
_BLOCK = Struct("!IIIIII")
_SR = Struct("!BBHIIIIII")
_RR = Struct("!BBHIIIIIII")


@dataclass(frozen=True, slots=True)
class RtpIn:
    """A received RTP packet. ``level_dbov`` is the sender's own word of its loudness (RFC 6464), 0 to -127, or None."""

    payload: bytes
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    level_dbov: int | None


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram that is RTP or RTCP is RTCP (RFC 5761)."""
    return 192 <= data[1] <= 223


def read_rtp(data: bytes, level_id: int | None) -> RtpIn | None:
    """Read a decrypted packet; None when its lengths are not true. ``level_id``: the audio level's extension id."""
    if len(data) < 12 or data[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    at = 12 + 4 * (first & 0x0F)
    end = len(data)
    level: int | None = None
    if first & 0x10:
        if at + 4 > end:
            return None
        profile, words = _EXTENSION.unpack_from(data, at)
        start, at = at + 4, at + 4 + 4 * words
        if at > end:
            return None
        if level_id is not None:
            level = _find_level(data[start:at], profile, level_id)
    if first & 0x20:
        end -= data[-1]
        if data[-1] == 0:
            return None
    if at > end:
        return None
    return RtpIn(data[at:end], second & 0x7F, sequence, timestamp, ssrc, level)


def _find_level(body: bytes, profile: int, wanted: int) -> int | None:
    """The audio level among one-byte (0xBEDE) or two-byte (0x100x) extension elements."""
    is_short = profile == 0xBEDE
    if not is_short and profile & 0xFFF0 != 0x1000:
        return None
    at = 0
    while at < len(body):
        if body[at] == 0:
            at += 1
            continue
        if is_short:
            name, size, at = body[at] >> 4, (body[at] & 0x0F) + 1, at + 1
            if name == 15:
                return None
        else:
            if at + 2 > len(body):
                return None
            name, size, at = body[at], body[at + 1], at + 2
        if name == wanted:
            return -(body[at] & 0x7F) if size >= 1 and at < len(body) else None
        at += size
    return None


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says of one of our streams. ``fraction_lost`` 0–1 since its last report; jitter in samples."""

    ssrc: int
    fraction_lost: float
    lost: int
    jitter: int


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """The middle 32 bits of a sender report's NTP time, which a receiver report gives back."""

    ssrc: int
    middle_ntp: int


def read_rtcp(data: bytes) -> Iterator[ReportBlock | SenderInfo]:
    """What of a decrypted compound packet we need; stops where lengths are not true."""
    at = 0
    while at + 8 <= len(data) and data[at] >> 6 == 2:
        kind = data[at + 1]
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            return
        blocks = at + 8
        if kind == SENDER_REPORT and blocks + 20 <= end:
            yield SenderInfo(
                int.from_bytes(data[at + 4 : at + 8], "big"), int.from_bytes(data[blocks + 2 : blocks + 6], "big")
            )
            blocks += 20
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            for _ in range(data[at] & 0x1F):
                if blocks + 24 > end:
                    return
                ssrc, loss, _, jitter, _, _ = _BLOCK.unpack_from(data, blocks)
                yield ReportBlock(ssrc, (loss >> 24) / 256, loss & 0xFFFFFF, jitter)
                blocks += 24
        at = end


def sender_report(ssrc: int, wall_s: float, timestamp: int, packets: int, octets: int) -> bytes:
    """A sender report: ``timestamp`` is the RTP time of ``wall_s``, seconds since 1970."""
    seconds = int(wall_s)
    fraction = int((wall_s - seconds) * 2**32) & 0xFFFFFFFF
    ntp = (seconds + _NTP_EPOCH) & 0xFFFFFFFF
    return _SR.pack(0x80, SENDER_REPORT, 6, ssrc, ntp, fraction, timestamp, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)


@dataclass(slots=True)
class Reception:
    """What a receiver report says of one incoming stream (RFC 3550 appendix A.1, A.3, A.8)."""

    ssrc: int
    first: int
    highest: int
    received: int = 0
    jitter: float = 0.0
    sender_ntp: int = 0
    sender_at: float = 0.0
    _transit: int | None = None
    _expected_before: int = 0
    _received_before: int = field(default=0)

    @property
    def lost(self) -> int:
        return max(0, self.highest - self.first + 1 - self.received)

    def push(self, sequence: int, timestamp: int, arrived_s: float) -> None:
        """One packet. ``highest`` runs on over 65 535."""
        step = (sequence - self.highest) & 0xFFFF
        if step < 0x8000:
            self.highest += step
        self.received += 1
        transit = (int(arrived_s * RATE) - timestamp) & 0xFFFFFFFF
        if self._transit is not None:
            moved = (transit - self._transit + 2**31) % 2**32 - 2**31
            self.jitter += (abs(moved) - self.jitter) / 16
        self._transit = transit

    def report(self, ssrc: int, now: float) -> bytes:
        """A receiver report of ours about the stream."""
        expected = self.highest - self.first + 1
        due, came = expected - self._expected_before, self.received - self._received_before
        self._expected_before, self._received_before = expected, self.received
        fraction = min(255, max(0, (due - came) * 256 // due)) if due > 0 else 0
        since = int((now - self.sender_at) * 65_536) & 0xFFFFFFFF if self.sender_ntp else 0
        loss = fraction << 24 | min(self.lost, 0x7FFFFF)
        highest = self.highest & 0xFFFFFFFF
        return _RR.pack(
            *(0x81, RECEIVER_REPORT, 7, ssrc, self.ssrc, loss, highest, int(self.jitter) & 0xFFFFFFFF),
            *(self.sender_ntp, since),
        )
