"""What every test stands on: no variable of the developer's shell may change a configuration under test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import OwnPostgres, Postgres, any_server, own_server

# How fast examples come says how busy the machine is, not whether the code is right.
settings.register_profile("tongpin", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tongpin")


@pytest.fixture(autouse=True)
def _no_tongpin_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TONGPIN_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with any_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """The ``storage.url`` of an empty PostgreSQL database, gone afterwards."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def own_postgres() -> Iterator[OwnPostgres]:
    """A server that the test may stop and start."""
    with own_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind: a test that takes this runs once on each.

    Scenarios pass it on: ``Service(tmp_path, {**district(…), "storage": {"url": storage_url}})``.
    """
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'tongpin.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
