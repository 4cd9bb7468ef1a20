"""Makes peers, and does for all of them together what would otherwise be tasks of each.

While every connection stands, the shared sockets are read once per 20 ms, right after a packet of media went out
(waking up costs more than the work), and consent checks, reports and tails of silence ride on that tick: a wheel of
250 buckets visits each peer every 5 s. While somebody is joining, or a microphone is heard, sockets are read at once.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from time import monotonic

from tongpin.channels.ids import PartyId
from tongpin.codecs.opus import silence_packet
from tongpin.config.models import WebrtcConfig
from tongpin.gateway.errors import CallerError
from tongpin.gateway.media.fanout import IS_NATIVE, Fanout
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.webrtc import srtp
from tongpin.gateway.webrtc.dtls import Identity
from tongpin.gateway.webrtc.peer import MediaPeer, OnPacket, OnSlot, rtp_now
from tongpin.gateway.webrtc.sdp import candidate_lines
from tongpin.gateway.webrtc.udp_mux import UdpMux

TICK_S = 0.02
RIPE_S = 0.018
"""From this age on a packet of media takes the tick along."""
HURRY_S = 0.1
BUCKETS = 250
MICROPHONE_S = 1.0
"""A microphone counts as heard for so long after its last packet."""
TICK_LIMIT_S = 0.005
PROMPT_LIMIT_S = 0.002
"""How long the sockets may be read before media has its turn: joins in a burst are sliced by it."""


class MediaEngine:
    """Event-loop thread only. :meth:`run` must be a task while peers live.

    Raises:
        DeviceError: the UDP port cannot be bound.
    """

    def __init__(self, config: WebrtcConfig) -> None:
        self._config = config
        self.mux = UdpMux(config)
        self.identity = Identity()
        self.fanout = Fanout(srtp.protect_address(), silence_packet(), rtp_now)
        self.candidates = candidate_lines([local.host for local in self.mux.locals], self.mux.port, self.mux.public_ip)
        self._peers: dict[PartyId, MediaPeer] = {}
        self._hurried: dict[MediaPeer, None] = {}
        self._wheel: list[dict[MediaPeer, None]] = [{} for _ in range(BUCKETS)]
        self._bucket_of: dict[MediaPeer, int] = {}
        self._bucket = 0
        self._bucket_due = 0.0
        self._ticked_at = 0.0
        self._hurried_at = 0.0
        self._heard_at = float("-inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_prompt = False
        self._is_due = False

    @property
    def peers(self) -> tuple[MediaPeer, ...]:
        return tuple(self._peers.values())

    @property
    def peer_count(self) -> int:
        return len(self._peers)

    @property
    def udp_port(self) -> int:
        return self.mux.port

    def gauges(self) -> Iterator[tuple[str, str, dict[str, str], float]]:
        """Name, help, labels and value of what is worth watching."""
        counters = self.mux.counters
        for kind in ("received", "strange", "garbage", "unknown", "forged", "moved"):
            yield "tongpin_udp_datagrams", "Datagrams on the WebRTC port", {"kind": kind}, getattr(counters, kind)
        yield "tongpin_fanout_native", "1 when the native fan-out is in use", {}, IS_NATIVE
        yield "tongpin_fanout_dropped_frames", "Frames that the fan-out had no time for", {}, self.fanout.dropped_frames
        losses, jitters, unsent = [0.0], [0.0], 0.0
        for peer in self._peers.values():
            statistics = peer.statistics
            losses.append(statistics["loss_out"])
            jitters.append(statistics["jitter_out_ms"])
            unsent += statistics["unsent"]
        for name, values in (("loss", losses), ("jitter_ms", jitters)):
            values.sort()
            for quantile in (0.5, 0.95, 1.0):
                labels = {"quantile": str(quantile)}
                value = values[round(quantile * (len(values) - 1))]
                yield f"tongpin_listener_{name}", "As listeners report it, over all connections", labels, value
        yield "tongpin_listener_unsent_packets", "Packets that could not be sent to listeners here now", {}, unsent

    def create_peer(
        self,
        party: PartyId,
        on_packet: OnPacket,
        on_slot: OnSlot,
        on_closed: Callable[[str], None],
        *,
        slots: int | None = None,
        newest_wins: bool = False,
    ) -> MediaPeer:
        """A peer for a party that has none. ``on_closed`` is told when it goes by itself; it still has to be closed.

        Raises:
            CallerError: 503 when there are as many peers as this gateway takes.
        """
        limit = self._config.max_peers
        if len(self._peers) >= limit:
            raise CallerError(
                503, "too-many-peers", f"this gateway takes {limit} connections at most (webrtc.max_peers)"
            )
        slots = self._config.slots if slots is None else slots
        peer = MediaPeer(party, slots, self, self, on_packet, on_slot, on_closed, newest_wins=newest_wins)
        self._peers[party] = peer
        return peer

    async def run(self) -> None:
        """Read the sockets and keep the wheel turning. Ends by cancellation."""
        self._loop = asyncio.get_running_loop()
        self._bucket_due = monotonic()
        try:
            self._follow(monotonic())
            await asyncio.Event().wait()
        finally:
            self._stop()

    async def close(self) -> None:
        for peer in self.peers:
            await peer.close()
        self._stop()
        self.fanout.close()
        self.mux.close()

    # -- Batch -----------------------------------------------------------------------------------------------------

    def send(self, talk: int, packet: Packet) -> None:
        """One packet of a talk to every peer that hears it."""
        self.fanout.send(talk, packet)
        if not self._is_due and self._loop is not None and monotonic() - self._ticked_at >= RIPE_S:
            # Not here: what a tick finds may change routes, and the hub is in the midst of one.
            self._is_due = True
            self._loop.call_soon(self._tick)

    # -- Surroundings ----------------------------------------------------------------------------------------------

    def peer_moved(self, peer: MediaPeer) -> None:
        """A peer has its offer, or stands, or is in doubt, or is gone."""
        bucket = self._bucket_of.get(peer)
        if peer.is_over:
            if bucket is not None:
                del self._bucket_of[peer]
                del self._wheel[bucket][peer]
            if peer.is_closed and self._peers.get(peer.party) is peer:
                del self._peers[peer.party]
        elif peer.is_connected and bucket is None:
            bucket = self._bucket_of[peer] = random.randrange(BUCKETS)
            self._wheel[bucket][peer] = None
        if peer.is_over or peer.is_settled:
            self._hurried.pop(peer, None)
        else:
            self._hurried[peer] = None
        if self._loop is not None:
            self._follow(monotonic())

    def microphone_heard(self, now: float) -> None:
        self._heard_at = now
        if not self._is_prompt:
            self._follow(now)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _follow(self, now: float) -> None:
        """Read at once or per tick, tick or rest, as the peers want it."""
        assert self._loop is not None
        is_prompt = bool(self._hurried) or now - self._heard_at < MICROPHONE_S
        if is_prompt != self._is_prompt:
            self._is_prompt = is_prompt
            for local in self.mux.locals:
                if is_prompt:
                    self._loop.add_reader(local.socket, self._readable)
                else:
                    self._loop.remove_reader(local.socket)
        if self._timer is None and (self._peers or self.fanout.owes_tails):
            self._arm()

    def _arm(self) -> None:
        assert self._loop is not None
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def _readable(self) -> None:
        self.mux.drain(PROMPT_LIMIT_S)

    def _tick(self) -> None:
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._ticked_at = monotonic()
        self.mux.drain(TICK_LIMIT_S)
        if self.fanout.owes_tails:
            self.fanout.send_tails()
        self.fanout.reap()
        self._turn(now)
        if self._hurried and now - self._hurried_at >= HURRY_S:
            self._hurried_at = now
            for peer in list(self._hurried):
                if peer.is_settled:
                    del self._hurried[peer]
                else:
                    peer.hurry(now)
        self._follow(now)

    def _turn(self, now: float) -> None:
        """Visit the buckets that are due; after a long pause one round at most."""
        if now - self._bucket_due > BUCKETS * TICK_S:
            self._bucket_due = now - BUCKETS * TICK_S
        while self._bucket_due <= now:
            self._bucket_due += TICK_S
            self._bucket = (self._bucket + 1) % BUCKETS
            for peer in list(self._wheel[self._bucket]):
                peer.keep(now)

    def _stop(self) -> None:
        if self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_prompt:
            for local in self.mux.locals:
                self._loop.remove_reader(local.socket)
            self._is_prompt = False
        self._loop = None
