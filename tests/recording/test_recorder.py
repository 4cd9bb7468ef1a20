"""From effects and packets to a file and a row: what was heard is what is kept, whatever goes wrong beside it."""

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tongpin.channels import effects as e
from tongpin.channels.ids import AgencyId, GroupId, NetId, Origin, PartyId, PartyKind, PatchId, Priority, ReleaseCause
from tongpin.codecs.ogg import read_sound
from tongpin.codecs.opus import OpusEncoder
from tongpin.config.models import RecordingConfig, RetentionRule
from tongpin.gateway.errors import StoreError
from tongpin.gateway.media.hub import Hub
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.recording.files import RecordingFiles
from tongpin.gateway.recording.keeper import Keeper
from tongpin.gateway.recording.recorder import Recorder
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.transmissions import Note, RecordingState, Transmission, TransmissionFilter

LEG = PartyId("leg:police-radio")
POLICE, URBAN = GroupId("police-1"), GroupId("urban-1")


class Clock:
    """Wall time that the test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 4, 19, 40, tzinfo=UTC)

    def now(self) -> float:
        return self.time.timestamp()

    def at(self) -> datetime:
        return self.time


class Catalogue:
    """A catalogue in memory that can be away."""

    def __init__(self) -> None:
        self.rows: dict[str, Transmission] = {}
        self.audit: list[AuditDraft] = []
        self.is_away = False

    async def save(self, transmission: Transmission, audit: Sequence[AuditDraft] = ()) -> None:
        if self.is_away:
            raise StoreError("away")
        self.rows[transmission.id] = transmission
        self.audit += audit

    async def get(self, transmission_id: str) -> Transmission | None:
        return self.rows.get(transmission_id)

    async def search(self, wanted: TransmissionFilter) -> Sequence[Transmission]:
        kept = (RecordingState.COMPLETE, RecordingState.RECOVERED, RecordingState.FAILED)
        rows = [
            row
            for row in sorted(self.rows.values(), key=lambda row: row.id, reverse=not wanted.is_oldest_first)
            if (wanted.state is None or row.state is wanted.state)
            and (wanted.until is None or row.started_at < wanted.until)
            and (not wanted.has_audio or row.state in kept)
            and (wanted.beyond is None or (row.id > wanted.beyond) is wanted.is_oldest_first)
        ]
        return rows[: wanted.limit]

    async def expire(self, transmission_ids: Sequence[str], audit: Sequence[AuditDraft]) -> None:
        for name in transmission_ids:
            self.rows[name] = replace(self.rows[name], state=RecordingState.EXPIRED)
        self.audit += audit

    async def add_note(self, note: Note) -> None:
        raise NotImplementedError

    async def notes(self, transmission_id: str) -> Sequence[Note]:
        return []


class Bench:
    """A hub with a recorder behind it, driven as the switchboard's effects would."""

    def __init__(self, folder: Path, write: Callable[[int, bytes], int] = os.write) -> None:
        self.folder = folder
        self.clock = Clock()
        self.catalogue = Catalogue()
        self.alarms: list[str] = []
        self.files = RecordingFiles(write)
        self.files.start()
        self.recorder = Recorder(folder, self.catalogue, self.clock, self.files, self.alarms.append)
        self.hub = Hub()
        self.hub.record_to(self.recorder)
        self.hub.add_source(LEG)
        for effect in (
            e.GroupDefined(POLICE, "Police 1", AgencyId("gongan")),
            e.GroupDefined(URBAN, "Urban 1", AgencyId("chengguan")),
            e.PartyAttached(LEG, PartyKind.LEG, "Police radio", AgencyId("gongan")),
        ):
            self.recorder(effect, 0.0)

    def grant(self, talk: int, net: str = "police-1") -> None:
        self.hub.install_route(LEG, talk, ())
        granted = e.FloorGranted(NetId(net), LEG, POLICE, Priority.HIGH, Origin.COS, talk, 60.0)
        self.recorder(granted, 0.0)

    def release(self, talk: int, net: str = "police-1") -> None:
        self.hub.remove_route(LEG)
        self.recorder(e.FloorReleased(NetId(net), LEG, talk, ReleaseCause.RELEASED), 0.0)

    def say(self, packets: Sequence[bytes], first: int = 0) -> None:
        for number, payload in enumerate(packets, first):
            self.hub.push(LEG, Packet(payload, number & 0xFFFF, number * 960))

    @property
    def row(self) -> Transmission:
        (row,) = self.catalogue.rows.values()
        return row


