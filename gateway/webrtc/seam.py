"""The only file that knows private names of aiortc 1.16 and aioice 0.13.

aiortc would start a decoder thread and a jitter buffer per receiver and three tasks per sender. None of that runs
here: RTP is taken where it leaves SRTP, and packets are protected and sent in one synchronous call. What this file
relies on is listed in :data:`PRIVATE_NAMES`; :func:`missing_names` says what has moved in another version.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import aioice.ice
import ifaddr
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.clock import current_ntp_time
from aiortc.rtcdtlstransport import RTCDtlsTransport, RtpRouter
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import AnyRtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSenderInfo, RtcpSrPacket, RtpPacket

from tongpin.gateway.errors import PeerError

PRIVATE_NAMES: tuple[tuple[type, str], ...] = (
    (RtpRouter, "register_sender"),
    (RTCDtlsTransport, "_register_rtp_receiver"),
    (RTCDtlsTransport, "_handle_rtp_data"),
    (RTCDtlsTransport, "_handle_rtcp_data"),
    (RTCRtpReceiver, "receive"),
    (RTCRtpSender, "send"),
    (StreamStatistics, "fraction_lost"),
    (aioice.ice.Connection, "data_received"),
)


def missing_names() -> list[str]:
    """What this file needs and the installed aiortc or aioice no longer has; empty when all is well."""
    missing = [f"{owner.__name__}.{name}" for owner, name in PRIVATE_NAMES if not hasattr(owner, name)]
    if not hasattr(aioice.ice, "get_host_addresses"):
        missing.append("aioice.ice.get_host_addresses")
    connection = RTCPeerConnection()
    transceiver = connection.addTransceiver("audio")
    dtls = transceiver.sender.transport
    for owner, name in (
        (transceiver.sender, "_ssrc"),
        (dtls, "_rtp_router"),
        (dtls, "_tx_srtp"),
        (dtls.transport, "_connection"),
        (dtls.transport._connection, "_nominated"),
        (dtls.transport._connection, "_queue"),
    ):
        if not hasattr(owner, name):
            missing.append(f"{type(owner).__name__}.{name}")
    return missing


def choose_addresses(interfaces: Collection[str], *, include_loopback: bool) -> None:
    """Say which of the machine's addresses are offered as host candidates; empty = every interface. Process-wide."""

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        found: list[str] = []
        for adapter in ifaddr.get_adapters():
            if interfaces and adapter.nice_name not in interfaces:
                continue
            for ip in adapter.ips:
                if isinstance(ip.ip, str):
                    if use_ipv4 and (include_loopback or not ip.ip.startswith("127.")):
                        found.append(ip.ip)
                elif use_ipv6 and ip.ip[2] == 0 and ip.ip[0] != "::1":
                    found.append(ip.ip[0])
        return found

    aioice.ice.get_host_addresses = addresses


@dataclass(frozen=True, slots=True)
class RtpIn:
    """A received RTP packet. ``level_dbov`` is the sender's own word of its loudness (RFC 6464), 0 to -127, or None."""

    payload: bytes
    sequence: int
    timestamp: int
    level_dbov: int | None


MAX_DATAGRAM = 1500
MAX_WAITING = 256
"""Datagrams that wait for a peer's DTLS; aioice's own queue knows no bound."""


def guard(transceiver: RTCRtpTransceiver, on_garbage: Callable[[], None]) -> None:
    """Keep datagrams that can be neither DTLS nor SRTP from the transport: a single empty one would end it.

    aiortc 1.16 looks at the first byte without asking whether there is one, and closes the connection on the error.
    """
    connection = transceiver.receiver.transport.transport._connection
    take = connection.data_received

    def data_received(data: bytes, component: int) -> None:
        if 12 <= len(data) <= MAX_DATAGRAM and connection._queue.qsize() < MAX_WAITING:
            take(data, component)
        else:
            on_garbage()

    connection.data_received = data_received  # type: ignore[method-assign]


