"""One UDP port for all peers: a socket for each of our addresses, tables that say whose a datagram is.

A datagram is routed by the address it comes from; a first STUN request by the fragment in its USERNAME, a response by
its transaction. Whatever fits no table is dropped and counted, unanswered: a stranger learns nothing and costs little.
"""

import errno
import secrets
import socket
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import ifaddr
import structlog

from tongpin.config.models import WebrtcConfig
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.media.destination import Destination
from tongpin.gateway.webrtc import stun

_log = structlog.get_logger(__name__)

MAX_DATAGRAM = 1500
BUFFER_BYTES = 4 * 1024 * 1024
"""Asked of the kernel for either direction: a burst of joins has to wait out one tick."""
BIND_TRIES = 16
Address = tuple[str, int] | tuple[str, int, int, int]

_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33


class Endpoint(Protocol):
    """A peer's transport as the mux sees it."""

    def stun_request(self, message: stun.Binding, local: "Local", address: Address, now: float) -> None: ...

    def stun_response(self, message: stun.Binding, local: "Local", address: Address, now: float) -> None: ...

    def dtls(self, data: bytes, local: "Local", address: Address, now: float) -> None: ...

    def srtp(self, data: bytes, now: float) -> None: ...


class Local:
    """One of our addresses: its socket and who is behind which remote address."""

    __slots__ = ("host", "is_ipv6", "is_loopback", "port", "routes", "socket")

    def __init__(self, bound: socket.socket) -> None:
        self.socket = bound
        self.host, self.port = bound.getsockname()[:2]
        self.is_ipv6 = bound.family == socket.AF_INET6
        self.is_loopback = self.host == "::1" or self.host.startswith("127.")
        self.routes: dict[Address, Endpoint] = {}

    def destination(self, address: Address) -> Destination:
        return Destination(self.socket, address)


@dataclass(slots=True)
class MuxCounters:
    """Datagrams, by what became of them.

    Attributes:
        received: all.
        strange: from an address that nobody authenticated, not STUN.
        garbage: of an impossible size or kind.
        unknown: STUN for no peer of ours: a wrong or old fragment, a response nobody waits for.
        forged: STUN or SRTP whose signature is wrong, or a replay.
        moved: peers that changed their address and proved it.
    """

    received: int = 0
    strange: int = 0
    garbage: int = 0
    unknown: int = 0
    forged: int = 0
    moved: int = 0


