"""Who is calling, and with what right."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer

from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.auth import Identity
from tongpin.gateway.errors import CallerError
from tongpin.gateway.ports import may_use
from tongpin.gateway.records import Role

_bearer = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/token", auto_error=False)


def services(request: Request) -> ApiServices:
    found: ApiServices = request.app.state.services
    return found


Services = Annotated[ApiServices, Depends(services)]


def identity(services: Services, token: Annotated[str | None, Depends(_bearer)]) -> Identity:
    """The caller. Raises CallerError 401."""
    if token is None:
        raise CallerError(401, "no-token", "log in with POST /api/v1/auth/token and send 'Authorization: Bearer …'")
    found = services.tokens.read(token)
    if found is None:
        raise CallerError(401, "bad-token", "the access token is not valid or is over; log in again")
    return found


Caller = Annotated[Identity, Depends(identity)]


def admin(caller: Caller) -> Identity:
    """The caller, if an admin. Raises CallerError 403."""
    if caller.role is not Role.ADMIN:
        raise CallerError(403, "admins-only", "only an admin may do this")
    return caller


Admin = Annotated[Identity, Depends(admin)]


def check_group(services: ApiServices, caller: Identity, group: str) -> None:
    """The caller may hear and talk on the group. Raises CallerError 403 or 404."""
    for known in services.dispatcher.view().groups:
        if known.group == group:
            if not may_use(caller.role, caller.agency, known.agency):
                raise CallerError(403, "other-agency", f"talk group {group!r} belongs to another agency")
            return
    raise CallerError(404, "no-such-talk-group", f"there is no talk group {group!r}")
