"""systemd unit, udev rules and key remap: checked by systemd's own tools and against the drivers' tables."""

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from tongpin.gateway.radio.drivers.hid import CHIPS

UNIT = files("tongpin.config") / "systemd" / "tongpin.service"
RULES = files("tongpin.config") / "udev" / "60-tongpin.rules"
REMAP = files("tongpin.config") / "udev" / "60-tongpin.hwdb"


def test_the_unit_is_one_that_systemd_accepts(tmp_path: Path) -> None:
    copy = tmp_path / "tongpin.service"
    text = UNIT.read_text("utf-8")
    copy.write_text(text.replace("/opt/tongpin/bin/tongpin", "/bin/true"))
    told = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "WatchdogSec=15",
        "Restart=on-failure",
        "SupplementaryGroups=audio dialout plugdev",
        "DeviceAllow=char-hidraw rw",
        "DeviceAllow=char-alsa rw",
        "ExecStopPost=/opt/tongpin/bin/tongpin unkey --all --config /etc/tongpin/tongpin.yaml",
    ],
)
def test_the_unit_says(line: str) -> None:
    assert line in UNIT.read_text("utf-8").splitlines()


def test_the_rules_let_every_chip_be_used_that_the_driver_knows() -> None:
    found = set()
    for line in RULES.read_text("utf-8").splitlines():
        match = re.match(r'SUBSYSTEM=="hidraw".*idVendor}=="(\w+)".*idProduct}=="([\w|]+)", GROUP="audio"', line)
        if match:
            found |= {(int(match[1], 16), int(product, 16)) for product in match[2].split("|")}
    assert found == set(CHIPS)


@pytest.mark.parametrize(("device", "is_ours"), [("v0D8Cp0012", True), ("v1209p7388", True), ("v046DpC31C", False)])
def test_the_buttons_of_radio_interfaces_are_no_volume_keys(device: str, is_ours: bool, tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "udev" / "hwdb.d"
    folder.mkdir(parents=True)
    (folder / "60-tongpin.hwdb").write_text(REMAP.read_text("utf-8"))
    tool = ["systemd-hwdb", f"--root={tmp_path}"]
    subprocess.run([*tool, "update", "--strict"], check=True)
    told = subprocess.run([*tool, "query", f"evdev:input:b0003{device}e0100"], capture_output=True, text=True)
    assert ("KEYBOARD_KEY_c00ea=reserved" in told.stdout) is is_ours
