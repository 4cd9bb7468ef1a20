"""One WebRTC connection of one party: its microphone in, its receive slots out."""

import secrets
from collections.abc import Callable
from time import monotonic, time
from typing import Protocol

import structlog

from tongpin.channels.ids import PartyId
from tongpin.gateway.errors import CallerError
from tongpin.gateway.media.destination import Destination
from tongpin.gateway.media.fanout import Fanout, Stream
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Batch, Talk
from tongpin.gateway.webrtc import rtp, srtp
from tongpin.gateway.webrtc.dtls import Identity, SrtpKeys
from tongpin.gateway.webrtc.sdp import Answered, Offer, read_candidate, read_offer, write_answer
from tongpin.gateway.webrtc.slots import Slot, SlotPool
from tongpin.gateway.webrtc.transport import MAX_CANDIDATES, Remote, Transport
from tongpin.gateway.webrtc.udp_mux import UdpMux

_log = structlog.get_logger(__name__)

CONNECT_S = 15.0
"""A connection that does not stand by then is closed."""
MAX_PAYLOAD = 1275
SENDER_REPORT_S = 5.0
RECEIVER_REPORT_S = 1.0

OnPacket = Callable[[Packet, int | None], None]
"""A packet of the microphone, and its loudness in dBov when the client says it."""
OnSlot = Callable[[int, Talk | None], None]


def rtp_now() -> int:
    """The RTP clock of all our streams: 48 kHz, wrapping."""
    return int(monotonic() * 48_000) & 0xFFFFFFFF


class Surroundings(Protocol):
    """What all peers of an engine share."""

    mux: UdpMux
    identity: Identity
    fanout: Fanout
    candidates: str

    def peer_moved(self, peer: "MediaPeer") -> None:
        """Its transport was made, stands, is in doubt, or ended: the engine's tables follow."""

    def microphone_heard(self, now: float) -> None:
        """A microphone's packet came."""


