"""What happens to recordings after they were made: the start-up sweep, retention, and room on the disk."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from tongpin.codecs.ogg import OggError, OggOpusWriter, read_pages, read_sound
from tongpin.config.models import RecordingConfig
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import StoreError
from tongpin.gateway.recording.peaks import waveform
from tongpin.gateway.recording.recorder import recorded
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.transmissions import RecordingState, Transmission, TransmissionFilter, TransmissionStore

_log = structlog.get_logger(__name__)

BATCH = 200
EVERY_S = 60.0
"""How often the room on the disk is looked at."""
EXPIRE_EVERY_S = 3_600.0


def recover(path: Path) -> tuple[int, int, int, str]:
    """Cut a file that was being written back to its last whole page and end it properly. Blocking.

    Returns:
        Duration and loss in milliseconds, size in bytes, SHA-256.
    Raises:
        OSError, OggError: there is nothing to recover.
    """
    data = path.read_bytes()
    sound, end = read_sound(data)
    pages = list(read_pages(data[:end]))
    if len(pages) < 2:
        raise OggError("not even the first pages were written")
    tail = b"" if pages[-1].is_last else OggOpusWriter.end_page(pages[-1])
    with path.open("r+b") as file:
        file.truncate(end)
        file.seek(end)
        file.write(tail)
        os.fsync(file.fileno())
    whole = data[:end] + tail
    return len(sound) * 20, sound.count(None) * 20, len(whole), hashlib.sha256(whole).hexdigest()


class Keeper:
    """One task. Event-loop thread only; files are touched in threads.

    Args:
        on_pause: told whether new recordings must wait for room, and why.
    """

    def __init__(
        self,
        folder: Path,
        config: RecordingConfig,
        store: TransmissionStore,
        clock: Clock,
        on_pause: Callable[[bool, str], None],
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._folder = folder
        self._config = config
        self._store = store
        self._clock = clock
        self._on_pause = on_pause
        self._free_bytes = free_bytes
        self._is_paused = False
        self._expiry_due = float("-inf")
        self.expired = 0
        self.free_bytes = 0

    async def sweep(self, before: datetime) -> int:
        """Rows of talks from before this time that are still open: their service has ended. How many there were."""
        count = 0
        wanted = TransmissionFilter(state=RecordingState.OPEN, until=before, limit=BATCH)
        while rows := await self._store.search(wanted):
            for row in rows:
                await self._recover(row)
            count += len(rows)
        return count

    async def _recover(self, row: Transmission) -> None:
        path = self._folder / row.file
        try:
            duration_ms, lost_ms, size, digest = await asyncio.to_thread(recover, path)
            found = await asyncio.to_thread(lambda: waveform(path.read_bytes()))
        except (OSError, OggError) as error:
            _log.warning("a recording could not be recovered", transmission=row.id, reason=str(error))
            row = replace(row, state=RecordingState.FAILED, ended_at=row.started_at, cause="service_ended")
        else:
            row = replace(
                row,
                state=RecordingState.RECOVERED,
                ended_at=row.started_at + timedelta(milliseconds=duration_ms),
                cause="service_ended",
                duration_ms=duration_ms,
                lost_ms=lost_ms,
                size_bytes=size,
                sha256=digest,
                peak_dbfs=found.peak_dbfs,
                peaks=found.peaks,
            )
        await self._store.save(row, (recorded(row),))

    async def run(self) -> None:
        """Once an hour what has expired goes, once a minute room is made. Ends by cancellation."""
        while True:
            try:
                await self.keep()
            except StoreError as error:
                _log.error("retention waits for the database", reason=str(error))
            except OSError as error:
                _log.error("the recordings folder cannot be looked at", reason=str(error))
            await asyncio.sleep(EVERY_S)

    async def keep(self) -> None:
        """One round."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._clock.now() >= self._expiry_due:
            await self._expire_old()
            self._expiry_due = self._clock.now() + EXPIRE_EVERY_S
        self.free_bytes = self._free_bytes(self._folder)
        wanted = self._config.min_free_mb * 1024 * 1024
        while self.free_bytes < wanted and self._config.when_full == "delete_oldest":
            oldest = await self._store.search(TransmissionFilter(has_audio=True, is_oldest_first=True, limit=BATCH))
            if not oldest:
                break
            await self._remove(oldest, "disk full")
            self.free_bytes = self._free_bytes(self._folder)
        is_full = self.free_bytes < wanted
        if is_full != self._is_paused:
            self._is_paused = is_full
            reason = f"less than {self._config.min_free_mb} MB free: nothing new is recorded" if is_full else ""
            self._on_pause(is_full, reason)

    def days(self, row: Transmission) -> int:
        """How long a recording stays: the longest that any rule for one of its talk groups or agencies says."""
        of_group = [rule.days for rule in self._config.retention if rule.talk_group in row.talk_groups]
        of_agency = [rule.days for rule in self._config.retention if rule.agency in row.agencies]
        return max(of_group or of_agency or [self._config.retention_days])

    async def _expire_old(self) -> None:
        now = self._clock.at()
        shortest = min([self._config.retention_days, *(rule.days for rule in self._config.retention)])
        wanted = TransmissionFilter(
            until=now - timedelta(days=shortest), has_audio=True, is_oldest_first=True, limit=BATCH
        )
        while rows := await self._store.search(wanted):
            due = [row for row in rows if row.started_at < now - timedelta(days=self.days(row))]
            if due:
                await self._remove(due, "retention")
            wanted = replace(wanted, beyond=rows[-1].id)

    async def _remove(self, rows: Sequence[Transmission], reason: str) -> None:
        """First the catalogue, then the file: a row never promises what is not there."""
        drafts = [AuditDraft("transmission.expired", "system", row.id, row.agency, {"reason": reason}) for row in rows]
        await self._store.expire([row.id for row in rows], drafts)
        for row in rows:
            await asyncio.to_thread((self._folder / row.file).unlink, True)
        self.expired += len(rows)
