"""``tongpin doctor`` on machines that lack something: each line says what, and how to mend it."""

import json
import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.radio.lines import RigctlBench
from tongpin.config.models import Config
from tongpin.gateway import doctor
from tongpin.gateway.cli import app
from tongpin.gateway.doctor import Finding, Verdict, examine
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio import devices
from tongpin.gateway.radio.devices import SoundDevice
from tongpin.gateway.tls import ensure_certificate

CARD = SoundDevice(0, "USB PnP Sound: Audio (hw:2,0)", "usb:1-1.2", "ALSA", True, True)


@pytest.fixture(autouse=True)
def _one_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "list_sound_devices", lambda: [CARD])


def find(tmp_path: Path, subject: str, **config: object) -> list[Finding]:
    settings = Config.model_validate({"data_folder": str(tmp_path), "recording": {"folder": str(tmp_path)}, **config})
    return [finding for finding in examine(settings) if finding.subject == subject]


def leg(keyer: dict[str, object], device: str = "usb:1-1.2") -> dict[str, object]:
    return {"legs": [{"name": "a", "card": {"kind": "soundcard", "device": device}, "keyer": keyer}]}


def test_a_machine_that_has_all_is_well(tmp_path: Path) -> None:
    found = examine(Config.model_validate({"data_folder": str(tmp_path), "recording": {"folder": str(tmp_path)}}))
    assert [finding for finding in found if finding.verdict is Verdict.BAD] == []
    assert {"libopus", "PortAudio", "TCP port", "UDP port", "certificate", "data folder"} <= {f.subject for f in found}
    assert all(finding.cure for finding in found if finding.verdict is not Verdict.GOOD)


def test_cards_are_looked_up(tmp_path: Path) -> None:
    (good,) = find(tmp_path, "leg a, capture", **leg({"kind": "none"}))
    assert (good.verdict, "hw:2,0" in good.text) == (Verdict.GOOD, True)
    (bad,) = find(tmp_path, "leg a, playout", **leg({"kind": "none"}, "usb:9-9"))
    assert bad.verdict is Verdict.BAD
    assert "tongpin devices" in bad.cure


def test_portaudio_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[SoundDevice]:
        raise DeviceError("PortAudio cannot be loaded")

    monkeypatch.setattr(devices, "list_sound_devices", fail)
    (bad,) = find(tmp_path, "PortAudio", **leg({"kind": "none"}))
    assert (bad.verdict, bad.cure) == (Verdict.BAD, "apt install libportaudio2")


def test_a_node_without_rights_names_rule_and_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "hidraw5"
    node.write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != node)
    bad, locked = find(tmp_path, "leg a, keying", **leg({"kind": "cm108", "device": str(node)}))
    assert bad.verdict is Verdict.BAD
    assert "60-tongpin.rules" in bad.cure and "usermod -aG audio" in bad.cure
    assert (locked.verdict, locked.cure) == (Verdict.NOTE, "tongpin leg test a")


@pytest.mark.parametrize(
    ("keyer", "text"),
    [
        ({"kind": "serial", "port": "/dev/no-such-tty"}, "/dev/no-such-tty is not there"),
        ({"kind": "serial", "port": "usb:9-9"}, "no serial port is 'usb:9-9'"),
        ({"kind": "cm108"}, "no HID device is 'usb:1-1.2'"),
        ({"kind": "gpio", "line": 17, "chip": "/dev/no-such-chip"}, "/dev/no-such-chip is not there"),
        ({"kind": "rigctl", "port": 1}, "rigctld at 127.0.0.1:1"),
    ],
)
def test_a_line_that_is_not_there(tmp_path: Path, keyer: dict[str, object], text: str) -> None:
    found = find(tmp_path, "leg a, keying", **leg(keyer))
    assert found[0].verdict is Verdict.BAD
    assert text in found[0].text
    assert found[0].cure


def test_a_rig_that_answers_is_well(tmp_path: Path) -> None:
    rig = RigctlBench()
    try:
        port = rig.config.model_dump()["port"]
        assert find(tmp_path, "leg a, keying", **leg({"kind": "rigctl", "port": port}))[0].verdict is Verdict.GOOD
    finally:
        rig.close()


def test_ports(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (finding,) = find(tmp_path, "TCP port", server={"host": "127.0.0.1", "port": taken.getsockname()[1]})
        assert finding.verdict is Verdict.NOTE
        assert "is taken" in finding.text
    (foreign,) = find(tmp_path, "TCP port", server={"host": "192.0.2.1", "port": 8443})
    assert foreign.verdict is Verdict.BAD


def test_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(tmp_path, "certificate", server={"tls": "auto"})[0].text == "made at the first start"
    made = ensure_certificate(tmp_path / "tls", ["localhost"])
    assert find(tmp_path, "certificate", server={"tls": "auto"})[0].verdict is Verdict.GOOD
    files = {"cert": str(made.cert), "key": str(made.key)}

    monkeypatch.setattr(doctor, "_RENEW_BEFORE", timedelta(days=5_000))
    assert "ends on" in find(tmp_path, "certificate", server={"tls": files})[0].text
    files["cert"] = str(tmp_path / "none.pem")
    assert find(tmp_path, "certificate", server={"tls": files})[0].verdict is Verdict.BAD
    (open_page,) = find(tmp_path, "certificate", server={"host": "0.0.0.0", "tls": "off"})
    assert open_page.verdict is Verdict.NOTE


def test_a_full_or_foreign_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_LEAST_FREE_BYTES", 10**18)
    assert "less than 1 GB" in find(tmp_path, "data folder")[0].text
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "may not be written" in find(tmp_path, "data folder")[0].text


def test_the_verb_prints_lines_or_json(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("legs:\n  - {name: a, card: {kind: sim}, keyer: {kind: serial, port: /dev/no-such-tty}}\n")
    told = CliRunner().invoke(app, ["doctor", "--config", str(file)])
    assert told.exit_code == 1
    assert "bad   leg a, keying: /dev/no-such-tty is not there; plug it in" in told.output
    told = CliRunner().invoke(app, ["doctor", "--config", str(file), "--json"])
    answer = json.loads(told.stdout)
    assert answer["ok"] is False
    assert any(finding["subject"] == "python" for finding in answer["findings"])
