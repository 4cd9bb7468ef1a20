"""``tongpin unkey``: lines that a dead service left keyed are let go, one row per leg."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.radio.lines import HidBench
from tongpin.gateway.cli import app


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two simulated legs; the lines of both were left keyed."""
    path = tmp_path / "tongpin.yaml"
    legs = ""
    for name in ("a", "b"):
        (tmp_path / name).write_text("1")
        legs += f"  - {{name: {name}, card: {{kind: sim}}, keyer: {{kind: sim, file: {name}}}}}\n"
    path.write_text("legs:\n" + legs)
    return path


def unkey(*words: str) -> tuple[int, str, str]:
    told = CliRunner().invoke(app, ["unkey", *words])
    return told.exit_code, told.stdout, told.stderr


def test_all_lines_are_let_go(file: Path) -> None:
    assert unkey("--all", "--config", str(file)) == (0, "a: inactive (sim)\nb: inactive (sim)\n", "")
    assert [(file.parent / name).read_text() for name in ("a", "b")] == ["0", "0"]


def test_only_what_is_named_is_touched(file: Path) -> None:
    assert unkey("b", "--config", str(file))[0] == 0
    assert [(file.parent / name).read_text() for name in ("a", "b")] == ["1", "0"]


def test_a_line_that_cannot_be_reached_does_not_keep_the_others(file: Path) -> None:
    text = file.read_text() + "  - {name: c, card: {kind: sim}, keyer: {kind: cm108, device: /dev/no-such-hidraw}}\n"
    file.write_text(text)
    code, out, err = unkey("--all", "--config", str(file))
    assert code == 1
    assert out == "a: inactive (sim)\nb: inactive (sim)\n"
    assert err.startswith("c: the keying chip /dev/no-such-hidraw cannot be opened")
    code, out, _ = unkey("--all", "--config", str(file), "--json")
    assert code == 1
    assert [row["ok"] for row in json.loads(out)["legs"]] == [True, True, False]


def test_a_latched_pin_of_a_sound_chip_is_let_go(tmp_path: Path) -> None:
    chip = HidBench(tmp_path)
    try:
        chip.pins = 0x04
        file = tmp_path / "t.yaml"
        file.write_text(f"legs:\n  - {{name: a, card: {{kind: sim}}, keyer: {{kind: cm108, device: {chip.node}}}}}\n")
        assert unkey("--all", "--config", str(file))[0] == 0
        while chip.level() is not False:
            pass
    finally:
        chip.close()


@pytest.mark.parametrize(
    ("words", "why"),
    [((), "name legs, or say --all"), (("a", "--all"), "name legs, or say --all"), (("x",), "has no leg 'x'")],
)
def test_what_is_not_clear_changes_nothing(file: Path, words: tuple[str, ...], why: str) -> None:
    code, _, err = unkey(*words, "--config", str(file))
    assert code == 2
    assert why in err
    assert (file.parent / "a").read_text() == "1"


def test_a_wrong_configuration_is_told(tmp_path: Path) -> None:
    code, _, err = unkey("--all", "--config", str(tmp_path / "none.yaml"))
    assert code == 2
    assert "cannot be read" in err
