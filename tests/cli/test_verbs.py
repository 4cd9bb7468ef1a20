"""The verbs, in this process: what they print, where, and with which exit code."""

import json
import math
import sqlite3
import stat
import struct
import wave
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from tongpin.gateway.cli import app
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio import devices

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


def tongpin(*words: str, stdin: str = "") -> Said:
    result = CliRunner().invoke(app, list(words), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "tongpin.yaml"
    file.write_text("data_folder: data\nagencies:\n  - {id: gongan, name: 公安}\n")
    return file


def test_version_and_help() -> None:
    assert tongpin("version").out.strip()[0].isdigit()
    told = tongpin("--help").out
    verbs = ("demo", "serve", "init", "check-config", "devices", "gates", "user", "db", "openapi", "version")
    assert [verb for verb in verbs if verb not in told] == []


def test_check_config_of_a_good_file(config: Path) -> None:
    assert tongpin("check-config", str(config)) == Said(0, f"{config}: fine (0 legs, 0 talk groups)\n", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server:\n  prot: 1\n", ":2:3: server.prot: no such key; did you mean 'port'?"),
        ("server: [\n", ":2:1: not YAML: "),
        (
            "legs:\n  - {name: a, card: {kind: sim}, gate: {expression: 'cos & moon'}}\n",
            ": legs.0.gate.expression: ",
        ),
        (
            "legs:\n  - {name: a, card: {kind: soundcard, device: x}, has_cos: true}\n",
            ": legs.0.has_cos: no line gives COS",
        ),
    ],
)
def test_check_config_of_a_bad_file(text: str, told: str, config: Path) -> None:
    config.write_text(text)
    said = tongpin("check-config", str(config))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"{config}{told}")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("words", [("serve",), ("user", "list"), ("db", "upgrade")])
def test_every_verb_refuses_a_bad_file_alike(words: tuple[str, ...], config: Path) -> None:
    config.write_text("server:\n  port: -1\n")
    said = tongpin(*words, "--config", str(config))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"{config}:2:9: server.port: ")
    assert not (config.parent / "data").exists()


def test_init_makes_everything_and_overwrites_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "place"
    said = tongpin("init", str(folder), "--username", "chief")
    assert (said.code, said.err) == (0, "")
    data = folder / "tongpin-data"
    assert tongpin("check-config", str(folder / "tongpin.yaml")).code == 0
    listed = tongpin("user", "list", "--config", str(folder / "tongpin.yaml")).out.split()
    assert listed[:2] == ["chief", "admin"]
    for key in ("ca.key", "server.key"):
        assert stat.S_IMODE((data / "tls" / key).stat().st_mode) == 0o600
    authority = x509.load_pem_x509_certificate((data / "tls" / "ca.pem").read_bytes())
    certificate = x509.load_pem_x509_certificate((data / "tls" / "server.pem").read_bytes())
    certificate.verify_directly_issued_by(authority)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = tongpin("init", str(folder))
    assert (again.code, again.out) == (1, "")
    assert "exists already" in again.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_init_where_nothing_can_be_written() -> None:
    said = tongpin("init", "/proc/no-such-place")
    assert (said.code, said.out) == (1, "")
    assert "choose another folder" in said.err
    assert said.err.count("\n") == 1


def test_users_are_added_listed_changed_and_disabled(config: Path) -> None:
    last = ("--config", str(config))
    added = tongpin("user", "add", "chen", "--agency", "gongan", "--password-stdin", *last, stdin=f"{PASSWORD}\n")
    assert (added.code, added.err) == (0, "")
    assert tongpin("user", "list", *last).out.split() == ["chen", "dispatcher", "gongan", "active"]
    old = stored_hash(config)
    assert old.startswith("$argon2id$")
    assert tongpin("user", "passwd", "chen", "--password-stdin", *last, stdin=f"{PASSWORD} 2\n").code == 0
    assert stored_hash(config) != old
    assert tongpin("user", "disable", "chen", *last).code == 0
    assert tongpin("user", "list", *last).out.split()[-1] == "disabled"


