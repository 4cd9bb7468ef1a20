"""Log-ins with their refresh tokens, API keys, second factors: as records, and the ports to their store.

Secrets are stored as SHA-256 of 256 random bits: they cannot be guessed, so they need no slow hash.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from tongpin.gateway.records import AuditDraft, Role, User
from tongpin.gateway.rights import Right


def secret_hash(secret: str) -> str:
    """How a secret is stored. Hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Login:
    """One log-in of a user: a family of refresh tokens, each used once, until ``expires_at`` at the latest."""

    id: str
    user: str
    opened_at: datetime
    expires_at: datetime


class Rotation(Enum):
    """What became of a refresh token that was shown."""

    DONE = auto()
    UNKNOWN = auto()
    OVER = auto()
    RACED = auto()
    """Used moments ago: two tabs, or an answer that was lost. Nothing is given out, nothing ends."""
    REUSED = auto()
    """Used long ago: somebody has a copy. The whole log-in has ended."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """``login`` and ``user`` are there when it is done, and when the log-in has ended by reuse."""

    outcome: Rotation
    login: str = ""
    user: User | None = None


@dataclass(frozen=True, slots=True)
class Revoked:
    """From now on credentials of the subject (user, log-in or key) with a smaller epoch are worth nothing."""

    number: int
    subject: str
    epoch: int


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key for a program: a role at an agency or the command centre, and of what that may do only these verbs."""

    id: str
    name: str
    role: Role
    agency: str | None
    verbs: frozenset[Right]
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A user's TOTP secret, sealed; used at log-in once confirmed. A step that was used is never taken again."""

    user: str
    sealed: bytes
    is_confirmed: bool = False
    last_step: int = -1


class Logins(Protocol):
    """Where log-ins are kept. Every call is one transaction with its audit entries; StoreError when that fails."""

    async def open_login(
        self, login: Login, token_hash: str, token_expires_at: datetime, audit: Sequence[AuditDraft]
    ) -> None: ...

    async def rotate(self, token_hash: str, next_hash: str, now: datetime, next_expires_at: datetime) -> Rotated: ...

    async def end_login(self, login_id: str, audit: Sequence[AuditDraft]) -> None:
        """Nothing of it is good any more; one that is not there is fine."""

    async def login_of(self, token_hash: str) -> Login | None: ...

    async def revoked_since(self, number: int) -> Sequence[Revoked]:
        """Revocations after this number, and some before it: numbers may appear out of order."""

    async def note(self, audit: Sequence[AuditDraft]) -> None:
        """Store entries about what changed nothing, such as a failed log-in."""


class Keys(Protocol):
    """Where API keys are kept. Every call is one transaction with its audit entries; StoreError when that fails."""

    async def keys(self) -> Sequence[ApiKey]: ...

    async def key(self, key_id: str) -> ApiKey | None: ...

    async def key_by_hash(self, hash_: str) -> ApiKey | None: ...

    async def add_key(self, key: ApiKey, hash_: str, audit: Sequence[AuditDraft]) -> None: ...

    async def revoke_key(self, key_id: str, at: datetime, audit: Sequence[AuditDraft]) -> None: ...


class SecondFactors(Protocol):
    """Where second factors are kept. Every call is one transaction with its audit entries; StoreError if not."""

    async def factor(self, user: str) -> SecondFactor | None: ...

    async def save_factor(self, factor: SecondFactor, recovery: Sequence[str], audit: Sequence[AuditDraft]) -> None:
        """Replaces what the user had, its recovery codes (given as hashes) too."""

    async def use_step(self, user: str, step: int) -> bool:
        """Whether the step was later than every one used before; then it is used now."""

    async def use_recovery(self, user: str, hash_: str, audit: Sequence[AuditDraft]) -> bool:
        """Whether there was such a code; it is gone now."""

    async def remove_factor(self, user: str, audit: Sequence[AuditDraft]) -> None: ...
