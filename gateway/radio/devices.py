"""What sound devices and serial ports this machine has, with names and ids that stay when things are replugged."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tongpin.gateway.errors import DeviceError

_ALSA_CARD = re.compile(r"\(hw:(\d+),(\d+)\)")
_SYS_SOUND = Path("/sys/class/sound")
_SERIAL_BY_ID = Path("/dev/serial/by-id")

Direction = Literal["capture", "playout"]


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """One PortAudio device.

    Attributes:
        index: PortAudio's number; changes when devices come and go.
        name: as PortAudio says it.
        stable_id: ``usb-<where>-<serial>`` of a USB card's device, otherwise the name. May stand in the configuration.
    """

    index: int
    name: str
    stable_id: str
    host_api: str
    can_capture: bool
    can_play: bool


@dataclass(frozen=True, slots=True)
class SerialPort:
    """One serial port; ``stable_id`` is a path that stays when it is replugged, if the system offers one."""

    device: str
    stable_id: str
    description: str


def _usb_id(card: str, number: str) -> str | None:
    """The USB place and serial number of ALSA card ``card``, or None when it is not on USB."""
    device = (_SYS_SOUND / f"card{card}" / "device").resolve()
    for folder in (device, *device.parents):
        if (folder / "idVendor").is_file():
            serial = folder / "serial"
            text = serial.read_text(errors="replace").strip() if serial.is_file() else "none"
            return f"usb-{folder.name}-{text}-{number}"
    return None


def stable_id(name: str) -> str:
    """The id of a PortAudio device by its name."""
    match = _ALSA_CARD.search(name)
    return (_usb_id(match[1], match[2]) if match else None) or name


def list_sound_devices() -> list[SoundDevice]:
    """All devices of the PortAudio library as it was initialised last.

    Raises:
        DeviceError: PortAudio is missing or has failed.
    """
    try:
        import sounddevice

        apis = [str(api["name"]) for api in sounddevice.query_hostapis()]
        found = list(sounddevice.query_devices())
    except OSError as error:
        raise DeviceError(f"PortAudio cannot be loaded ({error}); on Debian: apt install libportaudio2") from None
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"PortAudio does not list its devices: {error}") from None
    return [
        SoundDevice(
            index=int(device["index"]),
            name=str(device["name"]),
            stable_id=stable_id(str(device["name"])),
            host_api=apis[int(device["hostapi"])],
            can_capture=int(device["max_input_channels"]) > 0,
            can_play=int(device["max_output_channels"]) > 0,
        )
        for device in found
    ]


def find_device(devices: Sequence[SoundDevice], wanted: str, direction: Direction) -> SoundDevice:
    """Look a device up: by its exact name or stable id, else by a part of the name that only one device has.

    The same name in several host APIs is one device; the first, which PortAudio prefers, is taken.

    Raises:
        DeviceError: no device has it, or several different ones do; the text lists the names.
    """
    able = [device for device in devices if (device.can_capture if direction == "capture" else device.can_play)]
    exact = [device for device in able if wanted in (device.name, device.stable_id)]
    if exact:
        return exact[0]
    partial = [device for device in able if wanted.casefold() in device.name.casefold()]
    if len({device.name for device in partial}) == 1:
        return partial[0]
    names = ", ".join(repr(device.name) for device in (partial or able)) or "none at all"
    what = f"several {direction} devices have" if partial else f"no {direction} device has"
    raise DeviceError(f"{what} {wanted!r} in the name; there are: {names}")


def list_serial_ports() -> list[SerialPort]:
    """All serial ports, by name."""
    from serial.tools import list_ports

    links: dict[str, str] = {}
    if _SERIAL_BY_ID.is_dir():
        links = {str(link.resolve()): str(link) for link in sorted(_SERIAL_BY_ID.iterdir())}
    return [
        SerialPort(port.device, links.get(str(Path(port.device).resolve()), port.device), port.description)
        for port in sorted(list_ports.comports(), key=lambda port: port.device)
    ]
