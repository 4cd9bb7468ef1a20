"""What each kind of keying line has of its own: reports and pins, requests, answers, and how each fails."""

import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.radio.lines import GpioBench, HidBench, RigctlBench, leg_on
from tongpin.config.keyers import Cm108Keyer, GpioKeyer, RigctlKeyer, SerialKeyer, VoxKeyer
from tongpin.config.models import LegConfig, SoundCard
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.drivers import drive_inactive, line_id, make_line
from tongpin.gateway.radio.drivers.hid import HidLine
from tongpin.gateway.radio.drivers.line import LineInputs
from tongpin.gateway.radio.keyer import Keyer

LIMIT_S = 10.0


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[HidBench]:
    made = HidBench(tmp_path)
    yield made
    made.close()


@pytest.fixture
def rig() -> Iterator[RigctlBench]:
    made = RigctlBench()
    yield made
    made.close()


def wait_reports(chip: HidBench, count: int) -> None:
    until = monotonic() + LIMIT_S
    while len(chip.reports) < count:
        assert monotonic() < until, chip.reports
        threading.Event().wait(0.002)


def read_until(line: HidLine, wanted: LineInputs) -> None:
    until = monotonic() + LIMIT_S
    while (found := line.read()) != wanted:
        assert monotonic() < until, found


@pytest.mark.parametrize(
    ("changes", "off", "on"),
    [
        ({}, "0000000400", "0000040400"),
        ({"is_active_low": True}, "0000040400", "0000000400"),
        ({"layout": "dingotel"}, "0000000800", "0000080800"),
        ({"layout": "nhrc"}, "0000000400", "0000040400"),
        ({"layout": "custom"}, "0000000400", "0000040400"),
        ({"ptt_pin": "gpio1"}, "0000000100", "0000010100"),
        ({"ptt_pin": "gpio8", "is_active_low": True}, "0000808000", "0000008000"),
    ],
)
def test_a_chip_gets_the_reports_of_its_layout(chip: HidBench, changes: dict[str, object], off: str, on: str) -> None:
    line = HidLine(Cm108Keyer.model_validate({"kind": "cm108", **changes}), str(chip.node))
    line.open()
    line.set(True)
    line.close()
    wait_reports(chip, 3)
    assert [report.hex() for report in chip.reports] == [off, on, off]


def test_accesses_to_a_chip_are_3_ms_apart(chip: HidBench) -> None:
    line = HidLine(Cm108Keyer(kind="cm108"), str(chip.node))
    line.open()
    started_at = monotonic()
    for number in range(10):
        line.set(number % 2 == 0)
    assert monotonic() - started_at >= 0.029
    line.close()


@pytest.mark.parametrize(
    ("changes", "byte", "bit", "idle", "busy"),
    [
        ({"ctcss_pin": "none"}, 0, 0x02, LineInputs(True), LineInputs(False)),
        ({"ctcss_pin": "none", "is_cos_active_low": False}, 0, 0x02, LineInputs(False), LineInputs(True)),
        ({"cos_pin": "none"}, 0, 0x01, LineInputs(None, True), LineInputs(None, False)),
        ({"layout": "dingotel", "ctcss_pin": "none"}, 1, 0x04, LineInputs(True), LineInputs(False)),
        ({"layout": "dingotel", "cos_pin": "none"}, 1, 0x02, LineInputs(None, True), LineInputs(None, False)),
        ({"layout": "custom", "cos_pin": "none"}, 1, 0x02, LineInputs(None, True), LineInputs(None, False)),
        ({"cos_pin": "mute_rec", "ctcss_pin": "none"}, 0, 0x08, LineInputs(True), LineInputs(False)),
        (
            {"cos_pin": "none", "ctcss_pin": "none", "tx_detect_pin": "gpio1"},
            1,
            0x01,
            LineInputs(None, None, True),
            LineInputs(None, None, False),
        ),
    ],
)
def test_inputs_of_a_chip(
    chip: HidBench, changes: dict[str, object], byte: int, bit: int, idle: LineInputs, busy: LineInputs
) -> None:
    line = HidLine(Cm108Keyer.model_validate({"kind": "cm108", **changes}), str(chip.node))
    line.open()
    assert line.read() == LineInputs(), "nothing is known before the first report"
    chip.press(0, 0x04, is_set=True)
    read_until(line, idle)
    chip.press(byte, bit, is_set=True)
    read_until(line, busy)
    chip.press(byte, bit, is_set=False)
    read_until(line, idle)
    line.close()