class ReceiveTap:
    """Stands where aiortc's receiver would: gets RTP right after SRTP, in the event loop."""

    def __init__(self, on_rtp: Callable[[RtpIn], None], on_gone: Callable[[], None]) -> None:
        self._on_rtp = on_rtp
        self._on_gone = on_gone
        self.statistics = StreamStatistics(48_000)
        self.ssrc = 0

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if packet.ssrc != self.ssrc:
            self.ssrc = packet.ssrc
            self.statistics = StreamStatistics(48_000)
        self.statistics.add(packet)
        level = packet.extensions.audio_level
        self._on_rtp(
            RtpIn(packet.payload, packet.sequence_number, packet.timestamp, -level[1] if level is not None else None)
        )

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """Sender reports carry nothing that we need."""

    def _handle_disconnect(self) -> None:
        self._on_gone()


class SendPort:
    """Stands where aiortc's sender would: one SSRC of one peer, sending without a task and without an await.

    Attributes:
        ssrc: as the answer announces it.
        fraction_lost, jitter: from the peer's last receiver report; fraction 0–255/256, jitter in samples.
    """

    def __init__(self, transceiver: RTCRtpTransceiver) -> None:
        self._dtls = transceiver.sender.transport
        self._transceiver = transceiver
        self.ssrc: int = transceiver.sender._ssrc
        self.payload_type = 0
        self.is_ready = False
        self.fraction_lost = 0.0
        self.jitter = 0
        self._ssrc = self.ssrc
        transceiver.sender.send = self._start  # type: ignore[method-assign]

    async def _start(self, parameters: RTCRtpSendParameters) -> None:
        self.payload_type = parameters.codecs[0].payloadType or 0
        self._dtls._rtp_router.register_sender(self, self.ssrc)
        self.is_ready = True

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == self.ssrc:
                    self.fraction_lost = report.fraction_lost / 256
                    self.jitter = report.jitter

    def send(self, packet: bytes) -> bool:
        """Protect and send one RTP packet. False when the connection does not stand (yet, or any more)."""
        return send_protected(self._dtls, packet, is_rtcp=False)

    def send_report(self, timestamp: int, packets: int, octets: int) -> None:
        """A sender report: ``timestamp`` is the RTP time of now."""
        info = RtcpSenderInfo(current_ntp_time(), timestamp, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
        send_protected(self._dtls, bytes(RtcpSrPacket(self.ssrc, info)), is_rtcp=True)


def send_protected(dtls: RTCDtlsTransport, packet: bytes, *, is_rtcp: bool) -> bool:
    """SRTP and one sendto on the nominated path, synchronously."""
    srtp = dtls._tx_srtp
    pair = dtls.transport._connection._nominated.get(1)
    if srtp is None or pair is None or dtls.state != "connected":
        return False
    data = srtp.protect_rtcp(packet) if is_rtcp else srtp.protect(packet)
    pair.protocol.transport.sendto(data, pair.remote_addr)
    return True


def take_receiver(transceiver: RTCRtpTransceiver, tap: ReceiveTap) -> None:
    """Have the tap get this m-line's RTP; aiortc's own receiver never starts."""
    dtls = transceiver.receiver.transport

    async def receive(parameters: RTCRtpReceiveParameters) -> None:
        dtls._register_rtp_receiver(tap, parameters)

    transceiver.receiver.receive = receive  # type: ignore[method-assign]


def send_receiver_report(transceiver: RTCRtpTransceiver, tap: ReceiveTap) -> None:
    """Tell the talker what was lost and how its packets jitter, so that it turns its FEC on."""
    statistics = tap.statistics
    if statistics.max_seq is None:
        return
    info = RtcpReceiverInfo(
        ssrc=tap.ssrc,
        fraction_lost=statistics.fraction_lost,
        packets_lost=statistics.packets_lost,
        highest_sequence=(statistics.cycles + statistics.max_seq) & 0xFFFFFFFF,
        jitter=statistics.jitter & 0xFFFFFFFF,
        lsr=0,
        dlsr=0,
    )
    ssrc = transceiver.sender._ssrc
    send_protected(transceiver.receiver.transport, bytes(RtcpRrPacket(ssrc, [info])), is_rtcp=True)


def check_versions() -> None:
    """Raise PeerError naming what has moved; called once at start-up, before anybody relies on it."""
    missing = missing_names()
    if missing:
        raise PeerError(f"this aiortc/aioice lacks {', '.join(missing)}; install aiortc 1.16 and aioice 0.13")


def rtp_now() -> int:
    """The RTP clock of all our streams: 48 kHz, wrapping."""
    return int(time.monotonic() * 48_000) & 0xFFFFFFFF
