"""The service on PostgreSQL while the server is stopped: changes are refused whole, and all is well when it is back."""

import asyncio
from pathlib import Path

import httpx

from tests.postgres import OwnPostgres
from tests.scenarios.service import Service, running

CONFIG: dict[str, object] = {
    "server": {"host": "127.0.0.1", "port": 0},
    "agencies": [{"id": "gongan", "name": "Public Security"}],
    "talk_groups": [{"id": "police-1", "name": "Police 1", "agency": "gongan"}],
}


async def test_503_meanwhile_and_well_again(tmp_path: Path, own_postgres: OwnPostgres) -> None:
    service = Service(tmp_path, {**CONFIG, "storage": {"url": own_postgres.url("postgres")}})
    async with running(service):
        client = await service.login("chief")
        body = {"id": "fire-1", "name": "Fire 1"}
        await asyncio.to_thread(own_postgres.stop)
        for _ in range(3):
            answer = await client.post("/talk-groups", json=body)
            assert answer.status_code == 503, answer.text
            assert answer.json()["type"] == "urn:tongpin:problem:store-unavailable"
        async with httpx.AsyncClient(base_url=service.url) as plain:
            assert (await plain.get("/readyz")).status_code == 503
            assert (await plain.get("/healthz")).status_code == 200
        groups = (await client.get("/talk-groups")).json()
        assert [group["id"] for group in groups] == ["police-1"], "nothing was applied, and what stands is still told"
        await asyncio.to_thread(own_postgres.start)
        answer = await client.post("/talk-groups", json=body)
        assert answer.status_code == 201, answer.text
        async with httpx.AsyncClient(base_url=service.url) as plain:
            assert (await plain.get("/readyz")).status_code == 200
