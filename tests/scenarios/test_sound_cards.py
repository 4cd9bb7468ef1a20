"""The main job on real PortAudio and real Chromium: two donor radios on (virtual) sound cards and a dispatcher.

Figures (delay per path, PESQ) are printed; what is asserted is that words arrive whole and where they should.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from playwright.async_api import expect

from tests.radio.pulse import PulseBench, Recording
from tests.scenarios.audio import RATE, match, match_parts, pesq_narrowband, pesq_wideband, speak, voiced_span
from tests.scenarios.desk import choose, desk, press, release
from tests.scenarios.district import legs_online
from tests.scenarios.listeners import WhepListener
from tests.scenarios.service import Service, running

pytestmark = [pytest.mark.exclusive, pytest.mark.timeout(240)]

GROUP = "joint-service"


@pytest.fixture
def bench() -> Iterator[PulseBench]:
    folder = Path(tempfile.mkdtemp(prefix="tp-"))  # A short path: it holds a Unix socket.
    with PulseBench(folder) as pulse:
        yield pulse
    shutil.rmtree(folder, ignore_errors=True)


def _leg(name: str, agency: str) -> dict[str, object]:
    return {
        "name": name,
        "label": name.title(),
        "agency": agency,
        "talk_group": GROUP,
        "card": {"kind": "soundcard", "device": name},
        "keyer": {"kind": "vox"},
    }


def _config() -> dict[str, object]:
    return {
        "server": {"host": "127.0.0.1", "port": 0},
        "agencies": [{"id": "gongan", "name": "Public Security"}, {"id": "chengguan", "name": "Urban Management"}],
        "talk_groups": [{"id": GROUP, "name": "Joint service"}],
        "legs": [_leg("radio-a", "gongan"), _leg("radio-b", "chengguan")],
    }


async def _card_loop(bench: PulseBench, folder: Path) -> float:
    """Seconds that the virtual card itself takes from paplay to parec, both plugs of one null sink."""
    wav = folder / "loop.wav"
    source = speak(wav, "testing one two three", lead_s=0.3, tail_s=0.3)
    recording = Recording(bench.env, "radio-a_rx.monitor", 3.0, folder / "loop-rec.wav")
    played = monotonic()
    player = bench.play(wav, "radio-a")
    heard = await asyncio.to_thread(recording.finish)
    await asyncio.to_thread(player.wait)
    return match(source, heard).offset_s - (played - recording.started_at)


async def test_radio_to_radio_and_listener(bench: PulseBench, tmp_path: Path) -> None:
    wav = tmp_path / "order.wav"
    source = speak(wav, "All units, ten year old boy on the second floor, Station Road.", lead_s=1.0, tail_s=1.0)
    loop_s = await _card_loop(bench, tmp_path)
    service = Service(tmp_path, _config(), bench.env)
    async with running(service):
        client = await service.login("duty")
        await legs_online(client, 2)
        ear = WhepListener()
        await ear.open(client, GROUP)
        recording = bench.record("radio-b", len(source) / RATE + 2.0, tmp_path / "b.wav")
        own = bench.record("radio-a", len(source) / RATE + 2.0, tmp_path / "a.wav")
        played = monotonic()
        player = bench.play(wav, "radio-a")
        heard = await asyncio.to_thread(recording.finish)
        await asyncio.to_thread(player.wait)
        found = match(source, heard)
        delay = found.offset_s - (played - recording.started_at)
        listened = ear.recording(played, monotonic())
        at_ear = match(source, listened)
        parts = match_parts(source, heard)
        print(
            f"card loop alone {loop_s * 1000:.0f} ms; radio A → radio B {delay * 1000:.0f} ms, "
            f"radio A → WHEP packet {at_ear.offset_s * 1000:.0f} ms, correlation {found.score:.3f}, "
            f"of its parts {min(part.score for part in parts):.3f}, delay {parts[0].offset_s:.4f} to "
            f"{parts[-1].offset_s:.4f} s, PESQ nb {pesq_narrowband(source, heard):.2f} "
            f"wb {pesq_wideband(source, heard):.2f}"
        )
        assert min(part.score for part in parts) > 0.9
        assert min(part.score for part in match_parts(source, listened)) > 0.9
        want, got = voiced_span(source), voiced_span(heard)
        assert got[0] - found.offset_s == pytest.approx(want[0], abs=0.021), "first syllable"
        assert got[1] - found.offset_s == pytest.approx(want[1], abs=0.021), "last word"
        silent = await asyncio.to_thread(own.finish)
        assert abs(int(silent.max())) < 100, "a radio never hears itself"
        await ear.close()


async def test_dispatcher_in_chromium(bench: PulseBench, tmp_path: Path) -> None:
    wav = tmp_path / "dispatcher.wav"
    source = speak(wav, "Joint centre to all teams, go to Station Road now.", lead_s=1.2, tail_s=1.2)
    order = tmp_path / "reply.wav"
    speak(order, "Patrol three, on our way.", lead_s=0.5, tail_s=0.5)
    service = Service(tmp_path, _config(), bench.env)
    async with running(service):
        client = await service.login("chief")
        await legs_online(client, 2)
        async with desk(service.url, "duty", wav) as page:
            await choose(page, GROUP)
            # The fake microphone plays its file over and over: a hold of two rounds holds one whole sentence.
            hold_s = 2 * len(source) / RATE
            recordings = [bench.record(card, hold_s + 2.0, tmp_path / f"{card}.wav") for card in ("radio-a", "radio-b")]
            await press(page)
            await asyncio.sleep(hold_s)
            await page.screenshot(path=str(tmp_path / "talking.png"))
            await release(page)
            for recording, card in zip(recordings, ("radio-a", "radio-b"), strict=True):
                heard = await asyncio.to_thread(recording.finish)
                found = match(source, heard)
                narrow, wide = pesq_narrowband(source, heard), pesq_wideband(source, heard)
                likeness = min(part.score for part in match_parts(source, heard))
                print(
                    f"browser → {card}: correlation {found.score:.3f}, of its parts {likeness:.3f}, "
                    f"PESQ nb {narrow:.2f} wb {wide:.2f}"
                )
                assert likeness > 0.9
                assert narrow >= 3.8, "browser → radio card on clean speech"

            board_card = page.locator(f"[data-testid=group-card][data-group='{GROUP}']")
            player = bench.play(order, "radio-a")
            await expect(board_card.get_by_test_id("group-talker")).to_contain_text("Radio-A", timeout=5_000)
            await asyncio.to_thread(player.wait)
            played = await page.evaluate("() => window.tongpin.stats()")
            print(f"the page's statistics: {played}")
