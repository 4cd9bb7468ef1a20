"""The database itself: one engine, and transactions that happen whole or not at all. Repositories stand on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from tongpin.gateway.errors import CallerError, StoreError


class Store:
    """Call :meth:`close` at the end."""

    def __init__(self, url: str) -> None:
        self.engine: AsyncEngine = create_async_engine(url)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    async def close(self) -> None:
        await self.engine.dispose()

    async def ping(self) -> None:
        """Raise StoreError when the database does not answer."""
        async with self.transaction() as session:
            await session.execute(text("SELECT 1"))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block, or rolls everything back.

        Raises:
            CallerError: 409 when an id or a name is taken, 422 when the block names something that does not exist.
            StoreError: the database failed.
        """
        try:
            async with self._sessions() as session, session.begin():
                yield session
        except IntegrityError as error:
            reason = str(error.orig)
            if "FOREIGN KEY" in reason.upper():
                raise CallerError(422, "unknown-reference", "names something that does not exist") from error
            raise CallerError(409, "already-exists", "an object with this id or name exists already") from error
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"the database failed: {type(error).__name__}") from error


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    try:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
    except Exception:
        # The pool forgets a connection that fails here, and its thread would outlive the loop.
        connection.close()
        raise
