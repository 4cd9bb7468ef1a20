"""The migrations make what the models say, from nothing and over data."""

import asyncio
import os
import sqlite3
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from tongpin.gateway.errors import StoreError
from tongpin.gateway.records import Agency
from tongpin.gateway.storage.migrate import alembic_config, upgrade
from tongpin.gateway.storage.models import Base
from tongpin.gateway.storage.repository import SqlRepository
from tongpin.gateway.storage.store import Store


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found: list[object] = compare_metadata(context, Base.metadata)
    return found


async def _schema(url: str) -> tuple[list[object], list[str]]:
    """How the database differs from the models, and the names of its tables."""
    store = Store(url)
    async with store.engine.connect() as connection:
        differences = await connection.run_sync(_differences)
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await store.close()
    return differences, tables


async def test_the_newest_schema_is_the_models_up_and_down(storage_url: str) -> None:
    await asyncio.to_thread(upgrade, storage_url)
    differences, _ = await _schema(storage_url)
    assert differences == []
    await asyncio.to_thread(command.downgrade, alembic_config(storage_url), "base")
    assert (await _schema(storage_url))[1] == ["alembic_version"]
    await asyncio.to_thread(upgrade, storage_url)
    assert (await _schema(storage_url))[0] == []


async def test_every_migration_goes_down_and_up_again(storage_url: str) -> None:
    config = alembic_config(storage_url)
    for revision in reversed([script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]):
        await asyncio.to_thread(command.upgrade, config, revision)
        await asyncio.to_thread(command.downgrade, config, "-1")
        await asyncio.to_thread(command.upgrade, config, revision)
    assert (await _schema(storage_url))[0] == []


async def test_a_second_upgrade_keeps_everything(storage_url: str) -> None:
    await asyncio.to_thread(upgrade, storage_url)
    store = Store(storage_url)
    await SqlRepository(store).save_agency(Agency("gongan", "公安"), is_new=True)
    await store.close()
    await asyncio.to_thread(upgrade, storage_url)
    store = Store(storage_url)
    assert list(await SqlRepository(store).agencies()) == [Agency("gongan", "公安")]
    await store.close()


def test_a_percent_sign_in_the_path_is_no_riddle(tmp_path: Path) -> None:
    upgrade(f"sqlite+aiosqlite:///{tmp_path / 'x % y.db'}")
    assert (tmp_path / "x % y.db").exists()


async def test_two_that_start_at_once_migrate_one_after_the_other(postgres_url: str, tmp_path: Path) -> None:
    words = (sys.executable, "-P", "-m", "tongpin.gateway", "db", "upgrade")
    folder, env = str(tmp_path), {**os.environ, "TONGPIN_STORAGE__URL": postgres_url}
    nodes = [await asyncio.create_subprocess_exec(*words, cwd=folder, env=env) for _ in range(2)]
    assert [await node.wait() for node in nodes] == [0, 0]
    assert (await _schema(postgres_url))[0] == []


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"
    upgrade(url)
    connection = sqlite3.connect(tmp_path / "x.db")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match="9999"):
        upgrade(url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite+aiosqlite:////no/such/folder/x.db", "cannot be brought up to date"),
        ("nonsense", "cannot be brought up to date"),
        ("postgresql+asyncpg:///x?host=/no/such/folder", "cannot be brought up to date"),
        ("mssql+aioodbc://host/db", "the driver of storage.url is not installed: aioodbc"),
    ],
)
def test_what_cannot_be_reached_is_a_store_error(url: str, told: str) -> None:
    with pytest.raises(StoreError, match=told):
        upgrade(url)
