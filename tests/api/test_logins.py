"""Logging in, staying in, being thrown out: passwords, refresh tokens, second factors, keys, revocation."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from httpx import AsyncClient, Response

from tests.api.house import House
from tests.api.test_things import problem
from tongpin.gateway import otp
from tongpin.gateway.api.routes.auth import COOKIE
from tongpin.gateway.passwords import Passwords
from tongpin.gateway.records import Role, User
from tongpin.gateway.rights import Identity, Right
from tongpin.gateway.storage.credentials_rows import RefreshTokenRow

PASSWORD = "correct horse battery"
CONSOLE = {"X-Tongpin-Client": "console", "Origin": "http://house"}


async def log_in(client: AsyncClient, username: str = "li", password: str = PASSWORD, **more: str) -> Response:
    return await client.post("/auth/token", data={"username": username, "password": password, **more})


async def make_user(home: House, username: str = "li", role: Role = Role.DISPATCHER, agency: str | None = None) -> User:
    user = User(f"u-{username}", username, await Passwords().hash(PASSWORD), role, agency)
    await home.repository.save_user(user, is_new=True)
    return user


def bearer(answer: Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def age_refresh_tokens(home: House, by: timedelta) -> None:
    """As if they had been used so long ago."""
    from sqlalchemy import select

    async with home.store.transaction() as session:
        for row in (await session.scalars(select(RefreshTokenRow))).all():
            row.used_at = row.used_at - by if row.used_at is not None else None


class Socket:
    """A WebSocket whose client only listens."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self._closed = asyncio.Event()

    async def receive(self) -> str | None:
        await self._closed.wait()
        return None

    async def send(self, text: str) -> None:
        self.sent.append(text)

    async def close(self) -> None:
        self._closed.set()


async def test_a_log_in_gives_both_tokens_and_is_written_down(home: House) -> None:
    await make_user(home, agency="gongan")
    client = await home.client(None)
    given = await log_in(client)
    assert given.json()["expires_in"] == 15 * 60
    assert given.headers["cache-control"] == "no-store"
    assert "set-cookie" not in given.headers
    me = (await client.get("/me", headers=bearer(given))).json()
    assert (me["name"], me["role"], me["agency"]) == ("li", "dispatcher", "gongan")
    assert me["rights"]["talk"] == "own-and-centre" and "users.manage" not in me["rights"]
    ((action, actor, subject, agency),) = await home.audit()
    assert (action, actor, agency) == ("auth.login", "li", "gongan") and subject.startswith("l-")


async def test_wrong_log_ins_are_alike_and_end_in_a_lock_out(home: House) -> None:
    """Unknown, disabled and wrong: the same words, the same waiting."""
    await make_user(home)
    off = await make_user(home, "off")
    await home.repository.save_user(replace(off, is_disabled=True), is_new=False)
    client = await home.client(None)
    answers = {}
    for name, password in (("li", "wrong horse battery"), ("nobody", PASSWORD), ("off", PASSWORD)):
        answers[name] = [await log_in(client, name, password) for _ in range(6)]
    bodies = {json.dumps([answer.json() for answer in tries]) for tries in answers.values()}
    assert len(bodies) == 1
    assert [answer.status_code for answer in answers["li"]] == [401] * 5 + [429]
    assert int(answers["li"][-1].headers["retry-after"]) >= 1
    audit = await home.audit()
    assert [entry[:2] for entry in audit].count(("auth.login-failed", "li")) == 5
    assert [entry[1] for entry in audit if entry[0] == "auth.locked"] == ["li", "unknown", "off"]
    assert not any("nobody" in str(entry) for entry in audit), "what was typed as a name may be a password"


