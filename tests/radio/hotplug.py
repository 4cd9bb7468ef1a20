"""A virtual sound card pulled out and put back, again and again, while another leg goes on."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.radio.legs import SimFolder, running
from tests.radio.pulse import PulseBench
from tongpin.config.models import LegConfig


@dataclass(frozen=True, slots=True)
class Cycle:
    """Seconds from pulling it out to ``missing``, and from putting it back to ``online``."""

    missing_s: float
    back_s: float


def card_leg(folder: Path, card: str) -> LegConfig:
    folder.mkdir(exist_ok=True)
    changes = {"name": card, "card": {"kind": "soundcard", "device": card}, "has_cos": False}
    return SimFolder(folder).config(**changes)


async def cycles(pulse: PulseBench, folder: Path, times: int) -> list[Cycle]:
    """Unplug radio-a and put it back. Fails unless both keep worker and name, and radio-b goes on."""
    found = []
    async with (
        running(card_leg(folder / "a", "radio-a")) as (leg, ear),
        running(card_leg(folder / "b", "radio-b")) as (other, other_ear),
    ):
        pid, other_pid = leg.worker_pid, other.worker_pid
        for _ in range(times):
            heard = len(other_ear.statuses)
            pulled_at = monotonic()
            await asyncio.to_thread(pulse.unplug, "radio-a")
            await ear.wait_online(False)
            missing_s = monotonic() - pulled_at
            assert leg.status.reason
            await other_ear.wait(lambda heard=heard: len(other_ear.statuses) > heard + 2)  # type: ignore[misc]
            await asyncio.to_thread(pulse.plug_in, "radio-a")
            plugged_at = monotonic()
            await ear.wait_online(True)
            found.append(Cycle(missing_s, monotonic() - plugged_at))
            assert (leg.status.name, leg.worker_pid) == ("radio-a", pid)
        assert other.worker_pid == other_pid
        assert [is_online for is_online, _ in other_ear.onlines] == [True], other_ear.onlines
    return found
