"""Processes killed with real signals: a keyed line is let go, a worker comes back, nobody stays on the floor."""

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.scenarios.audio import speak
from tests.scenarios.district import POLICE, URBAN, SimRadio, district, legs_online, until
from tests.scenarios.service import Service, running

pytestmark = pytest.mark.exclusive


def worker_pids(parent: int, leg: str) -> list[int]:
    """Children of the gateway whose command line or environment names the leg's worker, by /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            words = (entry / "cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[1]) == parent and any("radio.worker" in word for word in words) and any(leg in w for w in words):
            found.append(int(entry.name))
    return found


async def _keyed(service: Service, tmp_path: Path, police: SimRadio, urban: SimRadio) -> httpx.AsyncClient:
    """A long talk of the police radio keys the urban one."""
    long = tmp_path / "long.wav"
    speak(long, "One two three four five six seven eight nine ten. " * 3, lead_s=0.0, tail_s=0.1)
    client = await service.login("chief")
    await legs_online(client, 2)
    body = {"name": "Kill", "purpose": "drill", "talk_groups": [POLICE, URBAN]}
    body["expires_at"] = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    assert (await client.post("/joint-channels", json=body)).status_code == 201
    police.say(long)
    await until(lambda: urban.is_keyed, 2, "the urban radio is keyed")
    return client


async def test_sigkill_of_the_gateway_lets_every_line_go(tmp_path: Path) -> None:
    police, urban = SimRadio(tmp_path, "police-radio"), SimRadio(tmp_path, "urban-radio")
    service = Service(tmp_path, district(police, urban))
    async with running(service):
        await _keyed(service, tmp_path, police, urban)
        workers = worker_pids(service.pid, "police-radio") + worker_pids(service.pid, "urban-radio")
        assert len(workers) == 2
        service.kill()
        took = await until(lambda: not urban.is_keyed, 1.0, "the line is inactive after SIGKILL of the gateway")
        print(f"SIGKILL of the gateway: unkeyed after {took * 1000:.0f} ms")
        await service.wait()
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 5, "the workers have ended")
        await service.start()
        await legs_online(await service.login("chief"), 2)


async def test_sigkill_of_a_worker_lets_its_line_go_and_it_comes_back(tmp_path: Path) -> None:
    police, urban = SimRadio(tmp_path, "police-radio"), SimRadio(tmp_path, "urban-radio")
    service = Service(tmp_path, district(police, urban))
    async with running(service):
        client = await _keyed(service, tmp_path, police, urban)
        (pid,) = worker_pids(service.pid, "urban-radio")
        os.kill(pid, signal.SIGKILL)
        took = await until(lambda: not urban.is_keyed, 1.0, "the line is inactive after SIGKILL of the worker")
        print(f"SIGKILL of the worker: unkeyed after {took * 1000:.0f} ms")
        await until(lambda: bool(worker_pids(service.pid, "urban-radio")), 5, "a new worker")
        await legs_online(client, 2)
