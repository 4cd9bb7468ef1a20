"""Scenes: what a leg hears over some seconds, and where speech truly is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.bench.fm import channel as fm
from tests.bench.fm.corpus import RATE_HZ, Audio, Utterance
from tests.bench.fm.events import Event, vehicle

TO_CARD = 2
"""The sound card's rate against ours."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Attributes:
    pcm: 48 kHz int16 of what the leg hears.
    carrier: where a carrier is on, one bool per sample of ``pcm`` (what a COS line would say).
    speech: (onset, end) in samples of ``pcm`` for each utterance.
    spoken: one value per 20 ms frame: 1 = speech, 0 = none, −1 = either is right (edges, short pauses).
    """

    pcm: NDArray[np.int16]
    carrier: NDArray[np.bool_]
    speech: tuple[tuple[int, int], ...]
    spoken: NDArray[np.int8]


def _spread(spoken: NDArray[np.bool_], at: int, label: NDArray[np.int8]) -> tuple[int, int]:
    """Write an utterance that begins at sample ``at`` into the frame labels; (onset, end) in our samples."""
    blocks = np.flatnonzero(spoken)
    onset, end = at + int(blocks[0]) * RATE_HZ // 100, at + (int(blocks[-1]) + 1) * RATE_HZ // 100
    per_frame, frames = RATE_HZ // 50, label.size
    first, last = onset // per_frame, min(frames, -(-end // per_frame))
    whole_end = (at + spoken.size * RATE_HZ // 100) // per_frame
    label[max(0, at // per_frame - 1) : min(frames, whole_end + 17)] = -1
    heard_at = np.unique((at + blocks * (RATE_HZ // 100)) // per_frame)
    for frame in heard_at[(heard_at >= first + 3) & (heard_at < frames)]:
        label[frame : min(last, frame + 8)] = 1
    return onset, end


def _smooth(frames: int) -> int:
    """The next count of frames whose only prime factors are 2, 3 and 5: other lengths make slow transforms."""
    while True:
        left = frames
        for prime in (2, 3, 5):
            while left % prime == 0:
                left //= prime
        if left == 1:
            return frames
        frames += 1


def _filling(parts: Sequence[Audio]) -> Audio:
    """The silence that rounds the parts up to a smooth number of frames."""
    count, per_frame = sum(part.size for part in parts), RATE_HZ // 50
    return np.zeros(_smooth(-(-count // per_frame)) * per_frame - count)


def speech_scene(
    utterances: Sequence[Utterance],
    channel: fm.Channel,
    rng: np.random.Generator,
    level_dbfs: float,
    *,
    background: float = 0.0,
) -> Scene:
    """Transmissions one after the other, a second or more apart. ``background``: vehicle noise under the speech."""
    parts: list[tuple[Audio, bool, Utterance | None]] = [
        (np.zeros(round(rng.uniform(0.6, 1.5) * RATE_HZ)), False, None)
    ]
    for utterance in utterances:
        drive = float(rng.uniform(0.5, 2.0))
        parts.append((np.zeros(round(rng.uniform(0.05, 0.8) * RATE_HZ)), True, None))
        parts.append((fm.pre_emphasised(utterance.audio, drive), True, utterance))
        parts.append((np.zeros(round(rng.uniform(0.05, 0.4) * RATE_HZ)), True, None))
        parts.append((np.zeros(round(rng.uniform(1.2, 2.5) * RATE_HZ)), False, None))
    return _scene(parts, channel, rng, level_dbfs, background)


def event_scene(events: Sequence[Event], channel: fm.Channel, rng: np.random.Generator, level_dbfs: float) -> Scene:
    """Transmissions that carry no speech, a second or more apart."""
    parts: list[tuple[Audio, bool, Utterance | None]] = [
        (np.zeros(round(rng.uniform(0.4, 1.0) * RATE_HZ)), False, None)
    ]
    for event in events:
        parts.append((np.zeros(round(rng.uniform(0.02, 0.5) * RATE_HZ)), True, None))
        parts.append((event(rng), True, None))
        parts.append((np.zeros(round(rng.uniform(0.02, 0.3) * RATE_HZ)), True, None))
        parts.append((np.zeros(round(rng.uniform(1.0, 1.5) * RATE_HZ)), False, None))
    return _scene(parts, channel, rng, level_dbfs, 0.0)


def _scene(
    parts: list[tuple[Audio, bool, Utterance | None]],
    channel: fm.Channel,
    rng: np.random.Generator,
    level_dbfs: float,
    background: float,
) -> Scene:
    parts.append((_filling([audio for audio, _, _ in parts]), False, None))
    modulation = np.concatenate([audio for audio, _, _ in parts])
    carrier = np.concatenate([np.full(audio.size, is_on) for audio, is_on, _ in parts])
    if background:
        noise = vehicle(rng)
        modulation = np.clip(modulation + background * np.resize(noise / np.std(noise), modulation.size), -1, 1)
    heard, _ = fm.transmit(modulation, carrier, channel, rng)
    label = np.zeros(modulation.size // (RATE_HZ // 50), np.int8)
    spans: list[tuple[int, int]] = []
    at = 0
    for audio, _, utterance in parts:
        if utterance is not None:
            onset, end = _spread(utterance.spoken, at, label)
            spans.append((onset * TO_CARD, end * TO_CARD))
        at += audio.size
    return Scene(fm.at_card(heard, level_dbfs), np.repeat(carrier, TO_CARD), tuple(spans), label)


def noise_scene(seconds: float, channel: fm.Channel, rng: np.random.Generator, level_dbfs: float) -> Scene:
    """Nothing but an open squelch, or (with a squelched channel) a silent sound card."""
    count = round(seconds * 50) * (RATE_HZ // 50)
    return _scene([(np.zeros(count), False, None)], channel, rng, level_dbfs, 0.0)


def clean_scene(utterances: Sequence[Utterance], rng: np.random.Generator, level_dbfs: float) -> Scene:
    """Speech straight into the sound card, with the card's own noise between."""
    parts: list[Audio] = [np.zeros(round(rng.uniform(0.3, 1.5) * RATE_HZ))]
    starts: list[int] = []
    for utterance in utterances:
        starts.append(sum(part.size for part in parts))
        parts += [utterance.audio * 0.35, np.zeros(round(rng.uniform(1.2, 2.5) * RATE_HZ))]
    parts.append(_filling(parts))
    audio = np.concatenate(parts) + rng.normal(0, 10 ** rng.uniform(-4.5, -2), sum(part.size for part in parts))
    label = np.zeros(audio.size // (RATE_HZ // 50), np.int8)
    spans = [_spread(one.spoken, at, label) for one, at in zip(utterances, starts, strict=True)]
    return Scene(
        fm.at_card(audio, level_dbfs),
        np.zeros(audio.size * TO_CARD, np.bool_),
        tuple((onset * TO_CARD, end * TO_CARD) for onset, end in spans),
        label,
    )
