"""The story this comes from: a boy on a ledge at 19:40, three agencies, one frequency, and proof of it afterwards."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import httpx
import pytest

from tests.scenarios.audio import speak
from tests.scenarios.district import SimRadio, legs_online, until
from tests.scenarios.listeners import WhepListener
from tests.scenarios.service import Service, running

pytestmark = pytest.mark.exclusive

AGENCIES = {"gongan": "Public Security 公安", "chengguan": "Urban Management 城管", "xiaofang": "Fire Brigade 消防"}
GROUPS = {"police-1": "gongan", "urban-1": "chengguan", "fire-1": "xiaofang"}
RING = [[120.0, 30.0], [120.1, 30.0], [120.1, 30.1], [120.0, 30.1], [120.0, 30.0]]


async def _grid_three(chief: httpx.AsyncClient) -> None:
    """City grid 3, and a unit of every agency that serves it."""
    area = {"type": "Polygon", "coordinates": [RING]}
    grid = {"id": "city-3", "name": "Grid 3", "scheme": "city", "agency": "chengguan", "geometry": area}
    (await chief.post("/grids", json=grid)).raise_for_status()
    for group, agency in GROUPS.items():
        unit = {"id": f"{agency}-team", "name": "team", "kind": "team", "agency": agency, "grids": ["city-3"]}
        (await chief.post("/units", json={**unit, "home_talk_group": group})).raise_for_status()


async def _ear(client: httpx.AsyncClient, group: str) -> WhepListener:
    ear = WhepListener()
    await ear.open(client, group)
    return ear


@pytest.mark.timeout(240)
async def test_from_alarm_to_rescue(tmp_path: Path, storage_url: str) -> None:
    sentence = tmp_path / "report.wav"
    speak(sentence, " ".join(["Boy on the second floor platform, we go through the window next door."] * 4), lead_s=0.0)
    radio = SimRadio(tmp_path, "police-radio")
    config: dict[str, object] = {
        "server": {"host": "127.0.0.1", "port": 0},
        "storage": {"url": storage_url},
        "agencies": [{"id": id_, "name": name} for id_, name in AGENCIES.items()],
        "talk_groups": [{"id": group, "name": group, "agency": agency} for group, agency in GROUPS.items()],
        "agreements": [{"id": "joint-service", "name": "Joint service", "agencies": ["chengguan"]}],
        "legs": [radio.config("gongan", "police-1")],
    }
    service = Service(tmp_path, config)
    for agency in ("gongan", "xiaofang"):
        await service.add_user(f"{agency}-duty", "dispatcher", agency)
    async with running(service):
        chief, duty = await service.login("chief"), await service.login("duty")
        police, fire = await service.login("gongan-duty"), await service.login("xiaofang-duty")
        await legs_online(chief, 1)
        await _grid_three(chief)
        ears = {group: await _ear(chief, group) for group in ("urban-1", "fire-1")}

        # 19:40: the alarm. Urban management has a standing agreement with the centre; the other two are asked.
        wanted = {
            "name": "Boy on a ledge 空调平台上的男孩",
            "purpose": "rescue, Station Road 7, second floor",
            "incident": "alarm-0304-1940",
            "members": [{"kind": "grid", "id": "city-3"}],
            "event": "rescue",
            "priority_policy": {"rescue": "xiaofang", "arrest": "gongan"},
            "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        }
        guess = (await duty.post("/joint-channels?dry_run=true", json=wanted)).json()
        assert (guess["result"], guess["awaits"]) == ("proposed", ["gongan", "xiaofang"])
        key = {"Idempotency-Key": "alarm-0304-1940"}
        channel = (await duty.post("/joint-channels", json=wanted, headers=key)).json()
        assert (await duty.post("/joint-channels", json=wanted, headers=key)).json() == channel
        path = f"/joint-channels/{channel['id']}"

        radio.say(sentence)
        consented = await police.post(f"{path}/consents", json={"decision": "grant"})
        assert consented.json()["state"] == "proposed"
        await until(lambda: radio.is_keyed is False, 5, "nobody else talks")
        assert not any(ear.heard for ear in ears.values()), "heard before everybody had consented"
        asked = monotonic()
        consented = await fire.post(f"{path}/consents", json={"decision": "grant"})
        assert (consented.json()["state"], consented.json()["lead_agency"]) == ("active", "xiaofang")
        for group, ear in ears.items():
            await until(lambda ear=ear: bool(ear.heard), 10, f"{group} hears the police radio")  # type: ignore[misc]
            print(f"{group} hears {(ear.heard[0][0] - asked) * 1000:.0f} ms after the last consent was sent")

        # The boy is safe; the channel ends by itself, and every group is at home.
        etag = {"If-Match": (await duty.get(path)).headers["ETag"]}
        soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
        (await duty.patch(path, json={"expires_at": soon}, headers=etag)).raise_for_status()
        async with asyncio.timeout(30):
            while (await duty.get(path)).json()["state"] != "expired":
                await asyncio.sleep(0.05)
        groups = (await duty.get("/talk-groups")).json()
        assert {group["id"]: group["net"] for group in groups} == {group: group for group in GROUPS}
        for ear in ears.values():
            await ear.close()

        # The proof.
        verdict = (await chief.post("/audit/verify")).json()
        assert verdict["is_whole"], verdict
        export = tmp_path / "audit.ndjson"
        export.write_text((await chief.get("/audit", params={"format": "ndjson"})).text, encoding="utf-8")
        await service.tongpin("verify", str(export))
        entries = [json.loads(line) for line in export.read_text(encoding="utf-8").splitlines()]
        told = [
            (entry["action"].removeprefix("joint-channel."), entry["actor"])
            for entry in entries
            if entry.get("subject") == channel["id"] and entry["action"].startswith("joint-channel.")
        ]
        assert told == [
            ("created", "duty"),
            ("proposed", "duty"),
            ("consented", "system"),
            ("consented", "gongan-duty"),
            ("consented", "xiaofang-duty"),
            ("activated", "xiaofang-duty"),
            ("changed", "duty"),
            ("expired", "system"),
        ]
        created = next(entry for entry in entries if entry.get("subject") == channel["id"])
        assert created["detail"]["name"] == "Boy on a ledge 空调平台上的男孩"
