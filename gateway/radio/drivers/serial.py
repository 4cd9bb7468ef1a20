"""PTT on DTR or RTS of a serial port, COS on CTS, DCD or DSR. The port may be any pyserial URL."""

from contextlib import suppress
from typing import Final, Protocol, cast

import serial

from tongpin.config.models import SerialKeyer
from tongpin.gateway.errors import DeviceError


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


class SerialLine:
    can_key = True

    def __init__(self, config: SerialKeyer) -> None:
        self._config: Final = config
        self._port: _Port | None = None
        self._has_failed = False
        self.has_cos = config.cos_line is not None

    def open(self) -> None:
        """Open with both control lines inactive: pyserial raises them on open unless told before."""
        self.close()
        level = self._config.is_active_low
        try:
            port = cast(_Port, serial.serial_for_url(self._config.port, do_not_open=True))
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

    def read_cos(self) -> bool | None:
        port = self._need_port()
        try:
            match self._config.cos_line:
                case None:
                    return None
                case "cts":
                    level = port.cts
                case "dcd":
                    level = port.cd
                case "dsr":
                    level = port.dsr
        except (OSError, ValueError) as error:
            raise self._failed(error) from None
        return bool(level) != self._config.is_cos_active_low

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
