"""Webhooks as records, their secrets and signatures, where they may point, and the ports to their store."""

import base64
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import AuditDraft

MAX_URL = 2_000


class DeliveryState(StrEnum):
    WAITING = "waiting"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where events are sent.

    Attributes:
        agency: whose it is; None = the command centre.
        kinds: the kinds of events wanted; empty = all that the agency may follow.
        salt: what its secret is made from, together with the installation's; a new one is a new secret.
        is_active: False = nothing is taken or sent, what waits goes on waiting.
    """

    id: str
    name: str
    url: str
    agency: str | None
    kinds: tuple[str, ...]
    salt: str
    created_by: str
    created_at: datetime
    is_active: bool = True
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one webhook. A delivery that was made is forgotten.

    Attributes:
        number: its place in the order, given by the store; 0 before.
        body: the bytes that are sent, as text.
        status: the last answer's HTTP status, None when there was none.
    """

    id: str
    webhook: str
    kind: str
    body: str
    created_at: datetime
    number: int = 0
    attempts: int = 0
    state: DeliveryState = DeliveryState.WAITING
    status: int | None = None
    error: str = ""


class WebhookStore(Protocol):
    """Raises StoreError; CallerError as every repository."""

    async def webhooks(self) -> Sequence[Webhook]:
        """Those that are not retired, by id."""

    async def save(self, webhook: Webhook, *, is_new: bool, audit: Sequence[AuditDraft]) -> None: ...


class Outbox(Protocol):
    """What is still to be sent, over restarts. Raises StoreError."""

    async def add(self, deliveries: Sequence[Delivery], limit: int) -> int:
        """Put them at the end, in this order; how many found no room, because ``limit`` of their webhook wait."""

    async def first(self, webhook: str) -> Delivery | None:
        """The first that waits."""

    async def save(self, delivery: Delivery) -> None:
        """Its attempts, state and last error."""

    async def remove(self, delivery: Delivery) -> None: ...

    async def dead(self, webhook: str, after: int, limit: int) -> Sequence[Delivery]:
        """Those that were given up, in order, from after a number."""

    async def counts(self) -> dict[str, tuple[int, int]]:
        """Waiting and dead, by webhook."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt. ``error`` is empty when the receiver answered 2xx."""

    status: int | None
    error: str
    took_ms: int

    @property
    def is_delivered(self) -> bool:
        return not self.error


class Webhooks(Protocol):
    """The running side of webhooks, as the API sees it."""

    def secret(self, webhook: Webhook) -> str: ...

    async def changed(self) -> None:
        """Webhooks were made or changed in the store."""

    async def test(self, webhook: Webhook) -> Outcome:
        """Send an event of the kind ``test`` at once, out of turn and once."""

    async def redeliver(self, webhook: Webhook, delivery: str) -> None:
        """Try a dead delivery again, before those that wait. Raises CallerError 404."""


class SecretMaker:
    """Secrets are computed, not stored: who reads the database cannot sign."""

    def __init__(self, installation: bytes) -> None:
        self._key = hmac.digest(installation, b"tongpin webhook secrets", "sha256")

    def of(self, webhook: Webhook) -> str:
        raw = hmac.digest(self._key, f"{webhook.id}\0{webhook.salt}".encode(), "sha256")
        return "whsec_" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """``v1=`` and the HMAC-SHA256, hexadecimal, over time stamp, full stop and body."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, "sha256").hexdigest()


def check_url(url: str, *, allow_private: bool) -> None:
    """Raise CallerError 422 when nothing may be sent there."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise CallerError(422, "bad-webhook-url", f"a URL has at most {MAX_URL} printable ASCII characters")
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise CallerError(422, "bad-webhook-url", "a webhook's URL begins with https:// or http:// and names a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise CallerError(422, "bad-webhook-url", "a webhook's URL has no user name, password or fragment")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return  # a name: its addresses are looked at when something is sent
    reason = refusal(address, allow_private=allow_private)
    if reason:
        raise CallerError(422, "webhook-address-refused", reason)


def refusal(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, allow_private: bool) -> str:
    """Why nothing is sent to this address; empty when it may be."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast or address.is_unspecified or address.is_link_local:
        return f"{address} is no receiver's address"
    if not allow_private and not address.is_global:
        return f"{address} is a private address; webhooks.allow_private allows those"
    return ""
