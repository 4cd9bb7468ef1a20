"""Logging in and out: access tokens, refresh tokens (a cookie for browsers), one-time tickets for WebSockets."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Body, Cookie, Depends, Form, Header, Request, Response
from fastapi.security import OAuth2PasswordRequestForm

from tongpin.gateway.api.deps import Caller, Services
from tongpin.gateway.api.schemas import MeOut, RefreshIn, TicketOut, TokenOut
from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.auth import TICKET_LIFE_S
from tongpin.gateway.errors import CallerError
from tongpin.gateway.logins import Pass
from tongpin.gateway.rights import Reach, Right, reach

router = APIRouter(tags=["auth"])

COOKIE = "__Secure-tongpin-refresh"
COOKIE_PATH = "/api/v1/auth"

Client = Annotated[
    Literal["console"] | None,
    Header(alias="X-Tongpin-Client", description="`console`: keep the refresh token in a cookie"),
]
Code = Annotated[str | None, Form(max_length=40, description="of the authenticator app, or a recovery code")]
RefreshCookie = Annotated[str | None, Cookie(alias=COOKIE)]


def address_of(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _check_origin(request: Request, services: ApiServices) -> None:
    """A browser's request with the cookie must come from our own page. Raises CallerError 403."""
    origin = request.headers.get("origin")
    own = {request.headers.get("host", ""), urlsplit(services.public_url or "").netloc}
    if origin is not None and urlsplit(origin).netloc not in own:
        raise CallerError(403, "foreign-origin", "this request comes from another site")


def _token_out(given: Pass, services: ApiServices, response: Response, client: str | None) -> TokenOut:
    response.headers["Cache-Control"] = "no-store"
    if client is not None:
        set_cookie(response, given)
    return TokenOut(
        access_token=given.access,
        expires_in=int(services.tokens.life.total_seconds()),
        refresh_token=given.refresh if client is None else None,
        refresh_expires_in=given.refresh_s,
        must_enrol_totp=given.is_bare,
    )


def set_cookie(response: Response, given: Pass) -> None:
    """The refresh token where no script can read it, and no other site's request carries it."""
    response.set_cookie(
        COOKIE, given.refresh, given.refresh_s, path=COOKIE_PATH, secure=True, httponly=True, samesite="strict"
    )


@router.post("/auth/token")
async def log_in(
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    request: Request,
    response: Response,
    services: Services,
    otp: Code = None,
    client: Client = None,
) -> TokenOut:
    """Change a name and a password (and a code, when enrolled) for an access token and a refresh token."""
    if client is not None:
        _check_origin(request, services)
    given = await services.logins.log_in(form.username, form.password, otp, address_of(request))
    return _token_out(given, services, response, client)


def _shown(
    body: RefreshIn | None, cookie: str | None, client: str | None, request: Request, services: ApiServices
) -> str:
    """The refresh token of the body, or of the cookie when the request is the console's own."""
    if body is not None:
        return body.refresh_token
    if client is None:
        raise CallerError(401, "no-refresh-token", "send refresh_token, or from a browser X-Tongpin-Client: console")
    _check_origin(request, services)
    if cookie is None:
        raise CallerError(401, "no-refresh-token", "there is no cookie; log in")
    return cookie


@router.post("/auth/refresh")
async def refresh(
    request: Request,
    response: Response,
    services: Services,
    body: Annotated[RefreshIn | None, Body()] = None,
    client: Client = None,
    cookie: RefreshCookie = None,
) -> TokenOut:
    """Change a refresh token for a new pair. Each is good once; one that comes again ends the whole log-in."""
    given = await services.logins.refresh(_shown(body, cookie, client, request, services))
    return _token_out(given, services, response, client if body is None else None)


@router.post("/auth/logout", status_code=204)
async def log_out(
    request: Request,
    response: Response,
    services: Services,
    body: Annotated[RefreshIn | None, Body()] = None,
    client: Client = None,
    cookie: RefreshCookie = None,
) -> None:
    """End this log-in: its tokens are worth nothing, its sessions end."""
    await services.logins.log_out(_shown(body, cookie, client, request, services))
    response.delete_cookie(COOKIE, COOKIE_PATH, secure=True, httponly=True, samesite="strict")


@router.post("/auth/ticket")
async def ticket(caller: Caller, services: Services) -> TicketOut:
    """A ticket for one WebSocket, good for 30 s and one use."""
    return TicketOut(ticket=services.tickets.issue(caller), expires_in_s=int(TICKET_LIFE_S))


@router.get("/me")
async def me(caller: Caller) -> MeOut:
    names: dict[Reach, Literal["own", "own-and-centre", "all"]] = {
        Reach.OWN: "own",
        Reach.OWN_AND_CENTRE: "own-and-centre",
        Reach.ALL: "all",
    }
    rights = {right: names[extent] for right in Right if (extent := reach(caller, right)) is not Reach.NONE}
    return MeOut(id=caller.user, name=caller.username, role=caller.role, agency=caller.agency, rights=rights)
