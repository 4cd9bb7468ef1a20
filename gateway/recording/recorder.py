"""Every transmission is recorded: packets go to the writing thread, who and when and why to the catalogue."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from tongpin.channels import effects as e
from tongpin.channels.ids import GroupId, NetId, PartyId, PatchId, ReleaseCause
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import StoreError
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Talk
from tongpin.gateway.recording.files import OpenFile, RecordingFiles, Written
from tongpin.gateway.recording.peaks import waveform
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.transmissions import RecordingState, Transmission, TransmissionStore

_log = structlog.get_logger(__name__)

ROWS_LIMIT = 2_000
"""Changes of the catalogue that wait for the database at most; then the oldest finished ones go, counted."""
RETRY_S = 2.0


@dataclass(slots=True)
class _Live:
    """A talk that is on: its file, and its row once the floor was granted."""

    file: OpenFile
    row: Transmission | None = None
    cause: str | None = None


class Recorder:
    """A sink of every talk and an effect handler. Event-loop thread only; :meth:`run` must be a task.

    Args:
        on_alarm: told in words when something cannot be recorded, and with an empty text when it can again.
    """

    def __init__(
        self,
        folder: Path,
        store: TransmissionStore,
        clock: Clock,
        files: RecordingFiles,
        on_alarm: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._store = store
        self._clock = clock
        self._files = files
        self._on_alarm = on_alarm
        self._live: dict[int, _Live] = {}
        self._labels: dict[PartyId, tuple[str, str | None]] = {}
        self._agencies: dict[GroupId, str | None] = {}
        self._groups: dict[NetId, tuple[GroupId, ...]] = {}
        self._patches: dict[NetId, PatchId] = {}
        self._rows: OrderedDict[str, tuple[Transmission, tuple[AuditDraft, ...]]] = OrderedDict()
        self._has_rows = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._alarm = ""
        self._finishing: set[asyncio.Task[None]] = set()
        self.started_at = clock.at()
        self.is_paused = False
        """Set while the disk is too full to begin another recording."""
        self.rows_dropped = 0
        self.failed = 0

    @property
    def live(self) -> int:
        return len(self._live)

    def is_recording(self, transmission_id: str) -> bool:
        return any(live.file.path.stem == transmission_id for live in self._live.values())

    # -- Sink ------------------------------------------------------------------------------------------------------

    def begin(self, talk: Talk) -> None:
        if self.is_paused:
            return
        at = self._clock.at()
        name = f"{at:%Y%m%dT%H%M%S}-{talk.number:x}{secrets.token_hex(3)}"
        path = self._folder / f"{at:%Y}" / f"{at:%m}" / f"{at:%d}" / f"{name}.ogg"
        label = self._labels.get(talk.source, (str(talk.source), None))[0]
        comments = [f"TITLE={label}", f"DATE={at.isoformat(timespec='milliseconds')}", f"TRANSMISSION={name}"]
        file = self._files.open(path, talk.number, comments, lambda written: self._thread_done(talk.number, written))
        self._live[talk.number] = _Live(file)

    def send(self, talk: int, packet: Packet) -> None:
        live = self._live.get(talk)
        if live is not None:
            live.file.push(packet)

    def end(self, talk: int) -> None:
        live = self._live.get(talk)
        if live is not None:
            live.file.is_ended = True

    # -- EffectHandler ---------------------------------------------------------------------------------------------

    def __call__(self, effect: e.Effect, now: float) -> None:
        match effect:
            case e.PartyAttached():
                self._labels[effect.party] = (effect.label, effect.agency)
            case e.PartyDetached():
                self._labels.pop(effect.party, None)
            case e.GroupDefined():
                self._agencies[effect.group] = effect.agency
            case e.GroupRetired():
                self._agencies.pop(effect.group, None)
            case e.PatchInstalled() | e.PatchChanged():
                self._groups[effect.net] = effect.groups
                self._patches[effect.net] = effect.patch
            case e.PatchRemoved():
                self._groups.pop(effect.net, None)
                self._patches.pop(effect.net, None)
            case e.FloorGranted():
                self._granted(effect)
            case e.FloorReleased():
                live = self._live.get(effect.talk)
                if live is not None:
                    live.cause = str(effect.cause.value)
                    live.file.is_ended = True
            case _:
                pass

    def _granted(self, effect: e.FloorGranted) -> None:
        live = self._live.get(effect.talk)
        if live is None or live.row is not None:
            return
        label, agency = self._labels.get(effect.party, (str(effect.party), None))
        groups = self._groups.get(effect.net, (effect.group,))
        agencies = {self._agencies.get(group) for group in groups} | {agency}
        kind, _, name = effect.party.partition(":")
        live.row = Transmission(
            id=live.file.path.stem,
            talk=effect.talk,
            started_at=self._clock.at(),
            talker=effect.party,
            label=label,
            agency=agency,
            unit=None,
            leg=name if kind == "leg" else None,
            net=effect.net,
            talk_group=effect.group,
            talk_groups=tuple(sorted(groups)),
            agencies=tuple(sorted(agency for agency in agencies if agency is not None)),
            joint_channel=self._patches.get(effect.net),
            priority=effect.priority.name.lower(),
            origin=str(effect.origin.value),
            file=str(live.file.path.relative_to(self._folder)),
        )
        self._keep(live.row, ())

    # -- what the thread has finished ------------------------------------------------------------------------------

    def _thread_done(self, talk: int, written: Written) -> None:
        """The writing thread. The loop may have ended already when the service ends in a hurry: the sweep mends it."""
        try:
            self._loop.call_soon_threadsafe(self._written, talk, written)
        except RuntimeError:
            _log.warning("a recording was finished after the service", talk=talk)

    def _written(self, talk: int, written: Written) -> None:
        live = self._live.pop(talk, None)
        if live is None:
            return
        self._say_alarm(f"a recording could not be written: {written.error}" if written.error else "")
        if live.row is None:
            return  # A route without a grant: nobody ever had the floor.
        self.failed += bool(written.error)
        row = replace(
            live.row,
            state=RecordingState.FAILED if written.error else RecordingState.COMPLETE,
            ended_at=self._clock.at(),
            cause=live.cause or str(ReleaseCause.PARTY_GONE.value),
            duration_ms=written.duration_ms,
            lost_ms=written.lost_ms,
            size_bytes=written.size_bytes,
            sha256=written.sha256,
        )
        finishing = self._loop.create_task(self._finish(row))
        self._finishing.add(finishing)
        finishing.add_done_callback(self._finished)

    async def _finish(self, row: Transmission) -> None:
        """With its waveform, into the catalogue and the audit chain."""
        path = self._folder / row.file
        if row.state is RecordingState.COMPLETE:
            try:
                found = await asyncio.to_thread(lambda: waveform(path.read_bytes()))
                row = replace(row, peak_dbfs=found.peak_dbfs, peaks=found.peaks)
            except OSError as error:
                _log.warning("a recording is gone before it was looked at", file=row.file, reason=str(error))
        self._keep(row, (recorded(row),))

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._finishing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a recording was not catalogued", reason=str(task.exception()))

    def _say_alarm(self, text: str) -> None:
        if text != self._alarm:
            self._alarm = text
            self._on_alarm(text)

    def paused(self, is_paused: bool, reason: str) -> None:
        """Begin no more recordings, or begin again. Talk goes on either way."""
        self.is_paused = is_paused
        self._say_alarm(reason)

    # -- the catalogue ---------------------------------------------------------------------------------------------

    def _keep(self, row: Transmission, audit: tuple[AuditDraft, ...]) -> None:
        """Queue a row; a row that still waits is replaced by its newer state."""
        self._rows[row.id] = (row, audit)
        while len(self._rows) > ROWS_LIMIT:
            self._rows.popitem(last=False)
            self.rows_dropped += 1
        self._has_rows.set()

    async def run(self) -> None:
        """Write rows, however long the database is away. Ends by cancellation; see :meth:`drain`."""
        while True:
            await self._has_rows.wait()
            await self._save_rows()

    async def _save_rows(self) -> None:
        while self._rows:
            name, (row, audit) = next(iter(self._rows.items()))
            try:
                await self._store.save(row, audit)
            except StoreError as error:
                _log.error("the catalogue waits for the database", rows=len(self._rows), reason=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            if self._rows.get(name) == (row, audit):
                del self._rows[name]
        self._has_rows.clear()

    async def drain(self, within_s: float = 3.0) -> None:
        """At the end of the service: finish every file and write every row, as far as the time allows."""
        await asyncio.to_thread(self._files.close)
        try:
            async with asyncio.timeout(within_s):
                while self._live or self._finishing:
                    await asyncio.sleep(0.01)
                await self._save_rows()
        except TimeoutError:
            _log.error("not everything is in the catalogue", rows=len(self._rows))


def recorded(row: Transmission) -> AuditDraft:
    """What the audit chain says of a finished recording: enough to prove the file later."""
    detail = {
        "sha256": row.sha256,
        "size_bytes": row.size_bytes,
        "duration_ms": row.duration_ms,
        "talk_group": row.talk_group,
        "joint_channel": row.joint_channel,
        "state": str(row.state.value),
    }
    return AuditDraft("transmission.recorded", row.talker, row.id, row.agency, detail)
