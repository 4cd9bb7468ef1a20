"""The audit log in the database: append-only, each entry chained to the one before (``tongpin.gateway.chain``).

:func:`append` runs inside the caller's transaction, so a change and its entry are stored together or not at all.
Triggers that the migrations make refuse UPDATE and DELETE, whoever asks.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Select, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tongpin.gateway.audit import AuditQuery
from tongpin.gateway.chain import GENESIS, AuditEntry, Checkpoint, canonical
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.models import AuditCheckpointRow, AuditRow
from tongpin.gateway.storage.store import Store

_HEAD_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('tongpin audit'))")


async def append(session: AsyncSession, drafts: Iterable[AuditDraft], at: datetime) -> None:
    """Add entries in this order to the end of the chain, at this time (aware) unless a draft names its own.

    Until the transaction ends nobody else can append. So append last, after everything that may wait for a lock.
    """
    if session.get_bind().dialect.name == "postgresql":
        # Not a row lock: who has waited for one would go on from the end of the chain as it was before.
        await session.execute(_HEAD_LOCK)
    # On SQLite every transaction that writes has the database's one write lock from its beginning.
    last = (await session.execute(select(AuditRow).order_by(AuditRow.sequence.desc()).limit(1))).scalar_one_or_none()
    sequence, previous = (last.sequence, last.hash) if last is not None else (0, GENESIS)
    for draft in drafts:
        sequence += 1
        entry = AuditEntry(
            sequence,
            draft.at or at,
            _clipped(draft.action, 63),
            _clipped(draft.actor, 100),
            draft.agency,
            _clipped(draft.subject, 200),
            json.loads(canonical(dict(draft.detail))),
            previous,
        ).sealed()
        session.add(_row(entry))
        previous = entry.hash


def _clipped(value: str, length: int) -> str:
    """As the column can hold it: an entry that is cut is better than one that is refused."""
    return value.replace("\0", "�").encode("utf-8", "replace").decode()[:length]


def _row(entry: AuditEntry) -> AuditRow:
    return AuditRow(
        sequence=entry.sequence,
        at=entry.at,
        action=entry.action,
        actor=entry.actor,
        agency=entry.agency,
        subject=entry.subject,
        detail=canonical(entry.detail).decode(),
        previous=entry.previous,
        hash=entry.hash,
    )


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        row.sequence,
        row.at,
        row.action,
        row.actor,
        row.agency,
        row.subject,
        json.loads(row.detail),
        row.previous,
        row.hash,
    )


def _matching(query: AuditQuery) -> Select[AuditRow]:
    rows = select(AuditRow)
    if query.action is not None and query.action.endswith(".*"):
        rows = rows.where(AuditRow.action.startswith(query.action[:-1], autoescape=True))
    elif query.action is not None:
        rows = rows.where(AuditRow.action == query.action)
    for column, value in ((AuditRow.actor, query.actor), (AuditRow.subject, query.subject)):
        if value is not None:
            rows = rows.where(column == value)
    for agency in (query.agency, query.only_agency):
        if agency is not None:
            rows = rows.where(AuditRow.agency == agency)
    if query.since is not None:
        rows = rows.where(AuditRow.at >= query.since)
    if query.until is not None:
        rows = rows.where(AuditRow.at < query.until)
    if query.is_newest_first:
        if query.after is not None:
            rows = rows.where(AuditRow.sequence < query.after)
        return rows.order_by(AuditRow.sequence.desc()).limit(query.limit)
    if query.after is not None:
        rows = rows.where(AuditRow.sequence > query.after)
    return rows.order_by(AuditRow.sequence).limit(query.limit)


class SqlAudit:
    """Implements :class:`tongpin.gateway.audit.AuditStore`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, drafts: Sequence[AuditDraft], at: datetime) -> None:
        async with self._store.transaction() as session:
            await append(session, drafts, at)

    async def entries(self, query: AuditQuery) -> Sequence[AuditEntry]:
        async with self._store.reading() as session:
            return [_entry(row) for row in await session.scalars(_matching(query))]

    async def checkpoints(self, limit: int) -> Sequence[Checkpoint]:
        newest = select(AuditCheckpointRow).order_by(AuditCheckpointRow.sequence.desc()).limit(limit)
        async with self._store.reading() as session:
            rows = (await session.scalars(newest)).all()
        return [Checkpoint(row.sequence, row.hash, row.at, row.key, row.mac) for row in rows]

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        async with self._store.transaction() as session:
            if await session.get(AuditCheckpointRow, checkpoint.sequence) is None:
                session.add(
                    AuditCheckpointRow(
                        sequence=checkpoint.sequence,
                        hash=checkpoint.hash,
                        at=checkpoint.at,
                        key=checkpoint.key,
                        mac=checkpoint.mac,
                    )
                )
