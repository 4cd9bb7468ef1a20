"""Keying lines for the battery: each can be made, and looked at from outside the code under test."""

import os
import pty
import selectors
import socket
import subprocess
import threading
import tty
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Protocol, cast

import gpiod
import pytest
import serial
from gpiod.line import Direction, Value
from serial import rfc2217
from serial.rfc2217 import PortManager

from tongpin.config.keyers import Cm108Keyer, GpioKeyer, KeyerConfig, RigctlKeyer, SerialKeyer, SimKeyer
from tongpin.config.models import LegConfig, SimCard

PYSERIAL_WARNINGS = [
    # pyserial 3.5 names its threads in the old way,
    pytest.mark.filterwarnings("ignore:set(Daemon|Name)\\(\\) is deprecated:DeprecationWarning"),
    # and leaves a socket that the other side has closed to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


def leg_on(keyer: KeyerConfig) -> LegConfig:
    """A leg whose only part that matters is its keyer."""
    return LegConfig(name="a", card=SimCard(kind="sim"), keyer=keyer)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Bench(Protocol):
    """One line and the eye on it."""

    @property
    def config(self) -> KeyerConfig: ...

    def level(self) -> bool | None:
        """Whether the transmitter is on; None when nobody has ever driven the line."""

    def close(self) -> None: ...


class SimBench:
    def __init__(self, folder: Path) -> None:
        self._file = folder / "line"
        self.config: KeyerConfig = SimKeyer(kind="sim", file=self._file)

    def level(self) -> bool | None:
        return {"": None, "0": False, "1": True}[self._file.read_text() if self._file.exists() else ""]

    def close(self) -> None:
        """Nothing is open."""


class LatchingPort:
    """Stands for the lines of a serial port: keeps them as they were set, and reads COS from an attribute."""

    def __init__(self) -> None:
        self.name = "latching"
        self.rts = False
        self.dtr = False
        self.cts = False
        self.dsr = False
        self.ri = False
        self.cd = False
        self.baudrate = 9600
        self.bytesize = 8
        self.parity = serial.PARITY_NONE
        self.stopbits = 1
        self.break_condition = False
        self.xonxoff = False
        self.rtscts = False
        self.history: list[tuple[str, bool]] = []

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name in ("rts", "dtr") and "history" in self.__dict__:
            self.history.append((name, bool(value)))

    def reset_input_buffer(self) -> None:
        """No data ever comes."""

    def reset_output_buffer(self) -> None:
        """No data ever goes."""

    def write(self, data: bytes) -> None:
        """Data is not what this port is for."""


class Rfc2217Bench:
    """A serial port on the network: pyserial's own server side, one client at a time, lines that latch."""

    def __init__(self, is_active_low: bool = False) -> None:
        self.port = LatchingPort()
        self.port.rts = is_active_low
        self._is_active_low = is_active_low
        self._server = socket.create_server(("127.0.0.1", 0))
        self._client: socket.socket | None = None
        self._manager: PortManager | None = None
        self._is_closing = threading.Event()
        number = self._server.getsockname()[1]
        self.config: KeyerConfig = SerialKeyer(
            kind="serial", port=f"rfc2217://127.0.0.1:{number}", is_active_low=is_active_low, cos_line="cts"
        )
        self._threads = [
            threading.Thread(target=self._serve, daemon=True),
            threading.Thread(target=self._poll, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def level(self) -> bool | None:
        return self.port.rts != self._is_active_low

    def write(self, data: bytes) -> None:
        """What the port manager has to say to the client."""
        client = self._client
        if client is not None:
            with suppress(OSError):
                client.sendall(data)

    def break_connection(self) -> None:
        """Pull the plug of the client that is connected, if one is."""
        client = self._client
        if client is not None:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while not self._is_closing.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client:
                self._client = client
                self._manager = PortManager(cast(rfc2217.Serial, self.port), cast(rfc2217.Serial, self))
                with suppress(OSError):
                    while data := client.recv(1024):
                        list(self._manager.filter(data))
                self._manager = None
                self._client = None

    def _poll(self) -> None:
        while not self._is_closing.wait(0.01):
            manager = self._manager
            if manager is not None:
                manager.check_modem_lines()

    def close(self) -> None:
        self._is_closing.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.break_connection()
        for thread in self._threads:
            thread.join(5)


class HidBench:
    """Speaks a CM108's reports on a pty: pins that latch, buttons that can be pressed, a plug that can be pulled."""

    def __init__(self, folder: Path, is_active_low: bool = False) -> None:
        self.node = folder / "hidraw0"
        self._is_active_low = is_active_low
        self.reports: list[bytes] = []
        self.times: list[float] = []
        self.pins: int | None = None
        self._inputs = bytearray(4)
        self._is_closing = threading.Event()
        self._lock = threading.Lock()
        self._master = self._slave = -1
        self.config: KeyerConfig = Cm108Keyer(kind="cm108", device=str(self.node), is_active_low=is_active_low)
        self.plug_in()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def plug_in(self) -> None:
        """A fresh chip: its pins are inputs and say nothing."""
        with self._lock:
            self._master, self._slave = pty.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self.pins = None
            self.node.unlink(missing_ok=True)
            self.node.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        """Every descriptor that is open on the node fails from now on."""
        with self._lock:
            for descriptor in (self._master, self._slave):
                os.close(descriptor)
            self._master = self._slave = -1
            self.node.unlink()

    def press(self, byte: int, bit: int, is_set: bool) -> None:
        """Change an input; the chip reports it."""
        self._inputs[byte] = self._inputs[byte] | bit if is_set else self._inputs[byte] & ~bit
        os.write(self._master, bytes(self._inputs))

    def level(self) -> bool | None:
        return None if self.pins is None else bool(self.pins & 0x04) != self._is_active_low

    def _serve(self) -> None:
        while not self._is_closing.wait(0.001):
            with self._lock:
                if self._master < 0:
                    continue
                try:
                    report = os.read(self._master, 5)
                except OSError:
                    continue
            self.times.append(monotonic())
            self.reports.append(report)
            if len(report) == 5 and report[:2] == b"\0\0" and report[3] & 0x04:
                self.pins = report[2]

    def close(self) -> None:
        self._is_closing.set()
        self._thread.join(5)
        if self._master >= 0:
            self.unplug()


class RigctlBench:
    """Stands for rigctld: one rig whose PTT latches, any number of clients, told to be silent or to refuse."""

    def __init__(self) -> None:
        self.is_keyed: bool | None = None
        self.dcd = False
        self.mood = "well"
        self.asked: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self.config: KeyerConfig = RigctlKeyer(
            kind="rigctl", port=self._server.getsockname()[1], reads_dcd=True, timeout_s=1.0
        )
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def level(self) -> bool | None:
        return self.is_keyed

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                peer = key.fileobj
                assert isinstance(peer, socket.socket)
                if peer is self._woken:
                    return
                if peer is self._server:
                    self._selector.register(self._server.accept()[0], selectors.EVENT_READ)
                    continue
                with suppress(OSError):
                    if data := peer.recv(256):
                        for line in data.decode().splitlines():
                            peer.sendall(self._answer(line))
                        continue
                self._selector.unregister(peer)
                peer.close()

    def _answer(self, line: str) -> bytes:
        self.asked.append(line)
        if self.mood == "silent":
            return b""
        if self.mood == "refuses":
            return b"RPRT -9\n"
        match line:
            case "T 0" | "T 1":
                self.is_keyed = line == "T 1"
                return b"RPRT 0\n"
            case "t":
                return b"1\n" if self.is_keyed else b"0\n"
            case "\\get_dcd":
                return b"1\n" if self.dcd else b"0\n"
        return b"RPRT -4\n"

    def close(self) -> None:
        self._wake.send(b"x")
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            peer = key.fileobj
            assert isinstance(peer, socket.socket)
            peer.close()
        self._wake.close()
        self._selector.close()


class HamlibBench:
    """Debian's own rigctld with its dummy rig (package libhamlib-utils)."""

    def __init__(self) -> None:
        port = free_port()
        self._place = ("127.0.0.1", port)
        self._process = subprocess.Popen(["rigctld", "-m", "1", "-P", "RIG", "-T", "127.0.0.1", "-t", str(port)])
        self.config: KeyerConfig = RigctlKeyer(kind="rigctl", port=port, timeout_s=2.0)
        until = monotonic() + 10
        while True:
            with suppress(OSError), socket.create_connection(self._place, 1):
                break
            assert self._process.poll() is None and monotonic() < until, "rigctld does not start"

    def level(self) -> bool | None:
        with socket.create_connection(self._place, 2) as client:
            client.sendall(b"t\n")
            return client.recv(64).strip() == b"1"

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(5)


class FakeRequest:
    """The part of gpiod's LineRequest that the driver uses; levels are logical, as gpiod gives them."""

    def __init__(self, chip: "GpioBench") -> None:
        self._chip = chip
        self.is_released = False

    def _check(self) -> None:
        if self.is_released:
            raise gpiod.RequestReleasedError
        if self._chip.is_gone:
            raise OSError(19, "No such device")

    def set_value(self, line: int | str, value: Value) -> None:
        self._check()
        self._chip.levels[line] = value is Value.ACTIVE

    def get_value(self, line: int | str) -> Value:
        self._check()
        return Value.ACTIVE if self._chip.levels.get(line) else Value.INACTIVE

    def release(self) -> None:
        self._check()
        self.is_released = True


class GpioBench:
    """Stands for a GPIO chip behind gpiod.request_lines; its lines latch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.levels: dict[int | str, bool] = {}
        self.asked: list[dict[int | str, gpiod.LineSettings]] = []
        self.is_gone = False
        self._last: FakeRequest | None = None
        self.config: KeyerConfig = GpioKeyer(kind="gpio", line="GPIO17", cos_line=27, is_active_low=True)
        monkeypatch.setattr(gpiod, "request_lines", self._request)

    def _request(self, path: str, consumer: str, config: dict[int | str, gpiod.LineSettings]) -> FakeRequest:
        assert (path, consumer) == ("/dev/gpiochip0", "tongpin")
        if self.is_gone:
            raise FileNotFoundError(2, "No such file or directory")
        self.asked.append(config)
        for line, settings in config.items():
            if settings.direction is Direction.OUTPUT:
                self.levels[line] = settings.output_value is Value.ACTIVE
        self._last = FakeRequest(self)
        return self._last

    def level(self) -> bool | None:
        return self.levels.get("GPIO17")

    def close(self) -> None:
        """What was asked for is let go of."""
        assert self._last is None or self._last.is_released
