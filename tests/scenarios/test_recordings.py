"""A real service records what simulated radios say: found, heard while still on, exported, proved, kept over a kill."""

import asyncio
import io
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.scenarios.audio import match, speak
from tests.scenarios.district import POLICE, URBAN, SimRadio, district, legs_online
from tests.scenarios.service import Service, running
from tongpin.codecs.ogg import read_sound
from tongpin.codecs.opus import OpusDecoder

pytestmark = pytest.mark.exclusive


async def newest(client: httpx.AsyncClient, state: str) -> dict[str, object]:
    """The newest transmission once it is in this state."""
    async with asyncio.timeout(20):
        while True:
            answer = await client.get("/transmissions", params={"state": state})
            assert answer.status_code == 200, answer.text
            if answer.json()["items"]:
                found: dict[str, object] = answer.json()["items"][0]
                return found
            await asyncio.sleep(0.05)


async def test_a_transmission_is_kept_heard_and_proved(tmp_path: Path) -> None:
    sentence = tmp_path / "order.wav"
    source = speak(sentence, "All teams to the market, a fire in the second workshop.", lead_s=0.2, tail_s=0.3)
    police, urban = SimRadio(tmp_path, "police-radio"), SimRadio(tmp_path, "urban-radio")
    service = Service(tmp_path, district(police, urban))
    async with running(service):
        client = await service.login("chief")
        await legs_online(client, 2)
        body = {
            "name": "Market fire",
            "purpose": "clear the street",
            "talk_groups": [POLICE, URBAN],
            "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        }
        channel = (await client.post("/joint-channels", json=body)).json()
        police.say(sentence)

        opened = await newest(client, "open")
        audio = f"/transmissions/{opened['id']}/audio"
        async with client.stream("GET", audio, params={"follow": "true"}) as live:
            assert live.status_code == 200 and live.headers["x-tongpin-state"] == "open"
            followed = await live.aread()

        done = await newest(client, "complete")
        assert done["id"] == opened["id"] and done["joint_channel"] == channel["id"]
        assert (done["talker"], done["cause"], done["lost_ms"]) == ("leg:police-radio", "released", 0)
        whole = await client.get(audio)
        assert whole.headers["content-type"] == "audio/ogg" and whole.content == followed
        part = await client.get(audio, headers={"Range": "bytes=100-199"})
        assert part.status_code == 206 and part.content == whole.content[100:200]
        decoder = OpusDecoder()
        sound, _ = read_sound(whole.content)
        pcm = b"".join(decoder.decode(packet).tobytes() for packet in sound if packet is not None)
        found = match(source, np.frombuffer(pcm, np.int16))
        assert found.score > 0.9
        wave = (await client.get(f"/transmissions/{opened['id']}/waveform")).json()
        assert len(wave["peaks_dbfs"]) == -(-len(sound) // 5) and max(wave["peaks_dbfs"]) == done["peak_dbfs"]

        note = await client.post(f"/transmissions/{opened['id']}/notes", json={"at_ms": 400, "text": "which market?"})
        assert note.status_code == 201
        assert (await client.get(f"/transmissions/{opened['id']}/notes")).json()[0]["text"] == "which market?"

        export = await client.get("/transmissions/export", params={"joint_channel": channel["id"]})
        assert export.status_code == 200, export.text
        with zipfile.ZipFile(io.BytesIO(export.content)) as archive:
            archive.extractall(tmp_path / "export")
        words = [sys.executable, "-I", "-S", str(tmp_path / "export" / "verify.py")]
        verified = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert (verified.returncode, verified.stdout) == (0, "all files are as they were exported\n")

        refused = await client.get("/transmissions/export")
        assert refused.status_code == 422 and refused.json()["type"].endswith("name-a-span")
        assert (await client.get("/transmissions/no-such/audio")).status_code == 404


async def test_a_kill_in_the_middle_loses_less_than_a_second(tmp_path: Path) -> None:
    sentence = tmp_path / "long.wav"
    speak(sentence, "One two three four five six seven eight nine ten. " * 3, lead_s=0.1)
    police, urban = SimRadio(tmp_path, "police-radio"), SimRadio(tmp_path, "urban-radio")
    service = Service(tmp_path, district(police, urban))
    async with running(service):
        client = await service.login("chief")
        await legs_online(client, 2)
        police.say(sentence)
        opened = await newest(client, "open")
        async with asyncio.timeout(20):
            while True:
                answer = await client.get(f"/transmissions/{opened['id']}/waveform")
                if len(answer.json()["peaks_dbfs"]) >= 30:
                    break
                await asyncio.sleep(0.02)
        service.kill()
        await service.wait()
        await service.start()
        client = await service.login("chief")
        recovered = await newest(client, "recovered")
        assert recovered["id"] == opened["id"] and recovered["cause"] == "service_ended"
        assert int(str(recovered["duration_ms"])) >= 2_900  # thirty peaks, the last one begun
        data = (await client.get(f"/transmissions/{opened['id']}/audio")).content
        assert len(read_sound(data)[0]) * 20 == recovered["duration_ms"] and read_sound(data)[1] == len(data)
