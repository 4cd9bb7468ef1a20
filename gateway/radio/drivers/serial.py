"""PTT on DTR or RTS of a serial port, inputs on CTS, DCD or DSR. The port may be any pyserial URL."""

from contextlib import suppress
from typing import Final, Protocol, cast

import serial

from tongpin.config.keyers import ModemInput, SerialKeyer
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.drivers.line import LineInputs
from tongpin.gateway.radio.usb import find_node, is_usb_id


class _Port(Protocol):
    """What every pyserial port has, whatever its URL; the stubs know it of local ports only."""

    dtr: bool
    rts: bool

    @property
    def cts(self) -> bool: ...

    @property
    def dsr(self) -> bool: ...

    @property
    def cd(self) -> bool: ...

    def open(self) -> None: ...

    def close(self) -> None: ...


def _level(port: _Port, line: ModemInput | None, is_active_low: bool) -> bool | None:
    match line:
        case None:
            return None
        case "cts":
            level = port.cts
        case "dcd":
            level = port.cd
        case "dsr":
            level = port.dsr
    return bool(level) != is_active_low


class SerialLine:
    can_key = True

    def __init__(self, config: SerialKeyer) -> None:
        self._config: Final = config
        self._port: _Port | None = None
        self._has_failed = False
        has_inputs = config.cos_line or config.ctcss_line or config.tx_detect_line
        self.poll_s = 0.01 if has_inputs else 0.5

    def open(self) -> None:
        """Open with both control lines inactive: pyserial raises them on open unless told before."""
        self.close()
        level = self._config.is_active_low
        name = self._config.port
        if is_usb_id(name):
            name = str(find_node(name, "tty").node)
        try:
            port = cast(_Port, serial.serial_for_url(name, do_not_open=True))
            port.dtr = level if self._config.line == "dtr" else False
            port.rts = level if self._config.line == "rts" else False
            port.open()
        except (OSError, ValueError) as error:
            raise DeviceError(f"the serial port {self._config.port} cannot be opened: {error}") from None
        self._port, self._has_failed = port, False
        self.set(False)

    def set(self, is_active: bool) -> None:
        port = self._need_port()
        level = is_active != self._config.is_active_low
        try:
            if self._config.line == "dtr":
                port.dtr = level
            else:
                port.rts = level
        except (OSError, ValueError) as error:
            raise self._failed(error) from None

    def read(self) -> LineInputs:
        port, config = self._need_port(), self._config
        try:
            if self.poll_s > 0.01:
                _ = port.cts  # Says whether the port is still there.
            return LineInputs(
                _level(port, config.cos_line, config.is_cos_active_low),
                _level(port, config.ctcss_line, config.is_ctcss_active_low),
                _level(port, config.tx_detect_line, config.is_tx_detect_active_low),
            )
        except (OSError, ValueError) as error:
            raise self._failed(error) from None

    def close(self) -> None:
        port, self._port = self._port, None
        if port is None:
            return
        with suppress(OSError, ValueError):
            if self._has_failed:
                pass  # It has just not answered; asking again would only wait. Opening it anew makes it inactive.
            elif self._config.line == "dtr":
                port.dtr = self._config.is_active_low
            else:
                port.rts = self._config.is_active_low
        with suppress(OSError, ValueError):
            port.close()

    def _failed(self, error: Exception) -> DeviceError:
        self._has_failed = True
        return DeviceError(f"the serial port {self._config.port} does not answer: {error}")

    def _need_port(self) -> _Port:
        if self._port is None:
            raise DeviceError(f"the serial port {self._config.port} is not open")
        return self._port
