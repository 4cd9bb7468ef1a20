"""Loops: an echo is found at any delay, two talkers never, and the leg that hears it is muted for a while."""

import asyncio
import subprocess
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

A, B = PartyId("leg:a"), PartyId("leg:b")


TEXTS = (
    "Alpha five to control, two ambulances at the north gate, one hundred and thirty people, over and out. ",
    "The water has reached the second step of the old bridge, please send the boat and eight more people quickly. ",
    "Kilo two here. Road closed at the market, use the southern way round until further notice, and report back. ",
    "Command to all units: the search of the eastern woods is over, gather at the fire station before nightfall. ",
)


@cache
def envelope(number: int) -> str:
    """Eight seconds of one of four voices as levels, as a leg reports them."""
    voice = ("en-us+m3", "en-gb+f2", "en-us+f4", "en-gb+m1")[number]
    command = ["espeak-ng", "-v", voice, "-s", str(140 + 10 * number), "--stdout", TEXTS[number] * 2]
    wav = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    raw = ["sox", "-t", "wav", "-", "-t", "raw", "-r", "48000", "-e", "signed", "-b", "16", "-c", "1", "-"]
    pcm = np.frombuffer(subprocess.run(raw, input=wav, stdout=subprocess.PIPE, check=True, timeout=60).stdout, np.int16)
    meter = Meter()
    levels = ""
    for frame in pcm[: 400 * 960].reshape(-1, 960):
        meter.add(frame)
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
    sent = envelope(1)
    quieter = "".join(chr(max(ord(step) - 9, ord("!"))) for step in sent)
    watch.run("!" * delay + quieter, sent + "!" * delay)
    assert watch.muted == [(B, True)]
    (told,) = watch.told
    assert (told["kind"], told["party"], told["hears"]) == ("loop_detected", B, A)


async def test_two_talkers_are_no_loop(watch: Watch) -> None:
    voices = [envelope(number) for number in range(4)]
    for received, sent in permutations(voices, 2):
        watch.run(received, sent)
    assert watch.told == []


@pytest.mark.parametrize(("is_open", "is_keyed"), [(False, True), (True, False)])
async def test_only_an_open_leg_that_hears_a_keyed_one_counts(watch: Watch, is_open: bool, is_keyed: bool) -> None:
    sent = envelope(1)
    watch.run(sent, sent, is_open=is_open, is_keyed=is_keyed)
    assert watch.told == []


async def test_hums_are_alike_and_are_no_loop(watch: Watch) -> None:
    watch.run("@" * 400, "P" * 400)
    assert watch.told == []


async def test_the_mute_ends_by_itself(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "MUTE_S", 0.05)
    sent = envelope(1)
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
