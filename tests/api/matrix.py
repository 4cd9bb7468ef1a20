"""The rows of the matrix: every endpoint, the right it asks for, and how to call it.

A new endpoint needs a row in ``ROWS``; ``test_matrix.py`` fails until it has one. The least is method, path and right.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal

from httpx import AsyncClient

from tests.api.house import House
from tongpin.gateway.records import Role, User
from tongpin.gateway.rights import Right

NUMBERS = count(1)
SQUARE = [[120.0, 30.0], [120.1, 30.0], [120.1, 30.1], [120.0, 30.1], [120.0, 30.0]]
POLYGON = {"type": "Polygon", "coordinates": [SQUARE]}
Body = dict[str, object]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call is tried: whose the thing is, and what it may use.

    Attributes:
        owner: the agency whose thing it is, None = the command centre's.
        admin: a platform admin's client, to make what is needed.
    """

    owner: str | None
    home: House
    admin: AsyncClient

    def new_id(self) -> str:
        return f"x-{next(NUMBERS)}"


Make = Callable[[Place], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint.

    Attributes:
        right: what it asks for; None = anybody who is logged in.
        ok: the status for those who may.
        make: makes a fresh thing of the owner's and answers its id, which goes into the path's ``{…}``.
        body: the JSON body.
        has_centre: the command centre can have such a thing.
        scope: whose things the right must reach: the ``owner``'s, the ``centre``'s, or ``anywhere`` anybody's.
        headers: of the request.
        is_public: asks nobody who they are.
        is_audited: a change that must leave an entry in the audit log.
    """

    method: str
    path: str
    right: Right | None
    ok: int = 200
    make: Make | None = None
    body: Callable[[Place], Body] | None = None
    has_centre: bool = True
    scope: Literal["owner", "centre", "anywhere"] = "owner"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_public: bool = False
    is_audited: bool = True


async def agency(place: Place) -> str:
    """An agency is its own owner."""
    return place.owner or ""


async def new_agency(place: Place) -> str:
    made = place.new_id()
    await place.admin.post("/agencies", json={"id": made, "name": made})
    return made


async def user(place: Place) -> str:
    made = place.new_id()
    await place.home.repository.save_user(User(made, made, "!", Role.OFFICER, place.owner), is_new=True)
    return made


async def unit(place: Place) -> str:
    body = unit_body(place)
    await place.admin.post("/units", json=body)
    return str(body["id"])


async def grid(place: Place) -> str:
    body = grid_body(place)
    await place.admin.post("/grids", json=body)
    return str(body["id"])


async def group(place: Place) -> str:
    body = group_body(place)
    await place.admin.post("/talk-groups", json=body)
    return str(body["id"])


async def key(place: Place) -> str:
    made = await place.admin.post("/api-keys", json=key_body(place))
    return str(made.json()["id"])


async def nothing(place: Place) -> str:
    return "nix"


def unit_body(place: Place) -> Body:
    return {"id": place.new_id(), "name": "x", "kind": "team", "agency": place.owner}


def grid_body(place: Place) -> Body:
    return {"id": place.new_id(), "name": "x", "scheme": "s", "agency": place.owner, "geometry": POLYGON}


def group_body(place: Place) -> Body:
    return {"id": place.new_id(), "name": "x", "agency": place.owner}


def user_body(place: Place) -> Body:
    return {"username": place.new_id(), "password": "correct horse", "role": "officer", "agency": place.owner}


def key_body(place: Place) -> Body:
    end = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    return {"name": "x", "role": "officer", "agency": place.owner, "verbs": ["see"], "expires_at": end}


def renamed(place: Place) -> Body:
    return {"name": f"y {place.new_id()}"}


def nothing_said(place: Place) -> Body:
    """Refused as 422 once the caller has been let in."""
    return {}


async def channel(place: Place) -> str:
    """An active joint channel of the command centre's groups, which the owner leads."""
    groups = [place.new_id(), place.new_id()]
    for one in groups:
        await place.admin.post("/talk-groups", json={"id": one, "name": one})
    end = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"name": "x", "purpose": "x", "talk_groups": groups, "expires_at": end, "lead_agency": place.owner}
    return str((await place.admin.post("/joint-channels", json=body)).json()["id"])


def consent_body(place: Place) -> Body:
    return {"decision": "grant", "agency": place.owner}


def agreement_body(place: Place) -> Body:
    return {"name": "x", "agencies": [place.owner or "gongan", "xiaofang"]}


async def agreement(place: Place) -> str:
    return str((await place.admin.post("/agreements", json=agreement_body(place))).json()["id"])


def template_body(place: Place) -> Body:
    groups = ["gongan-1", "chengguan-1"]
    made = place.new_id()
    return {"id": made, "name": "x", "purpose": "x", "talk_groups": groups, "duration_s": 60, "agency": place.owner}


