"""One packet to many listeners in one call: the native part where it was built, its twin in Python elsewhere.

``Stream`` is one outgoing RTP stream (one SSRC of one listener) that carries one talk after another without a seam:
sequence numbers run on, the first packet of a talk has the marker and a time stamp that counts the silence before it,
and gaps inside a talk stay gaps, so that the listener conceals or recovers them. Its ``packets``, ``octets`` and
``failed`` count what went out; a stream that is not open counts failures and keeps its place.

``Sender`` sends: ``send`` one packet of a talk to all streams, ``send_tails`` one packet of silence to those that
still owe some (``Stream.end``). A frame with at least ``threaded_from`` streams is sent by a thread of its own, without
the interpreter's lock; at most 5 frames (100 ms) wait for it, further ones are dropped and counted. A destination that
cannot be reached never costs the others anything.
"""

import os
from collections.abc import Callable, Iterable

from tongpin.gateway.media.packet import Packet

if os.environ.get("TONGPIN_NATIVE") == "no":
    from tongpin.gateway.media._fanout_py import Sender as Sender
    from tongpin.gateway.media._fanout_py import Stream as Stream

    IS_NATIVE = False
else:
    try:
        from tongpin.gateway.media._fanout import Sender as Sender  # type: ignore[assignment]
        from tongpin.gateway.media._fanout import Stream as Stream  # type: ignore[assignment]

        IS_NATIVE = True
    except ImportError:
        from tongpin.gateway.media._fanout_py import Sender as Sender
        from tongpin.gateway.media._fanout_py import Stream as Stream

        IS_NATIVE = False

THREADED_FROM = 256
"""Streams of one frame from which a thread of its own pays."""
TAIL_PACKETS = 15
"""300 ms of silence after a talk: without them Chromium makes up sound for as long."""


class Fanout:
    """Which streams carry which talk. Implements :class:`tongpin.gateway.media.ports.Batch`; event-loop thread only.

    Args:
        protect: the address of libsrtp's ``srtp_protect``.
        silence: an Opus packet of 20 ms silence.
        clock: the RTP clock, 48 kHz.
    """

    def __init__(self, protect: int, silence: bytes, clock: Callable[[], int]) -> None:
        self._sender = Sender(protect, THREADED_FROM)
        self._silence = silence
        self._clock = clock
        self._talks: dict[int, dict[Stream, None]] = {}
        self._tuples: dict[int, tuple[Stream, ...]] = {}
        self._tails: dict[Stream, None] = {}

    @property
    def dropped_frames(self) -> int:
        return self._sender.dropped

    @property
    def owes_tails(self) -> bool:
        return bool(self._tails)

    def begin(self, talk: int, stream: Stream) -> None:
        """The stream carries the talk from now on; it carries one at a time."""
        stream.begin(talk)
        self._talks.setdefault(talk, {})[stream] = None
        self._tuples.pop(talk, None)

    def end(self, talk: int, stream: Stream) -> None:
        """The stream carries the talk no more; silence follows."""
        streams = self._talks.get(talk)
        if streams is None or streams.pop(stream, talk) is not None:
            return
        self._tuples.pop(talk, None)
        if not streams:
            del self._talks[talk]
        stream.end(TAIL_PACKETS)
        if stream.tail_left:
            self._tails[stream] = None

    def send(self, talk: int, packet: Packet) -> None:
        """One packet of the talk to every stream that carries it."""
        streams = self._tuples.get(talk)
        if streams is None:
            carriers = self._talks.get(talk)
            if carriers is None:
                return
            streams = self._tuples[talk] = tuple(carriers)
        self._sender.send(streams, talk, packet.payload, packet.sequence, packet.timestamp, self._clock())

    def send_one(self, talk: int, stream: Stream, packet: Packet) -> None:
        """One packet of the talk to one stream that carries it."""
        self._sender.send((stream,), talk, packet.payload, packet.sequence, packet.timestamp, self._clock())

    def send_tails(self) -> None:
        """One packet of silence to every stream that owes some; called every 20 ms while :attr:`owes_tails`."""
        self._sender.send_tails(tuple(self._tails), self._silence, self._clock())
        if any(not stream.tail_left for stream in self._tails):
            self._tails = {stream: None for stream in self._tails if stream.tail_left}

    def reap(self) -> int:
        """Let go of what was sent; how many frames wait."""
        return self._sender.reap()

    def forget(self, streams: Iterable[Stream]) -> None:
        """Close streams for good."""
        for stream in streams:
            stream.close()
            self._tails.pop(stream, None)

    def close(self) -> None:
        self._sender.close()
