"""The writer behind the frame path: batches, a store that is away, a full queue, a clean stop, the first check."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tongpin.gateway.audit import AuditLog, AuditQuery, AuditStore, all_entries, checkpoint_now, verify_store
from tongpin.gateway.chain import AuditEntry, Checkpoint, CheckpointKey, Fault
from tongpin.gateway.clock import SystemClock
from tongpin.gateway.errors import CallerError, StoreError
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.audit import SqlAudit
from tongpin.gateway.storage.migrate import upgrade
from tongpin.gateway.storage.store import Store

KEY = CheckpointKey(b"x" * 32)
CLOCK = SystemClock()


class Unsteady:
    """A store that can be away, in front of a real one."""

    def __init__(self, real: AuditStore) -> None:
        self._real = real
        self.is_away = False
        self.refusals = 0

    def _check(self) -> None:
        if self.is_away:
            self.refusals += 1
            raise StoreError("away")

    async def append(self, drafts: Sequence[AuditDraft], at: datetime) -> None:
        self._check()
        await self._real.append(drafts, at)

    async def entries(self, query: AuditQuery) -> Sequence[AuditEntry]:
        self._check()
        return await self._real.entries(query)

    async def checkpoints(self, limit: int) -> Sequence[Checkpoint]:
        self._check()
        return await self._real.checkpoints(limit)

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        self._check()
        await self._real.save_checkpoint(checkpoint)


@pytest.fixture
async def database(storage_url: str) -> AsyncIterator[Store]:
    await asyncio.to_thread(upgrade, storage_url)
    made = Store(storage_url)
    yield made
    await made.close()


@pytest.fixture
def store(database: Store) -> SqlAudit:
    return SqlAudit(database)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATHER_S", "RETRY_S"):
        monkeypatch.setattr(AuditLog, name, 0.01)


def draft(number: int) -> AuditDraft:
    return AuditDraft("floor.granted", "chen", f"g-{number}", "gongan", {"talk": number})


async def written(store: AuditStore) -> list[AuditEntry]:
    return [entry async for entry in all_entries(store, AuditQuery())]


async def tamper(database: Store, statement: str) -> None:
    """What somebody does who owns the database: the guards off first."""
    async with database.transaction() as session:
        if database.engine.dialect.name == "postgresql":
            await session.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_append_only"))
            await session.execute(text("GRANT UPDATE, DELETE ON audit TO CURRENT_USER"))
        else:
            await session.execute(text("DROP TRIGGER audit_no_update"))
            await session.execute(text("DROP TRIGGER audit_no_delete"))
        await session.execute(text(statement))


@pytest.mark.usefixtures("quick")
async def test_what_waits_while_the_store_is_away_is_written_in_order_when_it_is_back(store: SqlAudit) -> None:
    unsteady = Unsteady(store)
    log = AuditLog(unsteady, KEY, CLOCK)
    writer = asyncio.create_task(log.run())
    unsteady.is_away = True
    for number in range(1_200):
        log.record(draft(number))
    while unsteady.refusals < 3:
        await asyncio.sleep(0.01)
    assert log.waiting == 1_200
    unsteady.is_away = False
    while log.waiting:
        await asyncio.sleep(0.01)
    await log.close()
    writer.cancel()
    entries = await written(store)
    assert [entry.subject for entry in entries] == [f"g-{number}" for number in range(1_200)]
    assert (await verify_store(store, KEY, is_full=True)).is_whole
    assert [point.sequence for point in await store.checkpoints(1)] == [1_200]


@pytest.mark.usefixtures("quick")
async def test_a_full_queue_counts_what_it_drops_and_an_entry_says_so(
    store: SqlAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AuditLog, "LIMIT", 10)
    log = AuditLog(store, KEY, CLOCK)
    for number in range(25):
        log.record(draft(number))
    assert (log.waiting, log.dropped) == (10, 15)
    await log.close()
    entries = await written(store)
    assert [entry.subject for entry in entries[:-1]] == [f"g-{number}" for number in range(10)]
    assert (entries[-1].action, entries[-1].detail["count"]) == ("audit.dropped", 15)
    assert set(entries[-1].detail) == {"count", "from", "to"}
    log.record(draft(26))
    await log.close()
    assert [entry.action for entry in (await written(store))[-2:]] == ["audit.dropped", "floor.granted"], "told once"


async def test_an_entry_keeps_the_time_at_which_it_happened(store: SqlAudit) -> None:
    log = AuditLog(store, KEY, CLOCK)
    before = CLOCK.at()
    log.record(draft(1))
    after = CLOCK.at()
    early = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    log.record(AuditDraft("a", "b", "c", at=early))
    await log.close()
    first, second = await written(store)
    assert before <= first.at <= after
    assert second.at == early


async def test_a_clean_stop_without_a_store_ends_and_says_what_is_lost(store: SqlAudit) -> None:
    unsteady = Unsteady(store)
    unsteady.is_away = True
    log = AuditLog(unsteady, KEY, CLOCK)
    log.record(draft(1))
    await log.close(limit_s=0.05)
    assert log.waiting == 1


async def test_what_columns_cannot_hold_is_cut_and_chained(store: SqlAudit) -> None:
    log = AuditLog(store, KEY, CLOCK)
    log.record(AuditDraft("a" * 99, "x\0" * 99, "\ud800" * 300, None, {"odd": "\ud800\0"}))
    await log.close()
    (entry,) = await written(store)
    assert (len(entry.action), len(entry.actor), len(entry.subject)) == (63, 100, 200)
    assert (await verify_store(store, KEY, is_full=True)).is_whole


@pytest.mark.usefixtures("quick")
async def test_the_start_checks_the_chain_since_the_last_checkpoint(database: Store, store: SqlAudit) -> None:
    log = AuditLog(store, KEY, CLOCK)
    for number in range(5):
        log.record(draft(number))
    await log.close()
    log.record(draft(5))
    log.record(draft(6))
    await log.store.append([draft(5), draft(6)], CLOCK.at())
    found = await verify_store(store, KEY, is_full=False)
    assert (found.first, found.last, found.count, found.findings) == (6, 7, 2, ())
    await tamper(database, "UPDATE audit SET actor = 'wang' WHERE sequence = 6")
    again = AuditLog(store, KEY, CLOCK)
    writer = asyncio.create_task(again.run())
    while again.is_whole or again.waiting:
        await asyncio.sleep(0.01)
    writer.cancel()
    last = (await written(store))[-1]
    assert (last.action, last.subject, last.detail["fault"]) == ("audit.broken", "6", "changed")
    assert [point.sequence for point in await store.checkpoints(5)] == [5], "none is kept of a broken chain"


@pytest.mark.parametrize(
    ("statement", "fault", "entry", "is_found_at_start"),
    [
        ("UPDATE audit SET detail = '{}' WHERE sequence = 2", Fault.CHANGED, 2, False),
        ("DELETE FROM audit WHERE sequence = 3", Fault.MISSING, 3, False),
        ("DELETE FROM audit WHERE sequence = 1", Fault.MISSING, 1, False),
        ("DELETE FROM audit WHERE sequence > 3", Fault.TRUNCATED, 5, True),
        ("UPDATE audit SET actor = 'wang' WHERE sequence = 5", Fault.CHANGED, 5, True),
    ],
)
async def test_tampering_with_the_tables_is_found(
    statement: str, fault: Fault, entry: int, is_found_at_start: bool, database: Store, store: SqlAudit
) -> None:
    log = AuditLog(store, KEY, CLOCK)
    for number in range(5):
        log.record(draft(number))
    await log.close()
    await tamper(database, statement)
    found = await verify_store(store, KEY, is_full=True)
    assert (fault, entry) in [(item.fault, item.entry) for item in found.findings]
    assert (not (await verify_store(store, KEY, is_full=False)).is_whole) is is_found_at_start
    assert not (await log.verdict(is_full=True)).is_whole
    assert not log.is_whole


async def test_a_forged_checkpoint_is_found(store: SqlAudit) -> None:
    await store.append([draft(number) for number in range(3)], CLOCK.at())
    point = await checkpoint_now(store, KEY, CLOCK)
    assert point is not None
    await store.save_checkpoint(Checkpoint(2, "0" * 64, point.at, KEY.name, point.mac))
    found = await verify_store(store, KEY, is_full=True)
    assert [(item.fault, item.entry) for item in found.findings] == [(Fault.FORGED_CHECKPOINT, 2)]


@pytest.mark.parametrize("table", ["audit", "audit_checkpoints"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET hash = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
async def test_the_database_refuses_changes(table: str, statement: str, database: Store, store: SqlAudit) -> None:
    log = AuditLog(store, KEY, CLOCK)
    log.record(draft(1))
    await log.close()

    async def change() -> None:
        async with database.transaction() as session:
            await session.execute(text(statement.format(table)))

    with pytest.raises((StoreError, CallerError)):
        await change()
    assert len(await written(store)) == 1
    assert (await verify_store(store, KEY, is_full=True)).is_whole
    assert len(await store.checkpoints(5)) == 1


async def test_entries_are_found_by_what_they_say(store: SqlAudit) -> None:
    start = datetime(2026, 3, 4, 19, 40, tzinfo=UTC)
    what = [("floor.granted", "chen", "gongan"), ("floor.denied", "wang", "chengguan"), ("auth.login", "chen", None)]
    drafts = [
        AuditDraft(action, actor, f"s-{index}", agency, at=start + timedelta(minutes=index))
        for index, (action, actor, agency) in enumerate(what * 2)
    ]
    await store.append(drafts, start)

    async def numbers(query: AuditQuery) -> list[int]:
        return [entry.sequence for entry in await store.entries(query)]

    assert await numbers(AuditQuery()) == [1, 2, 3, 4, 5, 6]
    assert await numbers(AuditQuery(is_newest_first=True, limit=2)) == [6, 5]
    assert await numbers(AuditQuery(is_newest_first=True, after=3)) == [2, 1]
    assert await numbers(AuditQuery(after=2, limit=2)) == [3, 4]
    assert await numbers(AuditQuery(action="floor.*")) == [1, 2, 4, 5]
    assert await numbers(AuditQuery(action="floor.denied")) == [2, 5]
    assert await numbers(AuditQuery(action="%.*")) == []
    assert await numbers(AuditQuery(actor="chen", agency="gongan")) == [1, 4]
    assert await numbers(AuditQuery(subject="s-2")) == [3]
    assert await numbers(AuditQuery(only_agency="chengguan")) == [2, 5]
    assert await numbers(AuditQuery(only_agency="chengguan", agency="gongan")) == []
    since, until = start + timedelta(minutes=1), start + timedelta(minutes=4)
    assert await numbers(AuditQuery(since=since, until=until)) == [2, 3, 4]
