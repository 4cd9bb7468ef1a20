"""Where an outgoing stream goes, and what encrypts it: the two things that a fan-out must be given."""

import socket
from struct import Struct
from typing import Protocol

_IPV4 = Struct("=H2s4s8x")
_IPV6 = Struct("=H2s4s16sI")


class Protector(Protocol):
    """An outgoing SRTP session for RTP, used by the fan-out alone."""

    @property
    def handle(self) -> int:
        """The address of libsrtp's session."""

    def protect(self, packet: bytes) -> bytes:
        """The same in Python."""


class Destination:
    """A remote address by one of our sockets.

    Attributes:
        address: as ``sendto`` takes it.
        fd: the socket's file descriptor.
        packed: the address as the kernel takes it (``struct sockaddr_in`` or ``sockaddr_in6``).
    """

    __slots__ = ("_socket", "address", "fd", "packed")

    def __init__(self, local: socket.socket, address: tuple[str, int] | tuple[str, int, int, int]) -> None:
        self._socket = local
        self.address = address
        self.fd = local.fileno()
        host, port = address[0], address[1].to_bytes(2, "big")
        if local.family == socket.AF_INET6:
            packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
            scope = address[3] if len(address) == 4 else 0
            self.packed = _IPV6.pack(socket.AF_INET6, port, bytes(4), packed, scope)
        else:
            self.packed = _IPV4.pack(socket.AF_INET, port, socket.inet_pton(socket.AF_INET, host))

    def send(self, data: bytes) -> bool:
        """One datagram, now or never."""
        try:
            self._socket.sendto(data, self.address)
        except OSError:
            return False
        return True
