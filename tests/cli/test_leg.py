"""``tongpin leg test`` on simulated and latching lines; what it unlocks, and that only one process has the radios."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.radio.legs import SimFolder, write_voice
from tests.radio.lines import HidBench, leg_on
from tongpin.config.keyers import Cm108Keyer
from tongpin.gateway.cli import app
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.claim import RadioClaim
from tongpin.gateway.radio.polarity import PolarityRecord
from tongpin.gateway.radio.wavefile import read_wav


def write_config(folder: Path, card: str = "", keyer: str = "{kind: sim, file: line}") -> str:
    text = f"data_folder: data\nlegs:\n  - {{name: a, card: {{kind: sim{card}}}, keyer: {keyer}, has_cos: true}}\n"
    (folder / "tongpin.yaml").write_text(text)
    return str(folder / "tongpin.yaml")


def test_a_simulated_leg_keys_plays_back_and_is_green(tmp_path: Path) -> None:
    write_voice(tmp_path / "voice.wav", 1.5)
    card = ", record: said.wav, utterances: [{at_s: 3.0, file: voice.wav}]"
    file = write_config(tmp_path, card)
    told = CliRunner().invoke(app, ["leg", "test", "a", "--config", file, "--json"])
    assert told.exit_code == 0, told.output
    report = json.loads(told.stdout)
    assert report["green"] is True
    assert report["heard_ms"] == pytest.approx(1500, abs=60)
    assert report["key_ms"] is not None
    assert report["locked"] is False
    assert read_wav(tmp_path / "said.wav").size >= 1.4 * 48_000
    assert (tmp_path / "line").read_text() == "0"


def test_a_locked_line_is_unlocked_by_who_watches_it(tmp_path: Path) -> None:
    chip = HidBench(tmp_path)
    try:
        file = write_config(tmp_path, keyer=f"{{kind: cm108, device: {chip.node}, cos_pin: none}}")
        leg = leg_on(Cm108Keyer(kind="cm108", device=str(chip.node), cos_pin="none"))
        words = ["leg", "test", "a", "--config", file, "--listen", "0", "--tone", "0.2"]
        told = CliRunner().invoke(app, words, input="n\n")
        assert "keying stays locked" in told.output
        assert PolarityRecord(tmp_path / "data").is_locked(leg)
        assert bytes((0, 0, 4, 4, 0)) in chip.reports
        assert chip.level() is False
        told = CliRunner().invoke(app, [*words, "--confirm-polarity"])
        assert told.exit_code == 0, told.output
        assert "green" in told.output
        assert not PolarityRecord(tmp_path / "data").is_locked(leg)
    finally:
        chip.close()


def test_calibration_says_what_to_set(tmp_path: Path) -> None:
    file = write_config(tmp_path)
    told = CliRunner().invoke(app, ["leg", "test", "a", "--config", file, "--listen", "0.5", "--calibrate"])
    assert "the tone was sent at -18 dBFS" in told.output
    assert "no 1 kHz tone was heard" in told.output


def test_only_one_process_has_the_radios(tmp_path: Path) -> None:
    file = write_config(tmp_path)
    with RadioClaim(tmp_path / "data"):
        told = CliRunner().invoke(app, ["leg", "test", "a", "--config", file])
        assert told.exit_code == 1
        assert "stop the service first" in told.output
        with pytest.raises(DeviceError, match="another Tongpin"):
            RadioClaim(tmp_path / "data").__enter__()
    with RadioClaim(tmp_path / "data"):
        pass


def test_an_unknown_leg_is_told(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["leg", "test", "b", "--config", write_config(tmp_path)])
    assert told.exit_code == 2
    assert "no leg 'b'" in told.output


def test_a_leg_that_does_not_come_on_line_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tongpin.gateway.cli_leg._ONLINE_S", 3.0)
    file = write_config(tmp_path, keyer="{kind: cm108, device: /dev/no-such-hidraw}")
    told = CliRunner().invoke(app, ["leg", "test", "a", "--config", file])
    assert told.exit_code == 1
    assert "does not come on line" in told.output
    assert SimFolder(tmp_path).line.exists() is False
