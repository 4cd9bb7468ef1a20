"""A whole run, and nothing in its log that lets anybody in; and who is thrown out by the command line is out."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

import httpx
import websockets

from tests.scenarios.service import PASSWORD, Service, running
from tongpin.gateway import otp


async def test_no_secret_stands_in_the_log_and_a_disabled_user_is_out_within_a_second(tmp_path: Path) -> None:
    service = Service(tmp_path, {"server": {"port": 0}})
    wrong, other = "wrong-horse-battery-staple", "another-horse-battery-1"
    async with running(service), httpx.AsyncClient(base_url=service.url + "/api/v1", timeout=30) as client:
        await client.post("/auth/token", data={"username": "duty", "password": wrong})
        await client.post("/auth/token", data={"username": wrong, "password": PASSWORD})
        given = (await client.post("/auth/token", data={"username": "chief", "password": PASSWORD})).json()
        client.headers["Authorization"] = f"Bearer {given['access_token']}"
        again = (await client.post("/auth/refresh", json={"refresh_token": given["refresh_token"]})).json()
        enrolled = (await client.post("/auth/totp", json={"password": PASSWORD})).json()
        padded = enrolled["secret"] + "=" * (-len(enrolled["secret"]) % 8)
        code = otp.code_at(base64.b32decode(padded), int(time()) // otp.STEP_S)
        recovery = (await client.post("/auth/totp/confirm", json={"code": code})).json()["recovery_codes"]
        end = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        key = (
            await client.post(
                "/api-keys", json={"name": "cad", "role": "dispatcher", "verbs": ["see"], "expires_at": end}
            )
        ).json()
        assert (await client.get("/legs", headers={"Authorization": f"Bearer {key['secret']}"})).status_code == 200
        assert (await client.put("/users/duty/password", json={"password": other})).status_code == 204
        duty = (await client.post("/auth/token", data={"username": "duty", "password": other})).json()
        bearer = {"Authorization": f"Bearer {duty['access_token']}"}
        ticket = (await client.post("/auth/ticket", headers=bearer)).json()["ticket"]
        address = service.url.replace("http", "ws", 1) + f"/api/v1/session?ticket={ticket}"
        async with websockets.connect(address) as socket:
            await socket.send(json.dumps({"type": "hello"}))
            assert json.loads(await socket.recv())["type"] == "welcome"
            loop = asyncio.get_running_loop()
            await service.tongpin("user", "disable", "duty", "--config", str(tmp_path / "tongpin.yaml"))
            disabled = loop.time()
            bye = {}
            async for text in socket:
                bye = json.loads(text)
            print(f"ended {loop.time() - disabled:.2f} s after the command line was done")
            assert (bye["type"], bye["code"]) == ("bye", "revoked")
        assert (await client.get("/me", headers=bearer)).status_code == 401
        await client.get("/me", headers={"Authorization": "Bearer tpk_a-secret-that-is-none"})
    said = "\n".join(service.log)
    secrets = [
        *(PASSWORD, wrong, other, enrolled["secret"], key["secret"], ticket, *recovery),
        *(one[name] for one in (given, again, duty) for name in ("access_token", "refresh_token")),
        "a-secret-that-is-none",
    ]
    assert [secret for secret in secrets if secret in said] == []
    assert "Traceback" not in said
