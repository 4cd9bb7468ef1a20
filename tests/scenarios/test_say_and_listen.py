"""``tongpin say`` is heard by ``tongpin listen`` and by a radio: a client that is not ours on both ends."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.scenarios.audio import match, read_wav, speak
from tests.scenarios.district import POLICE, SimRadio, district, legs_online, until
from tests.scenarios.service import PASSWORD, Service, running

pytestmark = pytest.mark.exclusive


async def test_what_is_said_on_the_command_line_is_heard(tmp_path: Path) -> None:
    sentence = tmp_path / "announcement.wav"
    source = speak(sentence, "All teams of the district, the exercise is over.", lead_s=0.1, tail_s=0.2)
    police, urban = SimRadio(tmp_path, "police-radio"), SimRadio(tmp_path, "urban-radio")
    service = Service(tmp_path, district(police, urban))
    async with running(service):
        client = await service.login("duty")
        await legs_online(client, 2)
        out = tmp_path / "heard.wav"
        login = ("--url", service.url, "--user", "duty")
        seconds = str(len(source) / 48_000 + 8)
        ear = asyncio.create_task(
            service.tongpin("listen", POLICE, "--out", str(out), "--seconds", seconds, *login, stdin=PASSWORD + "\n")
        )
        async with asyncio.timeout(30):
            while not any(m["kind"] == "whep" for m in (await client.get(f"/talk-groups/{POLICE}")).json()["members"]):
                await asyncio.sleep(0.05)
        await service.tongpin("say", POLICE, str(sentence), *login, stdin=PASSWORD + "\n")
        assert "s of sound" in await ear
        await until(lambda: not police.is_keyed, 10, "the radio is unkeyed")
        heard = np.concatenate([np.zeros(24_000, np.int16), read_wav(out)])  # sound begins with the talk
        assert match(source, heard).score > 0.9
        assert match(source, police.recording()).score > 0.9
        with pytest.raises(AssertionError, match="refused"):
            await service.tongpin("say", "no-such-group", str(sentence), *login, stdin=PASSWORD + "\n")
        with pytest.raises(AssertionError, match="--user"):
            await service.tongpin("say", POLICE, str(sentence), "--url", service.url)
