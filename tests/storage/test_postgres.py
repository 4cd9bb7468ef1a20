"""What only a server can do to us: go away, come back, be slow, refuse a value."""

import asyncio

import pytest
from sqlalchemy import text

from tests.postgres import OwnPostgres
from tongpin.gateway.errors import CallerError, StoreError
from tongpin.gateway.records import Agency
from tongpin.gateway.storage.migrate import upgrade
from tongpin.gateway.storage.repository import SqlRepository
from tongpin.gateway.storage.store import Store


async def test_a_server_that_goes_away_is_a_store_error_until_it_is_back(own_postgres: OwnPostgres) -> None:
    url = own_postgres.url("postgres")
    await asyncio.to_thread(upgrade, url)
    store = Store(url, pool_size=3)
    repository = SqlRepository(store)
    await repository.save_agency(Agency("gongan", "公安"), is_new=True)
    await asyncio.gather(*(store.ping() for _ in range(3)))
    await asyncio.to_thread(own_postgres.stop)
    for _ in range(5):
        with pytest.raises(StoreError):
            await repository.save_agency(Agency("chengguan", "城管"), is_new=True)
        with pytest.raises(StoreError):
            await store.ping()
    await asyncio.to_thread(own_postgres.start)
    assert list(await repository.agencies()) == [Agency("gongan", "公安")]
    await repository.save_agency(Agency("chengguan", "城管"), is_new=True)
    await store.close()


async def _write_while_it_stops(store: Store, server: OwnPostgres) -> None:
    async with store.transaction() as session:
        await session.execute(text("INSERT INTO agencies VALUES ('gongan', '公安', '#000000', false)"))
        await asyncio.to_thread(server.stop)
        await session.execute(text("SELECT 1"))


async def test_a_server_that_goes_away_in_a_transaction_takes_it_whole(own_postgres: OwnPostgres) -> None:
    url = own_postgres.url("postgres")
    await asyncio.to_thread(upgrade, url)
    store = Store(url)
    with pytest.raises(StoreError):
        await _write_while_it_stops(store, own_postgres)
    await asyncio.to_thread(own_postgres.start)
    assert list(await SqlRepository(store).agencies()) == []
    await store.close()


async def _sleep(store: Store) -> None:
    async with store.transaction() as session:
        await session.execute(text("SELECT pg_sleep(60)"))


async def test_a_statement_has_a_time_limit(postgres_url: str) -> None:
    store = Store(postgres_url, statement_limit_s=0.1)
    with pytest.raises(StoreError):
        await _sleep(store)
    await store.ping()
    await store.close()


@pytest.mark.parametrize("name", ["a\0b", "x" * 201])
async def test_what_cannot_be_stored_is_the_callers_error(name: str, postgres_url: str) -> None:
    await asyncio.to_thread(upgrade, postgres_url)
    store = Store(postgres_url)
    with pytest.raises(CallerError) as caught:
        await SqlRepository(store).save_agency(Agency("gongan", name), is_new=True)
    assert (caught.value.status, caught.value.code) == (422, "unstorable-value")
    await store.close()


@pytest.mark.parametrize("url", ["nonsense", "mssql+aioodbc://host/db"])
def test_a_url_that_nobody_can_serve_is_a_store_error(url: str) -> None:
    with pytest.raises(StoreError, match=r"storage\.url"):
        Store(url)
