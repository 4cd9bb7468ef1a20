"""What is stored for joint channels beside the record itself, and the ports to the store. Times are aware UTC."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from tongpin.channels.joint import Agreement, JointChannel, JointState, Member
from tongpin.gateway.records import AuditDraft


@dataclass(frozen=True, slots=True)
class Template:
    """What a kind of operation usually needs; a joint channel made from it may say otherwise.

    Attributes:
        agency: whose it is; None = the command centre's. Everybody may use it.
        duration_s: from the opening to the end, when nothing else is said.
    """

    id: str
    name: str
    purpose: str
    members: tuple[Member, ...]
    duration_s: int
    agency: str | None = None
    event: str | None = None
    policy: tuple[tuple[str, str], ...] = ()
    lead_agency: str | None = None
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer given under an idempotency key, to be given again. ``key`` is the caller's own."""

    caller: str
    key: str
    body_hash: str
    status: int
    location: str
    body: str
    expires_at: datetime


class Sort(StrEnum):
    """Orders of a list of joint channels; a dash means the last first."""

    CREATED = "created_at"
    CREATED_LAST = "-created_at"
    EXPIRES = "expires_at"
    EXPIRES_LAST = "-expires_at"
    NAME = "name"
    NAME_LAST = "-name"


@dataclass(frozen=True, slots=True)
class ChannelQuery:
    """Which joint channels; everything given must hold.

    Attributes:
        states: in any of them.
        agency: it is asked for its consent, proposed or leads.
        awaits: this agency's consent is missing.
        after: (value of the sorted column, id) of the last one seen.
    """

    states: frozenset[JointState] = frozenset()
    agency: str | None = None
    awaits: str | None = None
    talk_group: str | None = None
    event: str | None = None
    incident: str | None = None
    sort: Sort = Sort.CREATED
    after: tuple[datetime | str, str] | None = None
    limit: int = 100


class JointStore(Protocol):
    """Where joint channels are kept. Every call is one transaction. Raises StoreError when the database fails."""

    async def find(self, query: ChannelQuery) -> Sequence[JointChannel]: ...

    async def channel(self, channel_id: str) -> JointChannel | None: ...

    async def standing(self) -> Sequence[JointChannel]:
        """All that are not over."""

    async def save(
        self, channels: Sequence[JointChannel], audit: Sequence[AuditDraft], answer: Answer | None = None
    ) -> None:
        """Store all or nothing; a record of version 1 is new.

        Raises:
            CallerError: 412 when a record was changed meanwhile, 422 when one names what does not exist.
        """

    async def answer(self, caller: str, key: str, at: datetime) -> Answer | None: ...

    async def forget_answers(self, at: datetime) -> None:
        """Those that are over, and the oldest of too many."""


class TermsStore(Protocol):
    """Where standing agreements and templates are kept. Every call is one transaction with its audit entries."""

    async def agreements(self, *, with_ended: bool = False) -> Sequence[Agreement]: ...

    async def save_agreement(self, agreement: Agreement, *, is_new: bool, audit: Sequence[AuditDraft]) -> None: ...

    async def templates(self, *, with_retired: bool = False) -> Sequence[Template]: ...

    async def save_template(self, template: Template, *, is_new: bool, audit: Sequence[AuditDraft]) -> None: ...


class MemberResolver(Protocol):
    """Says which talk groups members are at this moment."""

    async def resolve(self, members: Sequence[Member]) -> tuple[Mapping[str, str | None], Sequence[str]]:
        """Talk groups with their agencies, and what was not found, each as ``kind 'id'``."""
