"""STUN binding messages as ICE uses them (RFC 8489, RFC 8445): read, checked and made as bytes; no socket, no clock."""

import hmac
import socket
from binascii import crc32
from dataclasses import dataclass
from hashlib import sha1
from struct import Struct, error

COOKIE = b"\x21\x12\xa4\x42"
REQUEST, INDICATION, SUCCESS, FAILURE = 0x0001, 0x0011, 0x0101, 0x0111
MAX_ATTRIBUTES = 32
TRANSACTION_BYTES = 12

_USERNAME, _INTEGRITY, _USE_CANDIDATE, _FINGERPRINT = 0x0006, 0x0008, 0x0025, 0x8028
_CONTROLLED, _CONTROLLING = 0x8029, 0x802A
_HEADER = Struct("!HH4s12s")
_ATTRIBUTE = Struct("!HH")
_PRIORITY = Struct("!HHI")
_ROLE = Struct("!HHQ")
_CRC = Struct("!HHI")
_FINGERPRINT_XOR = 0x5354554E
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


class Integrity:
    """HMAC-SHA1 under one password, with both pads hashed once: a third of what a fresh HMAC costs."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, password: str) -> None:
        key = password.encode()
        block = (key if len(key) <= 64 else sha1(key).digest()).ljust(64, b"\0")
        self._inner = sha1(block.translate(_INNER_PAD))
        self._outer = sha1(block.translate(_OUTER_PAD))

    def digest(self, data: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()


@dataclass(slots=True)
class Binding:
    """A binding message.

    Attributes:
        kind: REQUEST, INDICATION, SUCCESS or FAILURE.
        username: of a request, ``theirs:ours`` seen from its sender; None when there is none.
        integrity_at: where MESSAGE-INTEGRITY stands; 0 = there is none. Later attributes are not taken.
    """

    kind: int
    transaction: bytes
    username: bytes | None
    has_use_candidate: bool
    is_controlled: bool
    integrity_at: int
    data: bytes

    def is_signed_by(self, integrity: Integrity) -> bool:
        """Whether MESSAGE-INTEGRITY is there and right."""
        at = self.integrity_at
        if at == 0:
            return False
        signed = self.data[:2] + (at + 4).to_bytes(2, "big") + self.data[4:at]
        return hmac.compare_digest(integrity.digest(signed), self.data[at + 4 : at + 24])


def is_stun(data: bytes) -> bool:
    """Whether a datagram is STUN by its first bytes (RFC 7983)."""
    return len(data) >= 20 and data[0] < 4 and data[4:8] == COOKIE


def parse(data: bytes) -> Binding | None:
    """Read a datagram; None when it is not a well-formed binding message.

    Unknown attributes are skipped (Chromium adds some), MESSAGE-INTEGRITY is found by walking, and what follows it is
    ignored except a fingerprint, which must be right (RFC 8489 section 14.5).
    """
    try:
        kind, length, cookie, transaction = _HEADER.unpack_from(data)
    except error:
        return None
    if cookie != COOKIE or length + 20 != len(data) or length & 3:
        return None
    if kind not in (REQUEST, INDICATION, SUCCESS, FAILURE):
        return None
    username: bytes | None = None
    has_use_candidate = is_controlled = False
    integrity_at = 0
    at, end = 20, len(data)
    for _ in range(MAX_ATTRIBUTES):
        if at == end:
            return Binding(kind, transaction, username, has_use_candidate, is_controlled, integrity_at, data)
        name, size = _ATTRIBUTE.unpack_from(data, at)
        after = at + 4 + size + (-size & 3)
        if after > end:
            return None
        if name == _FINGERPRINT:
            if size != 4 or after != end:
                return None
            if int.from_bytes(data[at + 4 : end], "big") != crc32(data[:at]) ^ _FINGERPRINT_XOR:
                return None
        elif integrity_at == 0:
            if name == _USERNAME:
                username = data[at + 4 : at + 4 + size]
            elif name == _INTEGRITY:
                if size != 20:
                    return None
                integrity_at = at
            elif name == _USE_CANDIDATE:
                has_use_candidate = True
            elif name == _CONTROLLED:
                is_controlled = True
        at = after
    return None


def mapped_address(host: str, port: int, transaction: bytes) -> bytes:
    """An XOR-MAPPED-ADDRESS attribute."""
    is_ipv6 = ":" in host
    packed = socket.inet_pton(socket.AF_INET6 if is_ipv6 else socket.AF_INET, host.partition("%")[0])
    mask = int.from_bytes((COOKIE + transaction)[: len(packed)], "big")
    hidden = (int.from_bytes(packed, "big") ^ mask).to_bytes(len(packed), "big")
    head = _ATTRIBUTE.pack(0x0020, 4 + len(packed)) + (b"\0\x02" if is_ipv6 else b"\0\x01")
    return head + (port ^ 0x2112).to_bytes(2, "big") + hidden


def response(transaction: bytes, mapped: bytes, integrity: Integrity) -> bytes:
    """A success response; ``mapped`` is the XOR-MAPPED-ADDRESS attribute."""
    return _sign(SUCCESS, transaction, mapped, integrity)


def role_conflict(transaction: bytes, integrity: Integrity) -> bytes:
    """487: both ends think that they are controlled (RFC 8445 section 7.3.1.1)."""
    return _sign(FAILURE, transaction, b"\0\x09\0\x04\0\0\x04\x57", integrity)


def request(
    transaction: bytes, username: bytes, priority: int, tie_breaker: int, integrity: Integrity, *, is_controlling: bool
) -> bytes:
    """A check or consent request. A controlling end nominates with each."""
    body = _ATTRIBUTE.pack(_USERNAME, len(username)) + username + bytes(-len(username) & 3)
    body += _PRIORITY.pack(0x0024, 4, priority)
    body += _ROLE.pack(_CONTROLLING if is_controlling else _CONTROLLED, 8, tie_breaker)
    if is_controlling:
        body += _ATTRIBUTE.pack(_USE_CANDIDATE, 0)
    return _sign(REQUEST, transaction, body, integrity)


def _sign(kind: int, transaction: bytes, body: bytes, integrity: Integrity) -> bytes:
    signed = _HEADER.pack(kind, len(body) + 24, COOKIE, transaction) + body
    full = signed[:2] + (len(body) + 32).to_bytes(2, "big") + signed[4:] + b"\0\x08\0\x14" + integrity.digest(signed)
    return full + _CRC.pack(_FINGERPRINT, 4, crc32(full) ^ _FINGERPRINT_XOR)
