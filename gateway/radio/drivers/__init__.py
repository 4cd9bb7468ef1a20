"""Keying lines by configuration."""

from tongpin.config.keyers import Cm108Keyer, GpioKeyer, NoKeyer, RigctlKeyer, SerialKeyer, SimKeyer, VoxKeyer
from tongpin.config.models import LegConfig
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.drivers.line import KeyLine
from tongpin.gateway.radio.drivers.none import AudioOnlyLine
from tongpin.gateway.radio.drivers.sim import SimLine
from tongpin.gateway.radio.usb import is_usb_id


def make_line(leg: LegConfig) -> KeyLine:
    """The line that the configuration names, not yet open.

    Raises:
        DeviceError: what it needs is not installed, or nothing says which chip it is on.
    """
    # Imports stand here, because most legs need one driver, and pyserial alone takes 30 ms.
    match leg.keyer:
        case NoKeyer():
            return AudioOnlyLine(can_key=False)
        case VoxKeyer():
            return AudioOnlyLine(can_key=True)
        case SimKeyer():
            return SimLine(leg.keyer.file)
        case SerialKeyer():
            from tongpin.gateway.radio.drivers.serial import SerialLine

            return SerialLine(leg.keyer)
        case Cm108Keyer():
            from tongpin.gateway.radio.drivers.hid import HidLine

            return HidLine(leg.keyer, chip_of(leg, leg.keyer))
        case GpioKeyer():
            try:
                from tongpin.gateway.radio.drivers.gpio import GpioLine
            except ImportError:
                raise DeviceError("the package gpiod is missing: pip install 'tongpin[gpio]'") from None
            return GpioLine(leg.keyer)
        case RigctlKeyer():
            from tongpin.gateway.radio.drivers.rigctl import RigctlLine

            return RigctlLine(leg.keyer)


def chip_of(leg: LegConfig, keyer: Cm108Keyer) -> str:
    """Where a leg's keying chip is: where its keyer says, else where its sound card is."""
    if keyer.device is not None:
        return keyer.device
    if leg.card.kind == "soundcard":
        for name in (leg.card.device, leg.card.playout, leg.card.capture):
            if name is not None and is_usb_id(name):
                return name
    raise DeviceError("keyer.device says which chip keys; without it card.device must be an id like usb:1-1.2:SERIAL")


def line_id(leg: LegConfig) -> str | None:
    """What a polarity test stands for: the line and its polarity, by what stays when things are replugged.

    None for lines that cannot be wired the wrong way round.
    """
    is_low = False
    match leg.keyer:
        case SerialKeyer() as keyer:
            where, is_low = f"{keyer.port} {keyer.line}", keyer.is_active_low
        case Cm108Keyer() as keyer:
            where, is_low = f"{chip_of(leg, keyer)} {keyer.ptt_pin or keyer.layout}", keyer.is_active_low
        case GpioKeyer() as keyer:
            where, is_low = f"{keyer.chip} {keyer.line}", keyer.is_active_low
        case RigctlKeyer() as keyer:
            where = f"{keyer.host}:{keyer.port} ptt"
        case NoKeyer() | VoxKeyer() | SimKeyer():
            return None
    return f"{leg.keyer.kind} {where} active {'low' if is_low else 'high'}"


def drive_inactive(leg: LegConfig) -> None:
    """Put the line to its inactive level from outside, after the worker that owned it has died. May block a moment.

    Raises:
        DeviceError: the line cannot be reached; it is as the worker left it.
    """
    line = make_line(leg)
    try:
        line.open()
    finally:
        line.close()
