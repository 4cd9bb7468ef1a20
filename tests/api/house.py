"""The whole HTTP side in this process, over a real database, with three agencies and callers of every post."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import func, select

from tongpin.config.models import AgencyConfig, Config, TalkGroupConfig
from tongpin.gateway.api.app import create_app
from tongpin.gateway.app import Gateway, prepare_store
from tongpin.gateway.records import Role, User
from tongpin.gateway.storage.models import AuditRow
from tongpin.gateway.storage.repository import SqlRepository
from tongpin.gateway.storage.store import Store

AGENCIES = ("gongan", "chengguan", "xiaofang")


@dataclass(slots=True)
class House:
    """What a test works with.

    Attributes:
        made: users by (role, agency), made when first asked for.
    """

    gateway: Gateway
    store: Store
    repository: SqlRepository
    transport: httpx.ASGITransport
    stack: AsyncExitStack
    made: dict[tuple[Role, str | None], User] = field(default_factory=dict)

    async def user(self, role: Role, agency: str | None = None) -> User:
        """The one user who has this post; the password hash fits nothing."""
        if (role, agency) not in self.made:
            name = f"{role.value}-{agency or 'centre'}"
            self.made[role, agency] = user = User(f"u-{name}", name, "!", role, agency)
            await self.repository.save_user(user, is_new=True)
        return self.made[role, agency]

    async def client(self, role: Role | None = Role.ADMIN, agency: str | None = None) -> httpx.AsyncClient:
        """A client that is logged in as the user of this post; None = not logged in."""
        client = await self.stack.enter_async_context(
            httpx.AsyncClient(transport=self.transport, base_url="http://house/api/v1")
        )
        if role is not None:
            token = self.gateway.services.tokens.issue(await self.user(role, agency))
            client.headers["Authorization"] = f"Bearer {token}"
        return client

    async def audit(self) -> list[tuple[str, str, str, str | None]]:
        """Action, actor, subject and agency of every entry."""
        async with self.store.reading() as session:
            rows = (await session.scalars(select(AuditRow).order_by(AuditRow.sequence))).all()
        return [(row.action, row.actor, row.subject, row.agency) for row in rows]

    async def audit_count(self) -> int:
        async with self.store.reading() as session:
            return await session.scalar(select(func.count()).select_from(AuditRow)) or 0


@asynccontextmanager
async def house(folder: Path, config: Config | None = None) -> AsyncIterator[House]:
    """Agencies police, urban management and fire with a talk group each, and one of the command centre."""
    settings = config or Config(
        data_folder=folder / "data",
        agencies=tuple(AgencyConfig(id=agency, name=agency.title()) for agency in AGENCIES),
        talk_groups=(
            *(TalkGroupConfig(id=f"{agency}-1", name=f"{agency} 1", agency=agency) for agency in AGENCIES),
            TalkGroupConfig(id="centre-1", name="centre 1"),
        ),
    )
    store = await prepare_store(settings)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:

        def spawn(work: Awaitable[None]) -> None:
            async def run() -> None:
                await work

            tasks.create_task(run())

        gateway = Gateway(settings, store, spawn)
        await gateway.restore()
        transport = httpx.ASGITransport(create_app(gateway.services), raise_app_exceptions=False)
        try:
            yield House(gateway, store, SqlRepository(store), transport, stack)
        finally:
            gateway.runner.close()
            await gateway.engine.close()
            await stack.aclose()
            await store.close()
