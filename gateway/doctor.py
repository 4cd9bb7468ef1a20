"""``tongpin doctor``: what this machine lacks for the configuration, one line each, with the cure."""

import ctypes
import errno
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from tongpin.config.keyers import Cm108Keyer, GpioKeyer, RigctlKeyer, SerialKeyer
from tongpin.config.models import Config, LegConfig, TlsFiles
from tongpin.gateway.errors import DeviceError

_RENEW_BEFORE = timedelta(days=14)
_LEAST_FREE_BYTES: Final = 1_000_000_000
_TIME_ERROR: Final = 5
"""What adjtimex answers when nothing keeps the clock right (adjtimex(2))."""


class Verdict(StrEnum):
    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. ``cure`` is empty when all is well."""

    verdict: Verdict
    subject: str
    text: str
    cure: str = ""


def _good(subject: str, text: str) -> Finding:
    return Finding(Verdict.GOOD, subject, text)


def _bad(subject: str, text: str, cure: str) -> Finding:
    return Finding(Verdict.BAD, subject, text, cure)


def _note(subject: str, text: str, cure: str) -> Finding:
    return Finding(Verdict.NOTE, subject, text, cure)


def examine(config: Config) -> list[Finding]:
    """Everything, in order; one part that fails does not hide the others. Opens no keying line."""
    parts: tuple[Callable[[Config], Iterator[Finding]], ...] = (
        _python,
        _libraries,
        _native,
        _sound,
        _keying,
        _chips,
        _clock,
        _ports,
        _certificate,
        _folder,
    )
    return [finding for part in parts for finding in part(config)]


def _python(config: Config) -> Iterator[Finding]:
    yield _good("python", f"{sys.version.split()[0]} on {sys.platform}")


def _libraries(config: Config) -> Iterator[Finding]:
    from tongpin.codecs.errors import CodecError
    from tongpin.codecs.opus import OpusEncoder

    try:
        OpusEncoder()
        yield _good("libopus", "works")
    except CodecError as error:
        yield _bad("libopus", str(error), "apt install libopus0")


def _native(config: Config) -> Iterator[Finding]:
    from importlib.util import find_spec

    if find_spec("tongpin.gateway.media._fanout") is not None:
        yield _good("native part", "built")
    else:
        cure = "for thousands of listeners: install a C compiler and reinstall with TONGPIN_NATIVE=yes"
        yield _note("native part", "not built: the slower pure Python twin runs", cure)


def _sound(config: Config) -> Iterator[Finding]:
    from tongpin.gateway.radio.devices import find_device, list_sound_devices

    legs = [leg for leg in config.legs if leg.card.kind == "soundcard"]
    try:
        devices = list_sound_devices()
    except DeviceError as error:
        verdict = _bad if legs else _note
        yield verdict("PortAudio", str(error), "apt install libportaudio2")
        return
    yield _good("PortAudio", f"{len(devices)} devices")
    for leg in legs:
        assert leg.card.kind == "soundcard"
        wanted = (("capture", leg.card.capture or leg.card.device), ("playout", leg.card.playout or leg.card.device))
        for direction, name in wanted:
            subject = f"leg {leg.name}, {direction}"
            try:
                found = find_device(devices, name or "", "capture" if direction == "capture" else "playout")
                yield _good(subject, f"{found.name} ({found.stable_id})")
            except DeviceError as error:
                yield _bad(subject, str(error), "plug it in, or take an id that 'tongpin devices' prints")


def _node(subject: str, path: Path) -> Finding:
    """Whether a device node is there and may be used."""
    if not path.exists():
        return _bad(subject, f"{path} is not there", "plug it in, or take an id that 'tongpin devices' prints")
    if not os.access(path, os.R_OK | os.W_OK):
        group = "dialout" if path.name.startswith(("tty", "gpio")) else "audio"
        cure = f"install config/udev/60-tongpin.rules, and: usermod -aG {group} USER"
        return _bad(subject, f"{path} may not be read and written", cure)
    return _good(subject, f"{path} may be used")


def _keying(config: Config) -> Iterator[Finding]:
    from tongpin.gateway.radio.polarity import PolarityRecord, locked_text

    record = PolarityRecord(config.data_folder)
    for leg in config.legs:
        subject = f"leg {leg.name}, keying"
        try:
            yield from _line(subject, leg)
        except DeviceError as error:
            yield _bad(subject, str(error), "correct the leg's keyer, or plug the line in")
        if record.is_locked(leg):
            yield _note(subject, locked_text(leg.name), f"tongpin leg test {leg.name}")


def _line(subject: str, leg: LegConfig) -> Iterator[Finding]:
    from tongpin.gateway.radio.drivers import chip_of
    from tongpin.gateway.radio.usb import find_node, is_usb_id

    match leg.keyer:
        case Cm108Keyer():
            chip = chip_of(leg, leg.keyer)
            yield _node(subject, find_node(chip, "hidraw").node if is_usb_id(chip) else Path(chip))
        case SerialKeyer(port=port) if is_usb_id(port):
            yield _node(subject, find_node(port, "tty").node)
        case SerialKeyer(port=port) if "://" not in port:
            yield _node(subject, Path(port))
        case GpioKeyer(chip=chip):
            from importlib.util import find_spec

            if find_spec("gpiod") is None:
                yield _bad(subject, "the package gpiod is missing", "pip install 'tongpin[gpio]'")
            yield _node(subject, Path(chip))
        case RigctlKeyer(host=host, port=number, timeout_s=timeout_s):
            try:
                socket.create_connection((host, number), timeout_s).close()
                yield _good(subject, f"rigctld answers at {host}:{number}")
            except OSError as error:
                yield _bad(subject, f"rigctld at {host}:{number}: {error}", "start rigctld, or correct host and port")
        case _:
            yield _good(subject, f"{leg.keyer.kind}: nothing to open")


def _chips(config: Config) -> Iterator[Finding]:
    from tongpin.gateway.radio.devices import list_keying_chips

    for chip in list_keying_chips():
        yield _node(f"sound chip {chip.stable_id}", Path(chip.device))


def _clock(config: Config) -> Iterator[Finding]:
    """Recordings, evidence and tokens need the right time."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256))
    except (AttributeError, OSError):
        return
    if state in (-1, _TIME_ERROR):
        cure = "run a time service: apt install chrony"
        yield _note("clock", "nothing keeps this machine's clock right", cure)
    else:
        yield _good("clock", "kept right by a time service")


