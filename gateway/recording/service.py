"""All of recording behind one door: what the composition root starts and stops, and what the API asks."""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from tongpin.config.models import RecordingConfig
from tongpin.gateway.audit import AuditLog, AuditQuery, all_entries
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import StoreError
from tongpin.gateway.recording.export import ExportRow, write_export
from tongpin.gateway.recording.files import RecordingFiles
from tongpin.gateway.recording.keeper import Keeper
from tongpin.gateway.recording.peaks import waveform
from tongpin.gateway.recording.recorder import Recorder
from tongpin.gateway.records import AuditDraft, Json
from tongpin.gateway.transmissions import Transmission, TransmissionStore

_log = structlog.get_logger(__name__)

SWEEP_RETRY_S = 5.0


class Recordings:
    """Event-loop thread only. :meth:`run` must be a task; await :meth:`close` once no more is said.

    Args:
        on_alarm: told in words when recording is in trouble, and with an empty text when it no longer is.
    """

    def __init__(
        self,
        config: RecordingConfig,
        data_folder: Path,
        store: TransmissionStore,
        audit: AuditLog,
        clock: Clock,
        on_alarm: Callable[[str], None],
    ) -> None:
        self.folder = config.folder if config.folder is not None else data_folder / "recordings"
        self.store = store
        self._audit = audit
        self._clock = clock
        self._files = RecordingFiles()
        self.recorder = Recorder(self.folder, store, clock, self._files, on_alarm)
        self._keeper = Keeper(self.folder, config, store, clock, self.recorder.paused)

    async def run(self) -> None:
        """Sweep what an earlier run left open, then write the catalogue and keep house. Ends by cancellation."""
        self._files.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep())
            tasks.create_task(self.recorder.run())
            tasks.create_task(self._keeper.run())

    async def _sweep(self) -> None:
        while True:
            try:
                count = await self._keeper.sweep(self.recorder.started_at)
            except StoreError as error:
                _log.error("the sweep waits for the database", reason=str(error))
                await asyncio.sleep(SWEEP_RETRY_S)
                continue
            if count:
                _log.info("recordings of an earlier run were ended", count=count)
            return

    async def close(self) -> None:
        """Finish every file and every row, as far as a few seconds allow."""
        await self.recorder.drain()

    def is_recording(self, transmission_id: str) -> bool:
        """Whether more of it will come."""
        return self.recorder.is_recording(transmission_id)

    async def live_peaks(self, transmission: Transmission) -> list[int]:
        """The waveform so far of one that is still open; empty when nothing is on disk yet."""
        path = self.folder / transmission.file
        try:
            return list((await asyncio.to_thread(lambda: waveform(path.read_bytes()))).peaks)
        except OSError:
            return []

    async def export(self, target: Path, rows: Sequence[Transmission], title: str, made_by: str) -> None:
        """Write the zip of these, and the fact that it was made into the audit log. Raises StoreError."""
        with_notes = [ExportRow(row, await self.store.notes(row.id)) for row in rows]
        entries = ""
        if rows:
            wanted = {row.id for row in rows}
            query = AuditQuery(action="transmission.*", since=rows[0].started_at - timedelta(seconds=1))
            lines = [
                json.dumps(entry.content(), ensure_ascii=False, sort_keys=True)
                async for entry in all_entries(self._audit.store, query)
                if entry.subject in wanted
            ]
            entries = "".join(f"{line}\n" for line in lines)
        at = self._clock.at()
        digest = await asyncio.to_thread(write_export, target, self.folder, with_notes, title, made_by, at, entries)
        detail: dict[str, Json] = {"sha256": digest, "transmissions": len(rows), "title": title}
        self._audit.record(AuditDraft("export.made", made_by, title[:200], None, detail))

    def gauges(self) -> Iterable[tuple[str, str, dict[str, str], float]]:
        yield "tongpin_recordings_open", "Transmissions being recorded", {}, self.recorder.live
        yield "tongpin_recordings_failed", "Recordings that could not be written whole", {}, self.recorder.failed
        yield "tongpin_recordings_paused", "1 while the disk is too full to record", {}, self.recorder.is_paused
        yield "tongpin_recordings_rows_dropped", "Catalogue rows lost for want of room", {}, self.recorder.rows_dropped
        yield "tongpin_recordings_expired", "Recordings deleted by the retention rules", {}, self._keeper.expired
        yield "tongpin_recordings_free_bytes", "Room left for recordings", {}, self._keeper.free_bytes
