"""One battery for every database: SQLite in a file and in memory, and PostgreSQL."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from tongpin.gateway.errors import CallerError, StoreError
from tongpin.gateway.records import Agency, Role, TalkGroup, User
from tongpin.gateway.storage.models import Base
from tongpin.gateway.storage.repository import SqlRepository
from tongpin.gateway.storage.store import Store

POLICE = Agency("gongan", "Public Security 公安", "#1f5fbf")
URBAN = Agency("chengguan", "Urban Management 城管")


@pytest.fixture(params=["file", "memory", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlRepository]:
    urls = {"file": f"sqlite+aiosqlite:///{tmp_path / 'tongpin.db'}", "memory": "sqlite+aiosqlite://"}
    database = Store(urls.get(request.param) or request.getfixturevalue("postgres_url"))
    # The store's own engine: a database in memory is nobody else's.
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield SqlRepository(database)
    await database.close()


@pytest.fixture
async def filled(store: SqlRepository) -> SqlRepository:
    """Two agencies with a talk group each."""
    for agency in (POLICE, URBAN):
        await store.save_agency(agency, is_new=True)
    await store.save_talk_group(TalkGroup("police-1", "Police 1", "gongan"), is_new=True)
    await store.save_talk_group(TalkGroup("urban-1", "Urban 1", "chengguan"), is_new=True)
    return store


def user(username: str, agency: str | None = None) -> User:
    return User(f"u-{username}", username, "hash", Role.DISPATCHER, agency)


async def test_agencies_are_kept_changed_and_retired(store: SqlRepository) -> None:
    await store.save_agency(POLICE, is_new=True)
    await store.save_agency(URBAN, is_new=True)
    assert list(await store.agencies()) == [URBAN, POLICE]
    renamed = replace(POLICE, name="Police", color="#000000")
    await store.save_agency(renamed, is_new=False)
    retired = replace(URBAN, is_retired=True)
    await store.save_agency(retired, is_new=False)
    assert list(await store.agencies()) == [renamed]
    assert list(await store.agencies(with_retired=True)) == [retired, renamed]


async def test_users_are_kept_found_and_disabled(filled: SqlRepository) -> None:
    admin = User("u-1", "admin", "hash-1", Role.ADMIN)
    await filled.save_user(admin, is_new=True)
    await filled.save_user(user("chen", "gongan"), is_new=True)
    assert list(await filled.users()) == [admin, user("chen", "gongan")]
    assert await filled.user_by_name("chen") == user("chen", "gongan")
    assert await filled.user_by_name("nobody") is None
    disabled = replace(admin, is_disabled=True, password_hash="hash-2")
    await filled.save_user(disabled, is_new=False)
    # Everything that stood on the old password ends: the epoch says so.
    assert await filled.user_by_name("admin") == replace(disabled, epoch=admin.epoch + 1)


async def test_talk_groups_are_kept_and_retired(filled: SqlRepository) -> None:
    await filled.save_talk_group(TalkGroup("all", "Everybody"), is_new=True)
    assert [group.id for group in await filled.talk_groups()] == ["all", "police-1", "urban-1"]
    await filled.save_talk_group(TalkGroup("all", "Everybody", is_retired=True), is_new=False)
    assert [group.id for group in await filled.talk_groups()] == ["police-1", "urban-1"]
    assert (await filled.talk_groups(with_retired=True))[0] == TalkGroup("all", "Everybody", None, True)


@pytest.mark.parametrize("what", ["agency", "user", "username", "talk group"])
async def test_what_is_there_already_is_a_409(what: str, filled: SqlRepository) -> None:
    await filled.save_user(user("chen"), is_new=True)
    again = {
        "agency": lambda: filled.save_agency(replace(POLICE, name="Other"), is_new=True),
        "user": lambda: filled.save_user(replace(user("chen"), username="other"), is_new=True),
        "username": lambda: filled.save_user(replace(user("chen"), id="u-other"), is_new=True),
        "talk group": lambda: filled.save_talk_group(TalkGroup("police-1", "Other"), is_new=True),
    }
    with pytest.raises(CallerError) as caught:
        await again[what]()
    assert (caught.value.status, caught.value.code) == (409, "already-exists")
    assert (await filled.agencies())[1] == POLICE
    assert list(await filled.users()) == [user("chen")]


async def test_an_unknown_agency_is_a_422(filled: SqlRepository) -> None:
    with pytest.raises(CallerError) as caught:
        await filled.save_user(user("chen", "nix"), is_new=True)
    assert (caught.value.status, caught.value.code) == (422, "unknown-reference")


async def test_many_writers_wait_for_each_other(store: SqlRepository) -> None:
    await store.save_agency(POLICE, is_new=True)
    async with asyncio.TaskGroup() as tasks:
        for number in range(12):
            tasks.create_task(store.save_agency(replace(POLICE, name=f"Police {number}"), is_new=False))
            tasks.create_task(store.save_agency(Agency(f"a-{number}", f"Agency {number}"), is_new=True))
    assert len(await store.agencies()) == 13


async def test_a_database_that_fails_is_a_store_error(tmp_path: Path) -> None:
    database = Store(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'folder' / 'x.db'}")
    with pytest.raises(StoreError):
        await database.ping()
    await database.close()
    while any("_connection_worker" in thread.name for thread in threading.enumerate()):
        await asyncio.sleep(0.01)  # aiosqlite's thread of the failed connection reports to this loop once more
    database = Store(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(StoreError):
        await SqlRepository(database).agencies()
    await database.close()


async def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database " * 100)
    database = Store(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(StoreError):
        await database.ping()
    await database.close()


async def test_sqlite_is_set_up_for_a_service(tmp_path: Path) -> None:
    database = Store(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}", statement_limit_s=5)
    found = {}
    async with database.engine.connect() as connection:
        for pragma in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys"):
            found[pragma] = (await connection.execute(text(f"PRAGMA {pragma}"))).scalar()
    await database.close()
    assert found == {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 5000, "foreign_keys": 1}
