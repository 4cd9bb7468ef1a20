"""MDC1200: the data burst that tells who keyed, raises an emergency or reports a status. What a burst says.

The sound of it is ``mdc1200_modem``. A burst is a leader, a 40-bit sync word and one block of 14 bytes (two for calls
between two radios): op, argument, unit id, CRC, a zero byte, and seven bytes of parity of a convolutional code, all
interleaved. Facts: docs/signalling.md; the vectors there are from the reference encoder.

What is sent can only be a :class:`MdcCall`, whose kinds have their ops in one table: a burst that disables a radio
(op 2B) cannot be written down.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.errors import SignallingError

LEADER = bytes(7 * [0x55])
SYNC = bytes.fromhex("07092a446f")
BLOCK_BITS = 112
DOUBLE_OPS = frozenset({0x35, 0x55})
"""Ops whose burst carries a second block."""
_STATES = 64
_DATA_BITS = 56
_FLUSH_BITS = 8
"""The data's last byte is zero and takes the code back to state 0."""
_MAX_WRONG_BITS = 20

SoftBits = NDArray[np.float64]
"""One number per bit: positive for 0, negative for 1, the larger the surer."""


class MdcKind(StrEnum):
    PTT_ID = "ptt_id"
    EMERGENCY = "emergency"
    STATUS = "status"
    ACKNOWLEDGE = "acknowledge"
    SELCALL = "selcall"
    OTHER = "other"
    """Anything else: heard and reported, never sent."""


_OPS: dict[MdcKind, tuple[int, int]] = {
    MdcKind.PTT_ID: (0x01, 0x80),
    MdcKind.EMERGENCY: (0x00, 0x80),
    MdcKind.STATUS: (0x46, 0x00),
    MdcKind.ACKNOWLEDGE: (0x23, 0x00),
    MdcKind.SELCALL: (0x35, 0x89),
}
"""Op and argument of everything that can be sent (a status adds its number to the argument)."""
_SELCALL_SUBCODE = 0x8205
"""Voice selective call, as radios send it in the second block before the caller's id."""


@dataclass(frozen=True, slots=True)
class MdcHeard:
    """A burst whose CRC was right.

    Attributes:
        op, arg: 0–255.
        unit: 0–65535; of a selective call, the unit called.
        second: the first four bytes of the second block, or None where there is none or it was damaged.
        wrong_bits: how many of the burst's bits were corrected.
        at_samples: where the sync word begins, in 48 kHz samples since the start.
    """

    op: int
    arg: int
    unit: int
    second: bytes | None
    wrong_bits: int
    at_samples: int

    @property
    def kind(self) -> MdcKind:
        if self.op == 0x46:
            return MdcKind.STATUS
        if self.op == 0x00 and self.arg in (0x80, 0x81):
            return MdcKind.EMERGENCY
        return next((kind for kind, ops in _OPS.items() if ops == (self.op, self.arg)), MdcKind.OTHER)

    @property
    def caller(self) -> int:
        """The unit that sent the burst: of a call between two radios it stands in the second block."""
        if self.op in DOUBLE_OPS and self.second is not None:
            return int.from_bytes(self.second[2:])
        return self.unit


@dataclass(frozen=True, slots=True)
class MdcCall:
    """Something that may be sent.

    Attributes:
        unit: 1–65534: who sends; of an acknowledgement and a selective call, who is meant.
        number: of a status, 0–15.
        caller: of a selective call, who calls.
    Raises:
        SignallingError: a number out of its range, or a kind that is only ever heard.
    """

    kind: MdcKind
    unit: int
    number: int = 0
    caller: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in _OPS:
            raise SignallingError(f"MDC1200 {self.kind} is not sent; what can be: {', '.join(_OPS)}")
        if not (0 < self.unit < 0xFFFF and (self.caller is None or 0 < self.caller < 0xFFFF)):
            raise SignallingError("an MDC1200 unit id is 0001 to FFFE, hexadecimal")
        if (self.caller is not None) != (self.kind is MdcKind.SELCALL):
            raise SignallingError("a selective call names its caller, and nothing else does")
        if not 0 <= self.number <= (15 if self.kind is MdcKind.STATUS else 0):
            raise SignallingError("only a status has a number, 0 to 15")

    def burst(self) -> bytes:
        """Leader, sync word and blocks as sent, the most significant bit of each byte first."""
        op, argument = _OPS[self.kind]
        blocks = encode_block(bytes([op, argument + self.number]) + self.unit.to_bytes(2))
        if self.caller is not None:
            blocks += encode_block(_SELCALL_SUBCODE.to_bytes(2) + self.caller.to_bytes(2))
        return LEADER + SYNC + blocks


