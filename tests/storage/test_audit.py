"""The audit chain: entries follow each other, and go with the transaction that wrote them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from tongpin.gateway.chain import GENESIS
from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.audit import append
from tongpin.gateway.storage.migrate import upgrade
from tongpin.gateway.storage.models import AuditRow
from tongpin.gateway.storage.store import Store

AT = datetime(2026, 3, 4, 19, 40, tzinfo=UTC)


@pytest.fixture
async def store(storage_url: str) -> AsyncIterator[Store]:
    await asyncio.to_thread(upgrade, storage_url)
    made = Store(storage_url)
    yield made
    await made.close()


async def _fail(store: Store) -> None:
    async with store.transaction() as session:
        await append(session, [AuditDraft("lost", "chen", "x")], AT)
        raise CallerError(409, "no", "changed its mind")


async def _rows(store: Store) -> list[AuditRow]:
    async with store.reading() as session:
        return list(await session.scalars(select(AuditRow).order_by(AuditRow.sequence)))


async def test_entries_are_chained_and_roll_back_with_their_transaction(store: Store) -> None:
    async with store.transaction() as session:
        await append(session, [AuditDraft("a.b", "chen", "x"), AuditDraft("c", "system", "y", "gongan", {"n": 1})], AT)
    with pytest.raises(CallerError):
        await _fail(store)
    async with store.transaction() as session:
        await append(session, [AuditDraft("d", "chen", "走失儿童")], AT)
    rows = await _rows(store)
    assert [(row.sequence, row.action) for row in rows] == [(1, "a.b"), (2, "c"), (3, "d")]
    assert [row.previous for row in rows] == [GENESIS, rows[0].hash, rows[1].hash]


async def test_twenty_writers_at_once_make_one_chain(store: Store) -> None:
    async def write(number: int) -> None:
        for turn in range(5):
            async with store.transaction() as session:
                # A read first: what a transaction has seen before must not decide where the chain goes on.
                await session.scalar(select(AuditRow.sequence).limit(1))
                await append(session, [AuditDraft("a", f"writer-{number}", str(turn)) for _ in range(2)], AT)

    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(write(number))
    rows = await _rows(store)
    assert [row.sequence for row in rows] == list(range(1, 201))
    assert [row.previous for row in rows] == [GENESIS, *(row.hash for row in rows[:-1])]
    for number in range(20):
        own = [row.subject for row in rows if row.actor == f"writer-{number}"]
        assert own == [str(turn) for turn in range(5) for _ in range(2)]
