"""Everything the API needs of the rest of the gateway, handed in by the composition root."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tongpin.gateway.audit import AuditLog
from tongpin.gateway.auth import Tickets, Tokens
from tongpin.gateway.clock import Clock
from tongpin.gateway.credentials import Keys
from tongpin.gateway.joint.answers import Answers
from tongpin.gateway.joint.records import JointStore
from tongpin.gateway.joint.service import JointChannels
from tongpin.gateway.joint.terms import Terms
from tongpin.gateway.keys import KeyService
from tongpin.gateway.logins import LoginService, Pass
from tongpin.gateway.passwords import Passwords
from tongpin.gateway.places import Places
from tongpin.gateway.ports import Dispatcher
from tongpin.gateway.records import Json, People, TalkGroups
from tongpin.gateway.revocation import Revocations
from tongpin.gateway.rights import Identity
from tongpin.gateway.second_factor import SecondFactorService
from tongpin.gateway.things import Grids, Units
from tongpin.gateway.transmissions import Transmission, TransmissionStore
from tongpin.gateway.webhooks import Outbox, Webhooks, WebhookStore


class Socket(Protocol):
    """A WebSocket as the session service wants it."""

    async def receive(self) -> str | None: ...

    async def send(self, text: str) -> None: ...

    async def close(self) -> None: ...


class Recordings(Protocol):
    """Recorded transmissions; see :class:`tongpin.gateway.recording.service.Recordings`."""

    @property
    def folder(self) -> Path: ...

    @property
    def store(self) -> TransmissionStore: ...

    def is_recording(self, transmission_id: str) -> bool: ...

    async def live_peaks(self, transmission: Transmission) -> list[int]: ...

    async def export(self, target: Path, rows: Sequence[Transmission], title: str, made_by: str) -> None: ...


class StandardClients(Protocol):
    """WHIP and WHEP."""

    async def publish(self, group: str, offer: str, identity: Identity) -> tuple[str, str]: ...

    async def play(self, group: str, offer: str, identity: Identity) -> tuple[str, str]: ...

    async def delete(self, resource: str, user: str) -> None: ...


class SingleSignOn(Protocol):
    """OpenID Connect."""

    @property
    def label(self) -> str: ...

    async def begin(self, redirect_uri: str) -> tuple[str, str]: ...

    async def finish(self, state: str, bound: str | None, code: str) -> Pass: ...


@dataclass(frozen=True, slots=True)
class LegState:
    """One leg as REST and the console show it."""

    name: str
    label: str
    party: str
    agency: str | None
    talk_group: str | None
    online: bool
    reason: str
    cos: bool | None
    keyed: bool
    gate_open: bool
    rx_dbfs: float
    tx_dbfs: float
    playout_depth: int
    dropped: int
    lost: int
    concealed: int
    underruns: int
    restarts: int
    last_audio_in_s_ago: float | None
    last_audio_out_s_ago: float | None
    emergency: str | None
    capture_ppm: float | None
    playout_ppm: float | None
    keying: str
    last_test_at: str | None
    last_test_problems: list[str] | None


@dataclass(frozen=True, slots=True)
class ApiServices:
    """What the routes work with.

    Attributes:
        clear_emergency: of a leg, by a user; raises CallerError 404 when there is none.
        ping_store: raises StoreError when the database does not answer.
        metrics: the text of /metrics.
        picture: the number of the last event, and the whole view up to it.
        open_stream: server-sent events, by caller, Last-Event-ID and kinds.
        console: the folder of the built page.
        public_url: where browsers see the service, when that is not where it listens.
    """

    people: People
    talk_groups: TalkGroups
    units: Units
    grids: Grids
    places: Places
    ping_store: Callable[[], Awaitable[None]]
    passwords: Passwords
    tokens: Tokens
    tickets: Tickets
    logins: LoginService
    second_factor: SecondFactorService
    keys: Keys
    key_service: KeyService
    revocations: Revocations
    dispatcher: Dispatcher
    clock: Clock
    joint_channels: JointChannels
    joint_store: JointStore
    answers: Answers
    terms: Terms
    audit: AuditLog
    webhook_store: WebhookStore
    outbox: Outbox
    webhooks: Webhooks
    allow_private_webhooks: bool
    picture: Callable[[], Awaitable[tuple[int, Mapping[str, Json]]]]
    open_stream: Callable[[Identity, str | None, frozenset[str]], AsyncIterator[str]]
    clients: StandardClients
    legs: Callable[[], list[LegState]]
    clear_emergency: Callable[[str, str], None]
    serve_session: Callable[[Socket, Identity], Awaitable[None]]
    metrics: Callable[[], bytes]
    console: Path
    recordings: Recordings
    public_url: str | None = None
    oidc: SingleSignOn | None = None
