"""The database itself: one engine, and transactions that happen whole or not at all. Repositories stand on it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from tongpin.gateway.errors import CallerError, StoreError

POOL_WAIT_S = 5.0
"""How long a caller waits for a free connection before it is told 503."""
CONNECT_S = 5.0
_UNSTORABLE = {"22021", "22001", "22003", "22P05"}
"""SQLSTATEs of values that PostgreSQL cannot hold: NUL in a text, too long, out of range, no such character."""


class Store:
    """One database, SQLite or PostgreSQL. Call :meth:`close` at the end.

    A connection that the server has dropped is replaced when it is next wanted; while the server is away, every
    transaction is a StoreError at once.
    """

    def __init__(self, url: str, *, pool_size: int = 10, statement_limit_s: float = 10.0) -> None:
        """Opens nothing yet.

        Args:
            url: an SQLAlchemy asyncio URL.
            pool_size: connections at most; further callers wait up to ``POOL_WAIT_S``.
            statement_limit_s: the longest a statement may take, or wait for another's lock.
        Raises:
            StoreError: the URL cannot be read, or its driver is not installed.
        """
        limits: dict[str, object]
        try:
            parts = make_url(url)
            if parts.get_backend_name() == "postgresql":
                server = {"statement_timeout": str(round(statement_limit_s * 1000)), "application_name": "tongpin"}
                limits = {"timeout": CONNECT_S, "command_timeout": statement_limit_s + 1, "server_settings": server}
            else:
                limits = {"timeout": statement_limit_s}
            self.engine: AsyncEngine = create_async_engine(
                parts,
                poolclass=AsyncAdaptedQueuePool,
                # A database in memory lives in its one connection.
                pool_size=1 if parts.database in (None, "", ":memory:") else pool_size,
                max_overflow=0,
                pool_timeout=POOL_WAIT_S,
                pool_pre_ping=parts.get_backend_name() == "postgresql",
                connect_args=limits,
            )
        except ImportError as error:
            raise StoreError(f"the driver of storage.url is not installed: {error.name}") from error
        except ArgumentError as error:
            raise StoreError("storage.url is no database URL, such as sqlite+aiosqlite:////srv/tongpin.db") from error
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        self._writers = async_sessionmaker(self.engine, expire_on_commit=False)
        reading = self.engine.execution_options(is_reading=True)
        self._readers = async_sessionmaker(reading, expire_on_commit=False)

    async def close(self) -> None:
        await self.engine.dispose()

    async def ping(self) -> None:
        """Raise StoreError when the database does not answer."""
        async with self.reading() as session:
            await session.execute(text("SELECT 1"))

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session that commits at the end of the block, or rolls everything back.

        On SQLite it holds the one write lock from its first statement, so what it reads still holds when it writes.

        Raises:
            CallerError: 409 when an id or a name is taken, 422 when the block names something that does not exist, or
                has a value that the database cannot hold.
            StoreError: the database failed.
        """
        return _guarded(self._writers)

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session for reading only: on SQLite it waits for no writer. Raises StoreError."""
        return _guarded(self._readers)


@asynccontextmanager
async def _guarded(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    try:
        async with sessions() as session, session.begin():
            yield session
    except IntegrityError as error:
        reason = str(error.orig)
        if "FOREIGN KEY" in reason.upper():
            raise CallerError(422, "unknown-reference", "names something that does not exist") from error
        raise CallerError(409, "already-exists", "an object with this id or name exists already") from error
    except OverflowError as error:
        raise CallerError(422, "unstorable-value", "a number is too large") from error
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in _UNSTORABLE:
            raise CallerError(422, "unstorable-value", "a value is too long or has impossible characters") from error
        raise StoreError(f"the database failed: {type(error).__name__}") from error
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"the database failed: {type(error).__name__}") from error


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    try:
        # The driver must not begin transactions on its own: _begin_sqlite does.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
    except Exception:
        # The pool forgets a connection that fails here, and its thread would outlive the loop.
        connection.close()
        raise


def _begin_sqlite(connection: Connection) -> None:
    """Writers take the lock at once: a reader that becomes a writer later would fail instead of waiting."""
    is_reading = connection.get_execution_options().get("is_reading", False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")
