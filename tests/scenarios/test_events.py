"""Server-sent events of a real service: view, then events; and what was missed, or that it is gone, after a break."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx

from tests.scenarios.service import Service, running
from tests.scenarios.test_database_away import CONFIG


async def messages(client: httpx.AsyncClient, last: str) -> AsyncGenerator[tuple[str, str, dict[str, Any]], None]:
    """Id, kind and data of each event after an id."""
    async with client.stream("GET", "/events", headers={"Last-Event-ID": last}, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        found: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if line and name:
                found[name] = value
            elif "event" in found:
                yield found["id"], found["event"], json.loads(found["data"])
                found = {}


async def test_a_program_follows_comes_back_and_is_told_after_a_restart(tmp_path: Path, storage_url: str) -> None:
    service = Service(tmp_path, {**CONFIG, "storage": {"url": storage_url}})
    async with running(service), asyncio.timeout(100):
        client = await service.login("chief")
        picture = (await client.get("/view")).json()
        assert [group["id"] for group in picture["view"]["groups"]] == ["police-1"]
        assert {"agencies", "legs", "nets", "parties"} <= set(picture["view"])
        following = messages(client, str(picture["sequence"]))
        await client.post("/talk-groups", json={"id": "one", "name": "One"})
        first, kind, data = await anext(following)
        assert (kind, data["event"]["group"], int(first)) == ("group_defined", "one", picture["sequence"] + 1)
        await following.aclose()
        await client.post("/talk-groups", json={"id": "two", "name": "Two"})
        following = messages(client, first)
        second, _, data = await anext(following)
        assert data["event"]["group"] == "two"
        await following.aclose()
        await service.restart()
        client = await service.login("chief")
        following = messages(client, second)
        _, kind, data = await anext(following)
        await following.aclose()
        assert kind == "reset"
        assert data["sequence"] == (await client.get("/view")).json()["sequence"]
        # A client of its own: the service's helper closes those that it knows before it waits for the end.
        async with httpx.AsyncClient(base_url=client.base_url, headers=client.headers) as own:
            following = messages(own, str(data["sequence"]))
            waiting = asyncio.ensure_future(anext(following))
            await asyncio.sleep(0)
            assert await service.stop() == 0, "an open stream does not hold up the end"
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await following.aclose()
