"""Agencies, users, units, grids and talk groups by REST: made, read, changed, retired, and refused with the reason."""

import json

import pytest
from httpx import AsyncClient, Response

from tests.api.house import House
from tongpin.gateway.demo_district import settle, town_grids
from tongpin.gateway.records import Role
from tongpin.gateway.storage.models import AuditRow

SQUARE = [[120.0, 30.0], [120.1, 30.0], [120.1, 30.1], [120.0, 30.1], [120.0, 30.0]]
POLYGON = {"type": "Polygon", "coordinates": [SQUARE]}


def problem(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit(":", 1)[-1]


async def make_unit(client: AsyncClient, unit_id: str, **more: object) -> Response:
    body = {"id": unit_id, "name": unit_id, "kind": "team", "agency": "gongan", **more}
    return await client.post("/units", json=body)


async def make_grid(client: AsyncClient, grid_id: str, **more: object) -> Response:
    body = {"id": grid_id, "name": grid_id, "scheme": "security", "agency": "gongan", "geometry": POLYGON, **more}
    return await client.post("/grids", json=body)


async def test_the_life_of_a_unit(home: House) -> None:
    client = await home.client()
    assert (await make_grid(client, "g-1")).status_code == 201
    made = await make_unit(
        client,
        "car-1",
        kind="vehicle",
        home_talk_group="gongan-1",
        grids=["g-1"],
        radio_ids=[{"kind": "mdc1200", "code": "01a2"}, {"kind": "selcall", "code": "23456"}],
    )
    assert made.status_code == 201, made.text
    unit = made.json()
    assert unit["radio_ids"] == [{"kind": "mdc1200", "code": "01A2"}, {"kind": "selcall", "code": "23456"}]
    assert (await client.get("/units/car-1")).json() == unit
    for query in ("agency=gongan", "kind=vehicle", "talk_group=gongan-1", "grid=g-1", "radio_id=mdc1200:01A2"):
        assert (await client.get(f"/units?{query}")).json() == {"items": [unit], "next": None}, query
    for query in ("agency=chengguan", "kind=team", "talk_group=centre-1", "grid=g-2", "radio_id=dtmf:01"):
        assert (await client.get(f"/units?{query}")).json()["items"] == [], query
    changed = await client.patch("/units/car-1", json={"name": "Car 1", "home_talk_group": None, "grids": []})
    assert changed.json() == unit | {"name": "Car 1", "home_talk_group": None, "grids": []}
    assert (await client.delete("/units/car-1")).status_code == 204
    assert (await client.get("/units")).json()["items"] == []
    assert (await client.get("/units?with_retired=true")).json()["items"] == [changed.json() | {"is_retired": True}]
    assert problem(await client.patch("/units/car-1", json={"name": "x"})) == (409, "retired")
    assert problem(await client.get("/units/nix")) == (404, "no-such-unit")
    assert [entry[0] for entry in await home.audit()] == [
        "grid.created",
        "unit.created",
        "unit.changed",
        "unit.retired",
    ]


async def test_a_radio_id_has_one_holder_until_it_retires(home: House) -> None:
    client = await home.client()
    ids = [{"kind": "mdc1200", "code": "1234"}]
    assert (await make_unit(client, "a", radio_ids=ids)).status_code == 201
    refused = await make_unit(client, "b", radio_ids=ids)
    assert problem(refused) == (409, "radio-id-taken")
    assert refused.json()["unit"] == "a"
    other_kind = await make_unit(client, "c", radio_ids=[{"kind": "dtmf", "code": "1234"}])
    assert other_kind.status_code == 201
    assert (await client.patch("/units/a", json={"radio_ids": ids})).status_code == 200
    await client.delete("/units/a")
    assert (await make_unit(client, "b", radio_ids=ids)).status_code == 201
    assert (await client.get("/units/a")).json()["radio_ids"] == ids


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"radio_ids": [{"kind": "mdc1200", "code": 1234}]}, "valid string"),
        ({"radio_ids": [{"kind": "mdc1200", "code": "12345"}]}, "four hexadecimal digits"),
        ({"radio_ids": [{"kind": "selcall", "code": "12X45"}]}, "four to eight tones"),
        ({"radio_ids": [{"kind": "dtmf", "code": "1E"}]}, "sixteen keys"),
        ({"radio_ids": [{"kind": "dcs", "code": "023"}]}, "mdc1200"),
        ({"home_talk_group": "nix"}, "retired talk groups: nix"),
        ({"home_talk_group": "chengguan-1"}, "belongs to another agency"),
        ({"grids": ["nix", "nox"]}, "retired grids: nix, nox"),
        ({"agency": "nix"}, "retired agencies: nix"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_unit_that_cannot_be(more: dict[str, object], told: str, home: House) -> None:
    client = await home.client()
    answer = await make_unit(client, "a", **more)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert problem(await client.get("/units/a")) == (404, "no-such-unit")
    assert await home.audit() == []


@pytest.mark.parametrize(
    ("geometry", "told"),
    [
        ({"type": "Polygon", "coordinates": []}, "without a ring"),
        ({"type": "MultiPolygon", "coordinates": []}, "no polygon"),
        ({"type": "Polygon", "coordinates": [SQUARE[:-1]]}, "ends where it begins"),
        ({"type": "Polygon", "coordinates": [[*SQUARE[:2], SQUARE[0]]]}, "at least four positions"),
        (
            {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]},
            "Self-intersection at 0.5 0.5",
        ),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 91], [0, 0]]]}, "[1.0, 91.0] is no longitude"),
        ({"type": "Polygon", "coordinates": [[[-170, 0], [170, 0], [170, 1], [-170, 0]]]}, "antimeridian"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [2, 0], [0, 0]]]}, "cannot be used"),
        ({"type": "Polygon", "coordinates": [[[0, n / 1000] for n in range(1990)], SQUARE, SQUARE, SQUARE]}, "2005"),
        ({"type": "Point", "coordinates": [0, 0]}, "Polygon"),
    ],
)
async def test_a_geometry_that_cannot_be(geometry: dict[str, object], told: str, home: House) -> None:
    client = await home.client()
    answer = await make_grid(client, "g", geometry=geometry)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert (await client.get("/grids")).json() == []


