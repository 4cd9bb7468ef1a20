"""The receive gate of a leg: is what the radio gives us valid, and from which frame to which.

Frames pass a delay line of ``pre_roll_ms``. When the gate opens, the frame that leaves the line is that much older
than the decision: the first syllable is whole and frames keep their spacing of 20 ms. At the end only as much comes
out as lies within ``hang_ms`` of the last active frame, less ``tail_cut_ms``; and where speech gives way to the roar of
an open squelch, the end lies before it.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.expression import compile_expression
from tongpin.codecs.frame import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, PcmFrame, check_frame, frames_of_ms
from tongpin.codecs.levels import faded_in, faded_out
from tongpin.codecs.signalling import NO_SIGNALS, SignallingDecoder, SignallingSettings, Signals
from tongpin.codecs.speech import RecordedScore
from tongpin.codecs.squelch import LevelSquelch
from tongpin.codecs.vad import NOISE_FRAMES, SpeechDetector

_STRONGEST_FIRST = ("cos", "ctcss", "dcs", "dtmf", "vad", "squelch")
INPUTS = frozenset(_STRONGEST_FIRST)


class EdgeKind(StrEnum):
    OPEN = "open"
    CLOSE = "close"


class GateCause(StrEnum):
    """Why the gate moved. An opening names the expression's inputs that were active, the strongest first."""

    COS = "cos"
    VAD = "vad"
    SQUELCH = "squelch"
    CTCSS = "ctcss"
    DCS = "dcs"
    DTMF = "dtmf"
    INHIBIT = "inhibit"
    """Closed because the leg itself transmits, or has just done so."""
    STUCK = "stuck"
    """Open for too long; stays closed until its inputs go inactive."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Attributes: milliseconds are rounded up to whole frames of 20 ms; ``stuck_s`` is the longest opening."""

    expression: str = "squelch & vad"
    pre_roll_ms: int = 200
    hang_ms: int = 600
    open_delay_ms: int = 0
    tail_cut_ms: int = 0
    squelch_open_dbfs: float = -60.0
    squelch_close_dbfs: float = -66.0
    stuck_s: float = 180.0
    mute_bursts: bool = False
    """Keys, data bursts and calls leave as silence, as far back as the delay line still holds them."""

    @staticmethod
    def for_cos() -> "GateSettings":
        """A leg with a COS line: the line decides; one frame covers the fade, so that the delay stays small."""
        return GateSettings(expression="cos", pre_roll_ms=20, hang_ms=60)


@dataclass(frozen=True, slots=True)
class GateEdge:
    """The gate moved. ``at_samples`` is where in the stream, counted from the first sample pushed: the first sample
    of the first frame that comes out, or the end of the last."""

    kind: EdgeKind
    cause: GateCause
    at_samples: int


@dataclass(frozen=True, slots=True)
class GateOutput:
    """What one frame led to: an opening edge comes before ``pcm``, a closing edge after it."""

    edge: GateEdge | None
    pcm: PcmFrame | None


_NOTHING = GateOutput(None, None)