def voice(frames: int) -> list[bytes]:
    encoder = OpusEncoder()
    t = np.arange(frames * 960) / 48_000
    pcm = (16_384 * np.sin(2 * np.pi * 300 * t)).astype(np.int16).reshape(frames, 960)
    return [encoder.encode(frame) for frame in pcm]


VOICE = voice(40)


async def test_the_very_packets_are_kept_with_who_and_when(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.recorder(e.PatchInstalled(PatchId("jc-1"), NetId("jc-1"), "Fire", (URBAN, POLICE)), 0.0)
    bench.grant(5, "jc-1")
    assert bench.recorder.live == 1
    bench.say(VOICE)
    bench.release(5, "jc-1")
    await bench.recorder.drain()
    row = bench.row
    assert (row.state, row.cause, row.priority, row.origin) == (RecordingState.COMPLETE, "released", "high", "cos")
    assert (row.talker, row.label, row.leg, row.agency) == (LEG, "Police radio", "police-radio", "gongan")
    assert (row.joint_channel, row.net) == ("jc-1", "jc-1")
    assert row.talk_groups == ("police-1", "urban-1") and row.agencies == ("chengguan", "gongan")
    assert row.id.startswith("20260304T194000-") and row.file == f"2026/03/04/{row.id}.ogg"
    data = (tmp_path / row.file).read_bytes()
    assert read_sound(data) == (VOICE, len(data))
    assert (row.duration_ms, row.lost_ms, row.size_bytes) == (800, 0, len(data))
    assert row.peak_dbfs is not None and -8 <= row.peak_dbfs <= -4
    assert len(row.peaks) == 8
    (entry,) = bench.catalogue.audit
    assert (entry.action, entry.subject, entry.detail["sha256"]) == ("transmission.recorded", row.id, row.sha256)
    assert bench.alarms == [] and bench.recorder.live == 0


async def test_a_lost_packet_is_a_gap_and_a_late_one_is_left_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.grant(1)
    bench.say(VOICE[:10], first=65_530)
    bench.say(VOICE[12:20], first=65_542)
    bench.say(VOICE[3:4], first=65_533)
    bench.hub.push(LEG, Packet(b"\x00", 20, 0))
    bench.release(1)
    await bench.recorder.drain()
    sound, _ = read_sound((tmp_path / bench.row.file).read_bytes())
    assert sound == [*VOICE[:10], None, None, *VOICE[12:20]]
    assert (bench.row.duration_ms, bench.row.lost_ms) == (400, 40)


async def test_what_is_being_said_is_on_disk_already(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    running = asyncio.create_task(bench.recorder.run())
    bench.grant(1)
    bench.say(VOICE)
    async with asyncio.timeout(10):
        while not bench.catalogue.rows:
            await asyncio.sleep(0.01)
        path = tmp_path / bench.row.file
        while not path.exists() or len(read_sound(path.read_bytes())[0]) < 40:
            await asyncio.sleep(0.01)
    assert bench.row.state.value == "open"
    assert bench.recorder.is_recording(bench.row.id)
    bench.release(1)
    await bench.recorder.drain()
    running.cancel()
    assert bench.row.state is RecordingState.COMPLETE and not bench.recorder.is_recording(bench.row.id)


async def test_a_full_disk_is_an_alarm_and_talk_goes_on(tmp_path: Path) -> None:
    room = 2_000

    def write(fd: int, data: bytes) -> int:
        nonlocal room
        if len(data) > room:
            raise OSError(errno.ENOSPC, "full")
        room -= len(data)
        return os.write(fd, data)

    bench = Bench(tmp_path, write)
    bench.grant(1)
    bench.say(VOICE)
    bench.release(1)
    async with asyncio.timeout(10):
        while not bench.alarms:
            await asyncio.sleep(0.01)
    assert bench.alarms == ["a recording could not be written: No space left on device"]
    room = 10**6
    bench.clock.time += timedelta(seconds=5)
    bench.grant(2)
    bench.say(VOICE)
    bench.release(2)
    await bench.recorder.drain()
    first, second = sorted(bench.catalogue.rows.values(), key=lambda row: row.talk)
    assert (first.state, second.state) == (RecordingState.FAILED, RecordingState.COMPLETE)
    assert bench.recorder.failed == 1 and bench.alarms[-1] == ""


async def test_rows_wait_for_a_database_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tongpin.gateway.recording.recorder.RETRY_S", 0.01)
    bench = Bench(tmp_path)
    bench.catalogue.is_away = True
    running = asyncio.create_task(bench.recorder.run())
    bench.grant(1)
    bench.say(VOICE)
    bench.release(1)
    async with asyncio.timeout(10):
        while bench.recorder.live:
            await asyncio.sleep(0.01)
    assert bench.catalogue.rows == {}
    bench.catalogue.is_away = False
    async with asyncio.timeout(10):
        while not bench.catalogue.audit:
            await asyncio.sleep(0.01)
    running.cancel()
    assert bench.row.state is RecordingState.COMPLETE
    await bench.recorder.drain()


def keeper(bench: Bench, free: Callable[[Path], int] = lambda _: 10**12, **settings: object) -> Keeper:
    config = RecordingConfig.model_validate(settings)
    return Keeper(bench.folder, config, bench.catalogue, bench.clock, bench.recorder.paused, free)


async def test_a_talk_cut_off_by_a_crash_is_recovered(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    running = asyncio.create_task(bench.recorder.run())
    bench.grant(1)
    bench.say(VOICE)
    async with asyncio.timeout(10):
        while not bench.catalogue.rows:
            await asyncio.sleep(0.01)
        path = tmp_path / bench.row.file
        while not path.exists() or len(read_sound(path.read_bytes())[0]) < 40:
            await asyncio.sleep(0.01)
    crashed = path.read_bytes() + b"OggS half a page"
    opened = bench.row
    bench.release(1)
    await bench.recorder.drain()
    running.cancel()
    path.write_bytes(crashed)
    bench.catalogue.rows = {opened.id: opened, "0-gone": replace(opened, id="0-gone", file="gone.ogg")}
    bench.clock.time += timedelta(minutes=1)
    assert await keeper(bench).sweep(bench.clock.at()) == 2
    row = bench.catalogue.rows[opened.id]
    assert (row.state, row.duration_ms, row.cause) == (RecordingState.RECOVERED, 800, "service_ended")
    data = path.read_bytes()
    assert read_sound(data) == (VOICE, len(data)) and row.size_bytes == len(data)
    assert bench.catalogue.rows["0-gone"].state is RecordingState.FAILED
    assert await keeper(bench).sweep(bench.clock.at()) == 0


async def kept(bench: Bench, days_ago: Sequence[int]) -> None:
    """Finished recordings of so long ago."""
    now = bench.clock.time
    for number, days in enumerate(days_ago):
        bench.clock.time = now - timedelta(days=days)
        bench.grant(number + 1)
        bench.say(VOICE[:5])
        bench.release(number + 1)
    bench.clock.time = now
    await bench.recorder.drain()


async def test_retention_follows_the_longest_rule(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await kept(bench, [100, 20, 5])
    rules = (RetentionRule(talk_group="police-1", days=10), RetentionRule(agency="gongan", days=1_000))
    caretaker = keeper(bench, retention_days=30, retention=rules)
    await caretaker.keep()
    states = [row.state for row in sorted(bench.catalogue.rows.values(), key=lambda row: row.id)]
    assert states == [RecordingState.EXPIRED, RecordingState.EXPIRED, RecordingState.COMPLETE]
    assert len(list(tmp_path.rglob("*.ogg"))) == 1
    assert [draft.action for draft in bench.catalogue.audit][-2:] == ["transmission.expired"] * 2
    assert caretaker.expired == 2
    by_agency = keeper(bench, retention=(RetentionRule(agency="gongan", days=1_000),))
    assert by_agency.days(bench.catalogue.rows[max(bench.catalogue.rows)]) == 1_000
    assert keeper(bench).days(bench.catalogue.rows[max(bench.catalogue.rows)]) == 90


async def test_a_full_disk_stops_recording_or_makes_room(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await kept(bench, [3, 2, 1])
    free = 0
    caretaker = keeper(bench, lambda _: free, min_free_mb=1)
    await caretaker.keep()
    assert bench.recorder.is_paused and bench.alarms[-1].startswith("less than 1 MB free")
    bench.grant(9)
    assert bench.recorder.live == 0
    bench.say(VOICE)
    bench.release(9)
    free = 10**9
    await caretaker.keep()
    assert not bench.recorder.is_paused and bench.alarms[-1] == ""
    assert len(list(tmp_path.rglob("*.ogg"))) == 3

    def grows(folder: Path) -> int:
        return 0 if list(folder.rglob("*.ogg")) else 10**9

    await keeper(bench, grows, min_free_mb=1, when_full="delete_oldest").keep()
    assert list(tmp_path.rglob("*.ogg")) == [] and not bench.recorder.is_paused
    await keeper(bench, lambda _: 0, min_free_mb=1, when_full="delete_oldest").keep()
    assert bench.recorder.is_paused
