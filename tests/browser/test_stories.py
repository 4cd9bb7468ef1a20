"""Dispatchers at their consoles, in real Chromium, through what a shift brings; radios are simulated."""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, expect

from tests.scenarios.audio import speak
from tests.scenarios.desk import choose, desk, press, release
from tests.scenarios.district import POLICE, URBAN, SimRadio, district, legs_online, until
from tests.scenarios.service import PASSWORD, Service, running

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


async def _go(page: Page, place: str) -> None:
    await page.evaluate("(place) => { location.hash = place }", f"#/{place}")


async def _made(client: httpx.AsyncClient, path: str, body: Mapping[str, object]) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text


async def test_an_incident_of_two_agencies(folder: Path) -> None:
    police, urban = _radios(folder)
    report = folder / "report.wav"
    speak(report, "Urban patrol to all: the boy is safe, we come down through the neighbouring building now. " * 2)
    service = Service(folder, district(police, urban))
    async with running(service):
        chief = await service.login("chief")
        await legs_online(chief, 2)
        user = {"username": "urban-desk", "password": PASSWORD, "role": "dispatcher", "agency": "chengguan"}
        await _made(chief, "/users", user)
        # Without a standing agreement the urban management is asked.
        for standing in (await chief.get("/agreements")).json():
            assert (await chief.delete(f"/agreements/{standing['id']}")).status_code == 200
        await _made(chief, "/agreements", {"name": "Police", "agencies": ["gongan"], "includes_centre": True})
        async with desk(service.url, "duty") as duty, desk(service.url, "urban-desk") as other:
            await _go(duty, "joint/new")
            await duty.get_by_test_id("joint-name").fill("Station Road")
            await duty.get_by_test_id("joint-purpose").fill("A boy has fallen")
            for box in await duty.get_by_test_id("joint-group").all():
                await box.check()
            await expect(duty.get_by_test_id("preview")).to_contain_text("Urban Management", timeout=PATIENCE_MS)
            await duty.get_by_test_id("open-joint").click()

            # The other agency's console rings, and its word puts both on one floor.
            asked = other.get_by_test_id("consent-request")
            await expect(asked).to_contain_text("Station Road", timeout=PATIENCE_MS)
            await asked.get_by_test_id("consent").click()
            await _go(duty, "channels")
            for page, group in ((duty, POLICE), (duty, URBAN), (other, URBAN)):
                channel = _card(page, group).get_by_test_id("group-channel")
                await expect(channel).to_contain_text("Station Road", timeout=PATIENCE_MS)
            await expect(asked).to_have_count(0)

            # What the urban radio says is shown on the police card, and can be heard again while it is still said.
            urban.say(report)
            talker = _card(duty, POLICE).get_by_test_id("group-talker")
            await expect(talker).to_contain_text("Urban-Radio", timeout=PATIENCE_MS)
            await _card(duty, URBAN).get_by_test_id("open-group").click()
            still_on = duty.locator("[data-testid=transmission][data-state=open]")
            await still_on.get_by_test_id("play").first.click(timeout=PATIENCE_MS)
            await expect(duty.get_by_test_id("play").first).to_have_attribute(
                "aria-label", re.compile("^Pause"), timeout=PATIENCE_MS
            )

            # An order of the desk keys both radios.
            await expect(talker).to_have_attribute("data-state", "idle", timeout=60_000)
            await choose(duty, POLICE)
            await press(duty)
            await until(lambda: police.is_keyed and urban.is_keyed, 20, "both radios are keyed")
            await release(duty)

            await _go(duty, "joint")
            await duty.get_by_test_id("close-joint").click()
            await duty.get_by_test_id("ask-yes").click()
            await _go(duty, "channels")
            await expect(_card(duty, POLICE).get_by_test_id("group-channel")).not_to_contain_text("Station Road")


@pytest.mark.unproven
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


@pytest.mark.unproven
async def test_by_keyboard_and_for_screen_readers(folder: Path) -> None:
    service = Service(folder, district(*_radios(folder)))
    async with running(service):
        await legs_online(await service.login("duty"), 2)
        async with desk(service.url, "chief") as page:
            # Arrows, Enter and the space bar are all that talking needs.
            await page.keyboard.press("ArrowRight")
            await page.keyboard.press("ArrowRight")
            await page.keyboard.press("Enter")
            await page.keyboard.down("Space")
            await expect(page.get_by_test_id("ptt-key")).to_have_attribute("data-state", "talking", timeout=PATIENCE_MS)
            await page.keyboard.up("Space")
            await expect(page.get_by_test_id("ptt-key")).to_have_attribute("data-state", "idle", timeout=PATIENCE_MS)

            # Two channels at once: each has a talk of its own.
            for group in (POLICE, URBAN):
                if await _card(page, group).get_by_test_id("select-group").get_attribute("aria-pressed") == "false":
                    await _card(page, group).get_by_test_id("add-group").click()
            await expect(page.get_by_test_id("target")).to_contain_text("+")
            await page.wait_for_function("() => window.tongpin.state().lines.join() === 'connected'")
            await press(page)
            for group in (POLICE, URBAN):
                await expect(_card(page, group).get_by_test_id("group-talker")).to_contain_text("You")
            await release(page)

            for theme in ("light", "dark"):
                await _go(page, "settings")
                await page.get_by_test_id(f"theme-{theme}").click()
                places = ("settings", "channels", "joint", "joint/new", "recordings")
                for place in (*places, "admin/agencies", "admin/users", "admin/audit", "admin/health"):
                    await _go(page, place)
                    await expect(page.locator("main .wait")).to_have_count(0, timeout=PATIENCE_MS)
                    found = await Axe().run(page)
                    assert found.violations_count == 0, f"{place}, {theme}: {found.generate_report()}"
