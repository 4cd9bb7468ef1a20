"""The gateway's end of the leg link: a sink for the hub, a reader for what the worker says, and nothing that waits."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from tongpin.gateway.errors import PeerError
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Talk
from tongpin.gateway.radio.messages import (
    MAX_MESSAGE_BYTES,
    Control,
    Message,
    TalkBegan,
    TalkEnded,
    decode,
    encode,
    encode_audio,
)

_SEND_BUFFER_BYTES = 32_768
"""Some 40 messages with the kernel's overhead: a worker that is stuck loses sound instead of hoarding it."""
_MESSAGES_PER_WAKE = 64


class LegLink:
    """One leg's link. It outlives the workers: :meth:`attach` and :meth:`detach` change the socket beneath it.

    Sending never blocks. Without a worker, or when the worker does not take its messages, packets are dropped and
    counted; the talks under way are told to the next worker.
    """

    def __init__(self, received: Callable[[Message], None]) -> None:
        """Args: received: called for every message of the worker, in order, in the event loop."""
        self._received: Final = received
        self._socket: socket.socket | None = None
        self._talks: set[int] = set()
        self.is_at_end = asyncio.Event()
        self.dropped = 0
        self.garbage = 0

    def attach(self, own_end: socket.socket) -> None:
        """Use a new worker's socket. The link closes it in :meth:`detach`."""
        self.detach()
        own_end.setblocking(False)
        self._socket = own_end
        self.is_at_end.clear()
        asyncio.get_running_loop().add_reader(own_end.fileno(), self._read)

    def detach(self) -> None:
        """Close the socket, if any, after what the worker has said last. The worker sees the end and unkeys."""
        self._read()
        own_end, self._socket = self._socket, None
        if own_end is not None:
            asyncio.get_running_loop().remove_reader(own_end.fileno())
            own_end.close()

    def worker_ready(self) -> None:
        """The worker has said hello: bound the queue towards it and tell it the talks under way."""
        if self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        for talk in sorted(self._talks):
            self.post(TalkBegan(talk))

    def post(self, message: Control) -> bool:
        """Send one control message; False when it could not be."""
        return self._send(encode(message))

    # The hub's sink.

    def begin(self, talk: Talk) -> None:
        self._talks.add(talk.number)
        self.post(TalkBegan(talk.number))

    def send(self, talk: int, packet: Packet) -> None:
        self._send(encode_audio(talk, packet))

    def end(self, talk: int) -> None:
        self._talks.discard(talk)
        self.post(TalkEnded(talk))

    def _send(self, data: bytes) -> bool:
        if self._socket is not None:
            try:
                self._socket.send(data)
                return True
            except OSError:
                pass  # Full, or the worker is gone, which the reader notices.
        self.dropped += 1
        return False

    def _read(self) -> None:
        for _ in range(_MESSAGES_PER_WAKE):
            if self._socket is None:
                return
            try:
                data = self._socket.recv(MAX_MESSAGE_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                asyncio.get_running_loop().remove_reader(self._socket.fileno())
                self.is_at_end.set()
                return
            try:
                message = decode(data)
            except PeerError:
                self.garbage += 1
                continue
            self._received(message)
