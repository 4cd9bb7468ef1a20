"""A whole gateway in the test's own process, without sockets: its REST API by ASGI, its parts within reach."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tongpin.config.models import AgencyConfig, Config, StorageConfig, TalkGroupConfig
from tongpin.gateway.api.app import create_app
from tongpin.gateway.app import Gateway, prepare_store
from tongpin.gateway.records import Role, User

AGENCIES = ("gongan", "chengguan")
PEOPLE = {
    "chief": (Role.ADMIN, None),
    "desk": (Role.DISPATCHER, None),
    "overseer": (Role.AUDITOR, None),
    "police-chief": (Role.AGENCY_ADMIN, "gongan"),
    "police-desk": (Role.DISPATCHER, "gongan"),
    "police-auditor": (Role.AUDITOR, "gongan"),
    "urban-chief": (Role.AGENCY_ADMIN, "chengguan"),
    "urban-desk": (Role.DISPATCHER, "chengguan"),
}


@dataclass(frozen=True, slots=True)
class Inside:
    """The gateway's parts, and a client for each of ``PEOPLE``."""

    gateway: Gateway
    transport: httpx.ASGITransport
    users: dict[str, User]

    def client(self, username: str | None = None) -> httpx.AsyncClient:
        """A client that is logged in, or for None one that is not."""
        headers = {}
        if username is not None:
            headers["Authorization"] = "Bearer " + self.gateway.services.tokens.issue(self.users[username])
        return httpx.AsyncClient(transport=self.transport, base_url="http://inside/api/v1", headers=headers)


def config_of(folder: Path, url: str | None = None) -> Config:
    """Two agencies with a talk group each, and one group for all."""
    groups = [TalkGroupConfig(id=f"{agency}-1", name=f"{agency} 1", agency=agency) for agency in AGENCIES]
    return Config(
        data_folder=folder,
        storage=StorageConfig(url=url),
        agencies=tuple(AgencyConfig(id=agency, name=agency) for agency in AGENCIES),
        talk_groups=(*groups, TalkGroupConfig(id="all", name="Everybody")),
    )


@asynccontextmanager
async def inside(config: Config) -> AsyncIterator[Inside]:
    """The gateway runs for the length of the block."""
    store = await prepare_store(config)
    running: set[asyncio.Task[None]] = set()

    def spawn(work: Awaitable[None]) -> None:
        async def done() -> None:
            await work

        task = asyncio.create_task(done())
        running.add(task)
        task.add_done_callback(running.discard)

    gateway = Gateway(config, store, spawn)
    users = {name: User(f"u-{name}", name, "-", role, agency) for name, (role, agency) in PEOPLE.items()}
    known = {user.id for user in await gateway.repository.users()}
    for user in users.values():
        if user.id not in known:
            await gateway.repository.save_user(user, is_new=True)
    await gateway.restore()
    parts = [asyncio.create_task(part.run()) for part in (gateway.sessions, gateway.audit)]
    try:
        yield Inside(gateway, httpx.ASGITransport(create_app(gateway.services)), users)
    finally:
        gateway.runner.close()
        await gateway.audit.close()
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, *running, return_exceptions=True)
        await store.close()
