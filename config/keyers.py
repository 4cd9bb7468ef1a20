"""Keying lines: what switches a transmitter, and what says that the radio receives."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tongpin.config.base import Float, Int, Model

ModemInput = Literal["cts", "dcd", "dsr"]
GpioPin = Literal["gpio1", "gpio2", "gpio3", "gpio4", "gpio5", "gpio6", "gpio7", "gpio8"]
HidInput = Literal[GpioPin, "vol_up", "vol_down", "mute_play", "mute_rec", "none"]


class SerialKeyer(Model):
    """PTT on a serial control line.

    Attributes:
        port: a device, ``usb:PLACE:SERIAL`` as ``tongpin devices`` prints it, or any pyserial URL
            (``rfc2217://host:port``).
        tx_detect_line: an input that says that the transmitter is on the air.
    """

    kind: Literal["serial"]
    port: str
    line: Literal["rts", "dtr"] = "rts"
    is_active_low: bool = False
    cos_line: ModemInput | None = None
    is_cos_active_low: bool = False
    ctcss_line: ModemInput | None = None
    is_ctcss_active_low: bool = False
    tx_detect_line: ModemInput | None = None
    is_tx_detect_active_low: bool = False


class Cm108Keyer(Model):
    """PTT on a GPIO pin of a USB sound chip: CM108, CM119 and their kin, AIOC.

    Attributes:
        device: ``usb:PLACE:SERIAL`` as ``tongpin devices`` prints it, or a hidraw node; None = the chip of the leg's
            sound card, whose ``device`` must then be such an id.
        layout: which pins the interface uses, by AllStarLink's hdwtype: ``usual`` 0, ``dingotel`` 1, ``nhrc`` 2,
            ``custom`` 3. An AIOC is ``usual``.
        ptt_pin, cos_pin, ctcss_pin: in place of the layout's; ``none`` = the input is not wired.
        is_cos_active_low: a carrier clears the bit in the chip's report (AllStarLink's usbinvert); an AIOC sets it.
    """

    kind: Literal["cm108"]
    device: str | None = None
    layout: Literal["usual", "dingotel", "nhrc", "custom"] = "usual"
    ptt_pin: GpioPin | None = None
    is_active_low: bool = False
    cos_pin: HidInput | None = None
    is_cos_active_low: bool = True
    ctcss_pin: HidInput | None = None
    is_ctcss_active_low: bool = True
    tx_detect_pin: HidInput = "none"
    is_tx_detect_active_low: bool = True


class GpioKeyer(Model):
    """PTT on a line of a GPIO chip (Linux, package gpiod). Lines by name, or by offset as a number."""

    kind: Literal["gpio"]
    chip: str = "/dev/gpiochip0"
    line: Int | str
    is_active_low: bool = False
    cos_line: Int | str | None = None
    is_cos_active_low: bool = True
    ctcss_line: Int | str | None = None
    is_ctcss_active_low: bool = True
    tx_detect_line: Int | str | None = None
    is_tx_detect_active_low: bool = True


class RigctlKeyer(Model):
    """PTT through Hamlib's rigctld. ``reads_dcd``: the rig tells its squelch, which is COS then."""

    kind: Literal["rigctl"]
    host: str = "127.0.0.1"
    port: Int = Field(default=4532, ge=1, le=65535)
    timeout_s: Float = Field(default=0.3, gt=0, le=2)
    reads_dcd: bool = False


class VoxKeyer(Model):
    """The radio keys itself when it hears audio."""

    kind: Literal["vox"]


class NoKeyer(Model):
    """Receive only: never transmits."""

    kind: Literal["none"]


class SimKeyer(Model):
    """A simulated leg's line: a file holding ``1`` or ``0`` that stays as it was left, as a CM108 pin does."""

    kind: Literal["sim"]
    file: Path | None = None


KeyerConfig = Annotated[
    SerialKeyer | Cm108Keyer | GpioKeyer | RigctlKeyer | VoxKeyer | NoKeyer | SimKeyer, Field(discriminator="kind")
]
