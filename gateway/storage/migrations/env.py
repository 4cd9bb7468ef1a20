"""Alembic's entry: one connection, batch mode for SQLite, one at a time on PostgreSQL."""

import asyncio

from alembic import context
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from tongpin.gateway.storage.models import Base


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Two nodes that start at once: the second finds the work done.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tongpin migrations'))"))
        context.run_migrations()


def _migrate_sqlite(url: str) -> None:
    """By the plain driver: aiosqlite's thread would outlive the loop when the file cannot be opened."""
    engine = create_engine(make_url(url).set(drivername="sqlite"))
    try:
        with engine.begin() as connection:
            _run(connection)
    finally:
        engine.dispose()


async def _migrate(url: str) -> None:
    engine = create_async_engine(url, connect_args={"timeout": 10})
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


_url = context.config.get_main_option("sqlalchemy.url") or ""
if _url.startswith("sqlite"):
    _migrate_sqlite(_url)
else:
    asyncio.run(_migrate(_url))
