"""Joint channels, and the answers given under idempotency keys, in the database."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Select, and_, delete, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from tongpin.channels.joint import (
    FINAL,
    Basis,
    Consent,
    Decision,
    JointChannel,
    JointState,
    Member,
    MemberKind,
)
from tongpin.channels.schedule import Recurrence
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import CallerError
from tongpin.gateway.joint.records import Answer, ChannelQuery
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.audit import append
from tongpin.gateway.storage.models import AnswerRow, ConsentRow, JointChannelGroupRow, JointChannelRow
from tongpin.gateway.storage.store import Store

MOST_ANSWERS = 50_000


class SqlJointChannels:
    """Implements :class:`tongpin.gateway.joint.records.JointStore`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def find(self, query: ChannelQuery) -> Sequence[JointChannel]:
        async with self._store.reading() as session:
            return await _load(session, _select(query))

    async def channel(self, channel_id: str) -> JointChannel | None:
        async with self._store.reading() as session:
            found = await _load(session, select(JointChannelRow).where(JointChannelRow.id == channel_id))
        return found[0] if found else None

    async def standing(self) -> Sequence[JointChannel]:
        states = [state.value for state in JointState if state not in FINAL]
        query = select(JointChannelRow).where(JointChannelRow.state.in_(states))
        async with self._store.reading() as session:
            return await _load(session, query.order_by(JointChannelRow.created_at, JointChannelRow.id))

    async def save(
        self, channels: Sequence[JointChannel], audit: Sequence[AuditDraft], answer: Answer | None = None
    ) -> None:
        async with self._store.transaction() as session:
            for channel in channels:
                await _save(session, channel)
            if answer is not None:
                session.add(AnswerRow(**asdict(answer)))
            await session.flush()
            await append(session, audit, self._clock.at())

    async def answer(self, caller: str, key: str, at: datetime) -> Answer | None:
        async with self._store.reading() as session:
            row = await session.get(AnswerRow, (caller, key))
        if row is None or row.expires_at <= at:
            return None
        return Answer(*(row.caller, row.key, row.body_hash, row.status, row.location, row.body, row.expires_at))

    async def forget_answers(self, at: datetime) -> None:
        newest = select(AnswerRow.expires_at).order_by(AnswerRow.expires_at.desc()).offset(MOST_ANSWERS).limit(1)
        async with self._store.transaction() as session:
            await session.execute(delete(AnswerRow).where(AnswerRow.expires_at <= at))
            bound = await session.scalar(newest)
            if bound is not None:
                await session.execute(delete(AnswerRow).where(AnswerRow.expires_at <= bound))


def _select(query: ChannelQuery) -> Select[JointChannelRow]:
    row = JointChannelRow
    found = select(row)
    if query.states:
        found = found.where(row.state.in_([state.value for state in query.states]))
    if query.agency is not None:
        asked = select(ConsentRow.joint_channel).where(ConsentRow.agency == query.agency)
        found = found.where(or_(row.id.in_(asked), row.proposer == query.agency, row.lead_agency == query.agency))
    if query.awaits is not None:
        awaited = select(ConsentRow.joint_channel).where(
            ConsentRow.agency == query.awaits, ConsentRow.decision == Decision.PENDING.value
        )
        found = found.where(row.id.in_(awaited), row.state.not_in([state.value for state in FINAL]))
    if query.talk_group is not None:
        taking_part = select(JointChannelGroupRow.joint_channel).where(
            JointChannelGroupRow.talk_group == query.talk_group
        )
        found = found.where(row.id.in_(taking_part))
    if query.event is not None:
        found = found.where(row.event == query.event)
    if query.incident is not None:
        found = found.where(row.incident == query.incident)
    column = {"created_at": row.created_at, "expires_at": row.expires_at, "name": row.name}[query.sort.lstrip("-")]
    is_last_first = query.sort.startswith("-")
    if query.after is not None:
        value, last_id = query.after
        beyond = column < value if is_last_first else column > value
        further = row.id < last_id if is_last_first else row.id > last_id
        found = found.where(or_(beyond, and_(column == value, further)))
    order = (column.desc(), row.id.desc()) if is_last_first else (column, row.id)
    return found.order_by(*order).limit(query.limit)