async def template(place: Place) -> str:
    return str((await place.admin.post("/templates", json=template_body(place))).json()["id"])


def webhook_body(place: Place) -> Body:
    """Port 9 (discard) answers nobody."""
    return {"name": "x", "url": "http://127.0.0.1:9/", "agency": place.owner}


async def webhook(place: Place) -> str:
    return str((await place.admin.post("/webhooks", json=webhook_body(place))).json()["id"])


PUBLIC_ROWS = (
    Row("GET", "/auth/methods", None, is_public=True),
    Row("GET", "/auth/oidc/login", None, 404, is_public=True),
    Row("GET", "/auth/oidc/callback", None, 422, is_public=True),
    Row("POST", "/auth/token", None, 422, is_public=True, is_audited=False),
    Row("POST", "/auth/refresh", None, 401, is_public=True, is_audited=False),
    Row("POST", "/auth/logout", None, 401, is_public=True, is_audited=False),
)

OWN_ROWS = (
    Row("POST", "/auth/ticket", None, is_audited=False),
    Row("GET", "/me", None),
    Row("PUT", "/me/password", None, 422, body=nothing_said, is_audited=False),
    Row("GET", "/auth/totp", None),
    Row("POST", "/auth/totp", None, 422, body=nothing_said, is_audited=False),
    Row("POST", "/auth/totp/confirm", None, 422, body=nothing_said, is_audited=False),
    Row("POST", "/auth/totp/remove", None, 422, body=nothing_said, is_audited=False),
)

PEOPLE_ROWS = (
    Row("GET", "/api-keys", Right.SEE_USERS, scope="anywhere"),
    Row("POST", "/api-keys", Right.MANAGE_USERS, 201, body=key_body),
    Row("GET", "/api-keys/{key_id}", Right.SEE_USERS, make=key),
    Row("DELETE", "/api-keys/{key_id}", Right.MANAGE_USERS, 204, make=key),
    Row("GET", "/agencies", Right.SEE),
    Row("POST", "/agencies", Right.MANAGE_AGENCIES, 201, body=lambda place: {"id": place.new_id(), "name": "x"}),
    Row("GET", "/agencies/{agency_id}", Right.SEE, make=agency, has_centre=False),
    Row("PATCH", "/agencies/{agency_id}", Right.MANAGE, make=agency, body=renamed, has_centre=False),
    Row("DELETE", "/agencies/{agency_id}", Right.MANAGE_AGENCIES, 204, make=new_agency),
    Row("GET", "/users", Right.SEE_USERS, scope="anywhere"),
    Row("POST", "/users", Right.MANAGE_USERS, 201, body=user_body),
    Row("GET", "/users/{user_id}", Right.SEE_USERS, make=user),
    Row("PATCH", "/users/{user_id}", Right.MANAGE_USERS, make=user, body=lambda place: {"role": "auditor"}),
    Row("DELETE", "/users/{user_id}", Right.MANAGE_USERS, 204, make=user),
    Row("POST", "/users/{user_id}/disable", Right.MANAGE_USERS, make=user),
    Row("PUT", "/users/{user_id}/password", Right.MANAGE_USERS, 204, user, lambda place: {"password": "correct horse"}),
    Row("DELETE", "/users/{user_id}/totp", Right.MANAGE_USERS, 204, make=user),
)

THING_ROWS = (
    Row("GET", "/units", Right.SEE_UNITS, scope="anywhere"),
    Row("POST", "/units", Right.MANAGE, 201, body=unit_body),
    Row("GET", "/units/{unit_id}", Right.SEE_UNITS, make=unit),
    Row("PATCH", "/units/{unit_id}", Right.MANAGE, make=unit, body=renamed),
    Row("DELETE", "/units/{unit_id}", Right.MANAGE, 204, make=unit),
    Row("GET", "/grids", Right.SEE),
    Row("POST", "/grids", Right.MANAGE, 201, body=grid_body),
    Row("GET", "/grids/{grid_id}", Right.SEE, make=grid),
    Row("GET", "/grids/{grid_id}/overlaps", Right.SEE, make=grid),
    Row("GET", "/grids/{grid_id}/talk-groups", Right.SEE, make=grid),
    Row("PATCH", "/grids/{grid_id}", Right.MANAGE, make=grid, body=renamed),
    Row("DELETE", "/grids/{grid_id}", Right.MANAGE, 204, make=grid),
    Row("GET", "/talk-groups", Right.SEE),
    Row("POST", "/talk-groups", Right.MANAGE, 201, body=group_body),
    Row("GET", "/talk-groups/{group_id}", Right.SEE, make=group),
    Row("PATCH", "/talk-groups/{group_id}", Right.MANAGE, make=group, body=renamed),
    Row("DELETE", "/talk-groups/{group_id}", Right.MANAGE, 204, make=group),
    Row("GET", "/legs", Right.SEE),
    Row("GET", "/legs/{name}", Right.SEE, 404, make=nothing),
    Row("DELETE", "/legs/{name}/emergency", Right.OVERRIDE, 404, make=nothing, scope="anywhere", is_audited=False),
    # Who is let in is told that this is no offer.
    Row("POST", "/whip/{talk_group}", Right.TALK, 415, make=group, is_audited=False),
    Row("POST", "/whep/{talk_group}", Right.LISTEN, 415, make=group, is_audited=False),
    Row("DELETE", "/whip/{talk_group}/{resource}", None, 404, make=nothing, is_audited=False),
    Row("DELETE", "/whep/{talk_group}/{resource}", None, 404, make=nothing, is_audited=False),
)

