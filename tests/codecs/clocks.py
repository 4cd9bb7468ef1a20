"""Two radios' sound cards whose clocks differ, a link with jitter between them, and a clock that is only a number."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.drift import ClockMeter, DriftResampler
from tongpin.codecs.frame import FRAME_SAMPLES, SAMPLE_RATE_HZ
from tongpin.codecs.jitter import JitterBuffer, JitterKind

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
TONE_HZ = 1_000.0


@dataclass(slots=True)
class Tally:
    """What a run came to. ``depth`` in packets, ``held`` in samples of both resamplers together."""

    talks: int = 0
    frames: int = 0
    concealed: int = 0
    dropped: int = 0
    left_out: int = 0
    deepest: int = 0
    most_held: float = 0.0
    worst_snr_db: float = 1e9
    capture_ppm: float = 0.0
    playout_ppm: float = 0.0

    @property
    def glitches(self) -> int:
        return self.concealed + self.dropped + self.left_out


class Card:
    """Ticks of one card in true seconds, each seen a little late."""

    def __init__(self, ppm: float, rng: np.random.Generator) -> None:
        self._true_s = FRAME_S / (1 + ppm * 1e-6)
        self._rng = rng
        self._late: Iterator[float] = iter(())
        self._meter = ClockMeter()
        self.ppm: float | None = None
        self.ticks = 0

    @property
    def next_s(self) -> float:
        return (self.ticks + 1) * self._true_s

    def tick(self) -> float:
        """Count one block; when it is seen, in seconds."""
        at = self.next_s
        self.ticks += 1
        late = next(self._late, None)
        if late is None:
            self._late = iter(self._rng.exponential(0.001, 4096).clip(0, 0.008).tolist())
            late = next(self._late)
        self._meter.add(self.ticks * FRAME_SAMPLES, at + late)
        if self.ticks % 500 == 0:
            self.ppm = self._meter.measure()
        return at + late


def tone(first: int) -> NDArray[np.int16]:
    places = first + np.arange(FRAME_SAMPLES)
    return np.asarray(8_000 * np.sin(2 * np.pi * TONE_HZ / SAMPLE_RATE_HZ * places), np.int16)


def snr_db(pcm: NDArray[np.int16]) -> float:
    """How far the sine near 1 kHz stands above everything else; its frequency is taken from its phase."""
    y = pcm.astype(float)
    n = np.arange(y.size) / SAMPLE_RATE_HZ
    hertz = TONE_HZ
    for _ in range(2):
        turned = (y * np.exp(-2j * np.pi * hertz * n))[: y.size // 480 * 480].reshape(-1, 480).mean(axis=1)
        hertz += float(np.polyfit(np.arange(turned.size) * 0.01, np.unwrap(np.angle(turned)), 1)[0]) / (2 * np.pi)
    basis = np.stack((np.sin(2 * np.pi * hertz * n), np.cos(2 * np.pi * hertz * n)), 1)
    fit, *_ = np.linalg.lstsq(basis, y, rcond=None)
    return float(20 * np.log10(np.std(basis @ fit) / np.std(y - basis @ fit)))


def run(
    seconds: float, capture_ppm: float, playout_ppm: float, talk_s: float, listen_every_s: float, seed: int = 1
) -> Tally:
    """One radio talks to another, ``talk_s`` seconds and 3 s of pause, for ``seconds``.

    What arrives is listened to for 2 s every ``listen_every_s``; in between frames are only counted.
    """
    rng = np.random.default_rng(seed)
    ears, mouth = Card(capture_ppm, rng), Card(playout_ppm, rng)
    capture, playout = DriftResampler(), DriftResampler()
    tally = Tally()
    jitter = JitterBuffer()
    arriving: list[tuple[float, int, int, bytes]] = []
    sent = number = order = 0
    talk = 0
    is_on = False
    heard: list[NDArray[np.int16]] = []
    delays = rng.exponential(0.001, 65_536).clip(0, 0.006).tolist()
    frames: dict[int, NDArray[np.int16] | None] = {}
    last_arrival = 0.0
    while min(ears.next_s, mouth.next_s) < seconds:
        if ears.next_s <= mouth.next_s:
            at = ears.next_s
            seen = ears.tick()
            if ears.ppm is not None:
                capture.steer(ears.ppm)
            place = at % (talk_s + 3.0)
            is_audio = at % listen_every_s < 3.0
            capture.feed(tone(ears.ticks * FRAME_SAMPLES) if is_audio else None)
            while capture.has_frame:
                frame = capture.take()
                if place < talk_s:
                    if not is_on:
                        is_on, talk = True, talk + 1
                    order += 1
                    last_arrival = max(last_arrival, seen + delays[order & 0xFFFF])
                    frames[order] = frame
                    heapq.heappush(arriving, (last_arrival, order, talk, b""))
                elif is_on:
                    is_on = False
                    order += 1
                    heapq.heappush(arriving, (last_arrival, order, -1, b""))
            continue
        at = mouth.next_s
        seen = mouth.tick()
        if mouth.ppm is not None:
            playout.steer(-mouth.ppm)
        while arriving and arriving[0][0] <= seen:
            _, which, of_talk, _ = heapq.heappop(arriving)
            if of_talk < 0:
                jitter.end()
                continue
            if of_talk != number:
                _add(tally, jitter)
                jitter, number, sent = JitterBuffer(), of_talk, 0
                playout.align()
            jitter.push(sent & 0xFFFF, which.to_bytes(8, "big"))
            sent += 1
        tally.deepest = max(tally.deepest, jitter.depth)
        while not playout.has_frame:
            item = jitter.pop()
            playout.feed(frames.pop(int.from_bytes(item.payload, "big")) if item.kind is JitterKind.PACKET else None)
            tally.frames += item.kind is JitterKind.PACKET
        out = playout.take()
        tally.most_held = max(tally.most_held, capture.held_samples + playout.held_samples)
        place = at % listen_every_s
        if 0.5 < place < 2.5 and at % (talk_s + 3.0) < talk_s - 0.5 and at % (talk_s + 3.0) > 1.0:
            if out is not None:
                heard.append(out)
        elif heard:
            if len(heard) > 40:
                tally.worst_snr_db = min(tally.worst_snr_db, snr_db(np.concatenate(heard[5:])))
            heard.clear()
    _add(tally, jitter)
    tally.capture_ppm, tally.playout_ppm = ears.ppm or 0.0, mouth.ppm or 0.0
    return tally


def _add(tally: Tally, jitter: JitterBuffer) -> None:
    tally.talks += jitter.received > 0
    tally.concealed += jitter.concealed + jitter.lost
    tally.dropped += jitter.dropped + jitter.late
    tally.left_out += jitter.shrunk
