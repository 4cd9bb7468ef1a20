"""Single sign-on, when it is configured and its extra is installed."""

from tongpin.config.models import AuthConfig
from tongpin.gateway.api.services import SingleSignOn
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import TongpinError
from tongpin.gateway.logins import LoginService
from tongpin.gateway.records import People


class SignOnError(TongpinError):
    """It cannot be offered; the text says what to install."""


def sign_on(auth: AuthConfig, people: People, logins: LoginService, clock: Clock) -> SingleSignOn | None:
    """None = not configured. Raises SignOnError."""
    if auth.oidc is None:
        return None
    try:
        from tongpin.gateway.oidc import OidcService
    except ImportError as error:
        raise SignOnError("auth.oidc needs the extra: pip install 'tongpin[oidc]'") from error
    return OidcService(auth.oidc, people, logins, clock)