class MediaPeer:
    """Implements :class:`tongpin.gateway.media.ports.BatchSink`. Made by the engine; event-loop thread only.

    Attributes:
        batch: through which the hub sends once for all peers.
        packets_in: packets of the microphone taken.
        garbage: decrypted packets of an impossible size or kind.
    """

    __slots__ = (
        "_around",
        "_is_closed",
        "_level_id",
        "_microphone",
        "_newest_wins",
        "_on_closed",
        "_on_packet",
        "_on_slot",
        "_pool",
        "_reception",
        "_reported",
        "_reported_at",
        "_rtp",
        "_slot_count",
        "batch",
        "deadline",
        "garbage",
        "packets_in",
        "party",
        "transport",
    )

    def __init__(
        self,
        party: PartyId,
        slots: int,
        around: Surroundings,
        batch: Batch,
        on_packet: OnPacket,
        on_slot: OnSlot,
        on_closed: Callable[[str], None],
        *,
        newest_wins: bool = False,
    ) -> None:
        self.party = party
        self.batch = batch
        self.packets_in = 0
        self.garbage = 0
        self.transport: Transport | None = None
        self.deadline = 0.0
        self._slot_count = slots
        self._around = around
        self._on_packet = on_packet
        self._on_slot = on_slot
        self._on_closed = on_closed
        self._newest_wins = newest_wins
        self._pool = SlotPool([], newest_wins)
        self._microphone: int | None = None
        self._level_id: int | None = None
        self._reception: rtp.Reception | None = None
        self._rtp: srtp.TxSession | None = None
        self._is_closed = False
        self._reported_at = 0.0
        self._reported = 0

    @property
    def is_connected(self) -> bool:
        return self.transport is not None and self.transport.is_connected

    @property
    def is_settled(self) -> bool:
        """Connected, and nothing gives cause to doubt it."""
        return self.is_connected and self.transport is not None and not self.transport.is_suspect

    @property
    def is_over(self) -> bool:
        return self._is_closed or (self.transport is not None and self.transport.is_closed)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def slot_count(self) -> int:
        return len(self._pool.slots)

    @property
    def statistics(self) -> dict[str, float]:
        """Loss and jitter both ways, packets, what could not be sent, what was refused for want of a slot."""
        reception, slots = self._reception, self._pool.slots
        return {
            "packets_in": self.packets_in,
            "packets_out": sum(slot.stream.packets for slot in slots),
            "lost_in": reception.lost if reception is not None else 0,
            "jitter_in_ms": reception.jitter / 48 if reception is not None else 0.0,
            "loss_out": max((slot.fraction_lost for slot in slots), default=0.0),
            "lost_out": sum(slot.lost for slot in slots),
            "jitter_out_ms": max((slot.jitter for slot in slots), default=0) / 48,
            "unsent": sum(slot.stream.failed for slot in slots),
            "talks_without_slot": self._pool.refused,
        }

    async def answer(self, offer: str) -> str:
        """Take an offer and answer it.

        Raises:
            CallerError: the offer is malformed, too large or has no Opus; or one was answered already (409). The
                connection is not harmed.
        """
        if self.transport is not None or self._is_closed:
            raise CallerError(409, "already-connected", "this connection has its offer; open a new one")
        read = read_offer(offer)
        around = self._around
        is_dtls_server = read.setup != "passive"
        now = monotonic()
        self.transport = transport = Transport(
            around.mux,
            around.identity,
            Remote(read.fragment, read.password, read.fingerprints, not is_dtls_server, read.is_lite),
            now,
            self,
        )
        transport.candidates += read.candidates
        self.deadline = now + CONNECT_S
        answer = write_answer(
            read,
            self._take_media(read),
            fragment=transport.fragment,
            password=transport.password,
            fingerprint=around.identity.fingerprint,
            setup="passive" if is_dtls_server else "active",
            candidates=around.candidates,
            port=around.mux.port,
            name=transport.fragment,
        )
        around.peer_moved(self)
        return answer

    async def add_candidate(self, candidate: str, mid: str | None) -> None:
        """A trickled candidate; an empty one says that there are no more. Raises CallerError 422."""
        if self._is_closed or not candidate:
            return
        try:
            read = read_candidate(candidate.removeprefix("candidate:"))
        except ValueError as error:
            raise CallerError(422, "candidate-malformed", "the candidate cannot be read") from error
        transport = self.transport
        if read is not None and transport is not None and len(transport.candidates) < MAX_CANDIDATES:
            transport.candidates.append(read)

    async def close(self) -> None:
        """End the connection; tells nobody. May be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        for slot in self._pool.slots:
            if slot.talk is not None:
                self._around.fanout.end(slot.talk.number, slot.stream)
        self._around.fanout.forget(slot.stream for slot in self._pool.slots)
        if self.transport is not None:
            self.transport.close()
        self._around.peer_moved(self)

    # -- Sink ------------------------------------------------------------------------------------------------------

    def begin(self, talk: Talk) -> None:
        slot, replaced = self._pool.begin(talk, rtp_now())
        if slot is not None:
            if replaced is not None:
                self._around.fanout.end(replaced.number, slot.stream)
            self._around.fanout.begin(talk.number, slot.stream)
            self._on_slot(slot.number, talk)

    def send(self, talk: int, packet: Packet) -> None:
        """To this peer alone; the hub sends by :attr:`batch`."""
        slot = self._pool.of(talk)
        if slot is not None:
            self._around.fanout.send_one(talk, slot.stream, packet)

    def end(self, talk: int) -> None:
        slot = self._pool.end(talk, rtp_now())
        if slot is not None:
            self._around.fanout.end(talk, slot.stream)
            self._on_slot(slot.number, None)

    # -- the engine's ticks ----------------------------------------------------------------------------------------

    def hurry(self, now: float) -> None:
        """Called every 100 ms while the connection does not stand, or is suspect."""
        assert self.transport is not None
        if not self.is_connected and now > self.deadline:
            self.gone(f"no connection within {CONNECT_S:.0f} s")
        else:
            self.transport.hurry(now)

    def keep(self, now: float) -> None:
        """Called every 5 s while the connection stands: consent, and a sender report for each slot in use."""
        transport = self.transport
        assert transport is not None
        transport.keep(now)
        clock, wall_s = rtp_now(), time()
        for slot in self._pool.slots:
            stream = slot.stream
            if stream.packets:
                timestamp = (stream.timestamp + clock - stream.sent_at) & 0xFFFFFFFF
                transport.send_rtcp(rtp.sender_report(stream.ssrc, wall_s, timestamp, stream.packets, stream.octets))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _take_media(self, offer: Offer) -> list[Answered]:
        """The first m-line that sends is the microphone; those that receive are slots, in order."""
        answered: list[Answered] = []
        slots = self._pool.slots
        for section in offer.ours:
            hears = section.direction in ("recvonly", "sendrecv") and len(slots) < self._slot_count
            talks = section.direction in ("sendonly", "sendrecv") and self._microphone is None
            ssrc: int | None = None
            if talks:
                self._microphone, self._level_id = section.payload_type, section.level_id
            if hears:
                ssrc = secrets.randbits(31) + 1
                slots.append(Slot(len(slots), Stream(ssrc), section.payload_type))
            direction = ("inactive", "recvonly", "sendonly", "sendrecv")[2 * hears + talks]
            answered.append(Answered(direction, ssrc))
        return answered

    # -- the transport's owner -------------------------------------------------------------------------------------

    def connected(self, keys: SrtpKeys, destination: Destination) -> None:
        if self._pool.slots:
            self._rtp = srtp.TxSession(keys)
            for slot in self._pool.slots:
                slot.stream.open(self._rtp, destination, slot.payload_type)
        self._around.peer_moved(self)

    def moved(self, destination: Destination) -> None:
        for slot in self._pool.slots:
            slot.stream.redirect(destination)

    def suspected(self) -> None:
        self._around.peer_moved(self)

    def rtp_came(self, data: bytes) -> None:
        packet = rtp.read_rtp(data, self._level_id)
        if packet is None or packet.payload_type != self._microphone or not 0 < len(packet.payload) <= MAX_PAYLOAD:
            self.garbage += 1
            return
        now = monotonic()
        reception = self._reception
        if reception is None or reception.ssrc != packet.ssrc:
            reception = self._reception = rtp.Reception(packet.ssrc, packet.sequence, packet.sequence)
        reception.push(packet.sequence, packet.timestamp, now)
        self.packets_in += 1
        self._around.microphone_heard(now)
        self._on_packet(Packet(packet.payload, packet.sequence, packet.timestamp), packet.level_dbov)
        if now - self._reported_at >= RECEIVER_REPORT_S and self.transport is not None:
            self._reported_at = now
            slots = self._pool.slots
            own = slots[0].stream.ssrc if slots else 1
            self.transport.send_rtcp(reception.report(own, now))

    def rtcp_came(self, data: bytes) -> None:
        for told in rtp.read_rtcp(data):
            if isinstance(told, rtp.SenderInfo):
                if self._reception is not None and self._reception.ssrc == told.ssrc:
                    self._reception.sender_ntp, self._reception.sender_at = told.middle_ntp, monotonic()
                continue
            for slot in self._pool.slots:
                if slot.stream.ssrc == told.ssrc:
                    slot.fraction_lost, slot.lost, slot.jitter = told.fraction_lost, told.lost, told.jitter

    def gone(self, reason: str) -> None:
        if self._is_closed:
            return
        _log.info("peer gone", party=self.party, reason=reason)
        if self.transport is not None:
            self.transport.close()
        self._around.peer_moved(self)
        self._on_closed(reason)
