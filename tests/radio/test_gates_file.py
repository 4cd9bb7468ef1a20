"""Gates over a recording, as ``tongpin gates`` prints them."""

from pathlib import Path

import numpy as np
import pytest

from tests.radio.legs import SimFolder, write_pcm
from tongpin.gateway.errors import CallerError
from tongpin.gateway.radio.gates_file import gate_events
from tongpin.gateway.radio.sim import make_voice


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """One second of faint noise, two of voice from 1.0 s to 3.0 s, two of faint noise."""
    pcm = np.random.default_rng(0).normal(0, 10, 5 * 48_000).astype(np.int16)
    voice = make_voice(2.0, 3)
    pcm[48_000 : 48_000 + voice.size] += voice
    write_pcm(tmp_path / "in.wav", pcm)
    return tmp_path / "in.wav"


def test_a_voice_opens_and_closes_the_default_gate_once(recording: Path) -> None:
    events = gate_events(recording, None)
    assert [event.kind for event in events] == ["open", "close"]
    assert 0.6 <= events[0].at_s <= 1.02
    assert 3.0 <= events[1].at_s <= 4.0
    assert events[0].cause in {"vad", "squelch"}


def test_the_legs_own_levels_count(recording: Path, tmp_path: Path) -> None:
    gate = {"squelch_open_dbfs": -40.0, "squelch_close_dbfs": -46.0}
    leg = SimFolder(tmp_path).config(rx_gain_db=-40.0, gate=gate)
    assert gate_events(recording, leg) == []
    leg = SimFolder(tmp_path).config(gate={"expression": "squelch", "hang_ms": 0, "pre_roll_ms": 0}, has_cos=False)
    events = gate_events(recording, leg)
    assert abs(events[0].at_s - 1.0) <= 0.04
    assert all(event.cause == "squelch" for event in events)


def test_contradictory_settings_and_missing_files_are_the_callers_errors(recording: Path, tmp_path: Path) -> None:
    leg = SimFolder(tmp_path).config(gate={"expression": "squelch & nothing"})
    with pytest.raises(CallerError, match="nothing"):
        gate_events(recording, leg)
    leg = SimFolder(tmp_path).config(gate={"squelch_open_dbfs": -60.0, "squelch_close_dbfs": -50.0})
    with pytest.raises(CallerError, match="squelch"):
        gate_events(recording, leg)
    with pytest.raises(CallerError, match=r"missing\.wav"):
        gate_events(tmp_path / "missing.wav", None)
