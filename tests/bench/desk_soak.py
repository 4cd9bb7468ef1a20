"""A console of 40 groups where somebody begins to talk every few seconds: page heap, nodes and speed of the board.

    .venv/bin/python -m tests.bench.desk_soak --minutes 10

Prints a line a minute. Twelve hours of a shift are 720 minutes; at ``--every 0.5`` a tenth of that has as many talks.
"""

import argparse
import asyncio
import itertools
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

from playwright.async_api import CDPSession

from tests.browser.town import Talker, talker, town
from tests.scenarios.desk import desk
from tests.scenarios.service import Service, running

GROUPS = 40
TALKERS = 6


async def _talk(talkers: list[Talker], every_s: float, counted: list[int]) -> None:
    """Somebody new every ``every_s`` seconds, each for half of that, over all groups in turn."""
    groups = itertools.cycle(str(group["id"]) for group in _groups())
    for one in itertools.cycle(talkers):
        await one.press(next(groups))
        counted[0] += 1
        await asyncio.sleep(every_s / 2)
        await one.release()
        await asyncio.sleep(every_s / 2)


def _groups() -> list[dict[str, object]]:
    found = town(Path(), GROUPS, radios=0)["talk_groups"]
    assert isinstance(found, list)
    return found


async def _figures(session: CDPSession) -> dict[str, float]:
    await session.send("HeapProfiler.collectGarbage")
    answer = await session.send("Performance.getMetrics")
    return {str(metric["name"]): float(metric["value"]) for metric in answer["metrics"]}


async def soak(minutes: int, every_s: float) -> None:
    folder = Path(tempfile.mkdtemp(prefix="tp-"))
    try:
        service = Service(folder, town(folder, GROUPS, radios=0))
        async with running(service), AsyncExitStack() as stack:
            client = await service.login("chief")
            talkers = [await stack.enter_async_context(talker(service, client)) for _ in range(TALKERS)]
            page = await stack.enter_async_context(desk(service.url, "duty"))
            session = await page.context.new_cdp_session(page)
            await session.send("Performance.enable")
            counted = [0]
            talking = asyncio.create_task(_talk(talkers, every_s, counted))
            before = await _figures(session)
            for minute in range(1, minutes + 1):
                started = monotonic()
                await asyncio.sleep(60)
                now = await _figures(session)
                busy = now["TaskDuration"] - before["TaskDuration"]
                print(
                    f"minute {minute}: {counted[0]} talks, heap {now['JSHeapUsedSize'] / 1e6:.2f} MB, "
                    f"{now['Nodes']:.0f} nodes, {now['JSEventListeners']:.0f} listeners, "
                    f"page busy {100 * busy / (monotonic() - started):.1f} %",
                    flush=True,
                )
                before = now
            talking.cancel()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--every", type=float, default=5.0 / GROUPS, help="seconds from one talk to the next")
    wanted = parser.parse_args()
    asyncio.run(soak(wanted.minutes, wanted.every))


if __name__ == "__main__":
    main()
