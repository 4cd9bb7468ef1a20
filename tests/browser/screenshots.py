"""Pictures of every page of the console, in both languages and themes; see scripts/screenshots."""

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser.town import talker, town
from tests.scenarios.desk import CHROMIUM, FLAGS, keep
from tests.scenarios.district import legs_online
from tests.scenarios.service import PASSWORD, Service, running

DOCS = Path("docs/images")
CHOSEN = {
    "channels-en-light": "console.png",
    "channels-zh-dark": "console.zh-CN.png",
    "wizard-en-light": "joint-channel.png",
}
"""Which pictures the README and the manual show, and by what name."""


async def _channels(page: Page) -> None:
    await page.goto(page.url.split("#")[0] + "#/channels")
    await expect(page.locator("[data-testid=group-talker][data-state=taken]").first).to_be_visible(timeout=20_000)


def _open(place: str) -> Callable[[Page], Awaitable[None]]:
    async def show(page: Page) -> None:
        await page.goto(page.url.split("#")[0] + f"#/{place}")
        await expect(page.locator("main .wait")).to_have_count(0)
        await page.wait_for_load_state("networkidle")

    return show


async def _panel(page: Page) -> None:
    await _channels(page)
    await page.get_by_test_id("open-group").first.click()


async def _ask(page: Page) -> None:
    await _channels(page)
    await page.get_by_test_id("emergency").click()


async def _wizard(page: Page) -> None:
    await _open("joint/new")(page)
    await page.get_by_test_id("joint-name").fill("Station Road 车站路")
    await page.get_by_test_id("joint-purpose").fill("A boy has fallen on to an air-conditioner platform 男童坠落")
    boxes = page.get_by_test_id("joint-group")
    for index in (0, 4, 8):
        await boxes.nth(index).check()
    await expect(page.get_by_test_id("preview")).to_be_visible()


ADMIN = ("agencies", "talk-groups", "units", "users", "templates", "audit", "health")
PAGES: dict[str, Callable[[Page], Awaitable[None]]] = {
    "channels": _channels,
    "panel": _panel,
    "emergency": _ask,
    "joint": _open("joint"),
    "wizard": _wizard,
    "recordings": _open("recordings"),
    **{f"admin-{name}": _open(f"admin/{name}") for name in ADMIN},
    "settings": _open("settings"),
}
SIZES = {"": (1280, 800), "-phone": (390, 844)}


async def _log_in(page: Page, url: str, username: str) -> None:
    await page.goto(url)
    await page.get_by_test_id("login-username").fill(username)
    await page.get_by_test_id("login-password").fill(PASSWORD)
    await page.get_by_test_id("login-submit").click()
    await expect(page.get_by_test_id("connection-state")).to_have_attribute("data-state", "connected", timeout=20_000)


async def _pictures(browser: Browser, service: Service, folder: Path, only: str) -> None:
    for size, (width, height) in SIZES.items():
        for language in ("en", "zh"):
            for theme in ("light", "dark"):
                page = await browser.new_page(
                    viewport={"width": width, "height": height}, locale="zh-CN" if language == "zh" else "en-GB"
                )
                await keep(page, {"language": language, "theme": theme, "isProcessed": False})
                await page.goto(service.url)
                await page.screenshot(path=folder / f"login{size}-{language}-{theme}.png")
                await _log_in(page, service.url, "chief")
                for name, show in PAGES.items():
                    if only in name:
                        await show(page)
                        await page.screenshot(path=folder / f"{name}{size}-{language}-{theme}.png")
                        await page.keyboard.press("Escape")
                await page.close()


async def _furnish(client: httpx.AsyncClient) -> None:
    """What the pages are to show beside the town itself."""
    grids = {
        "north": [[120.0, 30.02], [120.03, 30.03], [120.03, 30.05], [120.0, 30.05], [120.0, 30.02]],
        "station": [[120.0, 30.0], [120.02, 30.0], [120.03, 30.03], [120.0, 30.02], [120.0, 30.0]],
        "market": [[120.02, 30.0], [120.05, 30.0], [120.05, 30.03], [120.03, 30.03], [120.02, 30.0]],
        "river": [[120.03, 30.03], [120.05, 30.03], [120.06, 30.05], [120.03, 30.05], [120.03, 30.03]],
    }
    for name, ring in grids.items():
        body = {
            "id": name,
            "name": name.title(),
            "scheme": "city",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        await _made(client, "/grids", body)
    for index, (agency, name) in enumerate(
        (("gongan", "Patrol 巡逻"), ("chengguan", "Market team 市场"), ("xiaofang", "Engine 消防车"))
    ):
        unit = {"id": f"unit-{index}", "name": f"{name} {index + 1}", "kind": "team", "agency": agency}
        await _made(
            client, "/units", {**unit, "home_talk_group": f"{agency}-02", "grids": ["market", "station"][: index + 1]}
        )
    members = {
        "talk_groups": ["gongan-01", "chengguan-01"],
        "purpose": "Clear the street 清场",
        "lead_agency": "gongan",
    }
    await _made(
        client, "/templates", {"id": "market-fire", "name": "Market fire 市场火灾", "duration_s": 7200, **members}
    )
    agreed: dict[str, object] = {"name": "Standing 常设", "agencies": ["gongan", "chengguan"], "includes_centre": True}
    await _made(client, "/agreements", agreed)
    end = (datetime.now(UTC) + timedelta(minutes=9)).isoformat()
    members["talk_groups"] = ["gongan-03", "chengguan-03"]
    await _made(client, "/joint-channels", {"name": "Evening peak 晚高峰", "expires_at": end, **members})
    members["talk_groups"] = ["gongan-04", "xiaofang-04"]
    end = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    await _made(client, "/joint-channels", {"name": "Workshop inspection 作坊检查", "expires_at": end, **members})


async def _made(client: httpx.AsyncClient, path: str, body: Mapping[str, object]) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text


async def take(folder: Path, only: str) -> None:
    work = Path(tempfile.mkdtemp(prefix="tp-"))
    try:
        service = Service(work, town(work, 14, radios=3))
        async with running(service), async_playwright() as playwright:
            client = await service.login("duty")
            await legs_online(client, 3)
            chief = await service.login("chief")
            await _furnish(chief)
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
            async with talker(service, client):
                await _pictures(browser, service, folder, only)
            await browser.close()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="pages whose name has this in it")
    parser.add_argument("--docs", action="store_true", help="renew the chosen few in docs/images")
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(wanted.folder, wanted.only))
    if wanted.docs:
        for name, target in CHOSEN.items():
            shutil.copy(wanted.folder / f"{name}.png", DOCS / target)


if __name__ == "__main__":
    main()
