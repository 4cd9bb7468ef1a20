"""A dispatcher's desk: real Chromium with a fake microphone on the console's page."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from tests.scenarios.service import PASSWORD

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


@asynccontextmanager
async def desk(
    url: str, username: str, microphone: Path | None = None, *, processing: bool = False, **prefs: object
) -> AsyncIterator[Page]:
    """Open the console, log in, and wait until the connection stands.

    Args:
        microphone: a WAV that the fake microphone plays over and over from the moment it is opened.
        processing: leave the browser's noise suppression and echo canceller on.
        prefs: further settings of the page, as it keeps them.
    """
    if not Path(CHROMIUM).exists():
        raise RuntimeError("Chromium is missing: apt-get install chromium")
    flags = [*FLAGS]
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            page = await browser.new_page(viewport={"width": 1280, "height": 800}, locale="en-GB")
            page.on("console", lambda message: print(f"[{username}'s page] {message.type}: {message.text}"))
            page.on("pageerror", lambda error: print(f"[{username}'s page] error: {error}"))
            await keep(page, {"isProcessed": processing, **prefs})
            await page.goto(url)
            await page.get_by_test_id("login-username").fill(username)
            await page.get_by_test_id("login-password").fill(PASSWORD)
            await page.get_by_test_id("login-submit").click()
            await expect(page.get_by_test_id("connection-state")).to_have_attribute(
                "data-state", "connected", timeout=20_000
            )
            yield page
        finally:
            await browser.close()


async def keep(page: Page, prefs: dict[str, object]) -> None:
    """Settings that the page finds in its store when it has none of its own."""
    text = json.dumps(json.dumps(prefs))
    await page.add_init_script(
        f"if (!localStorage.getItem('tongpin.prefs')) localStorage.setItem('tongpin.prefs', {text})"
    )


async def choose(page: Page, group: str) -> None:
    """Make the group the one that the key talks on."""
    card = page.locator(f"[data-testid=group-card][data-group='{group}']")
    await card.get_by_test_id("select-group").click()


async def press(page: Page) -> None:
    """Hold the key down with the mouse and wait for the floor."""
    key = page.get_by_test_id("ptt-key")
    await key.hover()
    await page.mouse.down()
    await expect(key).to_have_attribute("data-state", "talking", timeout=5_000)


async def release(page: Page) -> None:
    await page.mouse.up()
    await expect(page.get_by_test_id("ptt-key")).to_have_attribute("data-state", "idle", timeout=5_000)