async def _load(session: AsyncSession, query: Select[JointChannelRow]) -> list[JointChannel]:
    rows = (await session.scalars(query)).all()
    ids = [row.id for row in rows]
    of_groups, of_consents = JointChannelGroupRow, ConsentRow
    owners: dict[str, list[tuple[str, str | None]]] = {}
    consents: dict[str, list[Consent]] = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        groups = select(of_groups).where(of_groups.joint_channel.in_(some)).order_by(of_groups.talk_group)
        for group in await session.scalars(groups):
            owners.setdefault(group.joint_channel, []).append((group.talk_group, group.owner))
        answers = select(of_consents).where(of_consents.joint_channel.in_(some)).order_by(of_consents.agency)
        for answer in await session.scalars(answers):
            basis = Basis(answer.basis) if answer.basis is not None else None
            consent = Consent(
                *(answer.agency, Decision(answer.decision), basis, answer.decided_by, answer.decided_at, answer.reason)
            )
            consents.setdefault(answer.joint_channel, []).append(consent)
    return [_channel(row, owners.get(row.id, []), consents.get(row.id, [])) for row in rows]


def _channel(row: JointChannelRow, owners: list[tuple[str, str | None]], consents: list[Consent]) -> JointChannel:
    return JointChannel(
        id=row.id,
        name=row.name,
        purpose=row.purpose,
        members=read_members(row.members),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        proposer=row.proposer,
        talk_groups=tuple(group for group, _ in owners),
        owners=tuple(owners),
        lead_agency=row.lead_agency,
        event=row.event,
        policy=tuple((event, agency) for event, agency in json.loads(row.policy)),
        starts_at=row.starts_at,
        recurrence=Recurrence(**json.loads(row.recurrence)) if row.recurrence is not None else None,
        may_take_over=row.may_take_over,
        incident=row.incident,
        template=row.template,
        state=JointState(row.state),
        consents=tuple(consents),
        activated_at=row.activated_at,
        ends_at=row.ends_at,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
        version=row.version,
    )


async def _save(session: AsyncSession, channel: JointChannel) -> None:
    values: dict[str, object] = {
        "name": channel.name,
        "purpose": channel.purpose,
        "members": write_members(channel.members),
        "created_by": channel.created_by,
        "created_at": channel.created_at,
        "expires_at": channel.expires_at,
        "proposer": channel.proposer,
        "lead_agency": channel.lead_agency,
        "event": channel.event,
        "policy": json.dumps(channel.policy, ensure_ascii=False),
        "starts_at": channel.starts_at,
        "recurrence": json.dumps(asdict(channel.recurrence)) if channel.recurrence is not None else None,
        "may_take_over": channel.may_take_over,
        "incident": channel.incident,
        "template": channel.template,
        "state": channel.state.value,
        "activated_at": channel.activated_at,
        "ends_at": channel.ends_at,
        "closed_at": channel.closed_at,
        "closed_by": channel.closed_by,
        "version": channel.version,
    }
    if channel.version == 1:
        session.add(JointChannelRow(id=channel.id, **values))
    else:
        before = (JointChannelRow.id == channel.id, JointChannelRow.version == channel.version - 1)
        done = await session.execute(update(JointChannelRow).where(*before).values(**values))
        assert isinstance(done, CursorResult)
        if done.rowcount != 1:
            raise CallerError(412, "changed-meanwhile", f"{channel.name!r} was changed meanwhile; read it again")
        for part in (JointChannelGroupRow, ConsentRow):
            await session.execute(delete(part).where(part.joint_channel == channel.id))
    await session.flush()
    session.add_all(
        JointChannelGroupRow(joint_channel=channel.id, talk_group=group, owner=owner) for group, owner in channel.owners
    )
    session.add_all(
        ConsentRow(
            joint_channel=channel.id,
            agency=consent.agency,
            decision=consent.decision.value,
            basis=consent.basis.value if consent.basis is not None else None,
            decided_by=consent.by,
            decided_at=consent.at,
            reason=consent.reason,
        )
        for consent in channel.consents
    )


def write_members(members: Sequence[Member]) -> str:
    """Members as JSON: ``[[kind, id, agency], …]``."""
    return json.dumps([[member.kind.value, member.id, member.agency] for member in members], ensure_ascii=False)


def read_members(text: str) -> tuple[Member, ...]:
    return tuple(Member(MemberKind(kind), id_, agency) for kind, id_, agency in json.loads(text))