async def test_refresh_tokens_rotate_and_a_copy_ends_the_log_in(home: House) -> None:
    await make_user(home)
    client = await home.client(None)
    first = await log_in(client)
    second = await client.post("/auth/refresh", json={"refresh_token": first.json()["refresh_token"]})
    assert (await client.get("/me", headers=bearer(second))).status_code == 200
    assert second.json()["refresh_token"] not in (None, first.json()["refresh_token"])
    raced = await client.post("/auth/refresh", json={"refresh_token": first.json()["refresh_token"]})
    assert problem(raced) == (409, "refresh-raced")
    assert (await client.get("/me", headers=bearer(second))).status_code == 200
    await age_refresh_tokens(home, timedelta(seconds=6))
    copied = await client.post("/auth/refresh", json={"refresh_token": first.json()["refresh_token"]})
    assert problem(copied) == (401, "bad-refresh-token")
    assert problem(await client.get("/me", headers=bearer(first))) == (401, "bad-token")
    assert problem(await client.get("/me", headers=bearer(second))) == (401, "bad-token")
    after = await client.post("/auth/refresh", json={"refresh_token": second.json()["refresh_token"]})
    assert problem(after) == (401, "bad-refresh-token")
    assert [entry[0] for entry in await home.audit()] == ["auth.login", "auth.refresh-reused"]
    assert (await client.get("/me", headers=bearer(await log_in(client)))).status_code == 200


