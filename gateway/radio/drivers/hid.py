"""PTT on a pin of a USB sound chip (CM108, CM119, SSS, AIOC), COS and CTCSS on its buttons or pins, through hidraw.

The chip keeps its pins as they were set when its writer dies. Whoever opens it sets the pin inactive first, and the
supervisor does so for a worker that has died.
"""

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from tongpin.config.keyers import Cm108Keyer
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.drivers.line import LineInputs
from tongpin.gateway.radio.usb import find_node, is_usb_id, usb_node

INPUT_BYTES = 4
_GAP_S = 0.003
"""CM109 wants this long between two accesses (AllStarLink's drivers wait as long)."""
_MOST_REPORTS = 64
"""Input reports taken per poll: the kernel queues as many."""
_HIDIOCGINPUT = 0xC000480A | (INPUT_BYTES + 1) << 16
"""Ask for the input report as it is now (linux/hidraw.h); otherwise one comes only when an input changes."""


@dataclass(frozen=True, slots=True)
class HidChip:
    """A chip whose pins work this way, and how many it has."""

    name: str
    pins: int


def _chips() -> dict[tuple[int, int], HidChip]:
    """Vendor and product numbers as SvxLink, direwolf and AllStarLink know them."""
    found = {(0x0D8C, product): HidChip("CM108, CM109 or CM119", 8) for product in range(0x0008, 0x0010)}
    found[0x0D8C, 0x0012] = HidChip("CM108B", 4)
    found[0x0D8C, 0x0013] = HidChip("CM119B", 8)
    found[0x0D8C, 0x0139] = HidChip("CM108AH", 4)
    found[0x0D8C, 0x013A] = HidChip("CM119A", 8)
    found[0x0D8C, 0x013C] = HidChip("CM108AH or HS100", 4)
    found |= {(0x0C76, product): HidChip("SSS1621 or its kin", 2) for product in (0x1605, 0x1607, 0x160B)}
    found[0x1209, 0x7388] = HidChip("AIOC", 4)
    return found


CHIPS: Final = _chips()

_LAYOUTS: Final = {
    "usual": ("gpio3", "vol_down", "vol_up"),
    "dingotel": ("gpio4", "gpio3", "gpio2"),
    "nhrc": ("gpio3", "vol_down", "vol_up"),
    "custom": ("gpio3", "vol_down", "gpio2"),
}
"""PTT, COS and CTCSS pins of AllStarLink's hdwtype 0 to 3."""
_BUTTONS: Final = {"vol_up": 0x01, "vol_down": 0x02, "mute_play": 0x04, "mute_rec": 0x08}


def _pin_bit(pin: str) -> int:
    return 1 << (int(pin.removeprefix("gpio")) - 1)


def _place_of(name: str) -> tuple[int, int] | None:
    """Byte and bit of an input in the input report; None when it is not wired."""
    if name == "none":
        return None
    return (0, _BUTTONS[name]) if name in _BUTTONS else (1, _pin_bit(name))


class HidLine:
    """Implements ``KeyLine``. Reading drains the kernel's queue of input reports and never waits for one."""

    can_key = True
    poll_s = 0.01

    def __init__(self, config: Cm108Keyer, wanted: str) -> None:
        """Args: wanted: ``usb:PLACE:SERIAL`` or a path."""
        ptt, cos, ctcss = _LAYOUTS[config.layout]
        self._wanted: Final = wanted
        self._ptt_pin: Final = config.ptt_pin or ptt
        self._ptt: Final = _pin_bit(self._ptt_pin)
        self._is_active_low: Final = config.is_active_low
        self._cos: Final = (_place_of(config.cos_pin or cos), config.is_cos_active_low)
        self._ctcss: Final = (_place_of(config.ctcss_pin or ctcss), config.is_ctcss_active_low)
        self._tx_detect: Final = (_place_of(config.tx_detect_pin), config.is_tx_detect_active_low)
        self._descriptor = -1
        self._has_failed = False
        self._touched_at = 0.0
        self._report: bytes | None = None

    def open(self) -> None:
        self.close()
        path = self._find()
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except OSError as error:
            hint = "; install the udev rule (docs/radio.md)" if isinstance(error, PermissionError) else ""
            raise DeviceError(f"the keying chip {path} cannot be opened: {error.strerror}{hint}") from None
        self._has_failed = False
        self.set(False)
        self._report = self._ask_report()

    def _find(self) -> Path:
        """The hidraw node. Raises DeviceError when it is not there, or is not a chip of this kind."""
        if is_usb_id(self._wanted):
            node = find_node(self._wanted, "hidraw")
            path = node.node
        else:
            path = Path(self._wanted)
            known = usb_node("hidraw", path.name)
            if known is None:
                return path
            node = known
        chip = CHIPS.get((node.vendor, node.product))
        if chip is None:
            raise DeviceError(
                f"{path} ({node.name}, {node.vendor:04x}:{node.product:04x}) is not a CM108-like chip that can key"
            )
        if int(self._ptt_pin.removeprefix("gpio")) > chip.pins:
            raise DeviceError(f"{path} ({chip.name}) has {chip.pins} pins and no {self._ptt_pin}")
        return path

    def set(self, is_active: bool) -> None:
        values = self._ptt if is_active != self._is_active_low else 0
        report = bytes((0, 0, values, self._ptt, 0))
        if self._access(lambda: os.write(self._need_descriptor(), report)) != len(report):
            raise self._failed("it took only a part of the report")

    def read(self) -> LineInputs:
        descriptor = self._need_descriptor()
        for _ in range(_MOST_REPORTS):
            try:
                report = os.read(descriptor, INPUT_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                raise self._failed(str(error)) from None
            if len(report) != INPUT_BYTES:
                raise self._failed("it is unplugged" if not report else "its report is too short")
            self._report = report
        return LineInputs(self._level(*self._cos), self._level(*self._ctcss), self._level(*self._tx_detect))

    def close(self) -> None:
        if self._descriptor < 0:
            return
        if not self._has_failed:
            with suppress(DeviceError):
                self.set(False)
        os.close(self._descriptor)
        self._descriptor = -1

    def _level(self, place: tuple[int, int] | None, is_active_low: bool) -> bool | None:
        if place is None or self._report is None:
            return None
        byte, bit = place
        return bool(self._report[byte] & bit) != is_active_low

    def _ask_report(self) -> bytes | None:
        """The inputs now; None from what cannot tell (a kernel before 5.11): then the first change will."""
        buffer = bytearray(INPUT_BYTES + 1)
        try:
            got = self._access(lambda: fcntl.ioctl(self._descriptor, _HIDIOCGINPUT, buffer))
        except DeviceError:
            self._has_failed = False
            return None
        return bytes(buffer[1:]) if got == len(buffer) else None

    def _access(self, work: Callable[[], int]) -> int:
        wait_s = self._touched_at + _GAP_S - monotonic()
        if wait_s > 0:
            sleep(wait_s)
        try:
            return work()
        except OSError as error:
            raise self._failed(str(error)) from None
        finally:
            self._touched_at = monotonic()

    def _failed(self, reason: str) -> DeviceError:
        self._has_failed = True
        return DeviceError(f"the keying chip {self._wanted} does not answer: {reason}")

    def _need_descriptor(self) -> int:
        if self._descriptor < 0:
            raise DeviceError(f"the keying chip {self._wanted} is not open")
        return self._descriptor
