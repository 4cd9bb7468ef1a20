"""The audit chain: entries follow each other, and go with the transaction that wrote them."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.audit import GENESIS, append
from tongpin.gateway.storage.models import AuditRow, Base
from tongpin.gateway.storage.store import Store

AT = datetime(2026, 3, 4, 19, 40, tzinfo=UTC)


async def _fail(store: Store) -> None:
    async with store.transaction() as session:
        await append(session, [AuditDraft("lost", "chen", "x")], AT)
        raise CallerError(409, "no", "changed its mind")


async def test_entries_are_chained_and_roll_back_with_their_transaction() -> None:
    store = Store("sqlite+aiosqlite://")
    async with store.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with store.transaction() as session:
        await append(session, [AuditDraft("a.b", "chen", "x"), AuditDraft("c", "system", "y", "gongan", {"n": 1})], AT)
    with pytest.raises(CallerError):
        await _fail(store)
    async with store.transaction() as session:
        await append(session, [AuditDraft("d", "chen", "走失儿童")], AT)
    async with store.transaction() as session:
        rows = (await session.scalars(select(AuditRow).order_by(AuditRow.sequence))).all()
    await store.close()
    assert [(row.sequence, row.action) for row in rows] == [(1, "a.b"), (2, "c"), (3, "d")]
    assert [row.previous for row in rows] == [GENESIS, rows[0].hash, rows[1].hash]
