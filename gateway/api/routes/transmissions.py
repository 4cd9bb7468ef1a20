"""Recordings: who said what when, to be found, heard (also while it is still being said), noted and taken away."""

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import AwareDatetime
from starlette.background import BackgroundTask

from tongpin.gateway.api.deps import Caller, Services
from tongpin.gateway.api.recording_schemas import NoteIn, NoteOut, TransmissionOut, TransmissionPage, WaveformOut
from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.rights import Identity, Reach, Right, reach, require
from tongpin.gateway.transmissions import Note, RecordingState, Transmission, TransmissionFilter

router = APIRouter(tags=["recordings"])

OGG = "audio/ogg"
MAX_EXPORT = 5_000
CHUNK = 64 * 1024
FOLLOW_S = 0.1
FOLLOW_LIMIT_S = 600.0
When = Annotated[AwareDatetime | None, Query()]


def _visible_to(caller: Identity) -> str | None:
    """The agency whose recordings the caller may hear; None = all. Raises CallerError 403."""
    extent = reach(caller, Right.LISTEN)
    if extent is Reach.NONE:
        raise CallerError(403, "no-right", "you may not hear recordings")
    return None if extent is Reach.ALL else caller.agency


async def _find(services: ApiServices, caller: Identity, transmission_id: str) -> Transmission:
    """Raises CallerError 403 or 404."""
    agency = _visible_to(caller)
    found = await services.recordings.store.get(transmission_id)
    if found is None:
        raise CallerError(404, "no-such-transmission", f"there is no transmission {transmission_id!r}")
    if agency is not None and agency not in found.agencies:
        require(caller, Right.LISTEN, found.agency)
    return found


def _out(found: Transmission) -> TransmissionOut:
    return TransmissionOut(
        id=found.id,
        name=f"{found.label}, {found.talk_group}",
        started_at=found.started_at,
        ended_at=found.ended_at,
        state=found.state,
        talker=found.talker,
        label=found.label,
        agency=found.agency,
        unit=found.unit,
        leg=found.leg,
        net=found.net,
        talk_group=found.talk_group,
        talk_groups=list(found.talk_groups),
        joint_channel=found.joint_channel,
        priority=found.priority,
        origin=found.origin,
        cause=found.cause,
        duration_ms=found.duration_ms,
        lost_ms=found.lost_ms,
        size_bytes=found.size_bytes,
        sha256=found.sha256,
        peak_dbfs=found.peak_dbfs,
        audio=f"/api/v1/transmissions/{found.id}/audio",
    )


