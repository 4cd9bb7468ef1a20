"""Dispatchers at their consoles, in real Chromium, through what a shift brings; radios are simulated."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.scenarios.desk import choose, desk, press, release
from tests.scenarios.district import POLICE, SimRadio, district, legs_online
from tests.scenarios.service import Service, running

pytestmark = [pytest.mark.exclusive, pytest.mark.timeout(240)]

PATIENCE_MS = 20_000


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="tp-"))  # A short path: it holds Unix sockets.
    yield path
    shutil.rmtree(path, ignore_errors=True)


def _radios(folder: Path) -> tuple[SimRadio, SimRadio]:
    return SimRadio(folder, "police-radio"), SimRadio(folder, "urban-radio")


def _card(page: Page, group: str) -> Locator:
    return page.locator(f"[data-testid=group-card][data-group='{group}']")


async def test_a_conflict_an_emergency_and_a_lost_network(folder: Path) -> None:
    service = Service(folder, district(*_radios(folder)))
    async with running(service):
        await legs_online(await service.login("duty"), 2)
        async with desk(service.url, "duty") as duty, desk(service.url, "chief") as chief:
            for page in (duty, chief):
                await choose(page, POLICE)
            key = chief.get_by_test_id("ptt-key")
            await press(duty)
            await key.hover()
            await chief.mouse.down()
            await expect(key).to_have_attribute("data-state", "queued", timeout=PATIENCE_MS)
            await expect(_card(duty, POLICE).get_by_test_id("group-queue")).to_contain_text("1. chief")
            await expect(_card(chief, POLICE).get_by_test_id("group-queue")).to_contain_text("1. You")
            await release(duty)
            await expect(key).to_have_attribute("data-state", "talking", timeout=PATIENCE_MS)

            # An emergency call cuts off whoever talks, and everybody is told until they say that they know.
            await duty.get_by_test_id("emergency").click()
            await duty.get_by_test_id("ask-yes").click()
            await expect(duty.get_by_test_id("own-emergency")).to_contain_text("Police 1")
            await press(duty)
            await expect(key).to_have_attribute("data-state", "denied", timeout=PATIENCE_MS)
            await chief.mouse.up()
            alarm = chief.get_by_test_id("emergency-call")
            await expect(alarm).to_contain_text("duty", timeout=PATIENCE_MS)
            await release(duty)
            await expect(alarm).to_be_visible()
            await alarm.get_by_role("button").click()
            await expect(alarm).to_have_count(0)
            await duty.get_by_test_id("emergency").click()
            await duty.get_by_test_id("ask-yes").click()
            await expect(duty.get_by_test_id("own-emergency")).to_have_count(0)

            # Silence from the gateway: the page says so, lets go, keeps the board, and comes back by itself.
            await press(duty)
            os.kill(service.pid, signal.SIGSTOP)
            state = duty.get_by_test_id("connection-state")
            try:
                await expect(state).to_have_attribute("data-state", "lost", timeout=PATIENCE_MS)
                await expect(state).to_contain_text("you are not heard")
                await expect(duty.get_by_test_id("ptt-key")).to_have_attribute("data-state", "denied")
                await expect(_card(duty, POLICE)).to_be_visible()
                await expect(_card(duty, POLICE).get_by_test_id("no-tx")).to_be_visible()
            finally:
                os.kill(service.pid, signal.SIGCONT)
            await duty.mouse.up()
            await expect(state).to_have_attribute("data-state", "connected", timeout=60_000)
            await press(duty)
            await release(duty)
