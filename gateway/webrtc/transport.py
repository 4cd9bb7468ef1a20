"""One peer's way to the other end: ICE as the answering side, DTLS, SRTP keys. No task and no timer of its own.

The client leads (it is the controlling end) and we answer. Once a path is nominated, each end keeps checking the
other's consent (RFC 7675). A live peer whose packets come from a new address is followed only when a request of ours
to that address was answered with the right signature: neither a replayed nor a spoofed request can move it.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tongpin.gateway.errors import PeerError
from tongpin.gateway.media.destination import Destination
from tongpin.gateway.webrtc import rtp, srtp, stun
from tongpin.gateway.webrtc.dtls import Handshake, Identity, SrtpKeys
from tongpin.gateway.webrtc.udp_mux import Address, Local, UdpMux

CONSENT_S = 30.0
"""Without an answer for so long the peer is gone (RFC 7675)."""
SUSPECT_S = 1.5
"""The same after an alert that says goodbye but that nobody can verify any more."""
RELEASE_S = 10.0
"""So long after the handshake its last flight may be asked for again."""
SILENT_S = 3.0
"""A path without checks for so long gives way to one that has them, nominated or not."""
MAX_PATHS = 8
MAX_PENDING = 40
MAX_CANDIDATES = 16
PUNCH_AT_S = (0.5, 1.0, 2.0, 4.0, float("inf"))
"""When we send checks to the client's candidates ourselves, should it not have reached us by then."""

_PRIORITY = 110 << 24 | 65_535 << 8 | 255


@dataclass(frozen=True, slots=True)
class Remote:
    """What an offer says of the other end. ``fingerprints`` by digest name, lower case."""

    fragment: str
    password: str
    fingerprints: Mapping[str, str]
    is_dtls_server: bool = False
    is_lite: bool = False


class Owner(Protocol):
    """Who is told: the peer."""

    def connected(self, keys: SrtpKeys, destination: Destination) -> None:
        """Keys are there and a path stands."""

    def moved(self, destination: Destination) -> None:
        """The path changed while connected."""

    def suspected(self) -> None:
        """It may be gone: :meth:`Transport.hurry` is wanted."""

    def gone(self, reason: str) -> None:
        """It ended; told once, and not after :meth:`Transport.close`."""

    def rtp_came(self, data: bytes) -> None:
        """A decrypted RTP packet."""

    def rtcp_came(self, data: bytes) -> None:
        """A decrypted compound RTCP packet."""


class Path:
    """A remote address by one of our sockets, whose STUN was authentic."""

    __slots__ = ("address", "destination", "heard_at", "local", "mapped")

    def __init__(self, local: Local, address: Address) -> None:
        self.local = local
        self.address = address
        self.destination: Destination = local.destination(address)
        self.heard_at = 0.0
        # For IPv4 the attribute does not depend on the transaction.
        self.mapped = b"" if local.is_ipv6 else stun.mapped_address(address[0], address[1], bytes(12))


