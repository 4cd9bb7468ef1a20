"""The collector: what is new is collected, what lived is left alone, and nothing is left behind at the end."""

import asyncio
import gc
import weakref
from contextlib import suppress

import pytest

from tongpin.gateway import collector


class Node:
    """Part of a cycle."""

    def __init__(self) -> None:
        self.itself = self


async def _until_dead(seen: "weakref.ref[Node]") -> None:
    async with asyncio.timeout(10):
        while seen() is not None:
            await asyncio.sleep(0.005)


async def test_new_cycles_go_and_old_ones_go_when_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "EVERY_S", 0.01)
    monkeypatch.setattr(collector, "YOUNG", 0)
    monkeypatch.setattr(collector, "THOROUGH_EVERY_S", 0.0)
    before = gc.get_threshold()
    is_quiet = False
    task = asyncio.create_task(collector.Collector(lambda: is_quiet).run())
    old = Node()
    while not gc.get_freeze_count():
        await asyncio.sleep(0.005)
    assert gc.get_threshold()[2] == collector.NEVER
    await _until_dead(weakref.ref(Node()))
    old_seen = weakref.ref(old)
    await asyncio.sleep(0.05)
    del old
    await _until_dead(weakref.ref(Node()))
    assert old_seen() is not None, "it was frozen"
    is_quiet = True
    await _until_dead(old_seen)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