def test_a_chip_that_is_unplugged_while_keyed_is_lost_and_comes_back_unkeyed(chip: HidBench) -> None:
    moved = threading.Condition()
    lines: list[tuple[bool, str]] = []
    keys: list[tuple[bool, str]] = []

    def note(where: list[tuple[bool, str]], is_on: bool, text: str) -> None:
        with moved:
            where.append((is_on, text))
            moved.notify_all()

    keyer = Keyer(
        make_line(leg_on(chip.config)), 60.0, lambda on, why: note(keys, on, why), lambda on, why: note(lines, on, why)
    )
    keyer.start()
    with moved:
        assert moved.wait_for(lambda: bool(lines), LIMIT_S)
    keyer.lease(0.5)
    with moved:
        assert moved.wait_for(lambda: bool(keys), LIMIT_S)
    chip.unplug()
    with moved:
        assert moved.wait_for(lambda: len(lines) == 2 and len(keys) == 2, LIMIT_S)
    assert keys[1] == (False, "the keying line failed")
    assert not lines[1][0]
    assert not keyer.is_keyed
    chip.plug_in()
    with moved:
        assert moved.wait_for(lambda: len(lines) == 3, LIMIT_S)
    assert lines[2][0]
    wait_reports(chip, 1)
    assert len(keys) == 2
    until = monotonic() + LIMIT_S
    while chip.level() is not False:
        assert monotonic() < until
    keyer.close()


def test_a_chip_that_is_not_there_is_a_device_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be opened: No such file"):
        drive_inactive(leg_on(Cm108Keyer(kind="cm108", device=str(tmp_path / "hidraw7"))))


def test_a_closed_line_refuses_work(chip: HidBench) -> None:
    line = make_line(leg_on(chip.config))
    for use in (line.read, lambda: line.set(True)):
        with pytest.raises(DeviceError, match="is not open"):
            use()


def test_a_chip_is_that_of_the_sound_card_unless_it_is_named() -> None:
    card = SoundCard(kind="soundcard", device="usb:1-1.2:A7")
    leg = LegConfig(name="a", card=card, keyer=Cm108Keyer(kind="cm108"))
    assert line_id(leg) == "cm108 usb:1-1.2:A7 usual active high"
    vague = LegConfig(name="a", card=SoundCard(kind="soundcard", device="USB"), keyer=Cm108Keyer(kind="cm108"))
    with pytest.raises(DeviceError, match=r"keyer\.device says which chip"):
        make_line(vague)


@pytest.mark.parametrize(
    ("keyer", "wanted"),
    [
        (VoxKeyer(kind="vox"), None),
        (SerialKeyer(kind="serial", port="/dev/x", is_active_low=True), "serial /dev/x rts active low"),
        (GpioKeyer(kind="gpio", line=17), "gpio /dev/gpiochip0 17 active high"),
        (RigctlKeyer(kind="rigctl"), "rigctl 127.0.0.1:4532 ptt active high"),
    ],
)
def test_a_line_is_known_by_place_pin_and_polarity(
    keyer: VoxKeyer | SerialKeyer | GpioKeyer | RigctlKeyer, wanted: str | None
) -> None:
    assert line_id(leg_on(keyer)) == wanted


def test_a_gpio_line_is_inactive_in_the_call_that_makes_it_an_output(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = GpioBench(monkeypatch)
    bench.levels["GPIO17"] = True
    line = make_line(leg_on(bench.config))
    line.open()
    assert bench.level() is False
    (asked,) = bench.asked
    assert asked["GPIO17"].active_low
    assert asked[27].active_low
    assert line.read() == LineInputs(cos=False)
    bench.levels[27] = True
    assert line.read() == LineInputs(cos=True)
    bench.is_gone = True
    for use in (line.read, lambda: line.set(True)):
        with pytest.raises(DeviceError, match="does not answer"):
            use()
    with pytest.raises(DeviceError, match="cannot be had"):
        line.open()
    with pytest.raises(DeviceError, match="is not open"):
        line.set(True)
    bench.is_gone = False


def test_a_rig_tells_its_squelch(rig: RigctlBench) -> None:
    line = make_line(leg_on(rig.config))
    line.open()
    assert line.read() == LineInputs(cos=False)
    rig.dcd = True
    assert line.read() == LineInputs(cos=True)
    line.close()
    assert rig.asked[0] == rig.asked[-1] == "T 0"


@pytest.mark.parametrize(("mood", "why"), [("silent", "timed out"), ("refuses", "RPRT -9")])
def test_a_rig_that_does_not_obey_is_a_device_error(rig: RigctlBench, mood: str, why: str) -> None:
    line = make_line(leg_on(RigctlKeyer.model_validate(rig.config.model_dump() | {"timeout_s": 0.2})))
    line.open()
    rig.mood = mood
    with pytest.raises(DeviceError, match=why):
        line.set(True)
    with pytest.raises(DeviceError, match="is not connected"):
        line.set(False)
    line.close()
