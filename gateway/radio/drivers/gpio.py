"""PTT on a line of a GPIO chip, through libgpiod's own Python package (extra ``gpio``)."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import gpiod
from gpiod.line import Direction, Value

from tongpin.config.keyers import GpioKeyer
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.drivers.line import LineInputs

_CONSUMER: Final = "tongpin"


class GpioLine:
    """Implements ``KeyLine``. The lines are ours alone from open to close; the chip keeps the level afterwards."""

    can_key = True

    def __init__(self, config: GpioKeyer) -> None:
        self._config: Final = config
        self._inputs: Final = {
            line: is_active_low
            for line, is_active_low in (
                (config.cos_line, config.is_cos_active_low),
                (config.ctcss_line, config.is_ctcss_active_low),
                (config.tx_detect_line, config.is_tx_detect_active_low),
            )
            if line is not None
        }
        self.poll_s = 0.01 if self._inputs else 0.5
        self._request: gpiod.LineRequest | None = None

    def open(self) -> None:
        """Ask for all lines at once: the output is inactive in the very call that makes it an output."""
        self.close()
        wanted: dict[Iterable[int | str] | int | str, gpiod.LineSettings | None] = {
            line: gpiod.LineSettings(direction=Direction.INPUT, active_low=is_active_low)
            for line, is_active_low in self._inputs.items()
        }
        wanted[self._config.line] = gpiod.LineSettings(
            direction=Direction.OUTPUT, active_low=self._config.is_active_low, output_value=Value.INACTIVE
        )
        try:
            self._request = gpiod.request_lines(self._config.chip, consumer=_CONSUMER, config=wanted)
        except (OSError, ValueError) as error:
            hint = "; install the udev rule (docs/radio.md)" if isinstance(error, PermissionError) else ""
            raise DeviceError(f"line {self._config.line} of {self._config.chip} cannot be had: {error}{hint}") from None

    def set(self, is_active: bool) -> None:
        request = self._need_request()
        try:
            request.set_value(self._config.line, Value.ACTIVE if is_active else Value.INACTIVE)
        except (OSError, ValueError, gpiod.RequestReleasedError) as error:
            raise self._failed(error) from None

    def read(self) -> LineInputs:
        request = self._need_request()
        try:
            if not self._inputs:
                request.get_value(self._config.line)  # Says whether the chip is still there.
            return LineInputs(
                self._level(request, self._config.cos_line),
                self._level(request, self._config.ctcss_line),
                self._level(request, self._config.tx_detect_line),
            )
        except (OSError, ValueError, gpiod.RequestReleasedError) as error:
            raise self._failed(error) from None

    @staticmethod
    def _level(request: gpiod.LineRequest, line: int | str | None) -> bool | None:
        return None if line is None else request.get_value(line) is Value.ACTIVE

    def close(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            with suppress(OSError, ValueError, gpiod.RequestReleasedError):
                request.set_value(self._config.line, Value.INACTIVE)
            with suppress(OSError, ValueError, gpiod.RequestReleasedError):
                request.release()

    def _failed(self, error: Exception) -> DeviceError:
        return DeviceError(f"line {self._config.line} of {self._config.chip} does not answer: {error}")

    def _need_request(self) -> gpiod.LineRequest:
        if self._request is None:
            raise DeviceError(f"line {self._config.line} of {self._config.chip} is not open")
        return self._request
