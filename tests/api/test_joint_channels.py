"""Joint channels, agreements and templates by REST: safe against repetition, races and guesses."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient, Response

from tests.api.house import House
from tongpin.gateway.events.log import Event
from tongpin.gateway.joint.answers import Answers
from tongpin.gateway.records import Role
from tongpin.gateway.storage.joint_channels import SqlJointChannels

ALL = ["gongan", "chengguan", "xiaofang"]


def problem(answer: Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].rsplit(":", 1)[-1]


def body(*groups: str, minutes: float = 60, **more: Any) -> dict[str, object]:
    ends = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    given = {"name": "Rescue", "purpose": "a boy on a ledge", "expires_at": ends}
    return {**given, "talk_groups": [*groups] or ["gongan-1", "chengguan-1"], **more}


async def agree(home: House, *agencies: str) -> str:
    chief = await home.client()
    wanted = {"name": "Joint service", "agencies": [*agencies] or ALL, "includes_centre": True}
    made = await chief.post("/agreements", json=wanted)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def opened(client: AsyncClient, *groups: str, **more: Any) -> dict[str, object]:
    answer = await client.post("/joint-channels", json=body(*groups, **more))
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    assert answer.headers["location"] == f"/api/v1/joint-channels/{found['id']}"
    return found


async def nets(client: AsyncClient) -> dict[str, str | None]:
    return {group["id"]: group["joint_channel"] for group in (await client.get("/talk-groups")).json()}


# -- life ------------------------------------------------------------------------------------------------------------


async def test_consents_by_people_of_the_agencies(home: House) -> None:
    await agree(home, "chengguan")
    duty = await home.client(Role.DISPATCHER)
    channel = await opened(duty, "gongan-1", "chengguan-1", "xiaofang-1")
    assert (channel["state"], channel["awaits"]) == ("proposed", ["gongan", "xiaofang"])
    path = f"/joint-channels/{channel['id']}/consents"
    police, fire = await home.client(Role.DISPATCHER, "gongan"), await home.client(Role.AGENCY_ADMIN, "xiaofang")
    assert problem(await duty.post(path, json={"decision": "grant", "agency": "gongan"})) == (403, "not-allowed")
    officer = await home.client(Role.OFFICER, "gongan")
    assert problem(await officer.post(path, json={"decision": "grant"})) == (403, "not-allowed")
    assert problem(await police.post(path, json={"decision": "refuse"})) == (422, "reason-needed")
    mine = await police.get("/joint-channels", params={"awaits": "gongan"})
    assert [one["id"] for one in mine.json()["items"]] == [channel["id"]]
    assert (await police.post(path, json={"decision": "grant"})).json()["state"] == "proposed"
    last = await fire.post(path, json={"decision": "grant"})
    assert (last.json()["state"], last.headers["etag"]) == ("active", '"3"')
    assert set((await nets(duty)).values()) == {channel["id"], None}
    bases = {one["agency"]: (one["decision"], one["basis"]) for one in last.json()["consents"]}
    assert bases == {
        "chengguan": ("granted", "agreement"),
        "gongan": ("granted", "person"),
        "xiaofang": ("granted", "person"),
    }
    actions = [(action, actor) for action, actor, subject, _ in await home.audit() if subject == channel["id"]]
    assert actions == [
        ("joint-channel.created", "dispatcher-centre"),
        ("joint-channel.proposed", "dispatcher-centre"),
        ("joint-channel.consented", "system"),
        ("joint-channel.consented", "dispatcher-gongan"),
        ("joint-channel.consented", "agency-admin-xiaofang"),
        ("joint-channel.activated", "agency-admin-xiaofang"),
    ]
    closed = await duty.post(f"/joint-channels/{channel['id']}/close")
    assert closed.json()["state"] == "closed"
    assert set((await nets(duty)).values()) == {None}


async def test_everybody_of_an_agency_in_a_grid(home: House) -> None:
    await agree(home)
    chief = await home.client()
    ring = [[120.0, 30.0], [120.1, 30.0], [120.1, 30.1], [120.0, 30.1], [120.0, 30.0]]
    area = {"type": "Polygon", "coordinates": [ring]}
    for scheme, agency in (("security", "gongan"), ("city", "chengguan")):
        grid = {"id": f"{scheme}-3", "name": "3", "scheme": scheme, "agency": agency, "geometry": area}
        assert (await chief.post("/grids", json=grid)).status_code == 201
        unit = {"id": f"{agency}-car", "name": "car", "kind": "vehicle", "agency": agency, "grids": [f"{scheme}-3"]}
        assert (await chief.post("/units", json={**unit, "home_talk_group": f"{agency}-1"})).status_code == 201
    wanted = body("xiaofang-1", members=[{"kind": "grid", "id": "security-3", "agency": "chengguan"}])
    channel = (await chief.post("/joint-channels", json=wanted)).json()
    assert channel["talk_groups"] == ["chengguan-1", "xiaofang-1"]
    odd = body("xiaofang-1", members=[{"kind": "leg", "id": "x", "agency": "gongan"}])
    assert problem(await chief.post("/joint-channels", json=odd)) == (422, "agency-without-grid")


async def test_events_bring_a_view_up_to_date(home: House) -> None:
    told: list[Event] = []
    home.gateway.log.subscribe(told.append)
    await agree(home)
    chief = await home.client()
    first = await opened(chief, event="fire", priority_policy={"fire": "xiaofang"})
    await opened(chief, "gongan-1", "xiaofang-1", take_over=True)
    match = {"If-Match": '"1"'}
    changed = await chief.patch(f"/joint-channels/{first['id']}", json={"add": ["centre-1"]}, headers=match)
    assert changed.status_code == 200, changed.text
    await opened(
        chief, "gongan-1", "chengguan-1", minutes=120, starts_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat()
    )
    await chief.post(f"/joint-channels/{first['id']}/close")
    standing: dict[str, object] = {}
    for event in told:
        said = json.loads(event.text)["event"]
        if said["kind"] == "joint_channel":
            record = said["joint_channel"]
            standing[record["id"]] = record
            if record["state"] in ("closed", "expired", "refused", "cancelled"):
                del standing[record["id"]]
    assert standing
    view = await home.gateway.surroundings()
    assert view["joint_channels"] == list(standing.values())
    assert "joint_channel_taken_over" in {event.kind for event in told}


# -- the same twice --------------------------------------------------------------------------------------------------


async def test_a_thousand_requests_with_one_key_make_one_channel(home: House) -> None:
    await agree(home)
    duty = await home.client(Role.DISPATCHER)
    wanted, key = body(), {"Idempotency-Key": "alarm-110-7"}
    answers = await asyncio.gather(*(duty.post("/joint-channels", json=wanted, headers=key) for _ in range(1000)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({(answer.text, answer.headers["location"]) for answer in answers}) == 1
    assert len((await duty.get("/joint-channels")).json()["items"]) == 1
    other = await duty.post("/joint-channels", json={**wanted, "name": "Other"}, headers=key)
    assert problem(other) == (422, "idempotency-key-reused")
    chief = await home.client()
    assert problem(await chief.post("/joint-channels", json=wanted, headers=key)) == (409, "group-in-other-net")


async def test_a_key_outlives_a_restart_and_not_its_time(home: House) -> None:
    await agree(home)
    duty = await home.client(Role.DISPATCHER)
    answer = await duty.post("/joint-channels", json=body(), headers={"Idempotency-Key": "k"})
    services = home.gateway.services
    caller = (await home.user(Role.DISPATCHER)).id
    store = SqlJointChannels(home.store, services.clock)
    kept = await store.answer(caller, "k", services.clock.at())
    assert kept is not None
    assert (kept.body, kept.status) == (answer.text, 201)
    assert await Answers(store, services.clock).given(caller, "k", kept.body_hash) == kept
    assert await store.answer(caller, "k", kept.expires_at) is None
    await store.forget_answers(kept.expires_at)
    assert await store.answer(caller, "k", services.clock.at()) is None


async def test_what_was_refused_may_be_tried_again_under_its_key(home: House) -> None:
    await agree(home)
    duty = await home.client(Role.DISPATCHER)
    first = await opened(duty)
    wanted, key = body("gongan-1", "xiaofang-1"), {"Idempotency-Key": "k"}
    assert problem(await duty.post("/joint-channels", json=wanted, headers=key)) == (409, "group-in-other-net")
    await duty.post(f"/joint-channels/{first['id']}/close")
    assert (await duty.post("/joint-channels", json=wanted, headers=key)).status_code == 201
    for bad in ("", "x" * 201):
        answer = await duty.post("/joint-channels", json=wanted, headers={"Idempotency-Key": bad})
        assert problem(answer) == (422, "bad-idempotency-key")


# -- races -----------------------------------------------------------------------------------------------------------


async def test_a_change_needs_what_was_read(home: House) -> None:
    await agree(home)
    duty = await home.client(Role.DISPATCHER)
    channel = await opened(duty)
    path = f"/joint-channels/{channel['id']}"
    assert (await duty.get(path)).headers["etag"] == '"1"'
    assert problem(await duty.patch(path, json={"name": "x"})) == (428, "if-match-needed")
    for etag in ('"2"', "nonsense", '"99999999999"'):
        answer = await duty.patch(path, json={"name": "x"}, headers={"If-Match": etag})
        assert problem(answer) == (412, "changed-meanwhile")
    ends = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    changed = await duty.patch(path, json={"expires_at": ends}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert problem(await duty.post(f"{path}/close", headers={"If-Match": '"1"'})) == (412, "changed-meanwhile")
    assert (await duty.post(f"{path}/close", headers={"If-Match": 'W/"2"'})).status_code == 200


async def test_of_two_changes_at_once_one_is_told_to_read_again(home: House) -> None:
    await agree(home)
    duty = await home.client(Role.DISPATCHER)
    path = f"/joint-channels/{(await opened(duty))['id']}"
    match = {"If-Match": '"1"'}
    answers = await asyncio.gather(*(duty.patch(path, json={"name": f"n{n}"}, headers=match) for n in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]


# -- guesses ---------------------------------------------------------------------------------------------------------


async def test_a_dry_run_says_everything_and_changes_nothing(home: House) -> None:
    await agree(home, "chengguan", "xiaofang")
    duty = await home.client(Role.DISPATCHER)
    standing = await opened(duty, "chengguan-1", "xiaofang-1", "centre-1")
    before, entries = await nets(duty), await home.audit_count()
    wanted = body(lead_agency="gongan")
    found = (await duty.post("/joint-channels?dry_run=true", json=wanted)).json()
    assert (found["result"], found["joint_channel"]["id"], found["awaits"]) == ("proposed", None, ["gongan"])
    (conflict,) = found["conflicts"]
    assert conflict == {
        "talk_group": "chengguan-1",
        "joint_channel": standing["id"],
        "joint_channel_name": "Rescue",
        "path": f"/api/v1/joint-channels/{standing['id']}",
        "would_be_taken_over": False,
    }
    assert found["nets"][0]["talk_groups"] == ["chengguan-1", "gongan-1"]
    assert found["nets"][0]["leader"] == "gongan"
    taking = {**body("centre-1", "chengguan-1"), "take_over": True}
    found = (await duty.post("/joint-channels?dry_run=true", json=taking)).json()
    assert found["result"] == "active"
    assert [net["talk_groups"] for net in found["nets"]] == [["centre-1", "chengguan-1"], ["xiaofang-1"]]
    plain = (await duty.post("/joint-channels?dry_run=true", json=body("centre-1", "chengguan-1"))).json()
    assert plain["result"] == "conflict"
    path = f"/joint-channels/{standing['id']}?dry_run=true"
    found = (await duty.patch(path, json={"remove": ["centre-1"]}, headers={"If-Match": "*"})).json()
    assert found["nets"][0]["talk_groups"] == ["chengguan-1", "xiaofang-1"]
    assert (await nets(duty), await home.audit_count()) == (before, entries)
    assert len((await duty.get("/joint-channels")).json()["items"]) == 1


async def test_a_dry_run_names_who_would_hear_and_when(home: House) -> None:
    await agree(home)
    duty = await home.client(Role.DISPATCHER)
    weekly = {"rule": "FREQ=DAILY;BYHOUR=7,17;BYMINUTE=0", "zone": "Asia/Shanghai", "duration_s": 3600}
    wanted = body(minutes=60 * 24 * 30, recurrence=weekly)
    found = (await duty.post("/joint-channels?dry_run=true", json=wanted)).json()
    assert len(found["occurrences"]) == 10
    assert found["occurrences"][0]["start"][11:16] in ("23:00", "09:00")
    assert found["nets"][0]["party_count"] == 0


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"name": None}, 422, "incomplete"),
        ({"talk_groups": []}, 422, "incomplete"),
        ({"talk_groups": ["gongan-1"]}, 422, "too-few-talk-groups"),
        ({"talk_groups": ["gongan-1", "nix"]}, 404, "no-such-member"),
        ({"lead_agency": "nix"}, 404, "no-such-agency"),
        ({"priority_policy": {"fire": "nix"}}, 404, "no-such-agency"),
        ({"template": "nix"}, 404, "no-such-template"),
        ({"expires_at": "2026-01-01T00:00:00Z"}, 422, "expired-already"),
        ({"expires_at": "2026-01-01T00:00:00"}, 422, "invalid"),
        ({"recurrence": {"rule": "FREQ=NEVER", "zone": "UTC", "duration_s": 60}}, 422, "bad-recurrence"),
        ({"colour": "red"}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_is_said(more: dict[str, object], status: int, code: str, home: House) -> None:
    duty = await home.client(Role.DISPATCHER)
    assert problem(await duty.post("/joint-channels", json={**body(), **more})) == (status, code)
    assert (await duty.get("/joint-channels")).json() == {"items": [], "next": None}


async def test_a_store_that_is_away_is_a_503_and_nothing_is_applied(home: House) -> None:
    await agree(home)
    duty = await home.client(Role.DISPATCHER)
    async with home.store.transaction() as session:
        await session.connection()
        await (await session.connection()).exec_driver_sql("ALTER TABLE audit RENAME TO gone")
    answer = await duty.post("/joint-channels", json=body(), headers={"Idempotency-Key": "k"})
    assert problem(answer) == (503, "store-unavailable")
    async with home.store.transaction() as session:
        await (await session.connection()).exec_driver_sql("ALTER TABLE gone RENAME TO audit")
    assert set((await nets(duty)).values()) == {None}
    again = await duty.post("/joint-channels", json=body(), headers={"Idempotency-Key": "k"})
    assert again.status_code == 201


# -- lists -----------------------------------------------------------------------------------------------------------


async def test_lists_come_in_pages_sorted_and_filtered(home: House) -> None:
    await agree(home)
    duty = await home.client(Role.DISPATCHER)
    made = []
    for number in range(7):
        groups = ("gongan-1", "chengguan-1") if number % 2 else ("xiaofang-1", "centre-1")
        event = "fire" if number % 2 else "arrest"
        channel = await opened(
            duty, *groups, name=f"n{number % 3}", minutes=60 + number, event=event, incident=f"i-{number}"
        )
        await duty.post(f"/joint-channels/{channel['id']}/close")
        made.append(str(channel["id"]))

    async def ids(**query: Any) -> list[str]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            params: dict[str, Any] = {**query, **({"cursor": cursor} if cursor else {})}
            page = (await duty.get("/joint-channels", params=params)).json()
            assert len(page["items"]) <= int(str(query.get("limit", 100)))
            found += [item["id"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                return found

    assert await ids(limit=2) == made
    assert await ids(limit=3, sort="-created_at") == made[::-1]
    assert await ids(limit=2, sort="-expires_at") == made[::-1]
    names = [(number % 3, made[number]) for number in range(7)]
    assert await ids(limit=2, sort="name") == [one for _, one in sorted(names)]
    assert await ids(event="fire") == made[1::2]
    assert await ids(talk_group="centre-1") == made[::2]
    assert await ids(agency="gongan") == made[1::2]
    assert await ids(incident="i-4") == [made[4]]
    assert await ids(state="active") == []
    assert await ids(state=["active", "closed"], limit=4) == made
    for cursor in ("nonsense", "e30", "WyJ4Il0", "WyJ4IiwieSJd"):
        assert problem(await duty.get("/joint-channels", params={"cursor": cursor})) == (422, "bad-cursor")


# -- agreements and templates ----------------------------------------------------------------------------------------


async def test_an_agreement_holds_until_one_of_its_agencies_ends_it(home: House) -> None:
    agreement = await agree(home, "gongan", "chengguan")
    duty = await home.client(Role.DISPATCHER)
    assert (await opened(duty))["state"] == "active"
    fire, police = await home.client(Role.AGENCY_ADMIN, "xiaofang"), await home.client(Role.AGENCY_ADMIN, "gongan")
    assert problem(await fire.delete(f"/agreements/{agreement}")) == (403, "not-allowed")
    ended = await police.delete(f"/agreements/{agreement}")
    assert ended.json()["ended_by"] == "agency-admin-gongan"
    assert problem(await police.delete(f"/agreements/{agreement}")) == (404, "no-such-agreement")
    assert (await duty.get("/agreements")).json() == []
    assert [one["id"] for one in (await duty.get("/agreements?with_ended=true")).json()] == [agreement]
    chief = await home.client()
    await chief.post(f"/joint-channels/{(await chief.get('/joint-channels')).json()['items'][0]['id']}/close")
    assert (await opened(duty))["state"] == "proposed"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"agencies": ["gongan"]}, (422, "too-few-parties")),
        ({"agencies": ["gongan", "nix"]}, (404, "no-such-agency")),
        (
            {"agencies": ALL, "valid_from": "2026-05-01T00:00:00Z", "valid_until": "2026-04-01T00:00:00Z"},
            (422, "ends-before-start"),
        ),
    ],
)
async def test_an_agreement_that_cannot_be(wanted: dict[str, object], told: tuple[int, str], home: House) -> None:
    chief = await home.client()
    assert problem(await chief.post("/agreements", json={"name": "x", **wanted})) == told
    police = await home.client(Role.AGENCY_ADMIN, "gongan")
    assert problem(await police.post("/agreements", json={"name": "x", "agencies": ALL})) == (403, "not-allowed")


async def test_a_template_fills_in_what_is_not_said(home: House) -> None:
    await agree(home)
    chief, duty = await home.client(), await home.client(Role.DISPATCHER)
    template = {
        "id": "workshop-fire",
        "name": "Fire in a workshop",
        "purpose": "put it out",
        "talk_groups": ["gongan-1", "xiaofang-1"],
        "duration_s": 1800,
        "event": "fire",
        "priority_policy": {"fire": "xiaofang", "arrest": "gongan"},
    }
    made = await chief.post("/templates", json=template)
    assert made.status_code == 201, made.text
    assert (
        (await duty.get("/templates")).json() == [made.json()] == [(await duty.get("/templates/workshop-fire")).json()]
    )
    channel = (await duty.post("/joint-channels", json={"template": "workshop-fire"})).json()
    assert (channel["name"], channel["talk_groups"]) == ("Fire in a workshop", ["gongan-1", "xiaofang-1"])
    assert (channel["state"], channel["lead_agency"], channel["template"]) == ("active", "xiaofang", "workshop-fire")
    lasts = datetime.fromisoformat(channel["expires_at"]) - datetime.fromisoformat(channel["created_at"])
    assert abs(lasts - timedelta(seconds=1800)) < timedelta(seconds=5)
    own = {"template": "workshop-fire", "name": "Own", "event": "arrest", "talk_groups": ["chengguan-1", "centre-1"]}
    channel = (await duty.post("/joint-channels", json=own)).json()
    assert (channel["name"], channel["lead_agency"]) == ("Own", "gongan")
    changed = await chief.patch("/templates/workshop-fire", json={"talk_groups": ["centre-1", "gongan-1"]})
    assert [member["id"] for member in changed.json()["members"]] == ["centre-1", "gongan-1"]
    police = await home.client(Role.AGENCY_ADMIN, "gongan")
    assert problem(await police.delete("/templates/workshop-fire")) == (403, "not-allowed")
    assert (await chief.delete("/templates/workshop-fire")).status_code == 204
    assert (await duty.get("/templates")).json() == []
    assert problem(await duty.post("/joint-channels", json={"template": "workshop-fire"})) == (404, "no-such-template")
    assert problem(await chief.post("/templates", json={**template, "talk_groups": []})) == (422, "incomplete")
