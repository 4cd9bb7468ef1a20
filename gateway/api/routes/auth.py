"""Logging in: tokens for programs, one-time tickets for WebSockets."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.security import OAuth2PasswordRequestForm

from tongpin.gateway.api.deps import Caller, Services
from tongpin.gateway.api.schemas import MeOut, TicketOut, TokenOut
from tongpin.gateway.auth import TICKET_LIFE_S, TOKEN_LIFE
from tongpin.gateway.errors import CallerError

router = APIRouter(tags=["auth"])


@router.post("/auth/token")
async def log_in(
    form: Annotated[OAuth2PasswordRequestForm, Depends()], request: Request, services: Services
) -> TokenOut:
    """Change a name and a password for an access token of one hour."""
    address = request.client.host if request.client is not None else ""
    wait_s = services.limiter.wait_s(form.username, address)
    if wait_s > 0:
        raise CallerError(429, "too-many-logins", f"too many wrong log-ins; try again in {wait_s:.0f} s")
    user = await services.people.user_by_name(form.username)
    if not await services.passwords.verify(form.password, user) or user is None:
        services.limiter.failed(form.username, address)
        raise CallerError(401, "wrong-login", "user name or password is wrong")
    services.limiter.succeeded(form.username, address)
    return TokenOut(access_token=services.tokens.issue(user), expires_in=int(TOKEN_LIFE.total_seconds()))


@router.post("/auth/ticket")
async def ticket(caller: Caller, services: Services) -> TicketOut:
    """A ticket for one WebSocket, good for 30 s and one use."""
    return TicketOut(ticket=services.tickets.issue(caller), expires_in_s=int(TICKET_LIFE_S))


@router.get("/me")
async def me(caller: Caller) -> MeOut:
    return MeOut(id=caller.user, name=caller.username, role=caller.role, agency=caller.agency)
