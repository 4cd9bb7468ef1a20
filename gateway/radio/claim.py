"""One process at a time uses this configuration's radios."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from tongpin.gateway.errors import DeviceError


class RadioClaim:
    """A context manager: a lock on a file of the data folder, which goes with the process however that ends."""

    def __init__(self, data_folder: Path) -> None:
        self._file = data_folder / "radios.lock"
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Raises DeviceError when another process has the radios, or the folder cannot be used."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            raise DeviceError(
                f"another Tongpin uses these radios ({self._file}): stop the service first, or give it a data_folder"
            ) from None
        except OSError as error:
            self._close()
            raise DeviceError(f"{self._file} cannot be used: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
