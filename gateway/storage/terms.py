"""Standing agreements and templates in the database."""

import json
from collections.abc import Sequence

from sqlalchemy import select

from tongpin.channels.joint import Agreement
from tongpin.gateway.clock import Clock
from tongpin.gateway.joint.records import Template
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.audit import append
from tongpin.gateway.storage.joint_channels import read_members, write_members
from tongpin.gateway.storage.models import AgreementRow, TemplateRow
from tongpin.gateway.storage.store import Store


class SqlTerms:
    """Implements :class:`tongpin.gateway.joint.records.TermsStore`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def agreements(self, *, with_ended: bool = False) -> Sequence[Agreement]:
        query = select(AgreementRow).order_by(AgreementRow.created_at, AgreementRow.id)
        if not with_ended:
            query = query.where(AgreementRow.ended_at.is_(None))
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
        return [_agreement(row) for row in rows]

    async def save_agreement(self, agreement: Agreement, *, is_new: bool, audit: Sequence[AuditDraft]) -> None:
        row = AgreementRow(
            id=agreement.id,
            name=agreement.name,
            agencies=json.dumps(agreement.agencies),
            includes_centre=agreement.includes_centre,
            created_by=agreement.created_by,
            created_at=agreement.created_at,
            valid_from=agreement.valid_from,
            valid_until=agreement.valid_until,
            document=agreement.document,
            ended_at=agreement.ended_at,
            ended_by=agreement.ended_by,
        )
        await self._save(row, audit, is_new=is_new)

    async def templates(self, *, with_retired: bool = False) -> Sequence[Template]:
        query = select(TemplateRow).order_by(TemplateRow.id)
        if not with_retired:
            query = query.where(TemplateRow.is_retired.is_(False))
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
        return [_template(row) for row in rows]

    async def save_template(self, template: Template, *, is_new: bool, audit: Sequence[AuditDraft]) -> None:
        content = {
            "purpose": template.purpose,
            "members": write_members(template.members),
            "duration_s": template.duration_s,
            "event": template.event,
            "policy": template.policy,
            "lead_agency": template.lead_agency,
        }
        row = TemplateRow(
            id=template.id,
            name=template.name,
            agency=template.agency,
            content=json.dumps(content, ensure_ascii=False),
            is_retired=template.is_retired,
        )
        await self._save(row, audit, is_new=is_new)

    async def _save(self, row: AgreementRow | TemplateRow, audit: Sequence[AuditDraft], *, is_new: bool) -> None:
        async with self._store.transaction() as session:
            if is_new:
                session.add(row)
            else:
                await session.merge(row)
            await session.flush()
            await append(session, audit, self._clock.at())


def _agreement(row: AgreementRow) -> Agreement:
    return Agreement(
        id=row.id,
        name=row.name,
        agencies=tuple(json.loads(row.agencies)),
        includes_centre=row.includes_centre,
        created_by=row.created_by,
        created_at=row.created_at,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        document=row.document,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
    )


def _template(row: TemplateRow) -> Template:
    content = json.loads(row.content)
    return Template(
        id=row.id,
        name=row.name,
        purpose=content["purpose"],
        members=read_members(content["members"]),
        duration_s=content["duration_s"],
        agency=row.agency,
        event=content["event"],
        policy=tuple((event, agency) for event, agency in content["policy"]),
        lead_agency=content["lead_agency"],
        is_retired=row.is_retired,
    )