def _ports(config: Config) -> Iterator[Finding]:
    wanted = (
        ("TCP port", socket.SOCK_STREAM, config.server.host, config.server.port),
        ("UDP port", socket.SOCK_DGRAM, "0.0.0.0", config.webrtc.udp_port),
    )
    for subject, kind, host, port in wanted:
        if port == 0:
            yield _good(subject, "any free one")
            continue
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
            try:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
                yield _good(subject, f"{port} on {host} is free")
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    yield _note(subject, f"{port} on {host} is taken", "fine if that is Tongpin; else choose another")
                else:
                    yield _bad(subject, f"{port} on {host}: {error.strerror}", "correct server.host and the port")


def _certificate(config: Config) -> Iterator[Finding]:
    from cryptography import x509

    tls = config.server.tls
    subject = "certificate"
    if tls == "off":
        if config.server.host not in ("127.0.0.1", "::1", "localhost"):
            cure = "server.tls: auto, or a proxy that speaks https in front"
            yield _note(subject, "none: browsers give no microphone to a page without https", cure)
        else:
            yield _good(subject, "none needed on loopback")
        return
    file = tls.cert if isinstance(tls, TlsFiles) else config.data_folder / "tls" / "server.pem"
    if not file.exists() and not isinstance(tls, TlsFiles):
        yield _good(subject, "made at the first start")
        return
    try:
        ends = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        yield _bad(subject, f"{file}: {error}", "correct server.tls, or take it away for a new one")
        return
    if ends < datetime.now(UTC) + _RENEW_BEFORE:
        yield _bad(subject, f"{file} ends on {ends:%Y-%m-%d}", "put a new one in its place and restart")
    else:
        yield _good(subject, f"valid until {ends:%Y-%m-%d}")


def _folder(config: Config) -> Iterator[Finding]:
    for subject, folder in (("data folder", config.data_folder), ("recordings", config.recording.folder)):
        if folder is None:
            continue
        there = next((part for part in (folder, *folder.absolute().parents) if part.exists()), Path("/"))
        if not os.access(there, os.W_OK):
            yield _bad(subject, f"{there} may not be written", "give it to the service's user, or choose another")
        elif shutil.disk_usage(there).free < _LEAST_FREE_BYTES:
            yield _bad(subject, f"less than 1 GB is free at {there}", "make room: recordings stop when it is full")
        else:
            yield _good(subject, f"{folder} may be written")
