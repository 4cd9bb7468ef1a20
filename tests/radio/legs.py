"""What the worker tests share: a leg that runs, an ear on its events, speech, and a measure of likeness."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from tongpin.channels.ids import GroupId, PartyId
from tongpin.codecs.opus import OpusDecoder, OpusEncoder
from tongpin.config.models import LegConfig
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Talk
from tongpin.gateway.radio.sim import make_voice
from tongpin.gateway.radio.supervisor import LegStatus, LegSupervisor
from tongpin.gateway.radio.wavefile import WavWriter

LIMIT_S = 20.0
RATE_HZ = 48_000
Pcm = NDArray[np.int16]


class Ear:
    """Keeps a leg's events and lets a test wait for them."""

    def __init__(self) -> None:
        self.gates: list[tuple[bool, str, float]] = []
        self.packets: list[tuple[Packet, float]] = []
        self.statuses: list[LegStatus] = []
        self.onlines: list[tuple[bool, str]] = []
        self.keys: list[tuple[bool, str]] = []
        self.order: list[str] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def _note(self, what: str) -> None:
        self.order.append(what)
        task = asyncio.get_running_loop().create_task(self._wake())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def gate_moved(self, party: PartyId, is_open: bool, cause: str) -> None:
        self.gates.append((is_open, cause, monotonic()))
        self._note("open" if is_open else "close")

    def packet(self, party: PartyId, packet: Packet) -> None:
        self.packets.append((packet, monotonic()))
        self._note("packet")

    def status(self, party: PartyId, status: LegStatus) -> None:
        self.statuses.append(status)
        self._note("status")

    def online(self, party: PartyId, is_online: bool, reason: str) -> None:
        self.onlines.append((is_online, reason))
        self._note("online")

    def keyed(self, party: PartyId, is_keyed: bool, cause: str) -> None:
        self.keys.append((is_keyed, cause))
        self._note("keyed")

    async def wait(self, is_so: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
        async with asyncio.timeout(limit_s), self._changed:
            await self._changed.wait_for(is_so)

    async def wait_online(self, is_online: bool = True) -> None:
        await self.wait(lambda: bool(self.onlines) and self.onlines[-1][0] is is_online)

    async def wait_keyed(self, is_keyed: bool) -> None:
        await self.wait(lambda: bool(self.keys) and self.keys[-1][0] is is_keyed)

    async def wait_gate(self, is_open: bool) -> None:
        await self.wait(lambda: bool(self.gates) and self.gates[-1][0] is is_open)

    def heard(self) -> Pcm:
        """All packets so far, decoded; lost ones are left out."""
        decoder = OpusDecoder()
        return np.concatenate([decoder.decode(packet.payload) for packet, _ in self.packets])


@asynccontextmanager
async def running(config: LegConfig, is_locked: bool = False) -> AsyncIterator[tuple[LegSupervisor, Ear]]:
    """A leg with a real worker process, on line on entry, gone on exit."""
    ear = Ear()
    leg = LegSupervisor(config, ear, is_locked)
    task = asyncio.create_task(leg.run())
    try:
        await ear.wait_online()
        yield leg, ear
    finally:
        await leg.stop()
        async with asyncio.timeout(LIMIT_S):
            await task


class SimFolder:
    """The files of one simulated leg."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "transmitted.wav"
        self.line = folder / "line"
        self.control = folder / "control"

    def config(self, **changes: object) -> LegConfig:
        return LegConfig.model_validate(
            {
                "name": "sim",
                "card": {
                    "kind": "sim",
                    "record": str(self.record),
                    "control": str(self.control),
                    "noise_dbfs": -70.0,
                },
                "keyer": {"kind": "sim", "file": str(self.line)},
                "has_cos": True,
            }
            | changes
        )

    def command(self, text: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), str(self.control))

    def is_keyed(self) -> bool:
        return self.line.read_text() == "1"


def write_pcm(path: Path, pcm: Pcm) -> None:
    writer = WavWriter(path)
    writer.write(pcm)
    writer.close()


def write_voice(path: Path, seconds: float = 2.0, seed: int = 3) -> Pcm:
    pcm = make_voice(seconds, seed)
    write_pcm(path, pcm)
    return pcm


def encode(pcm: Pcm) -> list[Packet]:
    """20 ms packets; the last frame is filled up with silence."""
    encoder = OpusEncoder()
    padded = np.concatenate((pcm, np.zeros(-pcm.size % 960, np.int16)))
    return [
        Packet(encoder.encode(padded[start : start + 960]), number & 0xFFFF, start)
        for number, start in enumerate(range(0, padded.size, 960))
    ]


async def transmit(leg: LegSupervisor, packets: Iterable[Packet], talk: int = 1) -> None:
    """A talk at real pace through the leg's sink, keyed from its first packet to its last."""
    leg.sink.begin(Talk(talk, PartyId("session:x"), GroupId("g")))
    leg.key()
    next_at = monotonic()
    for packet in packets:
        leg.sink.send(talk, packet)
        next_at += 0.02
        await asyncio.sleep(max(0.0, next_at - monotonic()))
    leg.sink.end(talk)
    leg.unkey()


def _band(pcm: Pcm) -> NDArray[np.float64]:
    """300–3400 Hz, without phase shift."""
    spectrum = np.fft.rfft(pcm.astype(np.float64))
    hertz = np.fft.rfftfreq(pcm.size, 1 / RATE_HZ)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    return np.fft.irfft(spectrum, pcm.size)


def likeness(source: Pcm, recording: Pcm) -> tuple[float, list[float]]:
    """Find the source in the recording.

    Returns:
        Where its first sample lies, in seconds, and the correlation of the first 60 ms, the whole, and the last 60 ms.
    """
    size = 1 << (source.size + recording.size).bit_length()
    wanted, found = _band(source), _band(recording)
    cross = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(wanted, size)), size)
    at = int(np.argmax(cross[: recording.size]))
    part = np.zeros(source.size)
    piece = found[at : at + source.size]
    part[: piece.size] = piece
    scores = []
    for cut in (slice(0, 2_880), slice(0, None), slice(-2_880, None)):
        power = np.sqrt(np.sum(wanted[cut] ** 2) * np.sum(part[cut] ** 2))
        scores.append(float(np.sum(wanted[cut] * part[cut]) / power) if power > 0 else 0.0)
    return at / RATE_HZ, scores


def _voiced(pcm: Pcm) -> tuple[float, float]:
    """Seconds of the first and the last 5 ms whose level is within 25 dB of the loudest."""
    blocks = pcm[: pcm.size // 240 * 240].astype(np.float64).reshape(-1, 240)
    level = np.sqrt(np.mean(blocks**2, axis=1))
    loud = np.nonzero(level > level.max() * 10 ** (-25 / 20))[0]
    return float(loud[0]) * 0.005, float(loud[-1] + 1) * 0.005


def edges_off_s(source: Pcm, recording: Pcm) -> tuple[float, float]:
    """How far onset and end of the voice in the recording lie from where the source, as aligned, has them."""
    at_s, _ = likeness(source, recording)
    onset_s, end_s = _voiced(source)
    found_onset_s, found_end_s = _voiced(recording)
    return abs(found_onset_s - at_s - onset_s), abs(found_end_s - at_s - end_s)
