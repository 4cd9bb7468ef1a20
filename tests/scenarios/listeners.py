"""Standard WebRTC clients: a WHEP listener that stamps packets as they come in, a WHIP talker."""

import asyncio
import socket
from time import monotonic

import httpx
import numpy as np
from aiortc import AudioStreamTrack, MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import RtpPacket
from av import AudioFrame

from tests.scenarios.audio import RATE, Pcm
from tongpin.codecs.opus import OpusDecoder


class WhepListener:
    """Listens to a talk group by WHEP and keeps what it hears, by arrival time.

    Attributes:
        heard: (monotonic seconds of arrival, RTP timestamp, payload) of every packet.
    """

    def __init__(self) -> None:
        self.heard: list[tuple[float, int, bytes]] = []
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._location = ""
        self._client: httpx.AsyncClient | None = None

    async def open(self, client: httpx.AsyncClient, group: str) -> None:
        transceiver = self._pc.addTransceiver("audio", direction="recvonly")
        tap(transceiver.receiver, self.heard)
        await self._pc.setLocalDescription(await self._pc.createOffer())
        answer = await client.post(
            f"/whep/{group}",
            content=self._pc.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )
        assert answer.status_code == 201, answer.text
        self._client, self._location = client, answer.headers["Location"]
        await self._pc.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        await connected(self._pc)

    async def close(self) -> None:
        if self._client is not None:
            answer = await self._client.delete(httpx.URL(self._client.base_url).join(self._location))
            assert answer.status_code == 200, answer.text
        await self._pc.close()

    def clear(self) -> None:
        self.heard.clear()

    def recording(self, start: float, end: float) -> Pcm:
        """What was heard between two moments.

        The stream's time stamps run on over talks, so the packet that came quickest fixes them all; how late single
        packets came is not to be heard here.
        """
        out = np.zeros(round((end - start) * RATE) + 960, dtype=np.int16)
        heard = list(self.heard)
        if not heard:
            return out
        first = heard[0][1]
        times = [((timestamp - first + 2**31) % 2**32 - 2**31) / RATE for _, timestamp, _ in heard]
        origin = min(arrived - time for (arrived, _, _), time in zip(heard, times, strict=True))
        decoder = OpusDecoder()
        for (_, _, payload), time in zip(heard, times, strict=True):
            pcm = decoder.decode(payload)
            index = round((origin + time - start) * RATE)
            if 0 <= index <= len(out) - 960:
                out[index : index + 960] = pcm
        return out


def loopback_socket() -> socket.socket:
    """A UDP socket on a free port, for asyncio."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    return made


def tap(receiver: RTCRtpReceiver, heard: list[tuple[float, int, bytes]]) -> None:
    original = receiver._handle_rtp_packet

    async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
        heard.append((monotonic(), packet.timestamp, packet.payload))
        await original(packet, arrival_time_ms)

    receiver._handle_rtp_packet = handle  # type: ignore[method-assign]


async def connected(pc: RTCPeerConnection) -> None:
    """Wait until the connection stands."""
    done = asyncio.Event()

    @pc.on("connectionstatechange")
    def changed() -> None:
        if pc.connectionState in ("connected", "failed", "closed"):
            done.set()

    changed()
    async with asyncio.timeout(15):
        await done.wait()
    assert pc.connectionState == "connected"


class SpeakingTrack(AudioStreamTrack):
    """Plays samples once, then silence."""

    def __init__(self, pcm: Pcm) -> None:
        super().__init__()
        self._pcm = pcm
        self._at = 0
        self._started: float | None = None
        self.spoke_at: float | None = None

    async def recv(self) -> AudioFrame:
        now = monotonic()
        if self._started is None:
            self._started = self.spoke_at = now
        due = self._started + self._at / RATE
        await asyncio.sleep(max(0.0, due - now))
        part = self._pcm[self._at : self._at + 960]
        pcm = np.zeros((1, 960), dtype=np.int16)
        pcm[0, : len(part)] = part
        frame = AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._at
        self._at += 960
        return frame


class WhipTalker:
    """Publishes a track to a talk group by WHIP."""

    def __init__(self, track: MediaStreamTrack) -> None:
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._pc.addTransceiver(track, direction="sendonly")
        self._location = ""
        self._client: httpx.AsyncClient | None = None

    async def open(self, client: httpx.AsyncClient, group: str) -> None:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        answer = await client.post(
            f"/whip/{group}",
            content=self._pc.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )
        assert answer.status_code == 201, answer.text
        self._client, self._location = client, answer.headers["Location"]
        await self._pc.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        await connected(self._pc)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.delete(httpx.URL(self._client.base_url).join(self._location))
        await self._pc.close()
