"""What a leg's worker and the gateway say to each other: one datagram of a Unix SOCK_SEQPACKET pair is one message.

Audio is binary (a 13-byte header and the Opus payload); everything else is one JSON object whose member ``t`` names
the dataclass. Decoding is total: whatever the bytes are, the answer is a message or :class:`PeerError`.
"""

import json
import math
import struct
from dataclasses import asdict, dataclass, fields
from types import NoneType, UnionType
from typing import get_args, get_type_hints

from tongpin.gateway.errors import PeerError
from tongpin.gateway.media.packet import Packet

MAX_MESSAGE_BYTES = 65_536
"""Longer datagrams are never sent and are refused on receipt."""
MAX_PAYLOAD_BYTES = 1275
"""The longest Opus frame (RFC 6716 §3.2.1)."""
_AUDIO_TAG = 0xA1
_AUDIO_HEADER = struct.Struct("!BBHIIB")
_JSON_OPENING = 0x7B


@dataclass(frozen=True, slots=True)
class Audio:
    """One packet. Towards the worker ``talk`` is the switchboard's number, from it the count of gate openings."""

    talk: int
    packet: Packet


# Gateway to worker.


@dataclass(frozen=True, slots=True)
class Configure:
    """The first message. ``leg`` is the leg's configuration as its own JSON text; ``is_locked``: never key."""

    leg: str
    is_locked: bool = False


@dataclass(frozen=True, slots=True)
class KeyLease:
    """Key the transmitter, or stay keyed, for ``lease_s`` seconds from receipt."""

    lease_s: float


@dataclass(frozen=True, slots=True)
class Unkey:
    """Unkey: at once, or with ``drain`` after what is still held has been played and the hang time has passed."""

    drain: bool


@dataclass(frozen=True, slots=True)
class TalkBegan:
    talk: int


@dataclass(frozen=True, slots=True)
class TalkEnded:
    talk: int


@dataclass(frozen=True, slots=True)
class StartProbe:
    """Test the leg on the air: listen so long for somebody and, if ``parrots``, play it back, else send a tone."""

    listen_s: float
    tone_s: float
    parrots: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """Unkey and exit."""


# Worker to gateway.


@dataclass(frozen=True, slots=True)
class Hello:
    pid: int
    version: int


@dataclass(frozen=True, slots=True)
class GateMoved:
    """The receive gate opened (before its first packet) or closed (after its last)."""

    is_open: bool
    cause: str


@dataclass(frozen=True, slots=True)
class KeyMoved:
    """The transmitter was keyed or unkeyed, and why."""

    is_keyed: bool
    cause: str


@dataclass(frozen=True, slots=True)
class DeviceMoved:
    """The sound card or the keying line went missing (with the reason), or all is well again."""

    is_online: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ProbeMoved:
    """A step of the leg test begins (``probe.Step``)."""

    step: str


