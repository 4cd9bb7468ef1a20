"""Every endpoint × every post × things of one's own agency, of another, of the command centre: the expected status.

The endpoints are those of the app's own OpenAPI document; what is expected comes from the table of rights.
"""

import re

import pytest
from httpx import AsyncClient

from tests.api.house import House
from tests.api.matrix import ROWS, Place, Row
from tongpin.gateway.api.app import PREFIX, bare_app
from tongpin.gateway.rights import POSTS, Identity, Post, Reach, may, reach

OWN, OTHER = "gongan", "chengguan"
METHODS = {"get", "post", "put", "patch", "delete"}


def endpoints() -> set[tuple[str, str]]:
    """Method and path of all that the OpenAPI document has."""
    paths = bare_app().openapi()["paths"]
    return {
        (method.upper(), path.removeprefix(PREFIX))
        for path, item in paths.items()
        for method in item
        if method in METHODS
    }


def test_every_endpoint_has_a_row() -> None:
    rows = [(row.method, row.path) for row in ROWS]
    missing = sorted(endpoints() - set(rows))
    assert missing == [], "add a Row(method, path, right, …) to ROWS in tests/api/matrix.py for each of these"
    gone = sorted(set(rows) - endpoints())
    assert gone == [], "there is no such endpoint any more: take its row out of tests/api/matrix.py"
    assert len(rows) == len(set(rows)), "an endpoint has two rows in tests/api/matrix.py"


async def call(client: AsyncClient, row: Row, place: Place, made: str) -> int:
    path = re.sub(r"\{\w+\}", made, row.path)
    body = row.body(place) if row.body is not None else None
    answer = await client.request(row.method, path, json=body, headers=row.headers)
    return answer.status_code


def expected(row: Row, caller: Identity, owner: str | None) -> int:
    if row.right is None:
        return row.ok
    is_allowed = {
        "owner": may(caller, row.right, owner),
        "centre": may(caller, row.right, None),
        "anywhere": reach(caller, row.right) is not Reach.NONE,
    }[row.scope]
    return row.ok if is_allowed else 403


@pytest.mark.timeout(400)
@pytest.mark.parametrize("post", POSTS, ids=POSTS.values())
async def test_who_may_do_what_with_whose_things(post: Post, home: House) -> None:
    """One caller of each post; a change that was let through must also stand in the audit log."""
    agency = None if post.is_centre else OWN
    admin, client = await home.client(), await home.client(post.role, agency)
    user = await home.user(post.role, agency)
    caller = Identity(user.id, user.username, user.role, user.agency)
    wrong = []
    for row in ROWS:
        for owner in (OWN, OTHER, None) if row.has_centre else (OWN, OTHER):
            place = Place(owner, home, admin)
            want = expected(row, caller, owner)
            made = await row.make(place) if row.make is not None else ""
            before = await home.audit_count()
            got = await call(client, row, place, made)
            entries = await home.audit_count() - before
            is_change = row.is_audited and row.method != "GET" and want < 400
            if got != want or (is_change and not entries) or (want >= 400 and entries):
                wrong.append(f"{row.method} {row.path} of {owner}: {got} instead of {want}, {entries} audit entries")
    assert wrong == []


async def test_nobody_who_is_not_logged_in_may_do_anything(home: House) -> None:
    client, admin = await home.client(None), await home.client()
    place = Place(OWN, home, admin)
    answers = {(row.method, row.path): await call(client, row, place, "x") for row in ROWS if not row.is_public}
    assert {key: status for key, status in answers.items() if status != 401} == {}
    for token in ("Bearer nonsense", "Bearer tpk_nonsense", "Basic YTpi"):
        client.headers["Authorization"] = token
        assert (await client.get("/me")).status_code == 401
