"""The fake line of a simulated leg: a file that holds ``1`` or ``0`` and keeps it when its writer dies."""

import os
from contextlib import suppress
from pathlib import Path

from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.drivers.line import NO_INPUTS, LineInputs


class SimLine:
    can_key = True
    poll_s = 60.0  # The simulated card marks every frame with its carrier.

    def __init__(self, file: Path | None) -> None:
        """Args: file: made if missing; None keeps the line in memory only."""
        self._file = file
        self._descriptor = -1
        self.is_active = False

    def open(self) -> None:
        if self._file is not None and self._descriptor < 0:
            try:
                self._descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise DeviceError(f"the keying file {self._file} cannot be opened: {error.strerror}") from None
        self.set(False)

    def set(self, is_active: bool) -> None:
        if self._file is not None:
            if self._descriptor < 0:
                raise DeviceError(f"the keying file {self._file} is not open")
            try:
                # One byte in place: a reader never finds the file empty.
                os.pwrite(self._descriptor, b"1" if is_active else b"0", 0)
            except OSError as error:
                raise DeviceError(f"the keying file {self._file} cannot be written: {error.strerror}") from None
        self.is_active = is_active

    def read(self) -> LineInputs:
        return NO_INPUTS

    def close(self) -> None:
        if self._descriptor >= 0:
            with suppress(DeviceError):  # Closing is all that is left to do.
                self.set(False)
            os.close(self._descriptor)
            self._descriptor = -1
