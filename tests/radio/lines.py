"""Keying lines for the battery: each can be made, and looked at from outside the code under test."""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

import pytest
import serial
from serial import rfc2217
from serial.rfc2217 import PortManager

from tongpin.config.models import KeyerConfig, SerialKeyer, SimKeyer

PYSERIAL_WARNINGS = [
    # pyserial 3.5 names its threads in the old way,
    pytest.mark.filterwarnings("ignore:set(Daemon|Name)\\(\\) is deprecated:DeprecationWarning"),
    # and leaves a socket that the other side has closed to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


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