async def test_of_many_who_show_the_same_token_one_gets_the_next(home: House) -> None:
    await make_user(home)
    client = await home.client(None)
    token = (await log_in(client)).json()["refresh_token"]
    answers = await asyncio.gather(*(client.post("/auth/refresh", json={"refresh_token": token}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7


async def test_the_consoles_token_is_a_cookie_that_no_other_page_can_use(home: House) -> None:
    await make_user(home)
    client = await home.client(None)
    given = await client.post("/auth/token", data={"username": "li", "password": PASSWORD}, headers=CONSOLE)
    assert given.json()["refresh_token"] is None
    cookie = given.headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/api/v1/auth"} <= set(cookie.split("; "))
    sent = {"Cookie": cookie.split(";")[0]}
    assert problem(await client.post("/auth/refresh", headers=sent)) == (401, "no-refresh-token")
    foreign = {**CONSOLE, "Origin": "https://evil.example"}
    assert problem(await client.post("/auth/refresh", headers=sent | foreign)) == (403, "foreign-origin")
    assert problem(await client.post("/auth/refresh", headers=CONSOLE)) == (401, "no-refresh-token")
    again = await client.post("/auth/refresh", headers=sent | CONSOLE)
    assert (await client.get("/me", headers=bearer(again))).status_code == 200
    newer = {"Cookie": again.headers["set-cookie"].split(";")[0]}
    assert newer != sent
    out = await client.post("/auth/logout", headers=newer | CONSOLE)
    assert out.status_code == 204
    assert f'{COOKIE}=""' in out.headers["set-cookie"]
    assert problem(await client.get("/me", headers=bearer(again))) == (401, "bad-token")
    assert problem(await client.post("/auth/refresh", headers=newer | CONSOLE)) == (401, "bad-refresh-token")
    assert [entry[0] for entry in await home.audit()] == ["auth.login", "auth.logout"]


async def test_log_out_with_what_is_no_token_is_fine(home: House) -> None:
    client = await home.client(None)
    assert (await client.post("/auth/logout", json={"refresh_token": "x"})).status_code == 204
    assert problem(await client.post("/auth/refresh", json={"refresh_token": "x"})) == (401, "bad-refresh-token")


async def test_ones_own_password(home: House) -> None:
    await make_user(home)
    client = await home.client(None)
    given = await log_in(client)
    headers = bearer(given)
    wrong = await client.put("/me/password", headers=headers, json={"old": "x" * 12, "password": "a longer one 1"})
    assert problem(wrong) == (401, "wrong-login")
    weak = await client.put("/me/password", headers=headers, json={"old": PASSWORD, "password": "password1234"})
    assert problem(weak) == (422, "weak-password")
    assert (await client.get("/me", headers=headers)).status_code == 200
    done = await client.put("/me/password", headers=headers, json={"old": PASSWORD, "password": "a longer one 1"})
    assert done.status_code == 204
    assert problem(await client.get("/me", headers=headers)) == (401, "bad-token")
    refreshed = await client.post("/auth/refresh", json={"refresh_token": given.json()["refresh_token"]})
    assert problem(refreshed) == (401, "bad-refresh-token")
    assert (await log_in(client)).status_code == 401
    assert (await log_in(client, password="a longer one 1")).status_code == 200


@pytest.mark.parametrize("how", ["disable", "delete", "role", "agency", "password"])
async def test_what_an_admin_does_to_a_user_ends_everything_of_theirs_at_once(how: str, home: House) -> None:
    await make_user(home, agency="gongan")
    admin, client = await home.client(), await home.client(None)
    headers = bearer(await log_in(client))
    ticket = (await client.post("/auth/ticket", headers=headers)).json()["ticket"]
    identity = home.gateway.services.tokens.read(headers["Authorization"].removeprefix("Bearer "))
    assert identity is not None
    sockets = [Socket(), Socket()]
    other = Identity("u-other", "other", Role.DISPATCHER, None)
    sessions = [
        asyncio.create_task(home.gateway.sessions.serve(sockets[0], identity)),
        asyncio.create_task(home.gateway.sessions.serve(sockets[1], other)),
    ]
    while home.gateway.sessions.count < 2:
        await asyncio.sleep(0)
    answer = await {
        "disable": lambda: admin.post("/users/li/disable"),
        "delete": lambda: admin.delete("/users/li"),
        "role": lambda: admin.patch("/users/li", json={"role": "officer"}),
        "agency": lambda: admin.patch("/users/li", json={"agency": None}),
        "password": lambda: admin.put("/users/li/password", json={"password": "a longer one 1"}),
    }[how]()
    assert answer.is_success, answer.text
    await sessions[0]
    assert json.loads(sockets[0].sent[-1])["code"] == "revoked"
    assert home.gateway.sessions.count == 1, "another user's session goes on"
    assert problem(await client.get("/me", headers=headers)) == (401, "bad-token")
    redeemed = home.gateway.services.tickets.redeem(ticket)
    assert redeemed is not None and home.gateway.revocations.is_revoked(redeemed)
    await sockets[1].close()
    await sessions[1]


async def test_what_the_command_line_does_is_seen_within_a_second(home: House) -> None:
    """Another process writes to the same database."""
    user = await make_user(home)
    headers = bearer(await log_in(client := await home.client(None)))
    ended = asyncio.Event()
    identity = home.gateway.services.tokens.read(headers["Authorization"].removeprefix("Bearer "))
    assert identity is not None
    home.gateway.revocations.watch(identity, ended.set)
    watching = asyncio.create_task(home.gateway.revocations.run())
    await home.repository.save_user(replace(user, is_disabled=True), is_new=False)
    await ended.wait()
    watching.cancel()
    assert problem(await client.get("/me", headers=headers)) == (401, "bad-token")


async def test_a_change_that_ends_nothing(home: House) -> None:
    """The same role again, or a user enabled again whose tokens ended long ago."""
    user = await make_user(home)
    headers = bearer(await log_in(client := await home.client(None)))
    await home.repository.save_user(user, is_new=False)
    await home.gateway.revocations.refresh()
    assert (await client.get("/me", headers=headers)).status_code == 200
    await home.repository.save_user(replace(user, is_disabled=True), is_new=False)
    await home.repository.save_user(user, is_new=False)
    await home.gateway.revocations.refresh()
    assert problem(await client.get("/me", headers=headers)) == (401, "bad-token")
    assert (await log_in(client)).status_code == 200


async def test_revocations_outlive_a_restart(home: House) -> None:
    from tongpin.gateway.revocation import Revocations
    from tongpin.gateway.storage.credentials import SqlLogins

    user = await make_user(home)
    await home.repository.save_user(replace(user, role=Role.OFFICER), is_new=False)
    fresh = Revocations(SqlLogins(home.store))
    old, new = (Identity(user.id, "li", Role.OFFICER, None, epoch=epoch) for epoch in (0, 1))
    assert not fresh.is_revoked(old)
    await fresh.refresh()
    assert fresh.is_revoked(old) and not fresh.is_revoked(new)
    told: list[str] = []
    fresh.watch(old, lambda: told.append("old"))
    fresh.watch(new, lambda: told.append("new"))()
    assert told == ["old"]


async def enrol(home: House, client: AsyncClient, headers: dict[str, str]) -> tuple[bytes, list[str]]:
    """The secret, and the recovery codes. Confirmed with the code of the step before, so that this one's is left."""
    import base64

    begun = await client.post("/auth/totp", headers=headers, json={"password": PASSWORD})
    assert begun.status_code == 200, begun.text
    text = begun.json()["secret"]
    secret = base64.b32decode(text + "=" * (-len(text) % 8))
    code = otp.code_at(secret, step_now(home) - 1)
    confirmed = await client.post("/auth/totp/confirm", headers=headers, json={"code": code})
    assert confirmed.status_code == 200, confirmed.text
    return secret, confirmed.json()["recovery_codes"]


def step_now(home: House) -> int:
    return int(home.gateway.services.clock.at().timestamp()) // otp.STEP_S


async def test_a_second_factor_is_asked_for_and_each_code_is_good_once(home: House) -> None:
    await make_user(home, role=Role.ADMIN)
    client = await home.client(None)
    headers = bearer(await log_in(client))
    assert problem(await client.post("/auth/totp", headers=headers, json={"password": "x" * 12})) == (
        401,
        "wrong-login",
    )
    assert problem(await client.post("/auth/totp/confirm", headers=headers, json={"code": "000000"}))[0] == 409
    secret, recovery = await enrol(home, client, headers)
    assert (await client.get("/auth/totp", headers=headers)).json() == {"is_enrolled": True}
    assert problem(await client.post("/auth/totp", headers=headers, json={"password": PASSWORD}))[0] == 409
    assert problem(await log_in(client)) == (401, "otp-needed")
    assert problem(await log_in(client, password="x" * 12, otp="1")) == (401, "wrong-login")
    code = otp.code_at(secret, step_now(home) + 1)
    assert problem(await log_in(client, otp="000000" if code != "000000" else "000001")) == (401, "wrong-login")
    assert (await log_in(client, otp=code)).status_code == 200
    assert problem(await log_in(client, otp=code)) == (401, "wrong-login"), "a code that was seen is worth nothing"
    assert len(set(recovery)) == 10
    assert (await log_in(client, otp=recovery[0].lower())).status_code == 200
    assert problem(await log_in(client, otp=recovery[0])) == (401, "wrong-login")
    removed = await client.post("/auth/totp/remove", headers=headers, json={"password": PASSWORD})
    assert removed.status_code == 204
    assert (await log_in(client)).status_code == 200
    actions = [entry[0] for entry in await home.audit()]
    assert [action for action in actions if action.startswith(("auth.totp", "auth.recovery"))] == [
        "auth.totp-enrolled",
        "auth.recovery-code-used",
        "auth.totp-removed",
    ]
    async with home.store.engine.connect() as connection:
        kept = (await connection.exec_driver_sql("SELECT * FROM second_factors")).all()
    assert kept == []


async def test_a_second_factor_is_sealed_in_the_store_and_an_admin_takes_it_away(home: House) -> None:
    await make_user(home)
    client = await home.client(None)
    secret, _ = await enrol(home, client, bearer(await log_in(client)))
    async with home.store.engine.connect() as connection:
        (sealed,) = (await connection.exec_driver_sql("SELECT sealed FROM second_factors")).one()
    assert secret not in sealed
    assert problem(await log_in(client)) == (401, "otp-needed")
    admin = await home.client()
    assert (await admin.delete("/users/li/totp")).status_code == 204
    assert (await log_in(client)).status_code == 200


KEY = {"name": "cad", "role": "dispatcher", "agency": "gongan", "verbs": ["see", "joint-channels.propose"]}


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def test_the_life_of_an_api_key(home: House) -> None:
    admin, program = await home.client(), await home.client(None)
    made = await admin.post("/api-keys", json={**KEY, "expires_at": in_days(30)})
    assert made.status_code == 201, made.text
    key = made.json()
    secret = key.pop("secret")
    assert secret.startswith(f"tpk_{key['id'][2:]}_"), "the id can be read off a key that was found"
    assert (await admin.get("/api-keys")).json() == [key]
    assert (await admin.get(f"/api-keys/{key['id']}")).json() == key
    program.headers["Authorization"] = f"Bearer {secret}"
    me = (await program.get("/me")).json()
    assert (me["name"], me["rights"]) == ("key cad", {"see": "all", "joint-channels.propose": "all"})
    assert (await program.get("/talk-groups")).status_code == 200
    assert problem(await program.get("/units")) == (403, "not-allowed"), "the role may, the key may not"
    refused = await program.put("/me/password", json={"old": "x", "password": "y"})
    assert problem(refused) == (403, "people-only")
    identity = await home.gateway.services.key_service.identify(secret)
    assert identity is not None
    ended = asyncio.Event()
    home.gateway.revocations.watch(identity, ended.set)
    assert (await admin.delete(f"/api-keys/{key['id']}")).status_code == 204
    assert ended.is_set()
    assert problem(await program.get("/me")) == (401, "bad-token")
    assert problem(await admin.delete(f"/api-keys/{key['id']}")) == (409, "revoked-already")
    assert problem(await admin.delete("/api-keys/nix")) == (404, "no-such-api-key")
    async with home.store.engine.connect() as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM api_keys")).all()
    assert secret.rsplit("_", 1)[-1] not in str(rows)
    assert [entry[0] for entry in await home.audit()] == ["api-key.created", "api-key.revoked"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"expires_at": in_days(-1)}, "bad-expiry"),
        ({"expires_at": in_days(400)}, "bad-expiry"),
        ({"verbs": ["users.manage"], "role": "agency-admin"}, "bad-verbs"),
        ({"verbs": ["audit.read"]}, "bad-verbs"),
        ({"role": "admin"}, "role-without-agency"),
        ({"agency": "nix"}, "unknown-reference"),
        ({"verbs": []}, "invalid"),
        ({"verbs": ["fly"]}, "invalid"),
        ({"expires_at": "2026-01-01T00:00:00"}, "invalid"),
    ],
)
async def test_a_key_that_cannot_be(more: dict[str, object], code: str, home: House) -> None:
    admin = await home.client()
    answer = await admin.post("/api-keys", json={**KEY, "expires_at": in_days(30), **more})
    assert problem(answer) == (422, code)
    assert (await admin.get("/api-keys")).json() == []


async def test_a_key_is_over_at_its_end(home: House) -> None:
    admin, program = await home.client(), await home.client(None)
    made = (await admin.post("/api-keys", json={**KEY, "expires_at": in_days(1)})).json()
    async with home.store.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE api_keys SET expires_at = '2026-01-01 00:00:00.000000'")
    program.headers["Authorization"] = f"Bearer {made['secret']}"
    assert problem(await program.get("/me")) == (401, "bad-token")
    program.headers["Authorization"] = "Bearer tpk_nonsense"
    assert problem(await program.get("/me")) == (401, "bad-token")


async def test_a_log_in_that_cannot_be_written_down_is_none(home: House) -> None:
    await make_user(home)
    async with home.store.engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE audit")
    client = await home.client(None)
    assert problem(await log_in(client)) == (503, "store-unavailable")
    assert problem(await log_in(client, password="x" * 12)) == (503, "store-unavailable")
    async with home.store.engine.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT * FROM logins")).all() == []


def test_every_right_but_one_can_be_a_keys_verb() -> None:
    from tongpin.gateway.keys import NOT_FOR_KEYS

    assert {Right.MANAGE_USERS} == NOT_FOR_KEYS
