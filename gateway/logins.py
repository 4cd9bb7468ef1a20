"""Logging in and staying logged in: password, second factor, refresh tokens that are used once, logging out."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from tongpin.gateway.auth import Tokens
from tongpin.gateway.clock import Clock
from tongpin.gateway.credentials import Login, Logins, Rotation, secret_hash
from tongpin.gateway.errors import CallerError
from tongpin.gateway.login_limit import LoginLimiter
from tongpin.gateway.passwords import Passwords
from tongpin.gateway.records import AuditDraft, People, User
from tongpin.gateway.revocation import Revocations
from tongpin.gateway.second_factor import SecondFactorService


@dataclass(frozen=True, slots=True)
class Pass:
    """What a log-in or a refresh gives.

    Attributes:
        is_bare: the user must enrol a second factor first, and may do nothing else.
    """

    access: str
    refresh: str
    refresh_s: int
    is_bare: bool


class LoginService:
    """Event-loop thread only."""

    def __init__(
        self,
        people: People,
        logins: Logins,
        passwords: Passwords,
        tokens: Tokens,
        limiter: LoginLimiter,
        second_factor: SecondFactorService,
        revocations: Revocations,
        clock: Clock,
        idle: timedelta,
        longest: timedelta,
    ) -> None:
        """``idle``: the life of a refresh token; ``longest``: of a log-in however often it is refreshed."""
        self._people = people
        self._logins = logins
        self._passwords = passwords
        self._tokens = tokens
        self._limiter = limiter
        self._second_factor = second_factor
        self._revocations = revocations
        self._clock = clock
        self._idle = idle
        self._longest = longest

    async def log_in(self, username: str, password: str, code: str | None, address: str) -> Pass:
        """Check everything and open a log-in.

        Raises:
            CallerError: 401 wrong (alike for wrong names, passwords, codes and disabled users), or ``otp-needed`` when
                only the code is missing; 429 too many wrong tries.
            StoreError: nobody is logged in.
        """
        wait_s = self._limiter.wait_s(username, address)
        if wait_s > 0:
            extra: dict[str, str | list[str]] = {"retry_after_s": f"{wait_s:.0f}"}
            raise CallerError(429, "too-many-logins", f"too many wrong log-ins; try again in {wait_s:.0f} s", extra)
        known = await self._people.user_by_name(username)
        user = known if await self._passwords.verify(password, known) else None
        if user is not None and await self._second_factor.is_enrolled(user.id):
            if not code:
                raise CallerError(401, "otp-needed", "give the code of your authenticator app as otp")
            if not await self._second_factor.check(user, code):
                user = None
        if user is None:
            await self._failed(username, address, known)
            raise CallerError(401, "wrong-login", "user name, password or code is wrong")
        self._limiter.succeeded(username, address)
        return await self.open(user, {"address": address})

    async def open(self, user: User, detail: dict[str, str]) -> Pass:
        """Open a log-in for somebody who has proved who they are."""
        now = self._clock.at()
        refresh = secrets.token_urlsafe(32)
        login = Login(f"l-{secrets.token_hex(8)}", user.id, now, now + self._longest)
        audit = [AuditDraft("auth.login", user.username, login.id, user.agency, detail)]
        await self._logins.open_login(login, secret_hash(refresh), self._until(now, login.expires_at), audit)
        return await self._pass(user, login.id, refresh)

    async def refresh(self, shown: str) -> Pass:
        """Change a refresh token for the next one. Raises CallerError 401, or 409 in a race."""
        now = self._clock.at()
        following = secrets.token_urlsafe(32)
        rotated = await self._logins.rotate(secret_hash(shown), secret_hash(following), now, now + self._idle)
        if rotated.outcome is Rotation.RACED:
            raise CallerError(409, "refresh-raced", "this token was changed a moment ago; use the new one")
        if rotated.outcome is Rotation.REUSED:
            await self._revocations.refresh()
        if rotated.outcome is not Rotation.DONE or rotated.user is None:
            raise CallerError(401, "bad-refresh-token", "the refresh token is not valid or is over; log in again")
        return await self._pass(rotated.user, rotated.login, following)

    async def log_out(self, shown: str) -> None:
        """End the log-in that a refresh token is of; one that is unknown is fine."""
        login = await self._logins.login_of(secret_hash(shown))
        if login is None:
            return
        user = await self._people.user(login.user)
        audit = [AuditDraft("auth.logout", user.username, login.id, user.agency)] if user is not None else []
        await self._logins.end_login(login.id, audit)
        await self._revocations.refresh()

    async def check_password(self, user: User, password: str, address: str) -> None:
        """The password again, for what must not happen at an unattended desk. Raises CallerError 401 or 429."""
        if self._limiter.wait_s(user.username, address) > 0:
            raise CallerError(429, "too-many-logins", "too many wrong passwords; try again later")
        if not await self._passwords.verify(password, user):
            await self._failed(user.username, address, user)
            raise CallerError(401, "wrong-login", "the password is wrong")

    async def _failed(self, username: str, address: str, known: User | None) -> None:
        """Told by name only when the name is one: people type passwords into the wrong field."""
        is_locked = self._limiter.failed(username, address)
        actor, agency = (known.username, known.agency) if known is not None else ("unknown", None)
        drafts = [AuditDraft("auth.login-failed", actor, address, agency)]
        if is_locked:
            drafts.append(AuditDraft("auth.locked", actor, address, agency))
        await self._logins.note(drafts)

    async def _pass(self, user: User, login: str, refresh: str) -> Pass:
        is_bare = await self._second_factor.is_missing(user)
        access = self._tokens.issue(user, login, frozenset() if is_bare else None)
        return Pass(access, refresh, int(self._idle.total_seconds()), is_bare)

    def _until(self, now: datetime, longest: datetime) -> datetime:
        return min(now + self._idle, longest)
