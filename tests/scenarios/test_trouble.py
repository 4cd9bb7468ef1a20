"""What goes wrong outside: a browser that vanishes, garbage on every door, a bad configuration. Others go on."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.scenarios.audio import match, speak
from tests.scenarios.desk import choose, desk, press
from tests.scenarios.district import POLICE, URBAN, SimRadio, district, legs_online, until
from tests.scenarios.listeners import WhepListener
from tests.scenarios.service import Service, running

pytestmark = pytest.mark.exclusive


async def session(service: Service, client: httpx.AsyncClient) -> ClientConnection:
    """A session WebSocket as a program opens it, with hello said."""
    ticket = (await client.post("/auth/ticket")).json()["ticket"]
    url = service.url.replace("http", "ws", 1) + f"/api/v1/session?ticket={ticket}"
    socket = await connect(url)
    await socket.send(json.dumps({"type": "hello"}))
    await message(socket, "view")
    return socket


async def message(socket: ClientConnection, kind: str, within_s: float = 5.0) -> dict[str, object]:
    """The next message of a type."""
    async with asyncio.timeout(within_s):
        while True:
            found: dict[str, object] = json.loads(await socket.recv())
            if found["type"] == kind:
                return found


async def holder(client: httpx.AsyncClient, group: str) -> object:
    return (await client.get(f"/talk-groups/{group}")).json()["holder"]


async def test_a_browser_that_vanishes_while_talking_loses_the_floor(tmp_path: Path) -> None:
    police, urban = SimRadio(tmp_path, "police-radio"), SimRadio(tmp_path, "urban-radio")
    service = Service(tmp_path, district(police, urban))
    async with running(service):
        client = await service.login("chief")
        await legs_online(client, 2)
        # SIGKILL of the whole browser, so that nothing says good-bye: the sockets stay with a frozen process first.
        async with desk(service.url, "duty") as page:
            await choose(page, POLICE)
            await press(page)
            assert await holder(client, POLICE) is not None
            pids = _browser_processes()
            for pid in pids:
                os.kill(pid, 19)  # SIGSTOP: connections stay open, and silent
            try:
                started = monotonic()
                while await holder(client, POLICE) is not None:
                    assert monotonic() - started < 3.0, "the floor is free within 3 s"
                    await asyncio.sleep(0.02)
                print(f"browser frozen while talking: floor free after {monotonic() - started:.2f} s")
                await until(lambda: not police.is_keyed, 2, "the radio is unkeyed")
            finally:
                for pid in pids:
                    os.kill(pid, 18)


def _browser_processes() -> list[int]:
    """Chromium processes that this test process has started, by their line of parents."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
            names[int(entry.name)] = stat[stat.index("(") + 1 : stat.rindex(")")]
    found = []
    for pid, name in names.items():
        parent = pid
        while parent in parents and parent != os.getpid():
            parent = parents[parent]
        if parent == os.getpid() and "chrom" in name:
            found.append(pid)
    return found


