"""The recordings' catalogue over SQLAlchemy."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select, update

from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.audit import append
from tongpin.gateway.storage.models import NoteRow, TransmissionRow
from tongpin.gateway.storage.store import Store
from tongpin.gateway.transmissions import Note, RecordingState, Transmission, TransmissionFilter

_WITH_AUDIO = (RecordingState.COMPLETE.value, RecordingState.RECOVERED.value, RecordingState.FAILED.value)


class SqlTransmissions:
    """Implements :class:`tongpin.gateway.transmissions.TransmissionStore`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(self, transmission: Transmission, audit: Sequence[AuditDraft] = ()) -> None:
        async with self._store.transaction() as session:
            await session.merge(_row(transmission))
            if audit:
                await session.flush()
                await append(session, audit, datetime.now(UTC))

    async def get(self, transmission_id: str) -> Transmission | None:
        async with self._store.reading() as session:
            row = await session.get(TransmissionRow, transmission_id)
        return _transmission(row) if row is not None else None

    async def search(self, wanted: TransmissionFilter) -> Sequence[Transmission]:
        columns = TransmissionRow
        order = columns.id.asc() if wanted.is_oldest_first else columns.id.desc()
        query = select(TransmissionRow).order_by(order).limit(wanted.limit)
        for column, value in (
            (columns.agency, wanted.agency),
            (columns.unit, wanted.unit),
            (columns.talker, wanted.talker),
            (columns.joint_channel, wanted.joint_channel),
            (columns.state, wanted.state.value if wanted.state is not None else None),
        ):
            if value is not None:
                query = query.where(column == value)
        for listed, name in ((columns.talk_groups, wanted.talk_group), (columns.agencies, wanted.visible_to)):
            if name is not None:
                query = query.where(listed.contains(f",{name},", autoescape=True))
        if wanted.has_audio:
            query = query.where(columns.state.in_(_WITH_AUDIO))
        if wanted.since is not None:
            query = query.where(columns.started_at >= wanted.since)
        if wanted.until is not None:
            query = query.where(columns.started_at < wanted.until)
        if wanted.beyond is not None:
            beyond = wanted.beyond
            query = query.where(columns.id > beyond if wanted.is_oldest_first else columns.id < beyond)
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
        return [_transmission(row) for row in rows]

    async def expire(self, transmission_ids: Sequence[str], audit: Sequence[AuditDraft]) -> None:
        async with self._store.transaction() as session:
            await session.execute(
                update(TransmissionRow)
                .where(TransmissionRow.id.in_(transmission_ids))
                .values(state=RecordingState.EXPIRED.value)
            )
            await append(session, audit, datetime.now(UTC))

    async def add_note(self, note: Note) -> None:
        async with self._store.transaction() as session:
            session.add(
                NoteRow(
                    id=note.id,
                    transmission=note.transmission,
                    author=note.author,
                    at=note.at,
                    at_ms=note.at_ms,
                    text=note.text,
                )
            )

    async def notes(self, transmission_id: str) -> Sequence[Note]:
        query = select(NoteRow).where(NoteRow.transmission == transmission_id).order_by(NoteRow.at_ms, NoteRow.id)
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
        return [Note(row.id, row.transmission, row.author, row.at, row.at_ms, row.text) for row in rows]


def _joined(values: Sequence[str]) -> str:
    return f",{','.join(values)}," if values else ""


def _split(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _row(found: Transmission) -> TransmissionRow:
    return TransmissionRow(
        id=found.id,
        talk=found.talk,
        started_at=found.started_at,
        ended_at=found.ended_at,
        talker=found.talker,
        label=found.label,
        agency=found.agency,
        unit=found.unit,
        leg=found.leg,
        net=found.net,
        talk_group=found.talk_group,
        talk_groups=_joined(found.talk_groups),
        agencies=_joined(found.agencies),
        joint_channel=found.joint_channel,
        priority=found.priority,
        origin=found.origin,
        cause=found.cause,
        state=found.state.value,
        file=found.file,
        duration_ms=found.duration_ms,
        lost_ms=found.lost_ms,
        size_bytes=found.size_bytes,
        sha256=found.sha256,
        peak_dbfs=found.peak_dbfs,
        peaks=",".join(map(str, found.peaks)),
    )


def _transmission(row: TransmissionRow) -> Transmission:
    return Transmission(
        id=row.id,
        talk=row.talk,
        started_at=row.started_at,
        ended_at=row.ended_at,
        talker=row.talker,
        label=row.label,
        agency=row.agency,
        unit=row.unit,
        leg=row.leg,
        net=row.net,
        talk_group=row.talk_group,
        talk_groups=_split(row.talk_groups),
        agencies=_split(row.agencies),
        joint_channel=row.joint_channel,
        priority=row.priority,
        origin=row.origin,
        cause=row.cause,
        state=RecordingState(row.state),
        file=row.file,
        duration_ms=row.duration_ms,
        lost_ms=row.lost_ms,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        peak_dbfs=row.peak_dbfs,
        peaks=tuple(map(int, _split(row.peaks))),
    )
