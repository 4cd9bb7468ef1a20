"""Which keying lines have passed a polarity test: the others are never keyed.

A line of the wrong polarity transmits for as long as nobody talks. Only somebody, or something, that watches the
transmitter can tell, so the first key of a line waits for ``tongpin leg test``.
"""

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tongpin.config.models import LegConfig
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.drivers import line_id

_FILE = "keying-lines.json"
_MAX_BYTES = 1_000_000


def locked_text(leg: str) -> str:
    """What a leg says of itself while its line has not been tested."""
    return f"keying is locked until a polarity test has passed: stop the service and run 'tongpin leg test {leg}'"


class PolarityRecord:
    """The lines that have passed, in a file of the data folder."""

    def __init__(self, data_folder: Path) -> None:
        self._file = data_folder / _FILE

    def _read(self) -> dict[str, str]:
        try:
            with self._file.open("rb") as file:
                found = json.loads(file.read(_MAX_BYTES))
        except (OSError, ValueError):
            return {}  # Missing or damaged: then nothing has passed, which is the safe side.
        return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}

    def is_locked(self, leg: LegConfig) -> bool:
        """Whether the leg has a line that could be the wrong way round and was not tested."""
        try:
            line = line_id(leg)
        except DeviceError:
            return True
        return line is not None and line not in self._read()

    def note_passed(self, leg: LegConfig) -> None:
        """Unlock the leg's line from the next start on.

        Raises:
            DeviceError: the file cannot be written; the line stays locked.
        """
        line = line_id(leg)
        if line is None:
            return
        known = self._read() | {line: datetime.now(UTC).isoformat(timespec="seconds")}
        fresh = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(known, file, indent=1, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._file)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise DeviceError(f"{self._file} cannot be written: {error.strerror}") from None
