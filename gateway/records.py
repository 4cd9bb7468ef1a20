"""What is stored, as plain records, and the port to the store. Times are aware UTC."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """What a user is; ``tongpin.gateway.rights`` says what that allows, at the command centre or in an agency."""

    ADMIN = "admin"
    AGENCY_ADMIN = "agency-admin"
    DISPATCHER = "dispatcher"
    OFFICER = "officer"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Agency:
    """An organisation; ``color`` (#rrggbb) marks its talkers."""

    id: str
    name: str
    color: str = "#3b6fb5"
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """A person who can log in. ``agency`` None = the command centre itself.

    ``epoch`` is the store's: saving a user disabled, or with another role, agency or password, raises it, and
    credentials of an earlier epoch are worth nothing.
    """

    id: str
    username: str
    password_hash: str
    role: Role
    agency: str | None = None
    is_disabled: bool = False
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class TalkGroup:
    id: str
    name: str
    agency: str | None = None
    is_retired: bool = False


Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""What JSON can say."""


@dataclass(frozen=True, slots=True)
class AuditDraft:
    """One thing that happened, for the audit log; number, time and hash are given when it is appended.

    Attributes:
        action: dotted and stable, e.g. ``joint-channel.consent``, ``floor.granted``, ``auth.login-failed``.
        actor: who did it: a username, a party, or ``system``.
        subject: what it was done to: an id.
        agency: the agency whose auditors may see it, None = the command centre.
        detail: more, without secrets. Floats are refused by nobody but best avoided.
        at: when it happened (aware), if not now.
    """

    action: str
    actor: str
    subject: str
    agency: str | None = None
    detail: Mapping[str, Json] = field(default_factory=dict)
    at: datetime | None = None


class People(Protocol):
    """Where agencies and users are kept. Every call is one transaction, with its audit entries.

    Raises (all methods): StoreError when the database fails; CallerError 409 when an id or a name is taken, or an
    agency in use is to be retired, 422 when a user's agency is not there or retired.
    """

    async def agencies(self, *, with_retired: bool = False) -> Sequence[Agency]: ...

    async def save_agency(self, agency: Agency, *, is_new: bool, audit: Sequence[AuditDraft] = ()) -> None: ...

    async def users(self) -> Sequence[User]: ...

    async def user(self, user_id: str) -> User | None: ...

    async def user_by_name(self, username: str) -> User | None: ...

    async def save_user(self, user: User, *, is_new: bool, audit: Sequence[AuditDraft] = ()) -> None: ...


class TalkGroups(Protocol):
    """Where talk groups are kept; as :class:`People`."""

    async def talk_groups(self, *, with_retired: bool = False) -> Sequence[TalkGroup]: ...

    async def save_talk_group(self, group: TalkGroup, *, is_new: bool, audit: Sequence[AuditDraft] = ()) -> None: ...