JOINT_ROWS = (
    Row("GET", "/joint-channels", Right.SEE),
    Row("POST", "/joint-channels", Right.PROPOSE, 422, body=nothing_said, scope="anywhere", is_audited=False),
    Row("GET", "/joint-channels/{channel_id}", Right.SEE, make=channel),
    Row("PATCH", "/joint-channels/{channel_id}", Right.RUN, make=channel, body=renamed, headers={"If-Match": "*"}),
    # It is active already: who may propose or consent is told so.
    Row("POST", "/joint-channels/{channel_id}/propose", Right.RUN, 409, make=channel),
    Row("POST", "/joint-channels/{channel_id}/consents", Right.CONSENT, 409, channel, consent_body, has_centre=False),
    Row("POST", "/joint-channels/{channel_id}/close", Right.RUN, make=channel),
    Row("GET", "/agreements", Right.SEE),
    Row("POST", "/agreements", Right.AGREE, 201, body=agreement_body, scope="centre"),
    Row("DELETE", "/agreements/{agreement_id}", Right.AGREE, make=agreement, has_centre=False),
    Row("GET", "/templates", Right.SEE),
    Row("POST", "/templates", Right.TEMPLATES, 201, body=template_body),
    Row("GET", "/templates/{template_id}", Right.SEE, make=template),
    Row("PATCH", "/templates/{template_id}", Right.TEMPLATES, make=template, body=renamed),
    Row("DELETE", "/templates/{template_id}", Right.TEMPLATES, 204, make=template),
)

RECORD_ROWS = (
    Row("GET", "/audit", Right.AUDIT, scope="anywhere"),
    Row("GET", "/audit/checkpoint", Right.AUDIT, scope="anywhere"),
    Row("POST", "/audit/verify", Right.AUDIT, scope="anywhere", is_audited=False),
    Row("GET", "/transmissions", Right.LISTEN, scope="anywhere"),
    Row("GET", "/transmissions/export", Right.LISTEN, 422, scope="anywhere"),
    Row("GET", "/transmissions/{transmission_id}", Right.LISTEN, 404, make=nothing, scope="anywhere"),
    Row("GET", "/transmissions/{transmission_id}/waveform", Right.LISTEN, 404, make=nothing, scope="anywhere"),
    Row("GET", "/transmissions/{transmission_id}/audio", Right.LISTEN, 404, make=nothing, scope="anywhere"),
    Row("GET", "/transmissions/{transmission_id}/notes", Right.LISTEN, 404, make=nothing, scope="anywhere"),
    Row("POST", "/transmissions/{transmission_id}/notes", Right.LISTEN, 422, make=nothing, scope="anywhere"),
)

EVENT_ROWS = (
    Row("GET", "/view", Right.SEE),
    # Endless for who is let in, unless the id is none.
    Row("GET", "/events", Right.SEE, 422, headers={"Last-Event-ID": "x"}),
    Row("GET", "/webhooks", Right.WEBHOOKS, scope="anywhere"),
    Row("POST", "/webhooks", Right.WEBHOOKS, 201, body=webhook_body),
    Row("GET", "/webhooks/{webhook_id}", Right.WEBHOOKS, make=webhook),
    Row("PATCH", "/webhooks/{webhook_id}", Right.WEBHOOKS, make=webhook, body=renamed),
    Row("DELETE", "/webhooks/{webhook_id}", Right.WEBHOOKS, 204, make=webhook),
    Row("POST", "/webhooks/{webhook_id}/secret", Right.WEBHOOKS, make=webhook),
    Row("POST", "/webhooks/{webhook_id}/test", Right.WEBHOOKS, make=webhook, is_audited=False),
    Row("GET", "/webhooks/{webhook_id}/dead-letters", Right.WEBHOOKS, make=webhook),
    Row(
        "POST",
        "/webhooks/{webhook_id}/dead-letters/{delivery_id}/redeliver",
        Right.WEBHOOKS,
        404,
        make=webhook,
        is_audited=False,
    ),
)

ROWS = (*PUBLIC_ROWS, *OWN_ROWS, *PEOPLE_ROWS, *THING_ROWS, *JOINT_ROWS, *RECORD_ROWS, *EVENT_ROWS)
