"""How soon everybody hears after a joint channel was asked for: ``python -m tests.bench.bench_joint_channels``.

One talker speaks on the first group, a packet every 20 ms; ten people listen on each of the others. The time runs from
sending ``POST /joint-channels`` (HTTP in this process, a real SQLite file) to the first packet at the last of them.
"""

import argparse
import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from time import perf_counter

from tests.api.house import House, house
from tests.api.test_many_joint_channels import GROUPS, settings
from tongpin.channels import commands as c
from tongpin.channels.ids import PartyId, PartyKind
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Talk
from tongpin.gateway.records import Role

TALKER = PartyId("session:talker")
LISTENERS = 10
TAKING_PART = 4


class Ear:
    """A sink that says when it first hears a packet."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.heard_at = 0.0

    def begin(self, talk: Talk) -> None:
        """Packets follow."""

    def send(self, talk: int, packet: Packet) -> None:
        if not self.heard.is_set():
            self.heard_at = perf_counter()
            self.heard.set()

    def end(self, talk: int) -> None:
        """The channel is closed."""


async def _speak(home: House) -> None:
    runner, hub, sequence = home.gateway.runner, home.gateway.hub, 0
    hub.add_source(TALKER)
    runner.apply(c.AttachParty(TALKER, PartyKind.SESSION, "talker", talk_limit_s=3600.0, end_of_media_s=60.0))
    runner.apply(c.SetMembership(TALKER, GROUPS[0]))
    runner.apply(c.RequestFloor(TALKER, GROUPS[0]))
    while True:
        hub.push(TALKER, Packet(b"x" * 80, sequence & 0xFFFF, sequence * 960))
        sequence += 1
        await asyncio.sleep(0.02)


async def measure(channels: int) -> list[float]:
    """Milliseconds from the request to the last listener, of each channel."""
    with tempfile.TemporaryDirectory() as folder:
        async with house(Path(folder), settings(Path(folder))) as home:
            runner, hub = home.gateway.runner, home.gateway.hub
            ears: dict[str, list[Ear]] = {}
            for group in GROUPS[1:]:
                for number in range(LISTENERS):
                    party, ear = PartyId(f"session:{group}-{number}"), Ear()
                    runner.apply(c.AttachParty(party, PartyKind.SESSION, party))
                    runner.apply(c.SetMembership(party, group))
                    hub.add_sink(party, ear)
                    ears.setdefault(group, []).append(ear)
            speaking = asyncio.create_task(_speak(home))
            client = await home.client(Role.DISPATCHER)
            out = []
            for number in range(channels):
                first = 1 + number % (len(GROUPS) - TAKING_PART)
                groups = GROUPS[first : first + TAKING_PART - 1]
                waiting = [ear for group in groups for ear in ears[group]]
                for ear in waiting:
                    ear.heard.clear()
                ends = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
                body = {"name": f"n{number}", "purpose": "x", "expires_at": ends, "talk_groups": [GROUPS[0], *groups]}
                asked = perf_counter()
                opened = await client.post("/joint-channels", json=body)
                opened.raise_for_status()
                for ear in waiting:
                    await ear.heard.wait()
                out.append((max(ear.heard_at for ear in waiting) - asked) * 1000)
                (await client.post(f"/joint-channels/{opened.json()['id']}/close")).raise_for_status()
            speaking.cancel()
            await asyncio.wait([speaking])
            return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=200)
    count = parser.parse_args().channels
    cuts = quantiles(asyncio.run(measure(count)), n=100)
    figures = ", ".join(f"p{part} {cuts[part - 1]:.0f} ms" for part in (50, 95, 99))
    print(f"{count} joint channels of {TAKING_PART} groups: {figures}")


if __name__ == "__main__":
    main()
