"""Loops: an echo is found at any delay, two talkers never, and the leg that hears it is muted for a while."""

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.gateway.test_wiring import GROUP, Bench
from tongpin.channels import commands as c
from tongpin.channels.ids import PartyId
from tongpin.gateway import loops
from tongpin.gateway.events.log import Json
from tongpin.gateway.loops import LoopGuard
from tongpin.gateway.radio.level import Meter
from tongpin.gateway.radio.sim import make_voice

A, B = PartyId("leg:a"), PartyId("leg:b")


@cache
def envelope(seconds: float, seed: int, noise_dbfs: float = -60.0) -> str:
    """A voice's levels, as a leg reports them."""
    meter = Meter()
    noise = np.random.default_rng(seed).normal(0, 32768 * 10 ** (noise_dbfs / 20), int(seconds * 48_000))
    whole = make_voice(seconds, seed) + noise
    levels = ""
    for frame in whole[: whole.size // 960 * 960].reshape(-1, 960):
        meter.add(np.clip(frame, -32768, 32767).astype(np.int16))
        levels += meter.take_envelope()
    return levels


class Watch:
    def __init__(self) -> None:
        self.muted: list[tuple[PartyId, bool]] = []
        self.told: list[dict[str, Json]] = []
        self.guard = LoopGuard(lambda party, is_muted: self.muted.append((party, is_muted)), self.told.append)

    def run(self, received: str, sent: str, *, is_open: bool = True, is_keyed: bool = True) -> None:
        """Leg A transmits and leg B receives, ten frames a status."""
        for start in range(0, min(len(received), len(sent)), 10):
            part = slice(start, start + 10)
            self.guard.status(A, is_keyed, False, "!" * 10, sent[part])
            self.guard.status(B, False, is_open, received[part], "!" * 10)


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    watch = Watch()
    yield watch
    watch.guard.close()


@pytest.mark.parametrize("delay", [0, 7, 25, 50])
async def test_an_echo_is_found_at_any_delay(watch: Watch, delay: int) -> None:
    sent = envelope(8.0, 1)
    quieter = "".join(chr(max(ord(step) - 9, ord("!"))) for step in sent)
    watch.run("!" * delay + quieter, sent + "!" * delay)
    assert watch.muted == [(B, True)]
    (told,) = watch.told
    assert (told["kind"], told["party"], told["hears"]) == ("loop_detected", B, A)


async def test_two_talkers_are_no_loop(watch: Watch) -> None:
    voices = [envelope(8.0, seed) for seed in range(4)]
    for received, sent in permutations(voices, 2):
        watch.run(received, sent)
    assert watch.told == []


@pytest.mark.parametrize(("is_open", "is_keyed"), [(False, True), (True, False)])
async def test_only_an_open_leg_that_hears_a_keyed_one_counts(watch: Watch, is_open: bool, is_keyed: bool) -> None:
    sent = envelope(8.0, 1)
    watch.run(sent, sent, is_open=is_open, is_keyed=is_keyed)
    assert watch.told == []


async def test_hums_are_alike_and_are_no_loop(watch: Watch) -> None:
    watch.run("@" * 400, "P" * 400)
    assert watch.told == []


async def test_the_mute_ends_by_itself(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "MUTE_S", 0.05)
    sent = envelope(6.0, 1)
    watch.run(sent, sent)
    async with asyncio.timeout(5):
        while len(watch.muted) < 2:
            await asyncio.sleep(0.01)
    assert watch.muted == [(B, True), (B, False)]
    assert watch.told[-1] == {"kind": "loop_ended", "party": B}


async def test_a_muted_leg_has_no_floor_until_it_opens_anew() -> None:
    bench = Bench()
    bench.runner.apply(c.DefineGroup(GROUP, "G"))
    for leg in bench.legs.values():
        leg.online(True)
    bench.a.gate_moved(True)
    bench.a.mute(True)
    assert bench.runner.view().nets[0].floor.holder is None
    bench.a.gate_moved(False)
    bench.a.gate_moved(True)
    assert bench.runner.view().nets[0].floor.holder is None
    bench.a.mute(False)
    bench.a.gate_moved(False)
    bench.a.gate_moved(True)
    assert bench.runner.view().nets[0].floor.holder == A
    bench.runner.close()


def test_levels_are_clipped_to_a_range() -> None:
    levels: NDArray[np.float64] = np.zeros(225)
    assert loops.likeness(levels, levels) == 0.0
