"""Passwords, tokens, one-time tickets, and the limit on wrong log-ins. Clocks are passed in."""

import asyncio
import hashlib
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import jwt
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from tongpin.gateway.clock import Clock
from tongpin.gateway.records import Role, User
from tongpin.gateway.rights import Identity

TOKEN_LIFE = timedelta(hours=1)
TICKET_LIFE_S = 30.0
MIN_PASSWORD = 12
MAX_PASSWORD = 256
_ALGORITHM = "HS256"


class Passwords:
    """argon2id in threads, two at a time: one verify takes 150 ms and must not stop the frames."""

    def __init__(self) -> None:
        self._hash = PasswordHash((Argon2Hasher(),))
        self._turn = asyncio.Semaphore(2)
        self._decoy = self._hash.hash(secrets.token_hex(16))

    async def hash(self, password: str) -> str:
        async with self._turn:
            return await asyncio.to_thread(self._hash.hash, password)

    async def verify(self, password: str, user: User | None) -> bool:
        """Whether the password is the user's. An unknown or disabled user costs as long as a known one."""
        stored = user.password_hash if user is not None else self._decoy
        async with self._turn:
            is_right = await asyncio.to_thread(self._hash.verify, password[:MAX_PASSWORD], stored)
        return is_right and user is not None and not user.is_disabled


class Tokens:
    """Signed access tokens of one hour."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def issue(self, user: User) -> str:
        now = self._clock.at()
        claims = {
            "sub": user.id,
            "name": user.username,
            "role": user.role.value,
            "agency": user.agency,
            "iat": int(now.timestamp()),
            "exp": int((now + TOKEN_LIFE).timestamp()),
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def read(self, token: str) -> Identity | None:
        """Who the token speaks for; None when it is forged, damaged or over."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                options={"verify_exp": False, "require": ["sub", "exp", "role", "name"]},
            )
            if claims["exp"] <= self._clock.at().timestamp():
                return None
            return Identity(claims["sub"], claims["name"], Role(claims["role"]), claims.get("agency"))
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


class LoginLimiter:
    """After five wrong log-ins for a name from an address, each further try must wait: 2 s, 4 s … 5 min."""

    FREE_TRIES = 5
    LONGEST_S = 300.0
    LIMIT = 10_000

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, username: str, address: str) -> float:
        """Seconds until the next try is let through; 0 = now."""
        _, until = self._failures.get(self._key(username, address), (0, 0.0))
        return max(0.0, until - self._clock())

    def failed(self, username: str, address: str) -> None:
        key = self._key(username, address)
        count = self._failures.pop(key, (0, 0.0))[0] + 1
        extra = count - self.FREE_TRIES
        wait_s = min(self.LONGEST_S, 2.0 ** min(extra + 1, 20)) if extra >= 0 else 0.0
        self._failures[key] = (count, self._clock() + wait_s)
        while len(self._failures) > self.LIMIT:
            self._failures.popitem(last=False)

    def succeeded(self, username: str, address: str) -> None:
        self._failures.pop(self._key(username, address), None)

    @staticmethod
    def _key(username: str, address: str) -> str:
        return hashlib.sha256(f"{username}\0{address}".encode()).hexdigest()
