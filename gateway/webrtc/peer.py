"""One WebRTC connection of one party: its microphone in, its receive slots out."""

import asyncio
from collections.abc import Callable

import structlog
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription
from aiortc.exceptions import InvalidStateError
from aiortc.sdp import candidate_from_sdp

from tongpin.channels.ids import PartyId
from tongpin.gateway.errors import CallerError
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Talk
from tongpin.gateway.webrtc import seam
from tongpin.gateway.webrtc.sdp import finish_answer, read_offer
from tongpin.gateway.webrtc.slots import Slot, SlotPool

_log = structlog.get_logger(__name__)

CONNECT_S = 15.0
"""A connection that does not stand by then is closed."""
MAX_PAYLOAD = 1275
SENDER_REPORT_S = 5.0
RECEIVER_REPORT_S = 1.0

OnPacket = Callable[[Packet, int | None], None]
"""A packet of the microphone, and its loudness in dBov when the client says it."""
OnSlot = Callable[[int, Talk | None], None]


class MediaPeer:
    """Implements :class:`tongpin.gateway.media.ports.Sink`. Made by the engine; event-loop thread only.

    Attributes:
        packets_in: packets of the microphone taken.
        garbage: datagrams and packets of an impossible size.
    """

    def __init__(
        self,
        party: PartyId,
        slots: int,
        silence: bytes,
        ice_servers: tuple[str, ...],
        on_packet: OnPacket,
        on_slot: OnSlot,
        on_closed: Callable[[str], None],
        on_tail: Callable[["MediaPeer"], None],
        on_end: Callable[["MediaPeer"], None],
        *,
        newest_wins: bool = False,
    ) -> None:
        self.party = party
        self.packets_in = 0
        self.garbage = 0
        self._slot_count = slots
        self._silence = silence
        self._on_packet = on_packet
        self._on_slot = on_slot
        self._on_closed = on_closed
        self._on_tail = on_tail
        self._on_end = on_end
        self._newest_wins = newest_wins
        servers = [RTCIceServer(url) for url in ice_servers]
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._pool = SlotPool([], newest_wins=newest_wins)
        self._ports: list[seam.SendPort] = []
        self._tap: seam.ReceiveTap | None = None
        self._microphone: RTCRtpTransceiver | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._reported_at = (0.0, 0.0)
        self._last_packets_in = 0
        self._connection.on("connectionstatechange", self._state_changed)

    @property
    def is_connected(self) -> bool:
        return self._connection.connectionState == "connected"

    @property
    def slot_count(self) -> int:
        return len(self._pool.slots)

    @property
    def statistics(self) -> dict[str, float]:
        """Loss and jitter both ways, packets, what was refused for want of a slot."""
        statistics = self._tap.statistics if self._tap is not None else None
        is_counted = statistics is not None and statistics.max_seq is not None
        return {
            "packets_in": self.packets_in,
            "packets_out": sum(slot.packets for slot in self._pool.slots),
            "lost_in": statistics.packets_lost if statistics is not None and is_counted else 0,
            "jitter_in_ms": statistics.jitter / 48 if statistics is not None and is_counted else 0.0,
            "loss_out": max((port.fraction_lost for port in self._ports), default=0.0),
            "talks_without_slot": self._pool.refused,
        }

    async def answer(self, offer: str) -> str:
        """Take an offer and answer it.

        Raises:
            CallerError: the offer is malformed, too large or has no Opus; or one was answered already (409). The
                connection is not harmed.
        """
        if self._deadline is not None or self._is_closed:
            raise CallerError(409, "already-connected", "this connection has its offer; open a new one")
        prepared = read_offer(offer)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(prepared.sdp, "offer"))
        except (ValueError, InvalidStateError, KeyError, IndexError, AttributeError, TypeError) as error:
            raise CallerError(422, "sdp-malformed", f"the offer cannot be used: {error}") from error
        self._deadline = asyncio.get_running_loop().call_later(CONNECT_S, self._too_late)
        self._take_media([section.direction for section in prepared.ours])
        answer = await self._connection.createAnswer()
        await self._connection.setLocalDescription(answer)
        return finish_answer(self._connection.localDescription.sdp, prepared)

    async def add_candidate(self, candidate: str, mid: str | None) -> None:
        """A trickled candidate; an empty one says that there are no more. Raises CallerError 422."""
        if self._is_closed or not candidate:
            return
        try:
            parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
            parsed.sdpMid = mid
            await self._connection.addIceCandidate(parsed)
        except (ValueError, AssertionError, IndexError, InvalidStateError, KeyError) as error:
            raise CallerError(422, "candidate-malformed", "the candidate cannot be read") from error

    async def close(self) -> None:
        """End the connection; tells nobody. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        self._on_end(self)
        if self._deadline is not None:
            self._deadline.cancel()
        await self._connection.close()

    # -- Sink ------------------------------------------------------------------------------------------------------

    def begin(self, talk: Talk) -> None:
        slot = self._pool.begin(talk, seam.rtp_now())
        if slot is not None:
            self._on_slot(slot.number, talk)

    def send(self, talk: int, packet: Packet) -> None:
        slot = self._pool.of(talk)
        if slot is not None:
            slot.send(packet, self._ports[slot.number].payload_type, seam.rtp_now())

    def end(self, talk: int) -> None:
        slot = self._pool.end(talk, seam.rtp_now())
        if slot is not None:
            self._on_slot(slot.number, None)
            if slot.has_tail:
                self._on_tail(self)

    # -- the engine's ticks ----------------------------------------------------------------------------------------

    def send_tails(self) -> bool:
        """One packet of silence on every slot that owes some. Whether more are owed."""
        now = seam.rtp_now()
        for slot in self._pool.slots:
            if slot.has_tail:
                slot.send_tail(self._ports[slot.number].payload_type, now)
        return not self._is_closed and any(slot.has_tail for slot in self._pool.slots)

    def report(self, now: float) -> None:
        """RTCP that is due; called about once a second."""
        if self._is_closed or not self.is_connected:
            return
        received_at, sent_at = self._reported_at
        if now - received_at >= RECEIVER_REPORT_S and self.packets_in != self._last_packets_in:
            assert self._microphone is not None
            assert self._tap is not None
            self._last_packets_in = self.packets_in
            received_at = now
            seam.send_receiver_report(self._microphone, self._tap)
        if now - sent_at >= SENDER_REPORT_S:
            sent_at = now
            for slot, port in zip(self._pool.slots, self._ports, strict=True):
                if slot.packets:
                    port.send_report(slot.last_timestamp, slot.packets, slot.octets)
        self._reported_at = (received_at, sent_at)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _take_media(self, offered: list[str]) -> None:
        """The first m-line that sends is the microphone; those that receive are slots, in order."""
        slots: list[Slot] = []
        guarded: set[object] = set()
        for transceiver, direction in zip(self._connection.getTransceivers(), offered, strict=True):
            transport = transceiver.receiver.transport
            if transport not in guarded:
                guarded.add(transport)
                seam.guard(transceiver, self._garbage_came)
            hears = direction in ("recvonly", "sendrecv") and len(slots) < self._slot_count
            talks = direction in ("sendonly", "sendrecv") and self._microphone is None
            transceiver.direction = {
                (True, True): "sendrecv",
                (True, False): "sendonly",
                (False, True): "recvonly",
                (False, False): "inactive",
            }[(hears, talks)]
            if talks:
                self._microphone = transceiver
                self._tap = seam.ReceiveTap(self._received, self._media_gone)
                seam.take_receiver(transceiver, self._tap)
            if hears:
                port = seam.SendPort(transceiver)
                self._ports.append(port)
                slots.append(Slot(len(slots), port.ssrc, port.send, self._silence))
        self._pool = SlotPool(slots, newest_wins=self._newest_wins)

    def _garbage_came(self) -> None:
        self.garbage += 1

    def _received(self, packet: seam.RtpIn) -> None:
        if not 0 < len(packet.payload) <= MAX_PAYLOAD:
            self.garbage += 1
            return
        self.packets_in += 1
        self._on_packet(Packet(packet.payload, packet.sequence, packet.timestamp), packet.level_dbov)

    def _media_gone(self) -> None:
        self._gone("the client closed the connection")

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and self._deadline is not None:
            self._deadline.cancel()
        elif state in ("failed", "closed"):
            self._gone(f"the connection {'failed' if state == 'failed' else 'was closed'}")

    def _too_late(self) -> None:
        self._gone(f"no connection within {CONNECT_S:.0f} s")

    def _gone(self, reason: str) -> None:
        if self._is_closed:
            return
        _log.info("peer gone", party=self.party, reason=reason)
        self._on_closed(reason)
