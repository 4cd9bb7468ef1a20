"""Sound cards, hidraw nodes and serial ports by where they are plugged in and what serial number they have.

Numbers (``card1``, ``hidraw0``, ``ttyACM0``) change places when things are replugged; ``usb:PLACE:SERIAL`` does not.
All nodes of one USB device have the same id: that is how a card and the pins of its chip find each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tongpin.gateway.errors import DeviceError

NodeKind = Literal["sound", "hidraw", "tty"]
SYSFS = Path("/sys")
DEV = Path("/dev")
_PREFIX = "usb:"
_FOLDERS: Final[dict[NodeKind, tuple[str, str]]] = {
    "sound": ("sound", "card[0-9]*"),
    "hidraw": ("hidraw", "hidraw*"),
    "tty": ("tty", "tty*"),
}
_CALLED: Final[dict[NodeKind, str]] = {"sound": "sound card", "hidraw": "HID device", "tty": "serial port"}


@dataclass(frozen=True, slots=True)
class UsbNode:
    """One node of a USB device.

    Attributes:
        stable_id: ``usb:PLACE:SERIAL``, for instance ``usb:1-1.2:A7F3``; without a serial number ``usb:1-1.2``.
        node: the file in /dev; of a sound card its name in /sys/class/sound.
        vendor, product: USB numbers.
        name: what the device calls itself.
    """

    kind: NodeKind
    stable_id: str
    node: Path
    vendor: int
    product: int
    name: str


def is_usb_id(text: str) -> bool:
    return text.startswith(_PREFIX)


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def _usb_parent(device: Path) -> Path | None:
    """The folder of the USB device that something in /sys belongs to; None when it is not on USB."""
    real = device.resolve()
    return next((folder for folder in (real, *real.parents) if (folder / "idVendor").is_file()), None)


def usb_node(kind: NodeKind, name: str) -> UsbNode | None:
    """The node called ``name`` in /sys/class, or None when it is not on USB."""
    parent = _usb_parent(SYSFS / "class" / _FOLDERS[kind][0] / name / "device")
    if parent is None:
        return None
    serial = _text(parent / "serial")
    try:
        vendor, product = (int(_text(parent / file), 16) for file in ("idVendor", "idProduct"))
    except ValueError:
        return None  # Unplugged while we looked.
    return UsbNode(
        kind=kind,
        stable_id=f"{_PREFIX}{parent.name}" + (f":{serial}" if serial else ""),
        node=Path(name) if kind == "sound" else DEV / name,
        vendor=vendor,
        product=product,
        name=_text(parent / "product") or f"{vendor:04x}:{product:04x}",
    )


def usb_nodes(kind: NodeKind) -> Iterator[UsbNode]:
    """All of one kind that are plugged in, by name."""
    folder, pattern = _FOLDERS[kind]
    for entry in sorted((SYSFS / "class" / folder).glob(pattern)):
        if (node := usb_node(kind, entry.name)) is not None:
            yield node


def is_usb_meant(wanted: str, stable_id: str) -> bool:
    """``usb:1-1.2`` means whatever is plugged in there, ``usb:*:A7F3`` that serial number wherever it is."""
    place, _, serial = wanted.removeprefix(_PREFIX).partition(":")
    real_place, _, real_serial = stable_id.removeprefix(_PREFIX).partition(":")
    return place in ("*", real_place) and serial in ("", real_serial)


def find_node(wanted: str, kind: NodeKind) -> UsbNode:
    """The one node that an id means.

    Raises:
        DeviceError: there is none, or there are several; the text lists what is there.
    """
    there = list(usb_nodes(kind))
    meant = [node for node in there if is_usb_meant(wanted, node.stable_id)]
    if len(meant) == 1:
        return meant[0]
    names = ", ".join(f"{node.stable_id} ({node.node})" for node in (meant or there)) or "none at all"
    found = f"several {_CALLED[kind]}s are" if meant else f"no {_CALLED[kind]} is"
    raise DeviceError(f"{found} {wanted!r}; there are: {names}")
