"""What sound devices and serial ports this machine has, with names and ids that stay when things are replugged."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.drivers.hid import CHIPS
from tongpin.gateway.radio.usb import DEV, is_usb_id, is_usb_meant, usb_node, usb_nodes

_ALSA_CARD = re.compile(r"\(hw:(\d+),(\d+)\)")
_SERIAL_BY_ID = Path("/dev/serial/by-id")

Direction = Literal["capture", "playout"]


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """One PortAudio device.

    Attributes:
        index: PortAudio's number; changes when devices come and go.
        name: as PortAudio says it.
        stable_id: ``usb:PLACE:SERIAL`` of a USB card, otherwise the name. May stand in the configuration.
    """

    index: int
    name: str
    stable_id: str
    host_api: str
    can_capture: bool
    can_play: bool


@dataclass(frozen=True, slots=True)
class SerialPort:
    """One serial port; ``stable_id`` is a path or id that stays when it is replugged, if there is one."""

    device: str
    stable_id: str
    description: str


@dataclass(frozen=True, slots=True)
class KeyingChip:
    """A USB sound chip whose pins can key. Its sound card has the same ``stable_id``.

    Attributes:
        card: the sound card of the same USB device, as /sys/class/sound calls it; empty when it has none.
        can_open: whether we may read and write its node.
    """

    device: str
    stable_id: str
    chip: str
    pins: int
    card: str
    can_open: bool


def stable_id(name: str) -> str:
    """The id of a PortAudio device by its name."""
    match = _ALSA_CARD.search(name)
    node = usb_node("sound", f"card{match[1]}") if match else None
    return node.stable_id if node is not None else name


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
    if is_usb_id(wanted):
        exact = [device for device in able if is_usb_meant(wanted, device.stable_id)]
        if len({device.stable_id for device in exact}) > 1:
            raise DeviceError(f"several {direction} devices are {wanted!r}; name the place as well")
    if exact:
        return exact[0]
    partial = [device for device in able if wanted.casefold() in device.name.casefold()]
    if len({device.name for device in partial}) == 1:
        return partial[0]
    names = ", ".join(repr(device.name) for device in (partial or able)) or "none at all"
    what = f"several {direction} devices have" if partial else f"no {direction} device has"
    raise DeviceError(f"{what} {wanted!r} in the name; there are: {names}")


def list_serial_ports() -> list[SerialPort]:
    """All serial ports, by name. Of an adapter with one port the id is its place and serial number."""
    from serial.tools import list_ports

    links: dict[str, str] = {}
    if _SERIAL_BY_ID.is_dir():
        links = {str(link.resolve()): str(link) for link in sorted(_SERIAL_BY_ID.iterdir())}
    nodes = list(usb_nodes("tty"))
    single = Counter(node.stable_id for node in nodes)
    ids = {str(node.node): node.stable_id for node in nodes if single[node.stable_id] == 1}
    return [
        SerialPort(
            port.device,
            ids.get(port.device) or links.get(str(Path(port.device).resolve()), port.device),
            port.description,
        )
        for port in sorted(list_ports.comports(), key=lambda port: port.device)
    ]


def list_keying_chips() -> list[KeyingChip]:
    """All USB sound chips with pins that key, each with the sound card beside it."""
    cards = {node.stable_id: str(node.node) for node in usb_nodes("sound")}
    found = []
    for node in usb_nodes("hidraw"):
        chip = CHIPS.get((node.vendor, node.product))
        if chip is not None:
            can_open = os.access(node.node, os.R_OK | os.W_OK)
            found.append(
                KeyingChip(
                    str(node.node), node.stable_id, chip.name, chip.pins, cards.get(node.stable_id, ""), can_open
                )
            )
    return found


def list_gpio_chips() -> list[str]:
    """The GPIO chips of this machine; their lines are what ``gpioinfo`` lists."""
    return sorted(str(node) for node in DEV.glob("gpiochip*"))