class Transport:
    """Made for an answered offer; implements :class:`tongpin.gateway.webrtc.udp_mux.Endpoint`."""

    __slots__ = (
        "_consented_at",
        "_goodbye",
        "_handshake",
        "_identity",
        "_integrity",
        "_is_closed",
        "_keys",
        "_mux",
        "_owner",
        "_paths",
        "_pending",
        "_release_at",
        "_remote",
        "_rtcp",
        "_rx",
        "_started_at",
        "_suspect_until",
        "_their_integrity",
        "_tie_breaker",
        "candidates",
        "fragment",
        "password",
        "path",
        "punches",
    )

    def __init__(
        self,
        mux: UdpMux,
        identity: Identity,
        remote: Remote,
        now: float,
        owner: Owner,
    ) -> None:
        self._mux = mux
        self._identity = identity
        self._remote = remote
        self._owner = owner
        self.fragment = mux.register(self)
        self.password = secrets.token_hex(16)
        self._integrity = stun.Integrity(self.password)
        self._their_integrity = stun.Integrity(remote.password)
        self._tie_breaker = secrets.randbits(64)
        self._paths: dict[tuple[Local, Address], Path] = {}
        self._pending: dict[bytes, tuple[Local, Address]] = {}
        self.path: Path | None = None
        self.candidates: list[tuple[str, int]] = []
        self.punches = 0
        self._handshake: Handshake | None = None
        self._goodbye: list[bytes] = []
        self._keys: SrtpKeys | None = None
        self._rx: srtp.RxSession | None = None
        self._rtcp: srtp.TxSession | None = None
        self._is_closed = False
        self._started_at = now
        self._consented_at = now
        self._release_at = 0.0
        self._suspect_until: float | None = None

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def is_connected(self) -> bool:
        return self._keys is not None and not self._is_closed

    @property
    def is_suspect(self) -> bool:
        return self._suspect_until is not None

    # -- datagrams -------------------------------------------------------------------------------------------------

    def stun_request(self, message: stun.Binding, local: Local, address: Address, now: float) -> None:
        if not message.is_signed_by(self._integrity) or not self._is_for_us(message):
            self._mux.counters.forged += 1
            return
        if message.is_controlled and not self._remote.is_lite:
            local.destination(address).send(stun.role_conflict(message.transaction, self._integrity))
            return
        if local.routes.get(address, self) is not self:
            # Another peer's address: ours only when whoever is there answers to our name.
            mapped = stun.mapped_address(address[0], address[1], message.transaction)
            local.destination(address).send(stun.response(message.transaction, mapped, self._integrity))
            self._ask(local, address)
            return
        path = self._know(local, address)
        path.heard_at = now
        mapped = path.mapped or stun.mapped_address(address[0], address[1], message.transaction)
        path.destination.send(stun.response(message.transaction, mapped, self._integrity))
        chosen = self.path
        if path is chosen:
            return
        if self._keys is None:
            if message.has_use_candidate:
                self._select(path, now)
        elif chosen is None or message.has_use_candidate or now - chosen.heard_at > SILENT_S:
            self._ask(local, address)

    def stun_response(self, message: stun.Binding, local: Local, address: Address, now: float) -> None:
        asked = self._pending.get(message.transaction)
        if asked != (local, address) or not message.is_signed_by(self._their_integrity):
            self._mux.counters.forged += 1
            return
        del self._pending[message.transaction]
        self._mux.expect_no_more(message.transaction)
        if message.kind != stun.SUCCESS:
            return
        path = self._know(local, address)
        path.heard_at = now
        if path is self.path:
            self._consented_at = now
            self._suspect_until = None
        elif self._keys is not None or self._remote.is_lite:
            self._select(path, now)

    def dtls(self, data: bytes, local: Local, address: Address, now: float) -> None:
        if self._handshake is None:
            if self._keys is not None:
                # An alert that cannot be verified any more: ask whether the peer is there.
                if data[0] == 21 and self._suspect_until is None:
                    self._suspect_until = now + SUSPECT_S
                    self._owner.suspected()
                    self.ask_consent()
                return
            self._handshake = Handshake(self._identity, self._remote.fingerprints, is_server=True)
        path = self._paths.get((local, address))
        if path is not None:
            self._feed(self._handshake, data, path, now)

    def srtp(self, data: bytes, now: float) -> None:
        keys = self._keys
        if keys is None:
            return
        rx = self._rx
        if rx is None:
            rx = self._rx = srtp.rx_session(keys)
        try:
            if rtp.is_rtcp(data):
                plain = rx.unprotect_rtcp(data)
                # A packet under the new keys proves that the client has our last flight.
                if self._handshake is not None:
                    self._release()
                self._owner.rtcp_came(plain)
            else:
                self._owner.rtp_came(rx.unprotect(data))
        except srtp.Failure:
            self._mux.counters.forged += 1

    # -- what the engine's tick asks -------------------------------------------------------------------------------

    def hurry(self, now: float) -> None:
        """Called every 100 ms while the connection does not stand, or is suspect."""
        if self._handshake is not None and self._keys is None:
            self._handshake.repeat()
            self._flush(self._handshake, self.path)
        if self._suspect_until is not None:
            if now > self._suspect_until:
                self._end("the client closed the connection")
            else:
                self.ask_consent()
        elif self.path is None and now - self._started_at >= PUNCH_AT_S[self.punches]:
            self.punches += 1
            self._punch()

    def keep(self, now: float) -> None:
        """Called every 5 s while the connection stands: consent, and the handshake's memory."""
        if now - self._consented_at > CONSENT_S:
            self._end("the client does not answer")
            return
        if self._handshake is not None and now > self._release_at:
            self._release()
        self.ask_consent()

    def ask_consent(self) -> None:
        if self.path is not None:
            self._ask(self.path.local, self.path.address)

    def send_rtcp(self, packet: bytes) -> bool:
        """Encrypt and send one RTCP packet."""
        if self._keys is None or self.path is None:
            return False
        if self._rtcp is None:
            self._rtcp = srtp.TxSession(self._keys)
        return self.path.destination.send(self._rtcp.protect_rtcp(packet))

    def close(self) -> None:
        """Say goodbye and leave every table. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._handshake is not None:
            self._release()
        if self.path is not None:
            for datagram in self._goodbye:
                self.path.destination.send(datagram)
        self._mux.unregister(self.fragment)
        for transaction in self._pending:
            self._mux.expect_no_more(transaction)
        self._pending.clear()
        for local, address in self._paths:
            if local.routes.get(address) is self:
                del local.routes[address]
        self._paths.clear()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _is_for_us(self, message: stun.Binding) -> bool:
        return message.username == f"{self.fragment}:{self._remote.fragment}".encode()

    def _know(self, local: Local, address: Address) -> Path:
        """The path, made known if it is new; the one heard longest ago goes when there are too many."""
        path = self._paths.get((local, address))
        if path is None:
            if len(self._paths) >= MAX_PATHS:
                idle = (known for known in self._paths.values() if known is not self.path)
                oldest = min(idle, key=lambda known: known.heard_at)
                del self._paths[oldest.local, oldest.address]
                if oldest.local.routes.get(oldest.address) is self:
                    del oldest.local.routes[oldest.address]
            path = self._paths[local, address] = Path(local, address)
        local.routes[address] = self
        return path

    def _select(self, path: Path, now: float) -> None:
        self.path = path
        self._consented_at = now
        path.local.routes[path.address] = self
        if self._keys is not None:
            self._mux.counters.moved += 1
            self._suspect_until = None
            self._owner.moved(path.destination)
        elif self._remote.is_dtls_server and self._handshake is None:
            self._handshake = Handshake(self._identity, self._remote.fingerprints, is_server=False)
            self._feed(self._handshake, b"", path, now)

    def _feed(self, handshake: Handshake, data: bytes, path: Path, now: float) -> None:
        try:
            stands = handshake.feed(data)
        except PeerError as error:
            self._flush(handshake, path)
            self._end(str(error))
            return
        self._flush(handshake, path)
        if not stands:
            self._end("the client closed the connection")
        elif handshake.keys is not None and self._keys is None:
            self._keys = handshake.keys
            self._release_at = now + RELEASE_S
            self._consented_at = now
            if self.path is None:
                self.path = path
            self._owner.connected(self._keys, self.path.destination)

    def _flush(self, handshake: Handshake, path: Path | None) -> None:
        for datagram in handshake.take():
            if path is not None:
                path.destination.send(datagram)

    def _release(self) -> None:
        """Let the handshake go, with the goodbye already encrypted."""
        assert self._handshake is not None
        self._handshake.goodbye()
        self._goodbye = self._handshake.take()
        self._handshake = None

    def _ask(self, local: Local, address: Address) -> None:
        """One STUN request of ours."""
        if len(self._pending) >= MAX_PENDING:
            oldest = next(iter(self._pending))
            del self._pending[oldest]
            self._mux.expect_no_more(oldest)
        transaction = secrets.token_bytes(stun.TRANSACTION_BYTES)
        self._pending[transaction] = (local, address)
        self._mux.expect(transaction, self)
        path = self._paths.get((local, address))
        destination = path.destination if path is not None else local.destination(address)
        destination.send(
            stun.request(
                transaction,
                f"{self._remote.fragment}:{self.fragment}".encode(),
                _PRIORITY,
                self._tie_breaker,
                self._their_integrity,
                is_controlling=self._remote.is_lite,
            )
        )

    def _punch(self) -> None:
        """Checks to the client's candidates: they open our own NAT, should we stand behind one."""
        for host, port in self.candidates[:MAX_CANDIDATES]:
            is_ipv6, is_loopback = ":" in host, host == "::1" or host.startswith("127.")
            for local in self._mux.locals[:MAX_PATHS]:
                if local.is_ipv6 == is_ipv6 and local.is_loopback == is_loopback:
                    self._ask(local, (host, port, 0, 0) if is_ipv6 else (host, port))

    def _end(self, reason: str) -> None:
        if not self._is_closed:
            self.close()
            self._owner.gone(reason)