def stored_hash(config: Path) -> str:
    connection = sqlite3.connect(config.parent / "data" / "tongpin.db")
    (found,) = connection.execute("SELECT password_hash FROM users").fetchone()
    connection.close()
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize(
    ("words", "stdin", "told"),
    [
        (("add", "chen", "--password-stdin"), "short\n", "12 to 256 characters"),
        (("add", "chen", "--password-stdin"), "x" * 257 + "\n", "12 to 256 characters"),
        (("add", "chen", "--agency", "nix", "--password-stdin"), PASSWORD + "\n", "unknown or retired agencies: nix"),
        (("add", "wang", "--password-stdin"), PASSWORD + "\n", "exists already"),
        (("passwd", "nobody", "--password-stdin"), PASSWORD + "\n", "there is no user 'nobody'"),
        (("disable", "nobody"), "", "there is no user 'nobody'"),
    ],
)
def test_what_cannot_be_done_to_users(words: tuple[str, ...], stdin: str, told: str, config: Path) -> None:
    last = ("--config", str(config))
    assert tongpin("user", "add", "wang", "--password-stdin", *last, stdin=PASSWORD + "\n").code == 0
    said = tongpin("user", *words, *last, stdin=stdin)
    assert (said.code, said.out) == (1, "")
    assert told in said.err
    assert said.err.count("\n") == 1
    assert tongpin("user", "list", *last).out.count("\n") == 1


def test_db_upgrade(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        said = tongpin("db", "upgrade", "--config", str(config))
        assert (said.code, said.out) == (0, "the database is up to date\n")
    monkeypatch.setenv("TONGPIN_STORAGE__URL", "mssql+aioodbc://host/db")
    said = tongpin("db", "upgrade", "--config", str(config))
    assert (said.code, said.out) == (1, "")
    assert said.err == "tongpin: the driver of storage.url is not installed: aioodbc\n"


def test_openapi_is_a_document() -> None:
    document = json.loads(tongpin("openapi").out)
    assert document["openapi"].startswith("3.")
    assert "/api/v1/joint-channels" in document["paths"]


def test_devices_for_people_and_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    card = devices.SoundDevice(3, "USB Audio", "usb-1.2-77", "ALSA", True, True)
    monkeypatch.setattr(devices, "list_sound_devices", lambda: [card])
    monkeypatch.setattr(devices, "list_serial_ports", list)
    told = tongpin("devices").out
    assert "stable_id=usb-1.2-77" in told
    assert "serial ports: none" in told
    read = json.loads(tongpin("devices", "--json").out)
    assert read["sound"][0]["name"] == "USB Audio"
    assert read["serial"] == []


def test_devices_without_portaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[devices.SoundDevice]:
        raise DeviceError("PortAudio is missing: apt-get install libportaudio2")

    monkeypatch.setattr(devices, "list_sound_devices", broken)
    said = tongpin("devices")
    assert said == Said(1, "", "tongpin: PortAudio is missing: apt-get install libportaudio2\n")


def test_gates_of_a_recording(config: Path, tmp_path: Path) -> None:
    """One second of nothing, one of a tone, two of nothing."""
    recording = tmp_path / "radio.wav"
    with wave.open(str(recording), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        tone = [round(8000 * math.sin(2 * math.pi * 440 * n / 48_000)) for n in range(48_000)]
        file.writeframes(struct.pack("<192000h", *[0] * 48_000, *tone, *[0] * 96_000))
    config.write_text(
        "legs:\n  - {name: a, card: {kind: sim}, gate: {expression: squelch, pre_roll_ms: 0, start_delay_ms: 0}}\n"
    )
    words = ("gates", str(recording), "--config", str(config), "--leg", "a")
    events = json.loads(tongpin(*words, "--json").out)["events"]
    assert [event["kind"] for event in events] == ["open", "close"]
    assert events[0]["at_s"] == pytest.approx(1.0, abs=0.1)
    assert 1.9 < events[1]["at_s"] < 3.5
    assert all(event["cause"] for event in events)
    assert len(tongpin(*words).out.splitlines()) == 2
    unknown = tongpin(*words[:-1], "nix")
    assert (unknown.code, unknown.err) == (2, "tongpin: the configuration has no leg 'nix'\n")


def test_gates_of_what_is_no_recording(tmp_path: Path) -> None:
    said = tongpin("gates", str(tmp_path / "nix.wav"))
    assert (said.code, said.out) == (1, "")
    assert said.err.count("\n") == 1
