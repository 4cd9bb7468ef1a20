"""Analog signalling through the whole service: an emergency by radio, and its talker's name."""

from pathlib import Path

import numpy as np
import pytest

from tests.scenarios.audio import speak, write_wav
from tests.scenarios.district import POLICE, URBAN, SimRadio, district, legs_online
from tests.scenarios.service import Service, running
from tests.scenarios.test_trouble import message, session
from tongpin.codecs.mdc1200 import MdcCall, MdcKind
from tongpin.codecs.mdc1200_modem import encode_mdc

pytestmark = pytest.mark.exclusive


async def test_an_emergency_by_radio_is_shown_by_name_until_it_is_cleared(tmp_path: Path) -> None:
    voice = speak(tmp_path / "voice.wav", "Officer down at the north gate.", lead_s=0.1)
    burst = encode_mdc(MdcCall(MdcKind.EMERGENCY, 0x1A2B))
    write_wav(tmp_path / "alarm.wav", np.concatenate([np.zeros(9600, np.int16), burst, voice]))
    police, urban = SimRadio(tmp_path, "police-radio"), SimRadio(tmp_path, "urban-radio")
    config = district(police, urban)
    config["legs"] = [
        police.config("gongan", POLICE, signalling={"mdc1200": True}),
        urban.config("chengguan", URBAN),
    ]
    service = Service(tmp_path, config)
    async with running(service):
        client = await service.login("chief")
        unit: dict[str, object] = {"name": "Patrol 7", "kind": "team", "agency": "gongan"}
        unit |= {"radio_ids": [{"kind": "mdc1200", "code": "1A2B"}]}
        answer = await client.post("/units", json={"id": "patrol-7", **unit})
        assert answer.status_code == 201, answer.text
        await legs_online(client, 2)
        socket = await session(service, client)
        police.say(tmp_path / "alarm.wav")
        events: dict[str, dict[str, object]] = {}
        while not {"talker_named", "emergency_raised"} <= events.keys():
            event = (await message(socket, "event", 15.0))["event"]
            assert isinstance(event, dict)
            events[str(event["kind"])] = event
        assert events["emergency_raised"]["unit"] == events["talker_named"]["unit"] == "patrol-7"
        assert events["talker_named"]["label"] == "Patrol 7"
        assert events["floor_granted"]["priority"] == "emergency"
        assert (await client.get("/legs/police-radio")).json()["emergency"] == "Patrol 7"
        assert (await client.delete("/legs/police-radio/emergency")).status_code == 204
        assert (await client.get("/legs/police-radio")).json()["emergency"] is None
        assert (await client.delete("/legs/police-radio/emergency")).status_code == 404
        assert (await client.delete("/legs/nobody/emergency")).status_code == 404
        await socket.close()
