"""Who is calling, and with what right."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer

from tongpin.channels.errors import UnknownGroupError
from tongpin.channels.ids import GroupId
from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.errors import CallerError
from tongpin.gateway.keys import PREFIX
from tongpin.gateway.records import User
from tongpin.gateway.rights import Identity, Right, require, require_somewhere

_bearer = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/token", auto_error=False)


def services(request: Request) -> ApiServices:
    found: ApiServices = request.app.state.services
    return found


Services = Annotated[ApiServices, Depends(services)]


async def identity(services: Services, token: Annotated[str | None, Depends(_bearer)]) -> Identity:
    """The caller, by an access token or an API key. Raises CallerError 401."""
    if token is None:
        raise CallerError(401, "no-token", "log in with POST /api/v1/auth/token and send 'Authorization: Bearer …'")
    is_key = token.startswith(PREFIX)
    found = await services.key_service.identify(token) if is_key else services.tokens.read(token)
    if found is None or services.revocations.is_revoked(found):
        raise CallerError(401, "bad-token", "the access token or key is not valid or is over; log in again")
    return found


Caller = Annotated[Identity, Depends(identity)]


async def person(caller: Caller, services: Services) -> User:
    """The caller, who is a person and no key. Raises CallerError 403."""
    user = await services.people.user(caller.user)
    if user is None:
        raise CallerError(403, "people-only", "only a person who is logged in may do this")
    return user


Person = Annotated[User, Depends(person)]


class With:
    """A dependency: the caller, who has this right somewhere. Raises CallerError 403.

    Whose things it reaches is asked once it is known whose they are: :func:`tongpin.gateway.rights.require`.
    """

    def __init__(self, right: Right) -> None:
        self.right = right

    def __call__(self, caller: Caller) -> Identity:
        require_somewhere(caller, self.right)
        return caller


Viewer = Annotated[Identity, Depends(With(Right.SEE))]
Manager = Annotated[Identity, Depends(With(Right.MANAGE))]


def check_group(services: ApiServices, caller: Identity, group: str, right: Right) -> None:
    """The caller has this right on the group. Raises CallerError 403 or 404."""
    try:
        agency = services.dispatcher.agency_of(GroupId(group))
    except UnknownGroupError as error:
        raise CallerError(404, "no-such-talk-group", f"there is no talk group {group!r}") from error
    require(caller, right, agency)
