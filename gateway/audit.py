"""The audit log as the running gateway uses it: a queue beside the frame path, checkpoints, and checks of the chain."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Protocol

import structlog

from tongpin.gateway.chain import AuditEntry, ChainVerifier, Checkpoint, CheckpointKey, Fault, Finding, digest
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import CallerError, StoreError
from tongpin.gateway.records import AuditDraft

_log = structlog.get_logger(__name__)

PAGE = 1_000
CHECKPOINTS_KEPT_IN_MIND = 10_000


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries. ``action`` may end in ``.*``; ``after`` is the number of the last one seen.

    Attributes:
        only_agency: the one agency whose entries the caller may see; None = all.
    """

    after: int | None = None
    limit: int = PAGE
    is_newest_first: bool = False
    since: datetime | None = None
    until: datetime | None = None
    action: str | None = None
    actor: str | None = None
    agency: str | None = None
    subject: str | None = None
    only_agency: str | None = None


class AuditStore(Protocol):
    """The chain in the database. Every call may raise StoreError."""

    async def append(self, drafts: Sequence[AuditDraft], at: datetime) -> None:
        """All of them, in this order, in one transaction."""

    async def entries(self, query: AuditQuery) -> Sequence[AuditEntry]: ...

    async def checkpoints(self, limit: int) -> Sequence[Checkpoint]:
        """Those that were kept, the newest first."""

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the chain found. ``first`` to ``last`` are the numbers of the entries that were read."""

    first: int
    last: int
    count: int
    findings: tuple[Finding, ...]

    @property
    def is_whole(self) -> bool:
        return not self.findings


async def checkpoint_now(store: AuditStore, key: CheckpointKey, clock: Clock) -> Checkpoint | None:
    """The end of the chain as it stands, signed; None while there is no entry."""
    newest = await store.entries(AuditQuery(limit=1, is_newest_first=True))
    return key.sign(Checkpoint(newest[0].sequence, newest[0].hash, clock.at())) if newest else None


async def verify_store(store: AuditStore, key: CheckpointKey, *, is_full: bool, limit: int | None = None) -> Verdict:
    """Check the chain in the database, and against the checkpoints kept there: whole, or since the last of them.

    Args:
        limit: the most entries to read.
    """
    kept = await store.checkpoints(CHECKPOINTS_KEPT_IN_MIND if is_full else 1)
    forged = [point for point in kept if key.is_forged(point)]
    good = [point for point in kept if point not in forged]
    start = good[0] if good and not is_full else None
    verifier = ChainVerifier(start, good)
    if start is not None:
        at_start = await store.entries(AuditQuery(after=start.sequence - 1, limit=1))
        seen = at_start[0] if at_start and at_start[0].sequence == start.sequence else None
        if seen is not None and digest(seen.content()) != start.hash:
            text = f"entry {seen.sequence} is not the one that the checkpoint saw"
            verifier.find(Fault.OTHER_THAN_CHECKPOINT, seen.sequence, text)
        elif seen is None:
            text = f"entry {start.sequence} is missing, but a checkpoint saw it"
            verifier.find(Fault.TRUNCATED if not at_start else Fault.MISSING, start.sequence, text)
    for point in forged:
        text = f"the checkpoint at entry {point.sequence} is not ours though it names our key"
        verifier.find(Fault.FORGED_CHECKPOINT, point.sequence, text)
    first = verifier.last + 1
    after = start.sequence if start is not None else 0
    async for entry in all_entries(store, AuditQuery(after=after)):
        verifier.feed(entry.content())
        if limit is not None and verifier.count >= limit:
            break
    findings = tuple(verifier.finish())
    return Verdict(first, verifier.last, verifier.count, findings)


async def all_entries(store: AuditStore, query: AuditQuery) -> AsyncIterator[AuditEntry]:
    """Every entry that the query matches, page by page; its ``limit`` is the size of a page."""
    while True:
        page = await store.entries(query)
        for entry in page:
            yield entry
        if len(page) < query.limit:
            return
        query = replace(query, after=page[-1].sequence)


class AuditLog:
    """Writes what the switchboard did, behind the frame path: a bounded queue, batches, retries.

    Event-loop thread only. :meth:`run` is the writer; :meth:`close` writes what still waits. What finds the queue full
    is counted, and an entry ``audit.dropped`` says how much was lost and when.
    """

    LIMIT = 20_000
    BATCH = 500
    GATHER_S = 0.2
    RETRY_S = 1.0
    CHECKPOINT_EVERY = 1_000
    VERIFY_AT_START = 50_000

    def __init__(self, store: AuditStore, key: CheckpointKey, clock: Clock) -> None:
        self.store = store
        self.key = key
        self.dropped = 0
        self.is_whole = True
        self._clock = clock
        self._waiting: deque[AuditDraft] = deque()
        self._lost = 0
        self._lost_from = self._lost_to = clock.at()
        self._wake = asyncio.Event()
        self._since_checkpoint = 0
        self._turn = asyncio.Lock()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def record(self, draft: AuditDraft) -> None:
        """Take an entry for the log. Never blocks, never raises."""
        at = draft.at or self._clock.at()
        if len(self._waiting) >= self.LIMIT:
            self.dropped += 1
            self._lost_from = at if not self._lost else self._lost_from
            self._lost_to = at
            self._lost += 1
            return
        self._waiting.append(draft if draft.at is not None else replace(draft, at=at))
        self._wake.set()

    async def run(self) -> None:
        """Check the end of the chain, then write. Ends by cancellation, after :meth:`close`."""
        await self._patiently(self._verify)
        while True:
            await self._wake.wait()
            await asyncio.sleep(self.GATHER_S)
            await self._patiently(self._write_all)

    async def close(self, limit_s: float = 5.0) -> None:
        """Write what waits, and a checkpoint. A log line says how much the store did not take in time."""
        try:
            async with asyncio.timeout(limit_s):
                await self._write_all()
                await self._checkpoint()
        except (StoreError, CallerError, TimeoutError) as error:
            _log.error("audit entries are lost", count=self.waiting, reason=str(error))

    async def verdict(self, *, is_full: bool) -> Verdict:
        """Check the chain now. Raises StoreError."""
        found = await verify_store(self.store, self.key, is_full=is_full)
        self.is_whole = found.is_whole
        return found

    async def checkpoint(self) -> Checkpoint | None:
        """The end of the chain as it stands, everything that waits included. Raises StoreError."""
        await self._write_all()
        return await checkpoint_now(self.store, self.key, self._clock)

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until the store has done it."""
        while True:
            try:
                await work()
                return
            except (StoreError, CallerError) as error:
                _log.error("the audit log waits for the store", waiting=self.waiting, reason=str(error))
                await asyncio.sleep(self.RETRY_S)

    async def _verify(self) -> None:
        found = await verify_store(self.store, self.key, is_full=False, limit=self.VERIFY_AT_START)
        self.is_whole = found.is_whole
        if found.is_whole:
            await self._checkpoint()
            return
        for finding in found.findings:
            _log.error("the audit chain is broken", fault=finding.fault.value, entry=finding.entry, reason=finding.text)
        worst = found.findings[0]
        detail = {"fault": worst.fault.value, "reason": worst.text, "count": len(found.findings)}
        self.record(AuditDraft("audit.broken", "system", str(worst.entry), None, detail))

    async def _write_all(self) -> None:
        async with self._turn:
            self._wake.clear()
            while self._waiting or self._lost:
                batch = list(islice(self._waiting, self.BATCH))
                waited, lost = len(batch), self._lost
                if lost and waited == len(self._waiting):
                    times = {"from": self._lost_from.isoformat(), "to": self._lost_to.isoformat()}
                    batch.append(AuditDraft("audit.dropped", "system", "audit", None, {"count": lost, **times}))
                # Taken off the queue when they are stored, so that a refusal loses nothing.
                await self.store.append(batch, self._clock.at())
                for _ in range(waited):
                    self._waiting.popleft()
                if len(batch) > waited:
                    self._lost -= lost
                self._since_checkpoint += len(batch)
        if self._since_checkpoint >= self.CHECKPOINT_EVERY:
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        """Keep one, unless the chain is broken: what follows must be checked from the last good one."""
        point = await checkpoint_now(self.store, self.key, self._clock) if self.is_whole else None
        if point is not None:
            await self.store.save_checkpoint(point)
        self._since_checkpoint = 0
