"""Two agencies' radios: apart, on the same frequency while a joint channel stands, apart again; across a restart."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from tests.scenarios.audio import match, speak, voiced_span
from tests.scenarios.district import POLICE, URBAN, SimRadio, district, legs_online, until
from tests.scenarios.listeners import WhepListener
from tests.scenarios.service import Service, running

pytestmark = pytest.mark.exclusive


async def _said(radio: SimRadio, wav: Path, seconds: float) -> float:
    """The radio speaks; comes back when all of it has gone through."""
    started = radio.say(wav)
    await asyncio.sleep(seconds)
    return started


async def test_same_frequency_by_request_and_never_before_or_after(tmp_path: Path) -> None:
    sentence = tmp_path / "order.wav"
    source = speak(sentence, "Boy on the second floor platform, all teams to Station Road.", lead_s=0.2, tail_s=0.3)
    seconds = len(source) / 48_000
    police, urban = SimRadio(tmp_path, "police-radio"), SimRadio(tmp_path, "urban-radio")
    service = Service(tmp_path, district(police, urban))
    async with running(service):
        client = await service.login("duty")
        await legs_online(client, 2)
        ear = WhepListener()
        await ear.open(client, URBAN)

        await _said(police, sentence, seconds + 0.8)
        assert ear.heard == [], "heard across before the joint channel"
        assert not urban.is_keyed

        body = {
            "name": "Fall at Station Road",
            "purpose": "rescue",
            "talk_groups": [POLICE, URBAN],
            "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        }
        answer = await client.post("/joint-channels", json=body)
        assert answer.status_code == 201, answer.text
        channel = answer.json()
        opened = monotonic()

        started = await _said(police, sentence, seconds + 1.0)
        assert started - opened < 1.0
        heard = ear.recording(started, started + seconds + 1.0)
        found = match(source, heard)
        print(f"radio to WHEP listener: {found.offset_s * 1000:.0f} ms, correlation {found.score:.3f}")
        assert found.score > 0.9
        want, got = voiced_span(source), voiced_span(heard)
        assert got[0] - found.offset_s == pytest.approx(want[0], abs=0.021), "first syllable"
        assert got[1] - found.offset_s == pytest.approx(want[1], abs=0.021), "last word"
        await until(lambda: not urban.is_keyed, 3, "the urban radio is unkeyed after the talk")
        assert match(source, urban.recording()).score > 0.9

        second = await client.post("/joint-channels", json={**body, "name": "Another"})
        assert second.status_code == 409
        assert "Fall at Station Road" in second.text

        await ear.close()
        await service.restart()
        client = await service.login("duty")
        await legs_online(client, 2)
        ear = WhepListener()
        await ear.open(client, URBAN)
        started = await _said(police, sentence, seconds + 1.0)
        assert match(source, ear.recording(started, started + seconds + 1.0)).score > 0.9, "same after a restart"

        answer = await client.post(f"/joint-channels/{channel['id']}/close")
        assert answer.status_code == 200, answer.text
        ear.clear()
        await _said(police, sentence, seconds + 0.8)
        assert ear.heard == [], "heard across after close"
        await ear.close()
        await service.restart()
        client = await service.login("duty")
        await legs_online(client, 2)
        ear = WhepListener()
        await ear.open(client, URBAN)
        await _said(police, sentence, seconds + 0.8)
        assert ear.heard == [], "heard across after close and restart"
        await ear.close()


async def test_one_floor_the_second_talker_waits_and_the_first_is_heard_whole(tmp_path: Path) -> None:
    first, second = tmp_path / "first.wav", tmp_path / "second.wav"
    one = speak(first, "Patrol three, fire at the garment workshop, need water.", lead_s=0.1, tail_s=0.2)
    two = speak(second, "Law enforcement two, we are at the gate.", voice="en-gb", lead_s=0.1, tail_s=0.2)
    police, urban = SimRadio(tmp_path, "police-radio"), SimRadio(tmp_path, "urban-radio")
    service = Service(tmp_path, district(police, urban))
    async with running(service):
        client = await service.login("chief")
        await legs_online(client, 2)
        body = {"name": "Workshop", "purpose": "fire", "talk_groups": [POLICE, URBAN]}
        body["expires_at"] = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        assert (await client.post("/joint-channels", json=body)).status_code == 201
        ear = WhepListener()
        await ear.open(client, POLICE)
        started = police.say(first)
        await asyncio.sleep(0.6)
        urban.say(second)
        await asyncio.sleep(len(one) / 48_000 + len(two) / 48_000 + 1.0)
        heard = ear.recording(started, monotonic())
        assert match(one, heard).score > 0.9, "the holder is heard whole"
        assert match(two, heard).score < 0.5, "the second talker is not heard over the first"
        groups = (await client.get("/talk-groups")).json()
        assert {group["holder"] for group in groups} == {None}
        await ear.close()
