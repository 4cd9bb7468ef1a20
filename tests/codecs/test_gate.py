"""The receive gate: what opens it, what does not, and which frames come out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tongpin.codecs.ctcss import CtcssEncoder
from tongpin.codecs.errors import ExpressionError, FrameShapeError
from tongpin.codecs.expression import compile_expression
from tongpin.codecs.frame import FRAME_SAMPLES, PcmFrame, frames_of_ms
from tongpin.codecs.gate import EdgeKind, GateCause, GateEdge, GateSettings, ReceiveGate, trace_gate
from tongpin.codecs.levels import rms_dbfs, to_pcm
from tongpin.codecs.signalling import SignallingSettings, Signals
from tongpin.codecs.speech import RecordedScore, SpeechScore
from tongpin.codecs.squelch import LevelSquelch
from tongpin.codecs.vad import SpeechDetector
from tongpin.gateway.radio.sim import make_voice

Pcm = NDArray[np.int16]
RANDOM = np.random.default_rng(7)


def numbered(count: int, start: int = 1) -> list[PcmFrame]:
    """Frames whose samples all say which frame they are."""
    return [np.full(FRAME_SAMPLES, 100 * index, np.int16) for index in range(start, start + count)]


def run(gate: ReceiveGate, frames: list[PcmFrame], cos: list[bool]) -> tuple[list[GateEdge], list[PcmFrame]]:
    edges, out = [], []
    for frame, line in zip(frames, cos, strict=True):
        output = gate.push(frame, line)
        if output.edge is not None:
            edges.append(output.edge)
        if output.pcm is not None:
            out.append(output.pcm)
    return edges, out


def test_cos_opens_with_pre_roll_and_closes_after_the_hang() -> None:
    gate = ReceiveGate(GateSettings(expression="cos", pre_roll_ms=40, hang_ms=60))
    cos = [False] * 5 + [True] * 10 + [False] * 10
    edges, out = run(gate, numbered(25), cos)
    # Active are frames 5–14: out come two before, and three after the last.
    assert edges == [
        GateEdge(EdgeKind.OPEN, GateCause.COS, 3 * FRAME_SAMPLES),
        GateEdge(EdgeKind.CLOSE, GateCause.COS, 18 * FRAME_SAMPLES),
    ]
    assert [int(frame[-1]) // 100 for frame in out[:1]] == [3], "the first rises to (almost) all of frame number 4"
    assert [int(frame[0]) for frame in out[1:-1]] == [100 * number for number in range(5, 18)]
    assert out[-1][0] > 0.9 * 1800
    assert out[-1][-1] < 10


def test_the_squelch_tail_is_cut() -> None:
    gate = ReceiveGate(GateSettings(expression="cos", pre_roll_ms=100, hang_ms=0, tail_cut_ms=60))
    edges, out = run(gate, numbered(30), [False] * 6 + [True] * 10 + [False] * 14)
    assert edges[1].at_samples == (16 - 3) * FRAME_SAMPLES
    assert len(out) == 5 + 10 - 3


def test_a_short_drop_of_the_carrier_is_bridged() -> None:
    gate = ReceiveGate(GateSettings(expression="cos", pre_roll_ms=40, hang_ms=60))
    edges, _ = run(gate, numbered(30), [False] * 5 + [True] * 5 + [False] * 2 + [True] * 5 + [False] * 13)
    assert [edge.kind for edge in edges] == [EdgeKind.OPEN, EdgeKind.CLOSE]


def test_a_short_carrier_does_not_open_within_the_delay() -> None:
    gate = ReceiveGate(GateSettings(expression="cos", pre_roll_ms=100, hang_ms=0, open_delay_ms=60))
    edges, _ = run(gate, numbered(20), [False] * 6 + [True] * 2 + [False] * 12)
    assert edges == []
    edges, _ = run(gate, numbered(20), [False] * 6 + [True] * 3 + [False] * 11)
    assert edges[0].at_samples == (20 + 8 - 5) * FRAME_SAMPLES


def test_own_transmission_keeps_it_shut() -> None:
    gate = ReceiveGate(GateSettings.for_cos())
    assert gate.push(numbered(1)[0], cos=True, is_inhibited=True).edge is None
    for frame in numbered(5):
        gate.push(frame, cos=True)
    assert gate.is_open
    output = gate.push(numbered(1)[0], cos=True, is_inhibited=True)
    assert output.edge is not None
    assert output.edge.cause is GateCause.INHIBIT
    assert output.pcm is None
    assert not gate.is_open


def test_what_came_in_while_deaf_is_not_in_the_pre_roll() -> None:
    gate = ReceiveGate(GateSettings(expression="cos", pre_roll_ms=100, hang_ms=0))
    out = [gate.push(frame, cos=False, is_inhibited=True) for frame in numbered(10)]
    out += [gate.push(frame, cos=True) for frame in numbered(10, 11)]
    heard = [output.pcm for output in out if output.pcm is not None]
    assert len(heard) == 10
    assert all(frame.max() == 0 for frame in heard[:5])
    assert [int(frame[0]) for frame in heard[5:]] == [1100, 1200, 1300, 1400, 1500]


def test_a_stuck_carrier_is_shut_out_until_it_goes() -> None:
    gate = ReceiveGate(GateSettings(expression="cos", pre_roll_ms=0, hang_ms=0, stuck_s=0.2))
    edges, _ = run(gate, numbered(40), [True] * 40)
    assert [(edge.kind, edge.cause) for edge in edges] == [
        (EdgeKind.OPEN, GateCause.COS),
        (EdgeKind.CLOSE, GateCause.STUCK),
    ]
    edges, _ = run(gate, numbered(3), [False, True, True])
    assert [edge.kind for edge in edges] == [EdgeKind.OPEN]


def test_a_wrong_frame_changes_nothing() -> None:
    gate = ReceiveGate(GateSettings(expression="cos", pre_roll_ms=20, hang_ms=0))
    gate.push(numbered(1)[0], cos=False)
    with pytest.raises(FrameShapeError):
        gate.push(np.zeros(10, np.int16), cos=True)
    assert not gate.is_open


def speech_after_silence(lead_frames: int, frames: int, tail_frames: int, noise: float = 20.0) -> Pcm:
    spoken = make_voice(frames / 50, 5)
    pcm = np.concatenate([np.zeros(lead_frames * FRAME_SAMPLES), spoken, np.zeros(tail_frames * FRAME_SAMPLES)])
    return np.asarray(pcm + RANDOM.normal(0, noise, pcm.size), dtype=np.int16)


def test_a_voice_opens_before_its_first_syllable_and_closes_after_its_last() -> None:
    edges = trace_gate(speech_after_silence(50, 100, 60), GateSettings()).edges
    assert [edge.kind for edge in edges] == [EdgeKind.OPEN, EdgeKind.CLOSE]
    assert 50 * 960 - 12_000 < edges[0].at_samples <= 50 * 960
    assert 150 * 960 <= edges[1].at_samples < 150 * 960 + 48_000


def test_a_voice_that_is_on_at_the_end_is_closed_there() -> None:
    edges = trace_gate(speech_after_silence(20, 60, 0)[:-100], GateSettings()).edges
    assert [edge.kind for edge in edges] == [EdgeKind.OPEN, EdgeKind.CLOSE]
    assert edges[1].at_samples == 80 * 960


def _tones(*hz: float) -> Pcm:
    t = np.arange(48_000 * 5) / 48_000
    return np.asarray(sum(8_000 * np.sin(2 * np.pi * f * t) for f in hz) / len(hz), dtype=np.int16)


@pytest.mark.parametrize(
    "pcm",
    [
        np.asarray(RANDOM.normal(0, 5_000, 48_000 * 5), dtype=np.int16),
        _tones(1_000),
        _tones(697, 1209),
        _tones(50, 150),
        np.zeros(48_000, np.int16),
    ],
    ids=["noise", "tone", "dtmf", "hum", "silence"],
)
def test_what_is_no_voice_does_not_open(pcm: Pcm) -> None:
    assert trace_gate(pcm, GateSettings()).edges == ()


def test_the_detector_hears_a_voice() -> None:
    detector = SpeechDetector()
    assert any(detector.push(frame) for frame in make_voice(1.0, 5).reshape(-1, FRAME_SAMPLES))


def test_level_squelch_has_hysteresis() -> None:
    squelch = LevelSquelch(-20, -30)
    frames = [np.full(960, level, np.int16) for level in (1_000, 3_300, 1_100, 900, 1_100)]
    assert [round(rms_dbfs(frame)) for frame in frames] == [-30, -20, -29, -31, -29]
    assert [squelch.push(frame) for frame in frames] == [False, True, True, False, False]
    with pytest.raises(ValueError, match="above where it opens"):
        LevelSquelch(-40, -30)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("cos", lambda c, s, v: c),
        ("cos & vad", lambda c, s, v: c and v),
        ("(cos & squelch) | vad", lambda c, s, v: (c and s) or v),
        ("cos & (squelch | vad)", lambda c, s, v: c and (s or v)),
        ("!cos|vad & squelch", lambda c, s, v: not c or (v and s)),
        ("!!(cos)", lambda c, s, v: c),
    ],
)
def test_expressions(text: str, truth: object) -> None:
    assert callable(truth)
    expression = compile_expression(text, frozenset({"cos", "squelch", "vad"}))
    for bits in range(8):
        cos, squelch, vad = bool(bits & 1), bool(bits & 2), bool(bits & 4)
        assert expression.evaluate({"cos": cos, "squelch": squelch, "vad": vad}) == truth(cos, squelch, vad)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("cos &", 6),
        ("cos vad", 5),
        ("(cos", 5),
        ("tone", 1),
        ("cos $ vad", 5),
        ("cos)", 4),
        ("cos & & vad", 7),
        ("cos |" * 50, 201),
    ],
)
def test_a_wrong_expression_names_its_column(text: str, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, frozenset({"cos", "vad"}))
    assert caught.value.column == column


def test_frames_of_ms_rounds_up() -> None:
    assert [frames_of_ms(ms) for ms in (0, 1, 20, 21, 200)] == [0, 1, 1, 2, 10]


def test_tones_and_keys_are_inputs_like_others() -> None:
    gate = ReceiveGate(GateSettings(expression="(cos & ctcss) | dtmf | dcs", pre_roll_ms=0, hang_ms=0))
    steps = [
        (True, Signals(), None),
        (True, Signals(ctcss=True), GateCause.COS),
        (False, Signals(ctcss=True), GateCause.CTCSS),
        (False, Signals(dtmf=True), GateCause.DTMF),
        (False, Signals(), GateCause.COS),
        (False, Signals(dcs=True), GateCause.DCS),
    ]
    for frame, (cos, signals, cause) in zip(numbered(6), steps, strict=True):
        edge = gate.push(frame, cos, signals=signals).edge
        assert (edge.cause if edge is not None else None) == cause


def test_a_burst_that_a_decoder_knows_is_no_voice() -> None:
    for since, expected in ((None, True), (0, False)):
        gate = ReceiveGate(GateSettings(expression="vad"))
        spoken = np.asarray(make_voice(2.0, 3) * 0.5, np.int16)
        for frame in spoken.reshape(-1, FRAME_SAMPLES):
            gate.push(frame, signals=Signals(burst_since=since))
        assert gate.is_open is expected


def test_a_burst_is_muted_back_to_its_beginning() -> None:
    """The burst begins in the middle of frame 6 and is known in frame 8; it is over in frame 10."""
    settings = GateSettings(expression="cos", pre_roll_ms=60, hang_ms=0, mute_bursts=True)
    since = 6 * FRAME_SAMPLES + 480
    gate = ReceiveGate(settings)
    out = []
    for index, frame in enumerate(numbered(16)):
        signals = Signals(burst_since=since if 8 <= index < 10 else None)
        output = gate.push(frame, cos=True, signals=signals)
        out += [output.pcm] if output.pcm is not None else []
    heard = np.concatenate(out)
    silent = np.flatnonzero(heard[FRAME_SAMPLES:] == 0) + FRAME_SAMPLES
    assert silent.tolist() == list(range(since, 10 * FRAME_SAMPLES))


def test_a_recording_is_gated_by_its_tone() -> None:
    encoder = CtcssEncoder(88.5, -28.0)
    tone = np.concatenate([encoder.next_frame() for _ in range(50)])
    pcm = to_pcm(np.concatenate([np.zeros(24_000), tone, np.zeros(24_000)]))
    settings = GateSettings(expression="ctcss", pre_roll_ms=260, hang_ms=60)
    assert trace_gate(pcm, settings).edges == ()
    opened, closed = trace_gate(pcm, settings, SignallingSettings(ctcss=(88.5,))).edges
    assert abs(opened.at_samples - 24_000) <= 6500
    assert abs(closed.at_samples - 72_000) <= 9600
    assert opened.cause is GateCause.CTCSS


def test_a_recording_is_judged_at_once_as_it_is_frame_by_frame() -> None:
    pcm = speech_after_silence(20, 100, 3030, noise=600)
    live, recorded = SpeechScore(), RecordedScore(pcm)
    for at, frame in enumerate(pcm.reshape(-1, FRAME_SAMPLES)):
        assert recorded.push(frame) == pytest.approx(live.push(frame), abs=1e-2)
        assert at == 0 or recorded.level_dbfs == pytest.approx(live.level_dbfs, abs=0.01)


def test_open_noise_ends_a_talk_before_it_is_heard() -> None:
    random = np.random.default_rng(7)
    spoken = np.concatenate([np.zeros(24_000), make_voice(2.0, 3) * 0.2])
    carrier = np.asarray(spoken + random.normal(0, 60, spoken.size), np.int16)
    noise = random.normal(0, 12_000, 48_000 * 2).astype(np.int16)
    edges = trace_gate(np.concatenate([noise, carrier, noise]), GateSettings()).edges
    assert [edge.kind for edge in edges] == [EdgeKind.OPEN, EdgeKind.CLOSE]
    assert edges[0].at_samples <= 2.5 * 48_000
    assert abs(edges[1].at_samples - 4.5 * 48_000) <= 1920
