"""What systemd is told, on a real datagram socket."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tongpin.gateway.notify import keep_alive, notify, watchdog_s


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def test_a_state_is_told(manager: socket.socket) -> None:
    notify("READY=1")
    assert manager.recv(100) == b"READY=1"


def test_an_abstract_address_works_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"tongpin-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("STOPPING=1")
        assert listener.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("address", ["", "relative", "/no/such/socket"])
def test_without_a_manager_nothing_happens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


async def test_the_watchdog_is_fed_as_often_as_it_wants(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_s() == pytest.approx(0.01)
    feeding = asyncio.create_task(keep_alive())
    told = [await asyncio.to_thread(manager.recv, 100) for _ in range(3)]
    assert told == [b"WATCHDOG=1"] * 3
    feeding.cancel()


@pytest.mark.parametrize(
    ("usec", "pid"), [("", None), ("soon", None), ("0", None), ("30000", "1")], ids=["unset", "text", "zero", "other"]
)
async def test_nobody_is_fed_who_does_not_watch_us(usec: str, pid: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    assert watchdog_s() is None
    await keep_alive()
