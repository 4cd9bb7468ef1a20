"""The repository over SQLAlchemy's asyncio engine."""

from collections.abc import Sequence

from sqlalchemy import select

from tongpin.gateway.records import JointChannel, JointChannelState
from tongpin.gateway.storage.models import JointChannelGroupRow, JointChannelRow
from tongpin.gateway.storage.people import SqlPeople
from tongpin.gateway.storage.places import SqlPlaces
from tongpin.gateway.storage.things import SqlThings


class SqlRepository(SqlPeople, SqlThings, SqlPlaces):
    """Implements :class:`tongpin.gateway.records.Repository`, and with its bases the other ports of the store."""

    async def joint_channels(self, *, state: JointChannelState | None = None) -> Sequence[JointChannel]:
        query = select(JointChannelRow).order_by(JointChannelRow.created_at, JointChannelRow.id)
        if state is not None:
            query = query.where(JointChannelRow.state == state.value)
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
            members = (await session.scalars(select(JointChannelGroupRow))).all()
        groups: dict[str, list[str]] = {}
        for member in members:
            groups.setdefault(member.joint_channel, []).append(member.talk_group)
        return [_joint_channel(row, groups.get(row.id, [])) for row in rows]

    async def joint_channel(self, channel_id: str) -> JointChannel | None:
        async with self._store.reading() as session:
            row = await session.get(JointChannelRow, channel_id)
            query = select(JointChannelGroupRow.talk_group).where(JointChannelGroupRow.joint_channel == channel_id)
            groups = (await session.scalars(query)).all()
        return _joint_channel(row, groups) if row is not None else None

    async def save_joint_channel(self, channel: JointChannel, *, is_new: bool) -> None:
        row = JointChannelRow(
            id=channel.id,
            name=channel.name,
            purpose=channel.purpose,
            lead_agency=channel.lead_agency,
            created_by=channel.created_by,
            created_at=channel.created_at,
            expires_at=channel.expires_at,
            state=channel.state.value,
            closed_at=channel.closed_at,
            closed_by=channel.closed_by,
        )
        async with self._store.transaction() as session:
            if is_new:
                session.add(row)
                await session.flush()
                session.add_all(
                    JointChannelGroupRow(joint_channel=channel.id, talk_group=group) for group in channel.talk_groups
                )
            else:
                await session.merge(row)


def _joint_channel(row: JointChannelRow, groups: Sequence[str]) -> JointChannel:
    return JointChannel(
        id=row.id,
        name=row.name,
        purpose=row.purpose,
        talk_groups=tuple(sorted(groups)),
        lead_agency=row.lead_agency,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        state=JointChannelState(row.state),
        closed_at=row.closed_at,
        closed_by=row.closed_by,
    )
