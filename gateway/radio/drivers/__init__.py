"""Keying lines by configuration."""

from tongpin.config.models import KeyerConfig, NoKeyer, SerialKeyer, SimKeyer, VoxKeyer
from tongpin.gateway.radio.drivers.line import KeyLine
from tongpin.gateway.radio.drivers.none import AudioOnlyLine
from tongpin.gateway.radio.drivers.sim import SimLine


def make_line(config: KeyerConfig) -> KeyLine:
    """The line that the configuration names, not yet open."""
    match config:
        case NoKeyer():
            return AudioOnlyLine(can_key=False)
        case VoxKeyer():
            return AudioOnlyLine(can_key=True)
        case SimKeyer():
            return SimLine(config.file)
        case SerialKeyer():
            # Here, because pyserial takes 30 ms to import and most legs do not need it.
            from tongpin.gateway.radio.drivers.serial import SerialLine

            return SerialLine(config)


def drive_inactive(config: KeyerConfig) -> None:
    """Put the line to its inactive level from outside, after the worker that owned it has died. May block a moment.

    Raises:
        DeviceError: the line cannot be reached; it is as the worker left it.
    """
    line = make_line(config)
    try:
        line.open()
    finally:
        line.close()
