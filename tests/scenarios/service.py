"""A real ``tongpin serve`` in a process of its own, and a client of its REST API."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import yaml

READY_S = 30.0


class Service:
    """The running process.

    Attributes:
        url: its address, known once it is ready.
        log: every line it printed.
    """

    def __init__(self, folder: Path, config: dict[str, object], env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.url = ""
        self.log: list[str] = []
        self._env = {**os.environ, **(env or {}), "PYTHONUNBUFFERED": "1"}
        self._config = folder / "tongpin.yaml"
        self._config.write_text(yaml.safe_dump({"data_folder": str(folder / "data"), **config}, allow_unicode=True))
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._clients: list[httpx.AsyncClient] = []

    async def tongpin(self, *words: str, stdin: str = "") -> str:
        """Run another verb of the command line on the same configuration."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "tongpin.gateway", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._env,
        )
        out, _ = await process.communicate(stdin.encode())
        assert process.returncode == 0, out.decode()
        return out.decode()

    async def add_user(self, username: str, role: str, agency: str | None = None) -> None:
        await self.tongpin(
            *("user", "add", username, "--role", role, "--password-stdin", "--config", str(self._config)),
            *(("--agency", agency) if agency is not None else ()),
            stdin=f"{PASSWORD}\n",
        )

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "tongpin.gateway", "serve", "--config", str(self._config)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._env,
        )
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(ready))
        async with asyncio.timeout(READY_S):
            self.url = await ready

    async def _read(self, ready: asyncio.Future[str]) -> None:
        assert self._process is not None and self._process.stdout is not None
        async for raw in self._process.stdout:
            line = raw.decode(errors="replace").rstrip()
            self.log.append(line)
            found = re.search(r"https?://[^\s\"]+", line)
            if found and not ready.done():
                ready.set_result(found.group().rstrip("/.,"))
        if not ready.done():
            ready.set_exception(RuntimeError("serve ended before it was ready:\n" + "\n".join(self.log)))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        assert self._process is not None
        for client in self._clients:
            await client.aclose()
        async with asyncio.timeout(15):
            code = await self._process.wait()
            if self._reader is not None:
                await self._reader
        return code

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        return await self.wait()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def login(self, username: str) -> httpx.AsyncClient:
        client = httpx.AsyncClient(base_url=self.url + "/api/v1", timeout=10)
        self._clients.append(client)
        answer = await client.post("/auth/token", data={"username": username, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = "Bearer " + answer.json()["access_token"]
        return client


PASSWORD = "correct-horse-battery-staple"


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[Service]:
    """Users made, started, and stopped at the end whatever happened; prints the log when the body failed."""
    await service.add_user("chief", "admin")
    await service.add_user("duty", "dispatcher")
    await service.start()
    try:
        yield service
    except BaseException:
        print("\n".join(service.log[-200:]))
        raise
    finally:
        await service.stop()
