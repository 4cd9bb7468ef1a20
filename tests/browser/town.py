"""A town for the browser to look at: three agencies, as many talk groups as wanted, simulated radios, and talkers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from tests.scenarios.service import Service

AGENCIES: list[dict[str, object]] = [
    {"id": "gongan", "name": "Public Security 公安", "color": "#1f5fbf"},
    {"id": "chengguan", "name": "Urban Management 城管", "color": "#1b8a5a"},
    {"id": "xiaofang", "name": "Fire Brigade 消防", "color": "#c0392b"},
]
_NAMES = {
    "gongan": ("Police station {n} 派出所{n}", "Traffic {n} 交警{n}", "Patrol {n} 巡特警{n}"),
    "chengguan": ("Urban team {n} 城管{n}中队", "Market {n} 市场{n}", "Night watch {n} 夜巡{n}"),
    "xiaofang": ("Fire station {n} 消防{n}站", "Rescue {n} 救援{n}", "Water supply {n} 供水{n}"),
}


def town(folder: Path, groups: int, *, radios: int = 4, repeat_s: float = 12.0) -> dict[str, object]:
    """Groups are dealt to the agencies in turn; the first ``radios`` of them have a simulated radio that speaks."""
    found: list[dict[str, object]] = []
    for index in range(groups):
        agency = str(AGENCIES[index % 3]["id"])
        names = _NAMES[agency]
        name = names[index // 3 % 3].format(n=index // 9 + 1)
        found.append({"id": f"{agency}-{index // 3 + 1:02}", "name": name, "agency": agency})
    legs = [
        {
            "name": f"radio-{index + 1}",
            "label": f"{str(group['name']).split()[0]} radio {index + 1}",
            "agency": group["agency"],
            "talk_group": group["id"],
            "has_cos": True,
            "card": {
                "kind": "sim",
                "control": str(folder / f"radio-{index + 1}.sock"),
                "utterances": [{"at_s": 1.0 + 3.0 * index, "seconds": 2.5}] if repeat_s else [],
                "repeat_s": repeat_s or None,
            },
            "keyer": {"kind": "sim", "file": str(folder / f"radio-{index + 1}.ptt")},
        }
        for index, group in enumerate(found[:radios])
    ]
    return {
        "server": {"host": "127.0.0.1", "port": 0},
        "agencies": AGENCIES,
        "talk_groups": found,
        "legs": legs,
    }


class Talker:
    """A session without sound: takes floors and lets them go, so that the board has something to show."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._answers: asyncio.Queue[str] = asyncio.Queue(100)

    async def run(self) -> None:
        """Heartbeats, and the answers to presses. Ends by cancellation."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat())
            tasks.create_task(self._read())

    async def press(self, group: str, priority: str = "normal") -> str:
        """Ask for the floor; the type of the answer."""
        while not self._answers.empty():
            self._answers.get_nowait()
        await self._say({"type": "ptt.press", "group": group, "priority": priority})
        async with asyncio.timeout(10):
            return await self._answers.get()

    async def release(self) -> None:
        await self._say({"type": "ptt.release"})

    async def _say(self, message: dict[str, object]) -> None:
        await self._socket.send(json.dumps(message))

    async def _beat(self) -> None:
        while True:
            await self._say({"type": "heartbeat", "n": 1})
            await asyncio.sleep(1)

    async def _read(self) -> None:
        async for text in self._socket:
            kind = str(json.loads(text)["type"])
            if kind in ("ptt.granted", "ptt.queued", "ptt.denied"):
                with suppress(asyncio.QueueFull):
                    self._answers.put_nowait(kind)


@asynccontextmanager
async def talker(service: Service, client: httpx.AsyncClient) -> AsyncIterator[Talker]:
    """A session of the client's user."""
    answer = await client.post("/auth/ticket")
    url = service.url.replace("http", "ws", 1) + f"/api/v1/session?ticket={answer.json()['ticket']}"
    async with websockets.connect(url) as socket:
        found = Talker(socket)
        await socket.send(json.dumps({"type": "hello"}))
        running = asyncio.create_task(found.run())
        try:
            yield found
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError, ExceptionGroup):
                await running
