"""What every repository stands on, and checks that several of them make inside a transaction."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tongpin.gateway.clock import Clock, SystemClock
from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.audit import append
from tongpin.gateway.storage.models import AgencyRow, GridRow, TalkGroupRow
from tongpin.gateway.storage.store import Store


class SqlPart:
    """A repository over one store."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        """``clock`` gives audit entries their time; default: the machine's."""
        self._store = store
        self._clock = clock or SystemClock()

    @asynccontextmanager
    async def _change(self, audit: Sequence[AuditDraft]) -> AsyncIterator[AsyncSession]:
        """A transaction that ends with these audit entries."""
        async with self._store.transaction() as session:
            yield session
            if audit:
                await append(session, audit, self._clock.at())


async def check_alive(
    session: AsyncSession, kind: type[AgencyRow] | type[TalkGroupRow] | type[GridRow], ids: Iterable[str | None]
) -> None:
    """Raise CallerError 422 naming the ids that are not there, or retired."""
    named = {one for one in ids if one is not None}
    query = select(kind.id).where(kind.id.in_(named), kind.is_retired.is_(False))
    missing = sorted(named - set((await session.scalars(query)).all()))
    if missing:
        what = kind.__tablename__.replace("_", " ")
        raise CallerError(
            422, "unknown-reference", f"unknown or retired {what}: {', '.join(missing)}", {"missing": missing}
        )


def refuse_in_use(what: str, users: dict[str, Sequence[str]]) -> None:
    """Raise CallerError 409 naming everything that still uses it, by kind; nothing = fine."""
    found = {kind: sorted(ids)[:20] for kind, ids in users.items() if ids}
    if found:
        kinds = ", ".join(f"{len(users[kind])} {kind.replace('_', ' ')}" for kind in found)
        raise CallerError(409, "in-use", f"{what} is in use ({kinds}); move or retire those first", {**found})