def crc16(data: bytes) -> int:
    """CRC of polynomial 1021, reflected, start 0, inverted."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return value ^ 0xFFFF


def encode_block(data: bytes) -> bytes:
    """Four bytes as the fourteen on the air."""
    whole = data + crc16(data).to_bytes(2, "little") + b"\0"
    bits = np.unpackbits(np.frombuffer(whole, np.uint8), bitorder="little")
    both = np.concatenate([bits, _parity(bits)])
    sent = np.empty(BLOCK_BITS, np.uint8)
    sent[_PLACES] = both
    return np.packbits(sent).tobytes()


_PLACES = np.arange(BLOCK_BITS) % 7 * 16 + np.arange(BLOCK_BITS) // 7
"""Where each bit of the block (bytes in order, least significant bit first) stands on the air."""


def _parity(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The code's parity: of each bit and those two, five and six before it."""
    before = np.concatenate([np.zeros(6, np.uint8), bits])
    parity: NDArray[np.uint8] = before[6:] ^ before[4:-2] ^ before[1:-5] ^ before[:-6]
    return parity


def _signs() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What data and parity bit are, +1 for 0, on the way into each state: shape (2, 32, 2).

    A state is the last six bits, the newest lowest. State ``2 s + bit`` is entered by ``bit`` from ``s`` (first index
    0) or from ``s + 32`` (1).
    """
    high, low, bit = np.indices((2, _STATES // 2, 2))
    before = high << 5 | low
    return 1.0 - 2 * bit, 1.0 - 2 * (bit ^ before >> 1 & 1 ^ before >> 4 & 1 ^ before >> 5 & 1)


_DATA_SIGN, _PARITY_SIGN = _signs()


@dataclass(frozen=True, slots=True)
class Block:
    """Four bytes of a block, and how many of its 112 bits had to be corrected."""

    data: bytes
    wrong_bits: int


def decode_block(received: SoftBits) -> Block | None:
    """The likeliest block (Viterbi over the convolutional code), or None when its CRC is wrong.

    Args:
        received: shape (112,), in the order on the air.
    """
    soft = received[_PLACES]
    gains = np.multiply.outer(soft[:_DATA_BITS], _DATA_SIGN) + np.multiply.outer(soft[_DATA_BITS:], _PARITY_SIGN)
    gains[-_FLUSH_BITS:, :, :, 1] = -np.inf
    best = np.full(_STATES, -np.inf)
    best[0] = 0.0
    by_higher = np.empty((_DATA_BITS, _STATES), np.bool_)
    for step, gain in enumerate(gains):
        paths = best.reshape(2, -1, 1) + gain
        by_higher[step] = (paths[1] > paths[0]).reshape(-1)
        best = np.maximum(paths[0], paths[1]).reshape(-1)
    bits = np.empty(_DATA_BITS, np.uint8)
    state = 0
    for step in range(_DATA_BITS - 1, -1, -1):
        bits[step] = state & 1
        state = state >> 1 | (32 if by_higher[step, state] else 0)
    data = np.packbits(bits, bitorder="little").tobytes()
    wrong = int(np.count_nonzero((soft < 0) != np.concatenate([bits, _parity(bits)])))
    if wrong > _MAX_WRONG_BITS or data[4:6] != crc16(data[:4]).to_bytes(2, "little"):
        return None
    return Block(data[:4], wrong)
