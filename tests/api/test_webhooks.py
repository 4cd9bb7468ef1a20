"""Webhooks by REST: their life, whose they are, secrets shown once, and the sample receiver of the documentation."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.api.house import House
from tests.events.receiver import Receiver, receiver
from tongpin.gateway.records import Role
from tongpin.gateway.webhooks import sign

SAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "webhook_receiver.py"


@pytest.fixture
async def ear() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


@pytest.fixture
async def sending(home: House) -> AsyncIterator[House]:
    """The house with its sender of webhooks at work."""
    running = asyncio.create_task(home.gateway.webhooks.run())
    yield home
    await home.gateway.webhooks.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_life_of_a_webhook(sending: House, ear: Receiver) -> None:
    client = await sending.client()
    answer = await client.post("/webhooks", json={"name": "Board", "url": ear.url, "kinds": ["group_defined"]})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    path = answer.headers["Location"].removeprefix("/api/v1")
    assert path == f"/webhooks/{made['id']}"
    secret = made.pop("secret")
    assert (await client.get(path)).json() == made
    assert (await client.get("/webhooks")).json() == [made]
    assert (await client.post("/talk-groups", json={"id": "new-1", "name": "New"})).status_code == 201
    await ear.until(1)
    headers, body = ear.got[0]
    assert json.loads(body)["event"]["group"] == "new-1"
    assert headers["tongpin-signature"] == sign(secret, headers["tongpin-timestamp"], body)
    renewed = (await client.post(f"{path}/secret")).json()["secret"]
    assert renewed != secret
    tested = (await client.post(f"{path}/test")).json()
    assert (tested["is_delivered"], tested["status"], tested["error"]) == (True, 204, "")
    headers, body = ear.got[1]
    assert headers["tongpin-signature"] == sign(renewed, headers["tongpin-timestamp"], body)
    changed = await client.patch(path, json={"name": "Wall", "kinds": [], "is_active": False})
    assert changed.json() == made | {"name": "Wall", "kinds": [], "is_active": False}
    assert (await client.get(f"{path}/dead-letters")).json() == {"items": [], "next": None}
    assert (await client.post(f"{path}/dead-letters/d-nix/redeliver")).status_code == 404
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.get("/webhooks")).json() == []
    entries = [entry[0] for entry in await sending.audit() if entry[0].startswith("webhook.")]
    assert entries == ["webhook.created", "webhook.secret-renewed", "webhook.changed", "webhook.retired"]


async def test_each_agency_has_its_own(home: House) -> None:
    police = await home.client(Role.AGENCY_ADMIN, "gongan")
    urban = await home.client(Role.AGENCY_ADMIN, "chengguan")
    centre = await home.client()
    body = {"name": "Board", "url": "https://example.org/"}
    made = (await police.post("/webhooks", json=body)).json()
    assert made["agency"] == "gongan"
    assert (await centre.post("/webhooks", json=body)).json()["agency"] is None
    assert (await police.post("/webhooks", json={**body, "agency": "chengguan"})).status_code == 403
    assert [len((await client.get("/webhooks")).json()) for client in (police, urban, centre)] == [1, 0, 2]
    path = f"/webhooks/{made['id']}"
    for verb, end in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/secret"), ("POST", "/test")):
        answer = await urban.request(verb, path + end, json={} if verb == "PATCH" else None)
        assert answer.status_code == 404, (verb, end)
    assert (await centre.get(path)).json()["agency"] == "gongan"
    for role in (Role.DISPATCHER, Role.OFFICER, Role.AUDITOR):
        assert (await (await home.client(role, "gongan")).get("/webhooks")).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x", "url": "ftp://example.org/"},
        {"name": "x", "url": "http://169.254.169.254/"},
        {"name": "x", "url": "https://example.org/", "kinds": ["Not A Kind"]},
        {"name": "x", "url": "https://example.org/", "secret": "mine"},
    ],
)
async def test_a_wrong_webhook_is_refused(body: dict[str, object], home: House) -> None:
    client = await home.client()
    assert (await client.post("/webhooks", json=body)).status_code == 422
    assert (await client.get("/webhooks")).json() == []


async def test_the_sample_receiver_takes_each_event_once_and_refuses_replays(
    sending: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tongpin.gateway.events.webhooks.ATTEMPT_S", 60.0)  # a busy machine is no slow receiver
    client = await sending.client()
    # The secret must be known before the receiver is started, and its port before the webhook is made right.
    made = (await client.post("/webhooks", json={"name": "Sample", "url": "http://127.0.0.1:9/"})).json()
    secret = made["secret"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SAMPLE), "0"),
        stdout=subprocess.PIPE,
        env={**os.environ, "TONGPIN_WEBHOOK_SECRET": secret},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(100):
            url = f"http://127.0.0.1:{json.loads(await process.stdout.readline())['port']}/"
            assert (await client.patch(f"/webhooks/{made['id']}", json={"url": url})).status_code == 200
            outcome = (await client.post(f"/webhooks/{made['id']}/test")).json()
            assert outcome["is_delivered"], outcome
            assert json.loads(await process.stdout.readline())["event"] == {"kind": "test"}

            async def send(body: bytes, delivery: str, timestamp: int, key: str = secret) -> int:
                stamp = str(timestamp)
                headers = {"Tongpin-Delivery": delivery, "Tongpin-Timestamp": stamp}
                headers["Tongpin-Signature"] = sign(key, stamp, body)
                async with httpx.AsyncClient(timeout=60) as plain:
                    return (await plain.post(url, content=body, headers=headers)).status_code

            now = int(time.time())
            assert await send(b'{"n": 1}', "d-1", now) == 204
            assert await send(b'{"n": 1}', "d-1", now) == 200, "a replay is answered, and not taken"
            assert await send(b'{"n": 2}', "d-2", now, "whsec_wrong") == 401
            assert await send(b'{"n": 3}', "d-3", now - 3600) == 400
            assert await send(b'{"n": 4}', "d-4", now + 3600) == 400
            assert await send(b'{"n": 5}', "d-5", now) == 204
            taken = [json.loads(await process.stdout.readline()) for _ in range(2)]
            assert taken == [{"n": 1}, {"n": 5}]
    finally:
        process.kill()
        await process.wait()
