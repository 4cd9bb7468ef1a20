"""Ids that stay when things are replugged, over a made-up /sys: two fobs, an AIOC, a serial adapter, a keyboard."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tongpin.config.keyers import Cm108Keyer
from tongpin.gateway.cli import app
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio import devices, usb
from tongpin.gateway.radio.devices import SoundDevice, find_device, list_keying_chips, stable_id
from tongpin.gateway.radio.drivers.hid import HidLine
from tongpin.gateway.radio.usb import find_node, usb_nodes


class FakeSys:
    """/sys and /dev with what is plugged in."""

    def __init__(self, root: Path) -> None:
        self.sys, self.dev = root / "sys", root / "dev"
        for folder in ("sound", "hidraw", "tty"):
            (self.sys / "class" / folder).mkdir(parents=True)
        self.dev.mkdir()

    def plug(self, place: str, ids: str, product: str, serial: str | None = None, **nodes: str) -> None:
        """``nodes``: class to name, for instance sound="card1"."""
        device = self.sys / "devices" / "usb1" / place
        device.mkdir(parents=True)
        vendor, number = ids.split(":")
        (device / "idVendor").write_text(vendor + "\n")
        (device / "idProduct").write_text(number + "\n")
        (device / "product").write_text(product + "\n")
        if serial is not None:
            (device / "serial").write_text(serial + "\n")
        for interface, (kind, name) in enumerate(nodes.items()):
            part = device / f"{place}:1.{interface}" / name
            part.mkdir(parents=True)
            (part / "device").symlink_to(part.parent)
            (self.sys / "class" / kind / name).symlink_to(part)
            (self.dev / name).write_text("")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSys:
    made = FakeSys(tmp_path)
    made.plug("1-1.2", "0d8c:0012", "USB PnP Sound", sound="card2", hidraw="hidraw1")
    made.plug("1-1.3", "0d8c:0012", "USB PnP Sound", sound="card1", hidraw="hidraw0")
    made.plug("2-1", "1209:7388", "All-In-One-Cable", "A7F3:01", sound="card3", hidraw="hidraw3", tty="ttyACM0")
    made.plug("1-4", "046d:c31c", "Keyboard", hidraw="hidraw2")
    made.plug("1-5", "0403:6001", "FT232R", "FTX1", tty="ttyUSB0")
    (made.sys / "class" / "sound" / "card0").mkdir()
    monkeypatch.setattr(usb, "SYSFS", made.sys)
    monkeypatch.setattr(usb, "DEV", made.dev)
    monkeypatch.setattr(devices, "DEV", made.dev)
    return made


def test_card_and_chip_of_one_device_have_one_id(machine: FakeSys) -> None:
    assert {node.node.name: node.stable_id for node in usb_nodes("sound")} == {
        "card1": "usb:1-1.3",
        "card2": "usb:1-1.2",
        "card3": "usb:2-1:A7F3:01",
    }
    assert [(chip.stable_id, chip.card, chip.chip, Path(chip.device).name) for chip in list_keying_chips()] == [
        ("usb:1-1.3", "card1", "CM108B", "hidraw0"),
        ("usb:1-1.2", "card2", "CM108B", "hidraw1"),
        ("usb:2-1:A7F3:01", "card3", "AIOC", "hidraw3"),
    ]
    assert stable_id("USB PnP Sound: Audio (hw:2,0)") == "usb:1-1.2"
    assert stable_id("HDA Intel (hw:0,0)") == "HDA Intel (hw:0,0)"


@pytest.mark.parametrize(
    ("wanted", "node"),
    [
        ("usb:1-1.2", "hidraw1"),
        ("usb:2-1:A7F3:01", "hidraw3"),
        ("usb:2-1", "hidraw3"),
        ("usb:*:A7F3:01", "hidraw3"),
    ],
)
def test_an_id_finds_its_node(machine: FakeSys, wanted: str, node: str) -> None:
    assert find_node(wanted, "hidraw").node == machine.dev / node


def test_an_id_means_the_same_device_after_its_number_has_changed(machine: FakeSys) -> None:
    link = machine.sys / "class" / "hidraw" / "hidraw1"
    target = link.resolve()
    link.unlink()
    (machine.sys / "class" / "hidraw" / "hidraw9").symlink_to(target)
    assert find_node("usb:1-1.2", "hidraw").node.name == "hidraw9"


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("usb:1-9", r"no HID device is 'usb:1-9'; there are: usb:1-1\.3 \(.*hidraw0\)"),
        ("usb:2-1:OTHER", "no HID device is"),
        ("usb:*", "several HID devices are"),
    ],
)
def test_an_id_that_is_not_clear_is_refused(machine: FakeSys, wanted: str, why: str) -> None:
    with pytest.raises(DeviceError, match=why):
        find_node(wanted, "hidraw")


@pytest.mark.parametrize(
    ("keyer", "wanted", "why"),
    [
        ({}, "usb:1-4", r"Keyboard, 046d:c31c\) is not a CM108-like chip"),
        ({}, "/dev/hidraw2", "is not a CM108-like chip"),
        ({"ptt_pin": "gpio5"}, "usb:1-1.2", "has 4 pins and no gpio5"),
    ],
)
def test_reports_are_never_written_to_something_else(
    machine: FakeSys, keyer: dict[str, object], wanted: str, why: str
) -> None:
    line = HidLine(Cm108Keyer.model_validate({"kind": "cm108", **keyer}), wanted)
    with pytest.raises(DeviceError, match=why):
        line.open()
    assert (machine.dev / "hidraw2").read_text() == ""


def test_a_sound_device_is_found_by_part_of_its_id() -> None:
    there = [
        SoundDevice(0, "a (hw:1,0)", "usb:1-1:S1", "ALSA", True, True),
        SoundDevice(1, "a (hw:2,0)", "usb:1-2:S2", "ALSA", True, True),
    ]
    assert find_device(there, "usb:1-2", "capture").index == 1
    assert find_device(there, "usb:*:S1", "playout").index == 0
    with pytest.raises(DeviceError, match="name the place as well"):
        find_device(there, "usb:*", "capture")
    with pytest.raises(DeviceError, match="no capture device"):
        find_device(there, "usb:1-3", "capture")


def test_devices_prints_ids_ready_to_paste(machine: FakeSys, monkeypatch: pytest.MonkeyPatch) -> None:
    card = SoundDevice(0, "USB PnP Sound: Audio (hw:2,0)", "usb:1-1.2", "ALSA", True, True)
    monkeypatch.setattr(devices, "list_sound_devices", lambda: [card])
    (machine.dev / "gpiochip0").write_text("")
    told = CliRunner().invoke(app, ["devices"])
    assert told.exit_code == 0
    assert 'card: {kind: soundcard, device: "usb:1-1.2"}\n    keyer: {kind: cm108}' in told.output
    listed = json.loads(CliRunner().invoke(app, ["devices", "--json"]).stdout)
    assert [chip["stable_id"] for chip in listed["keying_chips"]] == ["usb:1-1.3", "usb:1-1.2", "usb:2-1:A7F3:01"]
    assert listed["gpio"] == [str(machine.dev / "gpiochip0")]
