"""Webhooks: where events are sent, and what could not be delivered."""

import secrets
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from tongpin.gateway.api.deps import Services, With
from tongpin.gateway.api.schemas import (
    DeliveryOut,
    DeliveryPage,
    OutcomeOut,
    WebhookChange,
    WebhookIn,
    WebhookOut,
    WebhookSecretOut,
)
from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import AuditDraft, Json
from tongpin.gateway.rights import Identity, Right, may, require
from tongpin.gateway.webhooks import Delivery, Webhook, check_url

router = APIRouter(tags=["webhooks"])

MAX_WEBHOOKS = 100
Keeper = Annotated[Identity, Depends(With(Right.WEBHOOKS))]


def _out(hook: Webhook, counts: dict[str, tuple[int, int]]) -> dict[str, object]:
    waiting, dead = counts.get(hook.id, (0, 0))
    return {
        "id": hook.id,
        "name": hook.name,
        "url": hook.url,
        "agency": hook.agency,
        "kinds": list(hook.kinds),
        "is_active": hook.is_active,
        "created_by": hook.created_by,
        "created_at": hook.created_at,
        "waiting": waiting,
        "dead": dead,
    }


def _delivery_out(delivery: Delivery) -> DeliveryOut:
    return DeliveryOut(
        id=delivery.id,
        name=delivery.kind,
        created_at=delivery.created_at,
        attempts=delivery.attempts,
        status=delivery.status,
        error=delivery.error,
        body=delivery.body,
    )


async def _known(services: ApiServices, caller: Identity, webhook_id: str) -> Webhook:
    """One that the caller may manage. Another agency's is not there, as far as the caller is told."""
    for hook in await services.webhook_store.webhooks():
        if hook.id == webhook_id and may(caller, Right.WEBHOOKS, hook.agency):
            return hook
    raise CallerError(404, "no-such-webhook", f"there is no webhook {webhook_id!r}")


def _entry(caller: Identity, verb: str, hook: Webhook, **detail: Json) -> list[AuditDraft]:
    return [AuditDraft(f"webhook.{verb}", caller.username, hook.id, hook.agency, detail)]


@router.get("/webhooks")
async def webhooks(caller: Keeper, services: Services) -> list[WebhookOut]:
    counts = await services.outbox.counts()
    hooks = await services.webhook_store.webhooks()
    return [WebhookOut.model_validate(_out(hook, counts)) for hook in hooks if may(caller, Right.WEBHOOKS, hook.agency)]


@router.post("/webhooks", status_code=201)
async def create_webhook(body: WebhookIn, caller: Keeper, services: Services, response: Response) -> WebhookSecretOut:
    """Send events there from now on. The answer is the only one that shows the secret."""
    agency = body.agency if body.agency is not None else caller.agency
    require(caller, Right.WEBHOOKS, agency)
    check_url(body.url, allow_private=services.allow_private_webhooks)
    if len(await services.webhook_store.webhooks()) >= MAX_WEBHOOKS:
        raise CallerError(409, "too-many-webhooks", f"there are {MAX_WEBHOOKS} webhooks; retire one first")
    hook = Webhook(
        f"wh-{secrets.token_hex(6)}",
        body.name,
        body.url,
        agency,
        tuple(dict.fromkeys(body.kinds)),
        secrets.token_hex(16),
        caller.username,
        services.clock.at(),
    )
    await services.webhook_store.save(
        hook, is_new=True, audit=_entry(caller, "created", hook, url=hook.url, kinds=list(hook.kinds))
    )
    await services.webhooks.changed()
    response.headers["Location"] = f"/api/v1/webhooks/{hook.id}"
    return WebhookSecretOut.model_validate({**_out(hook, {}), "secret": services.webhooks.secret(hook)})


@router.get("/webhooks/{webhook_id}")
async def read_webhook(webhook_id: str, caller: Keeper, services: Services) -> WebhookOut:
    hook = await _known(services, caller, webhook_id)
    return WebhookOut.model_validate(_out(hook, await services.outbox.counts()))


@router.patch("/webhooks/{webhook_id}")
async def change_webhook(webhook_id: str, body: WebhookChange, caller: Keeper, services: Services) -> WebhookOut:
    """Change what is named. An inactive webhook takes no events; what waits for it goes on waiting."""
    hook = await _known(services, caller, webhook_id)
    if body.url is not None:
        check_url(body.url, allow_private=services.allow_private_webhooks)
    changed = replace(
        hook,
        name=body.name if body.name is not None else hook.name,
        url=body.url if body.url is not None else hook.url,
        kinds=tuple(dict.fromkeys(body.kinds)) if body.kinds is not None else hook.kinds,
        is_active=body.is_active if body.is_active is not None else hook.is_active,
    )
    detail: dict[str, Json] = {**body.model_dump(exclude_none=True)}
    await services.webhook_store.save(changed, is_new=False, audit=_entry(caller, "changed", changed, **detail))
    await services.webhooks.changed()
    return WebhookOut.model_validate(_out(changed, await services.outbox.counts()))


@router.delete("/webhooks/{webhook_id}", status_code=204)
async def retire_webhook(webhook_id: str, caller: Keeper, services: Services) -> None:
    """Send nothing more; what waits is forgotten."""
    hook = await _known(services, caller, webhook_id)
    retired = replace(hook, is_retired=True, is_active=False)
    await services.webhook_store.save(retired, is_new=False, audit=_entry(caller, "retired", hook))
    await services.webhooks.changed()


@router.post("/webhooks/{webhook_id}/secret")
async def renew_secret(webhook_id: str, caller: Keeper, services: Services) -> WebhookSecretOut:
    """A new secret, shown this once; the old one is good for nothing from now on."""
    hook = replace(await _known(services, caller, webhook_id), salt=secrets.token_hex(16))
    await services.webhook_store.save(hook, is_new=False, audit=_entry(caller, "secret-renewed", hook))
    await services.webhooks.changed()
    counts = await services.outbox.counts()
    return WebhookSecretOut.model_validate({**_out(hook, counts), "secret": services.webhooks.secret(hook)})


@router.post("/webhooks/{webhook_id}/test")
async def test_webhook(webhook_id: str, caller: Keeper, services: Services) -> OutcomeOut:
    """Send an event of the kind `test` now, once, and say what came of it."""
    outcome = await services.webhooks.test(await _known(services, caller, webhook_id))
    return OutcomeOut(
        is_delivered=outcome.is_delivered, status=outcome.status, error=outcome.error, took_ms=outcome.took_ms
    )


@router.get("/webhooks/{webhook_id}/dead-letters")
async def dead_letters(
    webhook_id: str,
    caller: Keeper,
    services: Services,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$", description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> DeliveryPage:
    """What was given up, the oldest first. At most 1,000 are kept for a webhook."""
    hook = await _known(services, caller, webhook_id)
    found = await services.outbox.dead(hook.id, int(cursor or "0"), limit)
    following = str(found[-1].number) if len(found) == limit else None
    return DeliveryPage(items=[_delivery_out(delivery) for delivery in found], next=following)


@router.post("/webhooks/{webhook_id}/dead-letters/{delivery_id}/redeliver", status_code=202)
async def redeliver(webhook_id: str, delivery_id: str, caller: Keeper, services: Services) -> None:
    """Try it again, with the id it had, before those that wait."""
    hook = await _known(services, caller, webhook_id)
    await services.webhooks.redeliver(hook, delivery_id)