async def test_a_number_that_is_none_is_refused(home: House) -> None:
    client = await home.client()
    body = {"id": "g", "name": "g", "scheme": "s", "geometry": {"type": "Polygon", "coordinates": [SQUARE]}}
    answer = await client.post(
        "/grids",
        content=json.dumps(body).replace("30.1", "NaN"),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422


async def test_grids_by_point_overlap_and_scheme(home: House) -> None:
    """The town of the demo: four quarters under five strips."""
    for group, agency in (("police-1", "gongan"), ("urban-1", "chengguan"), ("fire-1", "xiaofang")):
        client = await home.client()
        await client.post("/talk-groups", json={"id": group, "name": group, "agency": agency})
    await settle(home.repository)
    officer = await home.client(Role.OFFICER, "xiaofang")

    async def ids(path: str) -> list[str]:
        return [grid["id"] for grid in (await officer.get(path)).json()]

    assert len(await ids("/grids")) == len(town_grids()) == 9
    assert await ids("/grids?scheme=city-management") == ["city-1", "city-2", "city-3", "city-4"]
    assert await ids("/grids?agency=gongan") == [f"security-{number}" for number in range(1, 6)]
    assert await ids("/grids?longitude=120.61&latitude=30.05") == ["city-1", "security-1"]
    assert await ids("/grids?longitude=120.61&latitude=30.05&scheme=public-security") == ["security-1"]
    assert await ids("/grids?longitude=120.64&latitude=30.03&scheme=city-management") == await ids(
        "/grids?scheme=city-management"
    ), "a corner is in all that meet there"
    assert await ids("/grids?longitude=0&latitude=0") == []
    assert problem(await officer.get("/grids?longitude=120.61")) == (422, "half-a-point")
    over = (await officer.get("/grids/city-3/overlaps")).json()
    assert [(grid["id"], grid["share"]) for grid in over] == [
        ("security-1", 0.5),
        ("security-2", 0.5),
        ("security-3", 0.25),
    ], "neighbours of its own scheme share a border, no ground"
    assert await ids("/grids/city-3/overlaps?scheme=city-management") == []
    assert (await officer.get("/grids/city-3/talk-groups")).json() == ["fire-1", "police-1", "urban-1"]
    assert (await officer.get("/grids/city-3/talk-groups?agency=gongan")).json() == ["police-1"]
    assert (await officer.get("/grids/security-5/talk-groups?agency=gongan")).json() == []
    assert problem(await officer.get("/grids/nix/talk-groups")) == (404, "no-such-grid")


async def test_the_life_of_a_grid(home: House) -> None:
    client = await home.client()
    islands = {"type": "MultiPolygon", "coordinates": [[SQUARE], [[[1, 1, 9], [2, 1, 9], [2, 2, 9], [1, 1, 9]]]]}
    made = (await make_grid(client, "g-1", geometry=islands)).json()
    assert made["geometry"]["type"] == "MultiPolygon"
    assert made["geometry"]["coordinates"][1] == [[[1, 1], [2, 1], [2, 2], [1, 1]]], "heights are dropped"
    assert (await client.get("/grids/g-1")).json() == made
    changed = await client.patch("/grids/g-1", json={"name": "G 1", "geometry": POLYGON})
    assert changed.json() == made | {"name": "G 1", "geometry": POLYGON}
    await make_unit(client, "team-1", grids=["g-1"])
    refused = await client.delete("/grids/g-1")
    assert problem(refused) == (409, "in-use")
    assert refused.json()["units"] == ["team-1"]
    await client.delete("/units/team-1")
    assert (await client.delete("/grids/g-1")).status_code == 204
    assert problem(await client.get("/grids/g-1")) == (404, "no-such-grid")
    assert problem(await make_grid(client, "g-1")) == (409, "already-exists")


async def test_what_is_in_use_is_not_retired(home: House) -> None:
    client = await home.client()
    await home.user(Role.DISPATCHER, "xiaofang")
    refused = await client.delete("/agencies/xiaofang")
    assert problem(refused) == (409, "in-use")
    assert (refused.json()["talk_groups"], refused.json()["users"]) == (["xiaofang-1"], ["dispatcher-xiaofang"])
    await make_unit(client, "engine-1", agency="xiaofang", home_talk_group="xiaofang-1")
    refused = await client.delete("/talk-groups/xiaofang-1")
    assert (problem(refused), refused.json()["units"]) == ((409, "in-use"), ["engine-1"])
    await client.delete("/units/engine-1")
    assert (await client.delete("/talk-groups/xiaofang-1")).status_code == 204
    assert (await client.delete("/users/dispatcher-xiaofang")).status_code == 204
    assert (await client.delete("/agencies/xiaofang")).status_code == 204
    late = await make_unit(client, "engine-2", agency="xiaofang")
    assert problem(late) == (422, "unknown-reference")


async def test_the_life_of_a_user(home: House) -> None:
    client = await home.client()
    body = {"username": "li", "password": "correct horse battery", "role": "officer", "agency": "gongan"}
    user = (await client.post("/users", json=body)).json()
    assert user == {"id": user["id"], "name": "li", "role": "officer", "agency": "gongan", "is_disabled": False}
    assert (await client.get(f"/users/{user['id']}")).json() == user
    assert (await client.get("/users/li")).json() == user
    moved = await client.patch("/users/li", json={"role": "auditor", "agency": None})
    assert moved.json() == user | {"role": "auditor", "agency": None}
    assert problem(await client.patch("/users/li", json={"role": "agency-admin"})) == (422, "role-needs-agency")
    assert problem(await client.patch("/users/li", json={"agency": "nix"})) == (422, "unknown-reference")
    assert (await client.delete("/users/li")).status_code == 204
    assert (await client.get("/users/li")).json()["is_disabled"]
    assert not (await client.patch("/users/li", json={"is_disabled": False})).json()["is_disabled"]
    assert problem(await client.delete("/users/admin-centre")) == (409, "yourself")
    assert problem(await client.patch("/users/admin-centre", json={"role": "officer"})) == (409, "yourself")
    assert problem(await client.get("/users/nobody")) == (404, "no-such-user")
    first = (await client.get("/users?limit=1")).json()
    assert [item["name"] for item in first["items"]] == ["admin-centre"]
    rest = (await client.get(f"/users?after={first['next']}")).json()
    assert ([item["name"] for item in rest["items"]], rest["next"]) == (["li"], None)


async def test_units_come_in_pages(home: House) -> None:
    client = await home.client()
    for number in range(5):
        await make_unit(client, f"team-{number}")
    seen, after = [], ""
    while after is not None:
        page = (await client.get(f"/units?limit=2&after={after}")).json()
        seen += [unit["id"] for unit in page["items"]]
        after = page["next"]
    assert seen == [f"team-{number}" for number in range(5)]


async def test_an_agency_admin_keeps_to_the_agency(home: House) -> None:
    """Nobody raises themselves or others above the agency."""
    client = await home.client(Role.AGENCY_ADMIN, "gongan")
    body = {"username": "li", "password": "correct horse battery", "role": "dispatcher", "agency": "gongan"}
    assert (await client.post("/users", json=body)).status_code == 201
    above = await client.post("/users", json=body | {"username": "x", "role": "admin", "agency": None})
    assert problem(above) == (403, "not-allowed")
    assert problem(await client.patch("/users/li", json={"agency": None})) == (403, "not-allowed")
    assert problem(await client.patch("/users/li", json={"role": "admin"})) == (422, "role-without-agency")
    await home.user(Role.OFFICER, "chengguan")
    assert problem(await client.patch("/users/officer-chengguan", json={"agency": "gongan"})) == (403, "not-allowed")
    seen = [user["name"] for user in (await client.get("/users")).json()["items"]]
    assert seen == ["agency-admin-gongan", "li"]


async def test_nobody_sees_more_units_than_their_post_allows(home: House) -> None:
    admin = await home.client()
    for agency in ("gongan", "chengguan"):
        await make_unit(admin, f"{agency}-team", agency=agency)
    officer = await home.client(Role.OFFICER, "gongan")
    assert [unit["id"] for unit in (await officer.get("/units")).json()["items"]] == ["gongan-team"]
    assert problem(await officer.get("/units?agency=chengguan")) == (403, "not-allowed")
    assert problem(await officer.get("/units/chengguan-team")) == (403, "not-allowed")


async def test_a_change_that_is_not_stored_is_not_applied(home: House) -> None:
    """The audit entry cannot be written: nothing of the change is there, and the switchboard knows nothing of it."""
    client = await home.client()
    async with home.store.engine.begin() as connection:
        await connection.run_sync(lambda sync: AuditRow.__table__.drop(sync))  # type: ignore[attr-defined]
    answers = [
        await client.post("/talk-groups", json={"id": "new-1", "name": "New", "agency": "gongan"}),
        await client.patch("/talk-groups/gongan-1", json={"name": "Other"}),
        await client.delete("/talk-groups/gongan-1"),
        await make_unit(client, "a"),
        await make_grid(client, "g"),
        await client.patch("/agencies/gongan", json={"name": "Other"}),
    ]
    assert {problem(answer) for answer in answers} == {(503, "store-unavailable")}
    assert problem(await client.get("/talk-groups/new-1")) == (404, "no-such-talk-group")
    assert (await client.get("/talk-groups/gongan-1")).json()["name"] == "gongan 1"
    assert (await client.get("/units")).json()["items"] == []
    assert (await client.get("/grids")).json() == []
    assert (await client.get("/agencies/gongan")).json()["name"] == "Gongan"
