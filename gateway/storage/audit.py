"""The audit log in the database: append-only, each entry chained to the one before by SHA-256.

:func:`append` runs inside the caller's transaction, so a change and its entry are stored together or not at all.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.models import AuditRow

GENESIS = "0" * 64
"""The ``previous`` of the first entry."""
_HEAD_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('tongpin audit'))")


def canonical(content: object) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8: the same content always gives the same bytes."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def entry_hash(sequence: int, at: datetime, draft: AuditDraft, previous: str) -> str:
    """SHA-256 over the canonical JSON of an entry, which names the previous hash. Hexadecimal."""
    content = {
        "sequence": sequence,
        "at": at.astimezone(UTC).isoformat(),
        "action": draft.action,
        "actor": draft.actor,
        "agency": draft.agency,
        "subject": draft.subject,
        "detail": dict(draft.detail),
        "previous": previous,
    }
    return hashlib.sha256(canonical(content)).hexdigest()


async def append(session: AsyncSession, drafts: Iterable[AuditDraft], at: datetime) -> None:
    """Add entries in this order to the end of the chain, at this time (aware).

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
        digest = entry_hash(sequence, at, draft, previous)
        session.add(
            AuditRow(
                sequence=sequence,
                at=at,
                action=draft.action,
                actor=draft.actor,
                agency=draft.agency,
                subject=draft.subject,
                detail=canonical(dict(draft.detail)).decode(),
                previous=previous,
                hash=digest,
            )
        )
        previous = digest
