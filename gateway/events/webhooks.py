"""Sends events to webhooks: an outbox in the store, a sender for each webhook, in order, until taken or given up."""

import asyncio
import ipaddress
import json
import random
import secrets
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import islice
from time import monotonic

import httpx
import structlog

from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import CallerError, StoreError
from tongpin.gateway.events.audience import may_follow
from tongpin.gateway.events.log import Event, EventLog
from tongpin.gateway.records import Role
from tongpin.gateway.rights import Identity
from tongpin.gateway.webhooks import (
    Delivery,
    DeliveryState,
    Outbox,
    Outcome,
    SecretMaker,
    Webhook,
    WebhookStore,
    check_url,
    refusal,
    sign,
)

_log = structlog.get_logger(__name__)

QUEUE_LIMIT = 10_000
"""Events that wait to be put into the outbox, and deliveries that wait for one webhook."""
BATCH = 200
RETRY_S = 1.0
ATTEMPT_S = 10.0


class AddressRefusedError(Exception):
    """The receiver's address may not be sent to."""


class WebhookSender:
    """Implements :class:`tongpin.gateway.webhooks.Webhooks`. Event-loop thread only.

    Args:
        waits_s: pauses after the first, second … failed attempt; after the last of them a delivery is dead. Each pause
            is shortened by up to a half, at random, so that receivers that were down are not hit by all at once.
    """

    def __init__(
        self,
        store: WebhookStore,
        outbox: Outbox,
        log: EventLog,
        clock: Clock,
        secrets_of: SecretMaker,
        *,
        allow_private: bool,
        waits_s: tuple[float, ...] = (1, 5, 30, 120, 600, 1_800, 3_600),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.dropped = 0
        self._store = store
        self._outbox = outbox
        self._log = log
        self._clock = clock
        self._secrets = secrets_of
        self._allow_private = allow_private
        self._waits_s = waits_s
        self._chance = chance
        self._hooks: dict[str, Webhook] = {}
        self._waiting: deque[Delivery] = deque()
        self._wake = asyncio.Event()
        self._wakes: dict[str, asyncio.Event] = {}
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=ATTEMPT_S)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def secret(self, webhook: Webhook) -> str:
        return self._secrets.of(webhook)

    async def run(self) -> None:
        """Send until cancelled. What waits stays in the store."""
        subscription = self._log.subscribe(self._told)
        try:
            await self._patiently(self.changed)
            while True:
                await self._wake.wait()
                await self._patiently(self._put)
        finally:
            self._log.unsubscribe(subscription)
            for sender in self._senders.values():
                sender.cancel()
            await asyncio.gather(*self._senders.values(), return_exceptions=True)
            await self._client.aclose()

    async def close(self, limit_s: float = 5.0) -> None:
        """Put what waits into the outbox; call it before :meth:`run` is cancelled."""
        try:
            async with asyncio.timeout(limit_s):
                await self._put()
        except (StoreError, TimeoutError) as error:
            _log.error("webhook deliveries are lost", count=self.waiting, reason=str(error))

    async def changed(self) -> None:
        hooks = {hook.id: hook for hook in await self._store.webhooks() if hook.is_active}
        # A webhook that was changed starts anew, so that a corrected address need not wait for the pause to end.
        for gone in [hook for hook in self._hooks.values() if hooks.get(hook.id) != hook]:
            self._senders.pop(gone.id).cancel()
            del self._wakes[gone.id]
        self._hooks = hooks
        for new in [hook for hook in hooks.values() if hook.id not in self._senders]:
            self._wakes[new.id] = wake = asyncio.Event()
            self._senders[new.id] = asyncio.create_task(self._send_all(new, wake))

    async def test(self, webhook: Webhook) -> Outcome:
        at = self._clock.at()
        text = json.dumps({"type": "event", "sequence": 0, "at": at.isoformat(), "event": {"kind": "test"}})
        return await self._attempt(webhook, Delivery(_delivery_id(), webhook.id, "test", text, at))

    async def redeliver(self, webhook: Webhook, delivery: str) -> None:
        after = 0
        while dead := await self._outbox.dead(webhook.id, after, BATCH):
            for one in dead:
                if one.id == delivery:
                    await self._outbox.save(replace(one, attempts=0, state=DeliveryState.WAITING))
                    if webhook.id in self._wakes:
                        self._wakes[webhook.id].set()
                    return
            after = dead[-1].number
        raise CallerError(404, "no-such-delivery", f"there is no dead delivery {delivery!r}")

    def _told(self, event: Event) -> None:
        for hook in self._hooks.values():
            if hook.kinds and event.kind not in hook.kinds:
                continue
            role = Role.ADMIN if hook.agency is None else Role.AGENCY_ADMIN
            if not may_follow(Identity(hook.id, hook.name, role, hook.agency), event.agencies):
                continue
            if len(self._waiting) >= QUEUE_LIMIT:
                self.dropped += 1
                continue
            self._waiting.append(Delivery(_delivery_id(), hook.id, event.kind, event.text, self._clock.at()))
            self._wake.set()

    async def _put(self) -> None:
        async with self._turn:
            self._wake.clear()
            while self._waiting:
                batch = list(islice(self._waiting, BATCH))
                self.dropped += await self._outbox.add(batch, QUEUE_LIMIT)
                for delivery in batch:
                    self._waiting.popleft()
                    if delivery.webhook in self._wakes:
                        self._wakes[delivery.webhook].set()

    async def _send_all(self, hook: Webhook, wake: asyncio.Event) -> None:
        while True:
            wake.clear()
            try:
                delivery = await self._outbox.first(hook.id)
                if delivery is None:
                    await wake.wait()
                else:
                    await self._deliver(hook, delivery)
            except StoreError as error:
                _log.error("a webhook waits for the store", webhook=hook.id, reason=str(error))
                await asyncio.sleep(RETRY_S)

    async def _deliver(self, hook: Webhook, delivery: Delivery) -> None:
        """One attempt, and the pause after one that failed: what comes later must not overtake."""
        outcome = await self._attempt(hook, delivery)
        if outcome.is_delivered:
            # Until it is off the outbox nothing else is done: otherwise it would be sent again.
            await self._patiently(lambda: self._outbox.remove(delivery))
            return
        attempts = delivery.attempts + 1
        is_dead = attempts > len(self._waits_s)
        state = DeliveryState.DEAD if is_dead else DeliveryState.WAITING
        await self._outbox.save(
            replace(delivery, attempts=attempts, state=state, status=outcome.status, error=outcome.error)
        )
        if is_dead:
            _log.warning("a webhook delivery is given up", webhook=hook.id, delivery=delivery.id, reason=outcome.error)
            return
        await asyncio.sleep(self._waits_s[attempts - 1] * (1 - self._chance() / 2))

    async def _attempt(self, hook: Webhook, delivery: Delivery) -> Outcome:
        started = monotonic()
        status: int | None = None
        error = ""
        try:
            async with asyncio.timeout(ATTEMPT_S):
                status = await self._post(hook, delivery)
            if not 200 <= status < 300:
                error = f"the receiver answered {status}"
                if 300 <= status < 400:
                    error += "; redirects are not followed"
        except (TimeoutError, httpx.TimeoutException):
            error = f"no answer within {ATTEMPT_S:.0f} s"
        except (AddressRefusedError, CallerError) as refused:
            error = str(refused)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as failed:
            error = f"{type(failed).__name__}: {failed}"[:300]
        return Outcome(status, error, round((monotonic() - started) * 1000))

    async def _post(self, hook: Webhook, delivery: Delivery) -> int:
        """Send to the very address that was looked at, so that a name cannot point elsewhere a moment later."""
        check_url(hook.url, allow_private=self._allow_private)
        url = httpx.URL(hook.url)
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(item[4][0]).partition("%")[0]) for item in found]
        for address in addresses:
            reason = refusal(address, allow_private=self._allow_private)
            if reason:
                raise AddressRefusedError(reason)
        body = delivery.body.encode()
        timestamp = str(int(self._clock.at().timestamp()))
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": "Tongpin",
            "Tongpin-Delivery": delivery.id,
            "Tongpin-Event": delivery.kind,
            "Tongpin-Timestamp": timestamp,
            "Tongpin-Signature": sign(self._secrets.of(hook), timestamp, body),
        }
        target = url.copy_with(host=str(addresses[0]))
        request = self._client.build_request(
            "POST", target, content=body, headers=headers, extensions={"sni_hostname": url.host}
        )
        # The answer's body is nobody's business, however long it is.
        answer = await self._client.send(request, stream=True)
        await answer.aclose()
        return answer.status_code

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until the store has done it."""
        while True:
            try:
                await work()
                return
            except StoreError as error:
                _log.error("webhooks wait for the store", waiting=self.waiting, reason=str(error))
                await asyncio.sleep(RETRY_S)


def _delivery_id() -> str:
    return f"d-{secrets.token_hex(12)}"
