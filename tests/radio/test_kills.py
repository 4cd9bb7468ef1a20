"""SIGKILL of the gateway while a leg is keyed: the line is inactive within one second and nothing stays behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.radio.legs import SimFolder, running
from tests.radio.lines import PYSERIAL_WARNINGS, Bench, HidBench, Rfc2217Bench, RigctlBench, SimBench
from tongpin.config.models import LegConfig

pytestmark = [pytest.mark.exclusive, *PYSERIAL_WARNINGS]
LIMIT_S = 20.0
RELEASE_S = 1.0
"""The contract's figure."""


@pytest.fixture(params=["sim", "serial", "cm108", "rigctl"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made: Bench
    match request.param:
        case "sim":
            made = SimBench(tmp_path)
        case "serial":
            made = Rfc2217Bench()
        case "cm108":
            made = HidBench(tmp_path)
        case _:
            made = RigctlBench()
    yield made
    made.close()


def leg_on(bench: Bench, folder: Path) -> LegConfig:
    return SimFolder(folder).config(keyer=bench.config.model_dump(mode="json"))


async def until(is_so: Callable[[], bool], limit_s: float) -> float:
    """Poll, because a file and another thread's attribute have no event. Returns the seconds it took."""
    started_at = monotonic()
    async with asyncio.timeout(limit_s):
        while not is_so():
            await asyncio.sleep(0.005)
    return monotonic() - started_at


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_sigkill_of_the_gateway_unkeys(bench: Bench, tmp_path: Path) -> None:
    gateway = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("standin.py")),
        leg_on(bench, tmp_path).model_dump_json(),
        stdout=asyncio.subprocess.PIPE,
    )
    assert gateway.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_S):
            word, pid = (await gateway.stdout.readline()).split()
        assert word == b"keyed"
        await until(lambda: bench.level() is True, LIMIT_S)
    finally:
        gateway.send_signal(signal.SIGKILL)
        await gateway.wait()
    await until(lambda: bench.level() is False, RELEASE_S)
    await until(lambda: not is_running(int(pid)), LIMIT_S)


async def test_a_gateway_that_hangs_loses_the_key(bench: Bench, tmp_path: Path) -> None:
    gateway = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("standin.py")),
        leg_on(bench, tmp_path).model_dump_json(),
        stdout=asyncio.subprocess.PIPE,
    )
    assert gateway.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_S):
            word, pid = (await gateway.stdout.readline()).split()
        assert word == b"keyed"
        await until(lambda: bench.level() is True, LIMIT_S)
        gateway.send_signal(signal.SIGSTOP)
        await until(lambda: bench.level() is False, RELEASE_S)
    finally:
        gateway.send_signal(signal.SIGKILL)
        await gateway.wait()
    await until(lambda: not is_running(int(pid)), LIMIT_S)


async def test_sigkill_of_the_worker_unkeys(bench: Bench, tmp_path: Path) -> None:
    async with running(leg_on(bench, tmp_path)) as (leg, ear):
        leg.key()
        await ear.wait_keyed(True)
        await until(lambda: bench.level() is True, LIMIT_S)
        assert leg.worker_pid is not None
        os.kill(leg.worker_pid, signal.SIGKILL)
        leg.unkey()
        await until(lambda: bench.level() is False, RELEASE_S)
        await ear.wait(lambda: len(ear.onlines) >= 3 and ear.onlines[-1][0])
        assert bench.level() is False


async def test_sigterm_of_the_worker_unkeys(bench: Bench, tmp_path: Path) -> None:
    async with running(leg_on(bench, tmp_path)) as (leg, ear):
        leg.key()
        await ear.wait_keyed(True)
        await until(lambda: bench.level() is True, LIMIT_S)
        assert leg.worker_pid is not None
        os.kill(leg.worker_pid, signal.SIGTERM)
        leg.unkey()
        await until(lambda: bench.level() is False, RELEASE_S)
        await ear.wait(lambda: ear.onlines[-1][0] and len(ear.onlines) >= 3)
