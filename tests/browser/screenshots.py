"""Pictures of every page of the console, in both languages and themes; see scripts/screenshots."""

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser.town import talker, town
from tests.scenarios.desk import CHROMIUM, FLAGS, keep
from tests.scenarios.district import legs_online
from tests.scenarios.service import PASSWORD, Service, running

DOCS = Path("docs/images")
CHOSEN = {"channels-en-light": "console.png"}
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


PAGES: dict[str, Callable[[Page], Awaitable[None]]] = {
    "channels": _channels,
    "panel": _panel,
    "emergency": _ask,
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
