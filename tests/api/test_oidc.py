"""Single sign-on against a provider that is built here: code with PKCE, state, nonce, a signed ID token."""

import asyncio
import base64
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from fastapi import FastAPI, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from httpx import AsyncClient
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from tests.api.house import House, house
from tests.api.test_logins import CONSOLE, bearer
from tests.api.test_things import problem
from tongpin.config.models import AgencyConfig, AuthConfig, Config, OidcConfig, OidcRole

CLIENT, SECRET = "tongpin-client", "provider-secret-of-the-test"
Claims = dict[str, object]


@dataclass
class Provider:
    """An identity provider that is as strict as the standard, and can be told to lie.

    Attributes:
        claims: what the next ID token says beside the usual; None takes a claim away.
        key: what it signs with; ``known`` is what its JWKS says.
    """

    url: str = ""
    claims: Claims = field(default_factory=lambda: {"preferred_username": "wang", "groups": ["staff", "police"]})
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    known: RSAKey | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    issuer: str | None = None

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        async def discovery() -> Claims:
            return {
                "issuer": self.issuer or self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
            }

        @app.get("/authorize")
        async def authorize(request: Request) -> Response:
            asked = dict(request.query_params)
            assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
            assert asked["code_challenge_method"] == "S256" and "openid" in asked["scope"].split()
            code = f"code-{len(self.codes)}"
            self.codes[code] = asked
            return RedirectResponse(f"{asked['redirect_uri']}?code={code}&state={asked['state']}", 303)

        @app.post("/token")
        async def token(
            request: Request,
            code: Annotated[str, Form()],
            code_verifier: Annotated[str, Form()],
            redirect_uri: Annotated[str, Form()],
        ) -> Response:
            credentials = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            asked = self.codes.pop(code, {})
            challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).decode().rstrip("=")
            if (
                request.headers.get("authorization") != f"Basic {credentials}"
                or asked.get("code_challenge") != challenge
                or asked.get("redirect_uri") != redirect_uri
            ):
                return JSONResponse({"error": "invalid_grant"}, 400)
            usual = {"iss": self.url, "aud": CLIENT, "sub": "77", "exp": time() + 60, "nonce": asked["nonce"]}
            claims = {name: value for name, value in (usual | self.claims).items() if value is not None}
            id_token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
            return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": id_token})

        @app.get("/jwks")
        async def jwks() -> Claims:
            return {"keys": [(self.known or self.key).as_dict(private=False)]}

        return app


class _Server(uvicorn.Server):
    """Leaves signals alone."""

    @asynccontextmanager
    async def running(self, listener: socket.socket) -> AsyncIterator[None]:
        task = asyncio.create_task(self._serve([listener]))
        while not self.started:
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            self.should_exit = True
            await task


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        made = Provider(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = _Server(uvicorn.Config(made.app(), lifespan="off", log_config=None))
        async with server.running(listener):
            yield made


@pytest.fixture
async def home(tmp_path: Path, provider: Provider) -> AsyncIterator[House]:
    oidc = OidcConfig(
        issuer=provider.url,
        client_id=CLIENT,
        client_secret=SecretStr(SECRET),
        roles=(
            OidcRole(value="bosses", role="admin"),
            OidcRole(value="police", role="dispatcher", agency="gongan"),
        ),
    )
    config = Config(
        data_folder=tmp_path / "data", agencies=(AgencyConfig(id="gongan", name="P"),), auth=AuthConfig(oidc=oidc)
    )
    async with house(tmp_path, config) as found:
        yield found


async def there(client: AsyncClient) -> tuple[str, str, dict[str, str]]:
    """Begin, let the provider agree: code, state, and the cookie of this browser."""
    begun = await client.get("/auth/oidc/login")
    assert begun.status_code == 303, begun.text
    assert {"HttpOnly", "Secure", "SameSite=lax"} <= set(begun.headers["set-cookie"].split("; "))
    async with AsyncClient() as browser:
        agreed = await browser.get(begun.headers["location"])
    back = urlsplit(agreed.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == "http://house/api/v1/auth/oidc/callback"
    query = parse_qs(back.query)
    return query["code"][0], query["state"][0], {"Cookie": begun.headers["set-cookie"].split(";")[0]}


async def back(client: AsyncClient) -> tuple[int, str]:
    code, state, cookie = await there(client)
    return problem(await client.get("/auth/oidc/callback", params={"code": code, "state": state}, headers=cookie))


async def test_a_stranger_becomes_a_user_with_the_role_of_the_claims(home: House, provider: Provider) -> None:
    client = await home.client(None)
    assert (await client.get("/auth/methods")).json() == {"password": True, "oidc": "Single sign-on"}
    for role, agency, groups in (("dispatcher", "gongan", ["staff", "police"]), ("admin", None, "bosses")):
        provider.claims["groups"] = groups
        code, state, cookie = await there(client)
        answer = await client.get("/auth/oidc/callback", params={"code": code, "state": state}, headers=cookie)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        kept = next(one for one in answer.headers.get_list("set-cookie") if "tongpin-refresh" in one)
        given = await client.post("/auth/refresh", headers={"Cookie": kept.split(";")[0], **CONSOLE})
        me = (await client.get("/me", headers=bearer(given))).json()
        assert (me["name"], me["role"], me["agency"]) == ("wang", role, agency)
    assert [user.username for user in await home.repository.users()] == ["wang"]
    actions = [(action, actor) for action, actor, _, _ in await home.audit()]
    assert actions == [
        ("user.created", "oidc"),
        ("auth.login", "wang"),
        ("user.changed", "oidc"),
        ("auth.login", "wang"),
    ]
    assert (await client.post("/auth/token", data={"username": "wang", "password": "!"})).status_code == 401


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"nonce": "another"}, "oidc-token"),
        ({"nonce": None}, "oidc-token"),
        ({"aud": "another-client"}, "oidc-token"),
        ({"aud": [CLIENT, "another-client"]}, "oidc-token"),
        ({"iss": "http://evil.example"}, "oidc-token"),
        ({"exp": 1}, "oidc-token"),
        ({"exp": None}, "oidc-token"),
        ({"sub": None}, "oidc-token"),
    ],
)
async def test_an_id_token_that_is_not_for_this_log_in(
    claims: Claims, code: str, home: House, provider: Provider
) -> None:
    provider.claims |= claims
    assert await back(await home.client(None)) == (401, code)
    assert list(await home.repository.users()) == []