async def test_garbage_on_every_door_disturbs_nobody(tmp_path: Path) -> None:
    sentence = tmp_path / "order.wav"
    source = speak(sentence, "All teams report your position.", lead_s=0.1, tail_s=0.2)
    police, urban = SimRadio(tmp_path, "police-radio"), SimRadio(tmp_path, "urban-radio")
    service = Service(tmp_path, district(police, urban))
    async with running(service):
        client = await service.login("chief")
        await legs_online(client, 2)
        ear = WhepListener()
        await ear.open(client, POLICE)
        started = police.say(sentence)

        sdp = {"Content-Type": "application/sdp"}
        for offer, status in (("", 422), ("v=0\r\n", 422), ("x" * 40_000, 413)):
            answer = await client.post(f"/whip/{POLICE}", content=offer, headers=sdp)
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.post(f"/whip/{POLICE}", content="{}")).status_code == 415
        assert (await client.post("/whep/nowhere", content="v=0", headers=sdp)).status_code == 404
        assert (await client.post("/joint-channels", content="{")).status_code == 422
        past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        body = {"name": "x", "purpose": "y", "talk_groups": [POLICE, URBAN], "expires_at": past}
        assert (await client.post("/joint-channels", json=body)).status_code == 422
        wrong = {"Authorization": "Bearer wrong"}
        assert (await client.get("/legs", headers=wrong)).status_code == 401
        assert (await client.post("/auth/token", data={"username": "duty", "password": "no"})).status_code == 401

        voice = await session(service, client)
        for text in ("", "{", "[]", '{"type":"nothing"}', '{"type":"ptt.press"}', "x" * 70_000):
            await voice.send(text)
            assert (await message(voice, "error"))["code"] == "malformed"
        await voice.send(json.dumps({"type": "offer", "sdp": "v=0"}))
        assert (await message(voice, "offer.failed"))["code"] == "sdp-without-media"
        await voice.send(json.dumps({"type": "heartbeat", "n": 7}))
        assert (await message(voice, "heartbeat"))["n"] == 7
        await voice.close()

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
            for port in _udp_ports(service.pid):
                for data in (b"", b"\x00", b"\xff" * 1400, os.urandom(60_000), b"\x80\x6f" + os.urandom(20)):
                    noise.sendto(data, ("127.0.0.1", port))

        await asyncio.sleep(len(source) / 48_000 + 0.5)
        assert match(source, ear.recording(started, monotonic())).score > 0.9, "the talk that was on came whole"
        assert (await client.get(service.url + "/readyz")).json()["status"] == "ok"
        await ear.close()


def _udp_ports(pid: int) -> list[int]:
    """Local UDP ports that the process has open."""
    inodes = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(handle)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = []
    for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]:
        words = line.split()
        if words[9] in inodes:
            ports.append(int(words[1].split(":")[1], 16))
    assert ports, "the listener has sockets"
    return ports


def _tongpin(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "tongpin.gateway", *words], capture_output=True, text=True, timeout=60
    )


def test_a_bad_configuration_is_refused_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("server:\n  prot: 80\nlegs:\n  - name: a\n    card: {kind: sim}\n    has_cos: maybe\n")
    for verb in (["check-config", str(file)], ["serve", "--config", str(file)]):
        done = _tongpin(*verb)
        assert done.returncode == 2
        assert f"{file}:2:" in done.stderr
        assert f"{file}:6:" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_taken_port_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = _tongpin("demo", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "taken" in done.stderr


async def test_the_demo_is_as_promised_and_ends_cleanly(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "tongpin.gateway", "demo", "--json", "--port", "0", "--chatter", "busy"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        ready = json.loads(await process.stdout.readline())
    assert set(ready) == {"url", "pid", "udp_port", "users"}
    async with httpx.AsyncClient(base_url=ready["url"] + "/api/v1") as client:
        for role in ("admin", "dispatcher"):
            token = (await client.post("/auth/token", data=ready["users"][role])).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            assert (await client.get("/me")).json()["role"] == role
        await legs_online(client, 2)
        groups = [group["id"] for group in (await client.get("/talk-groups")).json()]
        assert len(groups) == 3
        ends = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
        body = {"name": "At once", "purpose": "demo", "talk_groups": groups[:2], "expires_at": ends}
        opened = await client.post("/joint-channels", json=body)
        assert opened.json()["state"] == "active"
        metrics = (await client.get(ready["url"] + "/metrics")).text
        assert 'tongpin_leg_online{leg="police-radio"} 1.0' in metrics
        assert (await client.get(ready["url"] + "/healthz")).json()["status"] == "ok"
        page = await client.get(ready["url"] + "/")
        assert "text/html" in page.headers["content-type"]
        assert "default-src 'self'" in page.headers["content-security-policy"]
    process.terminate()
    async with asyncio.timeout(15):
        assert await process.wait() == 0