def own_addresses(interfaces: Collection[str], *, include_loopback: bool) -> list[str]:
    """This machine's addresses that are offered; empty ``interfaces`` = every interface. No link-local ones."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        if interfaces and adapter.nice_name not in interfaces:
            continue
        for ip in adapter.ips:
            if isinstance(ip.ip, str):
                host, is_loopback = ip.ip, ip.ip.startswith("127.")
            else:
                host, is_loopback = ip.ip[0], ip.ip[0] == "::1"
                if ip.ip[2] != 0 or host.startswith("fe80:"):
                    continue
            if include_loopback or not is_loopback:
                found.append(host)
    return found


class UdpMux:
    """Event-loop thread only. Sockets are bound at once; nothing is read before :meth:`drain`.

    Raises:
        DeviceError: no address, or the port is taken; nothing stays bound.
    """

    def __init__(self, config: WebrtcConfig) -> None:
        self.counters = MuxCounters()
        addresses = own_addresses(config.interfaces, include_loopback=config.include_loopback)
        self.locals = _bind(addresses, config.udp_port)
        self.port: int = self.locals[0].port
        self.public_ip = str(config.public_ip) if config.public_ip is not None else None
        self._by_fragment: dict[bytes, Endpoint] = {}
        self._by_transaction: dict[bytes, Endpoint] = {}

    @property
    def table_sizes(self) -> tuple[int, int, int]:
        """Fragments, transactions, remote addresses: all 0 when every peer is closed."""
        return (
            len(self._by_fragment),
            len(self._by_transaction),
            sum(len(local.routes) for local in self.locals),
        )

    def register(self, endpoint: Endpoint) -> str:
        """A fresh fragment that leads to the endpoint: long enough that nobody guesses or repeats it."""
        fragment = secrets.token_hex(8)
        self._by_fragment[fragment.encode()] = endpoint
        return fragment

    def unregister(self, fragment: str) -> None:
        self._by_fragment.pop(fragment.encode(), None)

    def expect(self, transaction: bytes, endpoint: Endpoint) -> None:
        self._by_transaction[transaction] = endpoint

    def expect_no_more(self, transaction: bytes) -> None:
        self._by_transaction.pop(transaction, None)

    def drain(self, limit_s: float) -> bool:
        """Take what has come, for so long at most. Whether something may be left."""
        now = monotonic()
        end = now + limit_s
        for local in self.locals:
            receive = local.socket.recvfrom
            while True:
                try:
                    data, address = receive(MAX_DATAGRAM + 1)
                except BlockingIOError:
                    break
                except OSError:
                    continue  # an ICMP error of an earlier send
                self.take(data, local, address, now)
                now = monotonic()
                if now > end:
                    return True
        return False

    def take(self, data: bytes, local: Local, address: Address, now: float) -> None:
        """One datagram."""
        counters = self.counters
        counters.received += 1
        if len(data) < 12 or len(data) > MAX_DATAGRAM:
            counters.garbage += 1
            return
        first = data[0]
        if first < 4:
            self._take_stun(data, local, address, now)
            return
        endpoint = local.routes.get(address)
        if endpoint is None:
            counters.strange += 1
        elif 128 <= first < 192:
            endpoint.srtp(data, now)
        elif 20 <= first < 64:
            endpoint.dtls(data, local, address, now)
        else:
            counters.garbage += 1

    def _take_stun(self, data: bytes, local: Local, address: Address, now: float) -> None:
        message = stun.parse(data)
        if message is None:
            self.counters.garbage += 1
        elif message.kind == stun.REQUEST:
            fragment = message.username.partition(b":")[0] if message.username is not None else b""
            endpoint = self._by_fragment.get(fragment)
            if endpoint is None:
                self.counters.unknown += 1
            else:
                endpoint.stun_request(message, local, address, now)
        elif message.kind != stun.INDICATION:
            endpoint = self._by_transaction.get(message.transaction)
            if endpoint is None:
                self.counters.unknown += 1
            else:
                endpoint.stun_response(message, local, address, now)

    def close(self) -> None:
        for local in self.locals:
            local.socket.close()


def _bind(addresses: list[str], port: int) -> tuple[Local, ...]:
    """A socket for each address, all on one port; 0 = one that is free on all of them."""
    for left in reversed(range(BIND_TRIES)):
        bound: list[Local] = []
        chosen = port
        try:
            for host in addresses:
                try:
                    made = _socket(host, chosen)
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        raise
                    _log.warning("address left out", address=host, reason=str(error))
                    continue
                bound.append(Local(made))
                chosen = bound[-1].port
        except OSError as error:
            for local in bound:
                local.socket.close()
            if port == 0 and left:
                continue
            raise DeviceError(
                f"UDP port {chosen} is taken by another program; choose another webrtc.udp_port"
            ) from error
        if not bound:
            raise DeviceError("no network address for WebRTC; look at webrtc.interfaces and webrtc.include_loopback")
        return tuple(bound)
    raise AssertionError("unreachable")


def _socket(host: str, port: int) -> socket.socket:
    is_ipv6 = ":" in host
    made = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        if is_ipv6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for plain, forced in ((socket.SO_RCVBUF, _SO_RCVBUFFORCE), (socket.SO_SNDBUF, _SO_SNDBUFFORCE)):
            made.setsockopt(socket.SOL_SOCKET, plain, BUFFER_BYTES)
            with suppress(OSError):  # only root may pass the machine's limit
                made.setsockopt(socket.SOL_SOCKET, forced, BUFFER_BYTES)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