@router.get("/transmissions")
async def transmissions(
    caller: Caller,
    services: Services,
    since: When = None,
    until: When = None,
    talk_group: str | None = None,
    agency: str | None = None,
    unit: str | None = None,
    talker: str | None = None,
    joint_channel: str | None = None,
    state: RecordingState | None = None,
    cursor: Annotated[str | None, Query(max_length=63)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> TransmissionPage:
    """The newest first; ``next`` is the ``cursor`` of the following page, or null."""
    wanted = TransmissionFilter(
        since=since,
        until=until,
        talk_group=talk_group,
        agency=agency,
        unit=unit,
        talker=talker,
        joint_channel=joint_channel,
        state=state,
        visible_to=_visible_to(caller),
        beyond=cursor,
        limit=limit + 1,
    )
    rows = await services.recordings.store.search(wanted)
    return TransmissionPage(
        items=[_out(row) for row in rows[:limit]], next=rows[limit - 1].id if len(rows) > limit else None
    )


@router.get("/transmissions/export", response_class=FileResponse)
async def export(
    caller: Caller,
    services: Services,
    joint_channel: str | None = None,
    since: When = None,
    until: When = None,
    talk_group: str | None = None,
) -> Response:
    """A zip: audio, timeline (JSON, CSV, HTML), audit entries, a verifier. Name a joint channel, or since and until."""
    if joint_channel is None and (since is None or until is None):
        raise CallerError(422, "name-a-span", "name a joint_channel, or since and until")
    wanted = TransmissionFilter(
        since=since,
        until=until,
        talk_group=talk_group,
        joint_channel=joint_channel,
        visible_to=_visible_to(caller),
        is_oldest_first=True,
        limit=MAX_EXPORT + 1,
    )
    rows = await services.recordings.store.search(wanted)
    if len(rows) > MAX_EXPORT:
        raise CallerError(422, "too-much", f"more than {MAX_EXPORT} transmissions: export a shorter span")
    title = f"Joint channel {joint_channel}" if joint_channel is not None else f"{since} – {until}"
    handle, name = tempfile.mkstemp(suffix=".zip")
    os.close(handle)
    path = Path(name)
    try:
        await services.recordings.export(path, rows, title, caller.username)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    file_name = f"tongpin-{joint_channel or 'export'}.zip"
    return FileResponse(path, media_type="application/zip", filename=file_name, background=BackgroundTask(path.unlink))


@router.get("/transmissions/{transmission_id}")
async def read_transmission(transmission_id: str, caller: Caller, services: Services) -> TransmissionOut:
    return _out(await _find(services, caller, transmission_id))


@router.get("/transmissions/{transmission_id}/waveform")
async def read_waveform(transmission_id: str, caller: Caller, services: Services) -> WaveformOut:
    """Loudest sample of every 100 ms in dBFS; of a talk that is still on, as far as it has come."""
    found = await _find(services, caller, transmission_id)
    peaks = list(found.peaks)
    if found.state is RecordingState.OPEN:
        peaks = await services.recordings.live_peaks(found)
    return WaveformOut(id=found.id, step_ms=100, peaks_dbfs=peaks, is_open=found.state is RecordingState.OPEN)


@router.get("/transmissions/{transmission_id}/audio", response_class=FileResponse)
async def audio(
    transmission_id: str, request: Request, caller: Caller, services: Services, follow: bool = False
) -> Response:
    """Ogg Opus. Range works; ``follow=true`` goes on with a talk that is still on until it ends.

    ``X-Tongpin-State`` is ``open`` while more will come: ask again from where you were by Range.
    """
    found = await _find(services, caller, transmission_id)
    path = services.recordings.folder / found.file
    if found.state is RecordingState.EXPIRED or not await asyncio.to_thread(path.is_file):
        raise CallerError(410, "audio-gone", f"the audio of {transmission_id!r} is not kept ({found.state})")
    begins = request.headers.get("range", "bytes=0-").replace(" ", "").startswith("bytes=0-")
    if begins and found.state is not RecordingState.OPEN:
        services.audit.record(AuditDraft("transmission.heard", caller.username, found.id, caller.agency))
    headers = {"X-Tongpin-State": str(found.state.value), "Cache-Control": "private, no-cache"}
    if follow and found.state is RecordingState.OPEN:
        return StreamingResponse(_follow(services, found.id, path), media_type=OGG, headers=headers)
    return FileResponse(path, media_type=OGG, headers=headers)


async def _follow(services: ApiServices, transmission_id: str, path: Path) -> AsyncIterator[bytes]:
    """What is there, then what comes, until the talk has been written whole."""
    loop = asyncio.get_running_loop()
    until = loop.time() + FOLLOW_LIMIT_S
    with path.open("rb") as file:
        while True:
            # Asked before reading: what was written before the end is then in what is read.
            is_open = services.recordings.is_recording(transmission_id)
            while data := file.read(CHUNK):
                yield data
            if not is_open or loop.time() > until:
                return
            await asyncio.sleep(FOLLOW_S)


@router.get("/transmissions/{transmission_id}/notes")
async def read_notes(transmission_id: str, caller: Caller, services: Services) -> list[NoteOut]:
    found = await _find(services, caller, transmission_id)
    return [_note_out(note) for note in await services.recordings.store.notes(found.id)]


@router.post("/transmissions/{transmission_id}/notes", status_code=201)
async def add_note(transmission_id: str, body: NoteIn, caller: Caller, services: Services) -> NoteOut:
    """A mark with words at a place in the recording; everybody who may hear it sees it."""
    found = await _find(services, caller, transmission_id)
    note = Note(f"n-{secrets.token_hex(6)}", found.id, caller.username, services.clock.at(), body.at_ms, body.text)
    await services.recordings.store.add_note(note)
    return _note_out(note)


def _note_out(note: Note) -> NoteOut:
    return NoteOut(id=note.id, name=note.text[:40], author=note.author, at=note.at, at_ms=note.at_ms, text=note.text)