async def test_an_id_token_that_somebody_else_signed(home: House, provider: Provider) -> None:
    provider.known = RSAKey.generate_key(2048, {"kid": "1"})
    assert await back(await home.client(None)) == (401, "oidc-token")


async def test_claims_without_a_role_or_a_name_here(home: House, provider: Provider) -> None:
    client = await home.client(None)
    provider.claims["groups"] = ["staff"]
    assert await back(client) == (403, "oidc-no-role")
    provider.claims |= {"groups": ["police"], "preferred_username": "a b"}
    assert await back(client) == (403, "oidc-name")
    provider.claims |= {"preferred_username": "admin-centre"}
    admin = await home.client()
    assert await back(client) == (409, "already-exists"), "nobody becomes a local user by calling themselves so"
    provider.claims |= {"preferred_username": "wang"}
    code, state, cookie = await there(client)
    await client.get("/auth/oidc/callback", params={"code": code, "state": state}, headers=cookie)
    assert (await admin.post("/users/wang/disable")).status_code == 200
    assert await back(client) == (403, "oidc-disabled")


async def test_an_answer_counts_once_and_in_the_browser_that_asked(home: House) -> None:
    client = await home.client(None)
    code, state, cookie = await there(client)
    callback = {"code": code, "state": state}
    other = {"Cookie": cookie["Cookie"].split("=")[0] + "=another"}
    assert problem(await client.get("/auth/oidc/callback", params=callback)) == (401, "oidc-state")
    assert problem(await client.get("/auth/oidc/callback", params=callback, headers=cookie)) == (401, "oidc-state")
    code, state, cookie = await there(client)
    forged = await client.get("/auth/oidc/callback", params={"code": code, "state": state}, headers=other)
    assert problem(forged) == (401, "oidc-state")
    code, state, cookie = await there(client)
    wrong = await client.get("/auth/oidc/callback", params={"code": "guessed", "state": state}, headers=cookie)
    assert problem(wrong) == (401, "oidc-refused")
    refused = await client.get("/auth/oidc/callback", params={"error": "access_denied", "state": "x"})
    assert problem(refused) == (401, "oidc-refused")


async def test_a_provider_with_another_name_is_not_believed(home: House, provider: Provider) -> None:
    provider.issuer = "http://evil.example"
    assert problem(await (await home.client(None)).get("/auth/oidc/login")) == (502, "oidc-away")


async def test_a_provider_that_is_away(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        oidc = OidcConfig(issuer=f"http://127.0.0.1:{nobody.getsockname()[1]}", client_id=CLIENT, roles=())
        config = Config(data_folder=tmp_path / "data", auth=AuthConfig(oidc=oidc))
        async with house(tmp_path, config) as home:
            assert problem(await (await home.client(None)).get("/auth/oidc/login")) == (502, "oidc-away")


async def test_without_a_provider(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        client = await home.client(None)
        assert (await client.get("/auth/methods")).json() == {"password": True, "oidc": None}
        assert problem(await client.get("/auth/oidc/login")) == (404, "no-oidc")
        assert problem(await client.get("/auth/oidc/callback?state=x&code=y")) == (404, "no-oidc")


def test_a_secret_may_lie_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    config = OidcConfig(issuer="https://id.example", client_id=CLIENT, client_secret_file=file, roles=())
    assert config.secret() == SECRET
    direct = OidcConfig(issuer="https://id.example", client_id=CLIENT, client_secret=SecretStr(SECRET), roles=())
    assert direct.secret() == SECRET
    assert SECRET not in repr(direct) + json.dumps(direct.model_dump(mode="json"))
    with pytest.raises(ValueError, match="https"):
        OidcConfig(issuer="http://id.example", client_id=CLIENT, roles=())
