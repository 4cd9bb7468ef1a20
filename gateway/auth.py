"""Access tokens and one-time tickets. Clocks are passed in."""

import os
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import jwt

from tongpin.gateway.clock import Clock
from tongpin.gateway.records import Role, User
from tongpin.gateway.rights import Identity, Right

ACCESS_LIFE = timedelta(minutes=15)
TICKET_LIFE_S = 30.0
_ALGORITHM = "HS256"


class Tokens:
    """Signed access tokens, short-lived: what they say is believed without asking the store."""

    def __init__(self, secret: bytes, clock: Clock, life: timedelta = ACCESS_LIFE) -> None:
        self._secret = secret
        self._clock = clock
        self.life = life

    def issue(self, user: User, login: str = "", verbs: frozenset[Right] | None = None) -> str:
        """A token for a user, of a log-in; ``verbs`` limits what it may do."""
        now = self._clock.at()
        claims: dict[str, str | int | list[str] | None] = {
            "sub": user.id,
            "name": user.username,
            "role": user.role.value,
            "agency": user.agency,
            "epoch": user.epoch,
            "login": login,
            "iat": int(now.timestamp()),
            "exp": int((now + self.life).timestamp()),
        }
        if verbs is not None:
            claims["verbs"] = sorted(verbs)
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def read(self, token: str) -> Identity | None:
        """Who the token speaks for; None when it is forged, damaged or over."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                options={"verify_exp": False, "require": ["sub", "exp", "role", "name", "epoch"]},
            )
            if claims["exp"] <= self._clock.at().timestamp():
                return None
            verbs = frozenset(map(Right, claims["verbs"])) if "verbs" in claims else None
            return Identity(
                claims["sub"],
                claims["name"],
                Role(claims["role"]),
                claims.get("agency"),
                verbs,
                claims.get("login", ""),
                int(claims["epoch"]),
            )
        except (jwt.InvalidTokenError, ValueError, TypeError):
            return None


def load_secret(folder: Path) -> bytes:
    """The signing secret of this installation: made at the first start, readable by its owner only."""
    path = folder / "token.secret"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        secret = secrets.token_bytes(48)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secret)
        return secret


class Tickets:
    """One-time passes for WebSockets, which cannot carry a header from a browser. Bounded; each good for 30 s."""

    LIMIT = 10_000

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._open: OrderedDict[str, tuple[float, Identity]] = OrderedDict()

    def issue(self, identity: Identity) -> str:
        ticket = secrets.token_urlsafe(24)
        self._open[ticket] = (self._clock() + TICKET_LIFE_S, identity)
        while len(self._open) > self.LIMIT:
            self._open.popitem(last=False)
        return ticket

    def redeem(self, ticket: str) -> Identity | None:
        """Whose it was; None when unknown, used or over."""
        until, identity = self._open.pop(ticket, (float("-inf"), None))
        return identity if self._clock() < until else None
