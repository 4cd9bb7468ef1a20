"""Logging in at somebody else's: OpenID Connect, authorization code with PKCE (the extra ``oidc``).

The provider says who it is; the configuration says which role and agency its claims mean. Users are made at their first
log-in, follow their claims at every further one, and have no password here.
"""

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, cast

import structlog
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from tongpin.config.models import OidcConfig
from tongpin.gateway.changes import changed, made
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import CallerError
from tongpin.gateway.logins import LoginService, Pass
from tongpin.gateway.passwords import UNUSABLE
from tongpin.gateway.records import People, Role, User

_log = structlog.get_logger(__name__)

PENDING = 1_000
PENDING_S = 600.0
LEEWAY_S = 60
TIMEOUT_S = 10.0
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
_USERNAME = re.compile(r"[A-Za-z0-9._-]{1,63}")


class Answer(Protocol):
    """An HTTP answer, as far as it is read here."""

    def raise_for_status(self) -> object: ...

    def json(self) -> object: ...


@dataclass(frozen=True, slots=True)
class _Begun:
    """A log-in that is under way at the provider's."""

    verifier: str
    nonce: str
    redirect_uri: str
    until: float


@dataclass(frozen=True, slots=True)
class _Provider:
    authorization: str
    token: str
    jwks: str


class OidcService:
    """One provider. Event-loop thread only."""

    def __init__(self, config: OidcConfig, people: People, logins: LoginService, clock: Clock) -> None:
        self._config = config
        self._people = people
        self._logins = logins
        self._clock = clock
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._known: _Provider | None = None

    @property
    def label(self) -> str:
        """What the button says."""
        return self._config.label

    async def begin(self, redirect_uri: str) -> tuple[str, str]:
        """The provider's address to send the browser to, and the state to bind to this browser.

        Raises CallerError 502 when the provider does not answer as it should.
        """
        provider = await self._provider()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        self._begun[state] = _Begun(verifier, nonce, redirect_uri, self._clock.now() + PENDING_S)
        while len(self._begun) > PENDING:
            self._begun.popitem(last=False)
        async with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                provider.authorization, state=state, code_verifier=verifier, nonce=nonce
            )
        return str(url), state

    async def finish(self, state: str, bound: str | None, code: str) -> Pass:
        """Back from the provider: who it is, logged in.

        Raises CallerError: 401 the answer is not one to a log-in of this browser, or not the provider's; 403 the claims
        have no role here; 409 the name is another's; 502 the provider fails.
        """
        begun = self._begun.pop(state, None)
        if begun is None or begun.until < self._clock.now() or not bound or not secrets.compare_digest(bound, state):
            raise CallerError(401, "oidc-state", "this log-in was not begun here, or is over; begin again")
        provider = await self._provider()
        async with self._client(begun.redirect_uri) as client:
            try:
                token = await client.fetch_token(provider.token, code=code, code_verifier=begun.verifier)
                keys = self._content(await client.request("GET", provider.jwks, withhold_token=True))
            except (OAuthError, OSError, ValueError) as error:
                raise CallerError(401, "oidc-refused", "the provider does not take this code; begin again") from error
            except Exception as error:
                raise _away(error) from error
        claims = self._claims(str(token.get("id_token", "")), keys, begun.nonce)
        return await self._logins.open(await self._user(claims), {"oidc": self._config.issuer})

    def _client(self, redirect_uri: str) -> AsyncOAuth2Client:
        secret = self._config.secret()
        return AsyncOAuth2Client(
            self._config.client_id,
            secret,
            token_endpoint_auth_method="client_secret_basic" if secret is not None else "none",
            scope=" ".join(self._config.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=TIMEOUT_S,
        )

    async def _provider(self) -> _Provider:
        if self._known is None:
            url = self._config.issuer.rstrip("/") + "/.well-known/openid-configuration"
            try:
                async with self._client("") as client:
                    found = self._content(await client.request("GET", url, withhold_token=True))
            except Exception as error:
                raise _away(error) from error
            if found.get("issuer") != self._config.issuer:
                raise CallerError(502, "oidc-away", "the provider calls itself otherwise than auth.oidc.issuer")
            self._known = _Provider(
                str(found["authorization_endpoint"]), str(found["token_endpoint"]), str(found["jwks_uri"])
            )
        return self._known

    @staticmethod
    def _content(answer: Answer) -> Mapping[str, object]:
        answer.raise_for_status()
        found = answer.json()
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
        return found

    def _claims(self, id_token: str, keys: Mapping[str, object], nonce: str) -> Mapping[str, object]:
        """What a genuine ID token of this log-in says (OpenID Connect Core 3.1.3.7). Raises CallerError 401."""
        try:
            claims = jwt.decode(id_token, KeySet.import_key_set(cast("KeySetSerialization", keys)), ALGORITHMS).claims
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise CallerError(401, "oidc-token", "the provider's ID token is not genuine") from error
        now = self._clock.at().timestamp()
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        is_ours = (
            claims.get("iss") == self._config.issuer
            and self._config.client_id in audiences
            and (len(audiences) == 1 or claims.get("azp") == self._config.client_id)
            and isinstance(claims.get("exp"), int | float)
            and claims["exp"] > now - LEEWAY_S
            and isinstance(claims.get("sub"), str)
            and secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode())
        )
        if not is_ours:
            raise CallerError(401, "oidc-token", "the provider's ID token is not for this log-in, or is over")
        return claims

    async def _user(self, claims: Mapping[str, object]) -> User:
        """The user of these claims, made or brought up to date. Raises CallerError 403 or 409."""
        role, agency = self._post(claims)
        username = str(claims.get(self._config.username_claim, ""))
        if not _USERNAME.fullmatch(username):
            raise CallerError(403, "oidc-name", f"the claim {self._config.username_claim!r} is no user name")
        digest = hashlib.sha256(f"{self._config.issuer}\0{claims['sub']}".encode()).hexdigest()
        known = await self._people.user(f"o-{digest[:24]}")
        if known is None:
            user = User(f"o-{digest[:24]}", username, UNUSABLE, role, agency)
            await self._people.save_user(user, is_new=True, audit=made("oidc", "user", user))
            return user
        if known.is_disabled:
            raise CallerError(403, "oidc-disabled", "this user is disabled here")
        user = replace(known, role=role, agency=agency)
        if user != known:
            await self._people.save_user(user, is_new=False, audit=changed("oidc", "user", known, user))
        return await self._people.user(user.id) or user

    def _post(self, claims: Mapping[str, object]) -> tuple[Role, str | None]:
        value = claims.get(self._config.role_claim)
        values = value if isinstance(value, list) else [value]
        for rule in self._config.roles:
            if rule.value in values:
                return Role(rule.role), rule.agency
        raise CallerError(403, "oidc-no-role", f"none of the {self._config.role_claim!r} has a role here")


def _away(error: Exception) -> CallerError:
    """The provider's fault; the log has the kind of error only, for its text may have what was sent."""
    _log.error("the OpenID provider failed", kind=type(error).__name__)
    return CallerError(502, "oidc-away", "the single sign-on does not answer as it should; try again later")
