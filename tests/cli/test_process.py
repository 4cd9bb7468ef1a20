"""The program as a process: ends, signals, streams, and what no log may hold."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

TONGPIN = (sys.executable, "-P", "-m", "tongpin.gateway")
LIMIT_S = 60.0


async def start(*words: str, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *TONGPIN,
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
    )


async def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start("demo", "--port", str(port), folder=tmp_path)
        async with asyncio.timeout(LIMIT_S):
            out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert err.decode().strip() == (
        f"tongpin: port {port} on 127.0.0.1 is taken by another program; choose another server.port"
    )
    assert list(tmp_path.glob("tongpin-demo-*")) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_demo_says_one_line_and_ends_on_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    process = await start("demo", "--port", "0", "--json", "--chatter", "quiet", folder=tmp_path)
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        told = json.loads(await process.stdout.readline())
        assert len(list(tmp_path.glob("tongpin-demo-*"))) == 1
        process.send_signal(number)
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert out == b""
    assert set(told) == {"url", "pid", "udp_port", "users"}
    assert told["pid"] == process.pid
    assert told["url"].startswith("http://127.0.0.1:")
    assert set(told["users"]) == {"admin", "dispatcher"}
    assert all(set(user) == {"username", "password"} for user in told["users"].values())
    assert list(tmp_path.glob("tongpin-demo-*")) == []


async def test_a_demo_that_is_ended_while_it_prepares_leaves_nothing(tmp_path: Path) -> None:
    process = await start("demo", "--port", "0", "--json", folder=tmp_path)
    async with asyncio.timeout(LIMIT_S):
        # The token's or the database's file is the first thing the preparation makes.
        while not list(tmp_path.glob("tongpin-demo-*/*")):
            await asyncio.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 0
    assert list(tmp_path.glob("tongpin-demo-*")) == []


LOGGING = """
import logging, sys, structlog
from tongpin.gateway import logs
logs.set_up(as_json=sys.argv[1] == "json")
log = structlog.get_logger("x")
log.info("log-in", user="chen", password="hunter2", access_token="hunter2", Authorization="hunter2")
log.debug("not shown")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
"""


@pytest.mark.parametrize("form", ["json", "lines"])
async def test_logs_go_to_standard_error_without_secrets(form: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", LOGGING, form, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(LIMIT_S):
        out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"")
    text = err.decode()
    assert "hunter2" not in text
    assert "chen" in text
    assert "ZeroDivisionError" in text
    assert "not shown" not in text
    if form == "json":
        first, second = (json.loads(line) for line in text.splitlines())
        assert first["password"] == first["access_token"] == first["Authorization"] == "***"
        assert (first["event"], first["level"], second["level"]) == ("log-in", "info", "error")
        assert first["timestamp"].endswith("Z")
