"""The migrations make what the models say, from nothing and over data."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from tongpin.gateway.errors import StoreError
from tongpin.gateway.records import Agency
from tongpin.gateway.storage.migrate import upgrade
from tongpin.gateway.storage.models import Base
from tongpin.gateway.storage.repository import SqlRepository
from tongpin.gateway.storage.store import Store


def test_the_newest_schema_is_the_models(tmp_path: Path) -> None:
    upgrade(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)
    engine.dispose()
    assert differences == []


async def test_a_second_upgrade_keeps_everything(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'x % y.db'}"
    await asyncio.to_thread(upgrade, url)
    store = Store(url)
    await SqlRepository(store).save_agency(Agency("gongan", "公安"), is_new=True)
    await store.close()
    await asyncio.to_thread(upgrade, url)
    store = Store(url)
    assert list(await SqlRepository(store).agencies()) == [Agency("gongan", "公安")]
    await store.close()


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
        ("mssql+aioodbc://host/db", "the driver of storage.url is not installed: aioodbc"),
    ],
)
def test_what_cannot_be_reached_is_a_store_error(url: str, told: str) -> None:
    with pytest.raises(StoreError, match=told):
        upgrade(url)