@dataclass(frozen=True, slots=True)
class ProbeEnded:
    """The leg test is over; ``report`` is its JSON text."""

    report: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The worker cannot go on and will exit; the text is for the operator."""

    text: str


@dataclass(frozen=True, slots=True)
class Status:
    """The worker's heartbeat, every 200 ms.

    Attributes:
        rx_dbfs, tx_dbfs: level of the last 200 ms from and to the radio; -120 is digital silence.
        cos: the carrier line, or None when the leg has none.
        playout_frames: frames of 20 ms waiting for the sound card.
        jitter_packets: packets waiting in the jitter buffer.
        received, lost, concealed, recovered, late: counts of the jitter buffer since the worker's start; ``recovered``
            by in-band FEC, ``concealed`` by the decoder's guess.
        rx_overruns, tx_underruns: frames the worker was too slow to take, and frames the card had to play without us.
        dropped: packets thrown away because a queue was full.
        last_rx_s_ago, last_tx_s_ago: seconds since the last frame heard with an open gate, and played of a talk.
        capture_ppm, playout_ppm: how fast the card's clocks are; None until it is known.
    """

    rx_dbfs: float
    tx_dbfs: float
    cos: bool | None
    is_keyed: bool
    gate_open: bool
    playout_frames: int
    jitter_packets: int
    received: int
    lost: int
    concealed: int
    recovered: int
    late: int
    rx_overruns: int
    tx_underruns: int
    dropped: int
    last_rx_s_ago: float | None
    last_tx_s_ago: float | None
    is_device_online: bool
    is_line_online: bool
    capture_ppm: float | None
    playout_ppm: float | None


PROTOCOL_VERSION = 2
Control = (
    Configure
    | KeyLease
    | Unkey
    | TalkBegan
    | TalkEnded
    | StartProbe
    | Stop
    | Hello
    | GateMoved
    | KeyMoved
    | DeviceMoved
    | ProbeMoved
    | ProbeEnded
    | Failure
    | Status
)
Message = Audio | Control
_CONTROLS: dict[str, type[Control]] = {
    kind.__name__: kind
    for kind in (
        Configure,
        KeyLease,
        Unkey,
        TalkBegan,
        TalkEnded,
        StartProbe,
        Stop,
        Hello,
        GateMoved,
        KeyMoved,
        DeviceMoved,
        ProbeMoved,
        ProbeEnded,
        Failure,
        Status,
    )
}


def _allowed(hint: object) -> frozenset[type]:
    """The exact JSON types that a member annotated with ``hint`` may have."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    allowed: set[type] = set()
    for kind in kinds:
        assert isinstance(kind, type)
        allowed.add(kind)
        if kind is float:
            allowed.add(int)
    return frozenset(allowed)


_MEMBERS: dict[str, dict[str, frozenset[type]]] = {
    tag: {field.name: _allowed(get_type_hints(kind)[field.name]) for field in fields(kind)}
    for tag, kind in _CONTROLS.items()
}
assert all(types <= {bool, int, float, str, NoneType} for members in _MEMBERS.values() for types in members.values())


def encode_audio(talk: int, packet: Packet) -> bytes:
    """One packet as a datagram. Numbers are cut to their field widths."""
    return (
        _AUDIO_HEADER.pack(_AUDIO_TAG, 0, packet.sequence & 0xFFFF, packet.timestamp & 0xFFFFFFFF, talk & 0xFFFFFFFF, 0)
        + packet.payload
    )


def encode(message: Control) -> bytes:
    """One control message as a datagram."""
    return json.dumps({"t": type(message).__name__, **asdict(message)}, separators=(",", ":")).encode()


def decode(data: bytes) -> Message:
    """Read one datagram.

    Raises:
        PeerError: it is not a message, a member is missing, unknown, of the wrong type or not finite.
    """
    if not data:
        raise PeerError("an empty datagram on the leg link")
    if data[0] == _AUDIO_TAG:
        return _decode_audio(data)
    if data[0] == _JSON_OPENING and len(data) <= MAX_MESSAGE_BYTES:
        return _decode_control(data)
    raise PeerError(f"a datagram of unknown kind on the leg link ({len(data)} bytes)")


def _decode_audio(data: bytes) -> Audio:
    payload_bytes = len(data) - _AUDIO_HEADER.size
    if not 1 <= payload_bytes <= MAX_PAYLOAD_BYTES:
        raise PeerError(f"an audio datagram with {payload_bytes} bytes of payload on the leg link")
    _, flags, sequence, timestamp, talk, spare = _AUDIO_HEADER.unpack_from(data)
    if flags or spare:
        raise PeerError("an audio datagram with unknown flags on the leg link")
    return Audio(talk, Packet(data[_AUDIO_HEADER.size :], sequence, timestamp))


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number here")


def _decode_control(data: bytes) -> Control:
    try:
        found = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PeerError(f"not JSON on the leg link: {error}") from None
    tag = found.pop("t", None) if isinstance(found, dict) else None
    if not isinstance(tag, str) or tag not in _CONTROLS:
        raise PeerError("a control message of unknown kind on the leg link")
    members = _MEMBERS[tag]
    if found.keys() != members.keys():
        raise PeerError(f"{tag} on the leg link has the wrong members")
    for name, value in found.items():
        if type(value) not in members[name] or (isinstance(value, float) and not math.isfinite(value)):
            raise PeerError(f"{tag}.{name} on the leg link has a value that it may not have")
    return _CONTROLS[tag](**found)
