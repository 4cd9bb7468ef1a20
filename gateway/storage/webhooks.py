"""Webhooks and the outbox of their deliveries in the database."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update

from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.models import DeliveryRow, WebhookRow
from tongpin.gateway.storage.part import SqlPart
from tongpin.gateway.webhooks import Delivery, DeliveryState, Webhook

DEAD_KEPT = 1_000


class SqlWebhooks(SqlPart):
    """Implements :class:`tongpin.gateway.webhooks.WebhookStore`."""

    async def webhooks(self) -> Sequence[Webhook]:
        query = select(WebhookRow).where(WebhookRow.is_retired.is_(False)).order_by(WebhookRow.id)
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
        return [
            Webhook(
                row.id,
                row.name,
                row.url,
                row.agency,
                tuple(row.kinds.split()),
                row.salt,
                row.created_by,
                row.created_at,
                row.is_active,
                row.is_retired,
            )
            for row in rows
        ]

    async def save(self, webhook: Webhook, *, is_new: bool, audit: Sequence[AuditDraft]) -> None:
        row = WebhookRow(
            id=webhook.id,
            name=webhook.name,
            url=webhook.url,
            agency=webhook.agency,
            kinds=" ".join(webhook.kinds),
            salt=webhook.salt,
            created_by=webhook.created_by,
            created_at=webhook.created_at,
            is_active=webhook.is_active,
            is_retired=webhook.is_retired,
        )
        async with self._change(audit) as session:
            if is_new:
                session.add(row)
            else:
                await session.merge(row)
            if webhook.is_retired:
                await session.execute(delete(DeliveryRow).where(DeliveryRow.webhook == webhook.id))
            await session.flush()


class SqlOutbox(SqlPart):
    """Implements :class:`tongpin.gateway.webhooks.Outbox`."""

    async def add(self, deliveries: Sequence[Delivery], limit: int) -> int:
        waiting = select(DeliveryRow.webhook, func.count()).where(DeliveryRow.state == DeliveryState.WAITING.value)
        alive = select(WebhookRow.id).where(WebhookRow.is_retired.is_(False))
        dropped = 0
        async with self._store.transaction() as session:
            counted = await session.execute(waiting.group_by(DeliveryRow.webhook))
            count = {hook: int(number) for hook, number in counted}
            known = set(await session.scalars(alive))
            for delivery in deliveries:
                if delivery.webhook not in known:
                    continue
                count[delivery.webhook] = count.get(delivery.webhook, 0) + 1
                if count[delivery.webhook] > limit:
                    dropped += 1
                    continue
                session.add(
                    DeliveryRow(
                        id=delivery.id,
                        webhook=delivery.webhook,
                        kind=delivery.kind,
                        body=delivery.body,
                        created_at=delivery.created_at,
                        attempts=delivery.attempts,
                        state=delivery.state.value,
                        status=delivery.status,
                        error=delivery.error,
                    )
                )
                await session.flush()  # one by one: their numbers are their order
        return dropped

    async def first(self, webhook: str) -> Delivery | None:
        query = (
            select(DeliveryRow)
            .where(DeliveryRow.webhook == webhook, DeliveryRow.state == DeliveryState.WAITING.value)
            .order_by(DeliveryRow.number)
            .limit(1)
        )
        async with self._store.reading() as session:
            row = await session.scalar(query)
        return _delivery(row) if row is not None else None

    async def save(self, delivery: Delivery) -> None:
        change = update(DeliveryRow).where(DeliveryRow.number == delivery.number)
        dead = select(DeliveryRow.number).where(
            DeliveryRow.webhook == delivery.webhook, DeliveryRow.state == DeliveryState.DEAD.value
        )
        async with self._store.transaction() as session:
            await session.execute(
                change.values(
                    attempts=delivery.attempts,
                    state=delivery.state.value,
                    status=delivery.status,
                    error=delivery.error,
                )
            )
            if delivery.state is DeliveryState.DEAD:
                oldest = await session.scalar(dead.order_by(DeliveryRow.number.desc()).offset(DEAD_KEPT).limit(1))
                if oldest is not None:
                    gone = delete(DeliveryRow).where(
                        DeliveryRow.webhook == delivery.webhook,
                        DeliveryRow.state == DeliveryState.DEAD.value,
                        DeliveryRow.number <= oldest,
                    )
                    await session.execute(gone)

    async def remove(self, delivery: Delivery) -> None:
        async with self._store.transaction() as session:
            await session.execute(delete(DeliveryRow).where(DeliveryRow.number == delivery.number))

    async def dead(self, webhook: str, after: int, limit: int) -> Sequence[Delivery]:
        query = select(DeliveryRow).where(
            DeliveryRow.webhook == webhook,
            DeliveryRow.state == DeliveryState.DEAD.value,
            DeliveryRow.number > after,
        )
        async with self._store.reading() as session:
            rows = (await session.scalars(query.order_by(DeliveryRow.number).limit(limit))).all()
        return [_delivery(row) for row in rows]

    async def counts(self) -> dict[str, tuple[int, int]]:
        query = select(DeliveryRow.webhook, DeliveryRow.state, func.count())
        found: dict[str, tuple[int, int]] = {}
        async with self._store.reading() as session:
            for webhook, state, count in await session.execute(query.group_by(DeliveryRow.webhook, DeliveryRow.state)):
                waiting, dead = found.get(webhook, (0, 0))
                is_dead = state == DeliveryState.DEAD.value
                found[webhook] = (waiting, count) if is_dead else (count, dead)
        return found


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(
        row.id,
        row.webhook,
        row.kind,
        row.body,
        row.created_at,
        row.number,
        row.attempts,
        DeliveryState(row.state),
        row.status,
        row.error,
    )
