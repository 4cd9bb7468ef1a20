"""Logging in by OpenID Connect: there and back again with the browser."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Query, Request, Response
from fastapi.responses import RedirectResponse

from tongpin.gateway.api.deps import Services
from tongpin.gateway.api.routes.auth import set_cookie
from tongpin.gateway.api.schemas import MethodsOut
from tongpin.gateway.api.services import ApiServices, SingleSignOn
from tongpin.gateway.errors import CallerError

router = APIRouter(tags=["auth"])

PATH = "/api/v1/auth/oidc"
STATE_COOKIE = "__Secure-tongpin-oidc"


def _provider(services: ApiServices) -> SingleSignOn:
    if services.oidc is None:
        raise CallerError(404, "no-oidc", "no single sign-on is configured (auth.oidc)")
    return services.oidc


@router.get("/auth/methods")
async def methods(services: Services) -> MethodsOut:
    """How one can log in here."""
    return MethodsOut(oidc=services.oidc.label if services.oidc is not None else None)


@router.get("/auth/oidc/login", status_code=303, response_class=RedirectResponse)
async def begin(request: Request, services: Services) -> Response:
    """Send the browser to the provider."""
    base = services.public_url or str(request.base_url)
    url, state = await _provider(services).begin(f"{base.rstrip('/')}{PATH}/callback")
    response = RedirectResponse(url, 303)
    # Lax: the provider's page leads back here, and that is another site's link.
    response.set_cookie(STATE_COOKIE, state, 600, path=PATH, secure=True, httponly=True, samesite="lax")
    return response


@router.get("/auth/oidc/callback", status_code=303, response_class=RedirectResponse)
async def finish(
    services: Services,
    state: Annotated[str, Query(max_length=200)],
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
    bound: Annotated[str | None, Cookie(alias=STATE_COOKIE)] = None,
) -> Response:
    """Back from the provider: the console finds itself logged in by its cookie."""
    provider = _provider(services)
    if error or not code:
        raise CallerError(401, "oidc-refused", "the provider did not log you in; begin again")
    given = await provider.finish(state, bound, code)
    response = RedirectResponse("/", 303)
    set_cookie(response, given)
    response.delete_cookie(STATE_COOKIE, PATH, secure=True, httponly=True, samesite="lax")
    return response