class ReceiveGate:
    """Feed it every frame; it hands out those that count.

    Args:
        speech: the detector that ``vad`` asks; None = one of its own.
    Attributes:
        speech: that detector, or None when the expression does not ask for it.

    Raises:
        ExpressionError: the settings' expression cannot be read.
        ValueError: squelch levels the wrong way round.
    """

    def __init__(self, settings: GateSettings | None = None, speech: SpeechDetector | None = None) -> None:
        settings = settings or GateSettings()
        self._expression = compile_expression(settings.expression, INPUTS)
        self._squelch = LevelSquelch(settings.squelch_open_dbfs, settings.squelch_close_dbfs)
        self.speech = speech or SpeechDetector() if "vad" in self._expression.names else None
        self._delay = frames_of_ms(settings.pre_roll_ms)
        self._open_after = max(1, frames_of_ms(settings.open_delay_ms))
        # More than line and hang hold cannot be cut from an end that is not known yet.
        self._keep = max(-self._delay, frames_of_ms(settings.hang_ms) - frames_of_ms(settings.tail_cut_ms))
        self._mutes = settings.mute_bursts
        self._stuck_after = int(settings.stuck_s * 1000 / FRAME_MS)
        self._line: list[PcmFrame] = [np.zeros(FRAME_SAMPLES, np.int16) for _ in range(self._delay + 1)]
        self._index = -1
        self._last_out = -1
        self._last_active = -1
        self._active_for = 0
        self._open_for = 0
        self._is_stuck = False
        self.is_open = False

    def push(
        self,
        pcm: PcmFrame,
        cos: bool = False,
        *,
        is_inhibited: bool = False,
        audible: PcmFrame | None = None,
        signals: Signals = NO_SIGNALS,
    ) -> GateOutput:
        """One frame, 20 ms.

        Args:
            pcm: int16, shape (960,), 48 kHz mono: what is judged. A copy is kept while it passes the delay line.
            cos: the carrier line now; False where there is none.
            audible: the same frame filtered and levelled: what is handed out. None = ``pcm`` itself.
            is_inhibited: the leg transmits, or has just done so: whatever comes in is not to be heard.
            signals: what the decoders found in the same frame. A burst that they know is no voice.
        Raises:
            FrameShapeError: pcm is not 960 samples of int16. The gate is unchanged.
        """
        check_frame(pcm)
        self._index += 1
        # What came in while the leg was deaf must not leave by the pre-roll of the next opening either.
        pcm = np.zeros_like(pcm) if is_inhibited else pcm.copy()
        self._line[self._index % (self._delay + 1)] = pcm if audible is None or is_inhibited else audible
        inputs = {
            "cos": cos,
            "squelch": self._squelch.push(pcm),
            "vad": self.speech is not None and self.speech.push(pcm) and signals.burst_since is None,
            "ctcss": signals.ctcss,
            "dcs": signals.dcs,
            "dtmf": signals.dtmf,
        }
        if self._mutes and signals.burst_since is not None:
            self._mute(signals.burst_since)
        is_active = self._expression.evaluate(inputs) and not is_inhibited
        self._is_stuck = self._is_stuck and is_active
        self._active_for = self._active_for + 1 if is_active and not self._is_stuck else 0
        if self._active_for:
            self._last_active = self._index
        if not self.is_open:
            return self._open(inputs) if self._active_for >= self._open_after else _NOTHING
        self._open_for += 1
        if is_inhibited:
            return self._close(GateCause.INHIBIT, None)
        if self._open_for > self._stuck_after:
            self._is_stuck = True
            return self._close(GateCause.STUCK, None)
        last = self._last_active + self._keep
        if self.speech is not None and self.speech.noise_frames >= NOISE_FRAMES:
            last = min(last, self._index - self.speech.noise_frames)
        out = self._index - self._delay
        if out > last:
            return self._close(self._cause(inputs), None)
        frame = self._line[out % (self._delay + 1)]
        if out == last and not is_active:
            self._last_out = out
            return self._close(self._cause(inputs), faded_out(frame))
        self._last_out = out
        return GateOutput(None, frame)

    def _mute(self, since: int) -> None:
        """Silence what the delay line still holds of everything from this sample on."""
        for index in range(max(0, self._index - self._delay), self._index + 1):
            start = since - index * FRAME_SAMPLES
            if start < FRAME_SAMPLES:
                self._line[index % (self._delay + 1)][max(0, start) :] = 0

    def _open(self, inputs: dict[str, bool]) -> GateOutput:
        out = self._index - self._delay
        if out <= self._last_out or out < 0:
            # This frame was heard before the gate closed, or lies before the stream: wait for the next.
            return _NOTHING
        self.is_open = True
        self._open_for = 0
        self._last_out = out
        edge = GateEdge(EdgeKind.OPEN, self._cause(inputs), out * FRAME_SAMPLES)
        return GateOutput(edge, faded_in(self._line[out % (self._delay + 1)]))

    def _close(self, cause: GateCause, pcm: PcmFrame | None) -> GateOutput:
        self.is_open = False
        return GateOutput(GateEdge(EdgeKind.CLOSE, cause, (self._last_out + 1) * FRAME_SAMPLES), pcm)

    def _cause(self, inputs: dict[str, bool]) -> GateCause:
        asked = self._expression.names
        named = [name for name in _STRONGEST_FIRST if name in asked and inputs[name]]
        named = named or [name for name in _STRONGEST_FIRST if name in asked]
        return GateCause(named[0])


@dataclass(frozen=True, slots=True)
class GateTrace:
    """What a gate made of a recording: its edges, and for each frame of 20 ms what it saw.

    Attributes:
        level_dbfs: of 280–3400 Hz, not below −75.
        harmonicity: near 0.3 for noise, 0.6–0.9 for voiced speech.
        score: log of the odds of speech, smoothed.
    """

    edges: tuple[GateEdge, ...]
    level_dbfs: NDArray[np.float64]
    harmonicity: NDArray[np.float64]
    score: NDArray[np.float64]


def trace_gate(
    pcm: NDArray[np.int16], settings: GateSettings, signalling: SignallingSettings | None = None
) -> GateTrace:
    """Run a gate without COS over a whole recording (48 kHz mono); an opening that is on at the end is closed there."""
    padded = np.concatenate([pcm, np.zeros(-pcm.size % FRAME_SAMPLES, np.int16)])
    seen = SpeechDetector(RecordedScore(padded))
    gate = ReceiveGate(settings, seen)
    decoder = SignallingDecoder(signalling or SignallingSettings())
    edges: list[GateEdge] = []
    rows: list[tuple[float, float, float]] = []
    for frame in padded.reshape(-1, FRAME_SAMPLES):
        edge = gate.push(frame, signals=decoder.push(frame)).edge
        if edge is not None:
            edges.append(edge)
        if gate.speech is None:
            seen.push(frame)
        rows.append((seen.level_dbfs, seen.harmonicity, seen.score))
    if gate.is_open:
        edges.append(GateEdge(EdgeKind.CLOSE, edges[-1].cause, padded.size))
    columns = np.array(rows, np.float64).reshape(-1, 3)
    return GateTrace(tuple(edges), columns[:, 0], columns[:, 1], columns[:, 2])


__all__ = [
    "INPUTS",
    "SAMPLE_RATE_HZ",
    "EdgeKind",
    "GateCause",
    "GateEdge",
    "GateOutput",
    "GateSettings",
    "GateTrace",
    "ReceiveGate",
    "trace_gate",
]
