"""A small district on simulated radios: two agencies, a talk group and a donor radio each."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import httpx

from tests.scenarios.audio import Pcm, read_wav

POLICE, URBAN = "police-1", "urban-1"


class SimRadio:
    """The far end of a simulated leg: makes it speak, reads what it was told to transmit and its keying line."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.line = folder / f"{name}.ptt"
        self.transmitted = folder / f"{name}-tx.wav"
        self.control = folder / f"{name}.sock"

    def config(self, agency: str, group: str, **more: object) -> dict[str, object]:
        return {
            "name": self.name,
            "label": self.name.title(),
            "agency": agency,
            "talk_group": group,
            "has_cos": True,
            "card": {"kind": "sim", "record": str(self.transmitted), "control": str(self.control), "noise_dbfs": -75.0},
            "keyer": {"kind": "sim", "file": str(self.line)},
            **more,
        }

    def say(self, wav: Path) -> float:
        """Start speaking; monotonic seconds of the command."""
        self.command(f"say {wav}")
        return monotonic()

    def command(self, text: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(text.encode(), str(self.control))

    @property
    def is_keyed(self) -> bool:
        return self.line.exists() and self.line.read_text().strip() == "1"

    def recording(self) -> Pcm:
        return read_wav(self.transmitted)


def district(police: SimRadio, urban: SimRadio) -> dict[str, object]:
    return {
        "server": {"host": "127.0.0.1", "port": 0},
        "agencies": [
            {"id": "gongan", "name": "Public Security", "color": "#1f5fbf"},
            {"id": "chengguan", "name": "Urban Management", "color": "#1b8a5a"},
        ],
        "talk_groups": [
            {"id": POLICE, "name": "Police 1", "agency": "gongan"},
            {"id": URBAN, "name": "Urban 1", "agency": "chengguan"},
        ],
        "agreements": [{"id": "joint-service", "name": "Joint service", "agencies": ["gongan", "chengguan"]}],
        "legs": [police.config("gongan", POLICE), urban.config("chengguan", URBAN)],
    }


async def until(check: Callable[[], bool], within_s: float, what: str) -> float:
    """Wait until the check holds; the seconds it took. Fails by name."""
    started = monotonic()
    while not check():
        if monotonic() - started > within_s:
            raise AssertionError(f"not within {within_s} s: {what}")
        await asyncio.sleep(0.01)
    return monotonic() - started


async def legs_online(client: httpx.AsyncClient, count: int) -> None:
    """Wait until that many legs are on line."""
    async with asyncio.timeout(15):
        while True:
            legs = (await client.get("/legs")).json()
            if sum(leg["online"] for leg in legs) == count:
                return
            await asyncio.sleep(0.05)
