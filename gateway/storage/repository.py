"""The repository over SQLAlchemy's asyncio engine."""

from collections.abc import Sequence

from sqlalchemy import select

from tongpin.gateway.records import Agency, JointChannel, JointChannelState, Role, TalkGroup, User
from tongpin.gateway.storage.models import AgencyRow, JointChannelGroupRow, JointChannelRow, TalkGroupRow, UserRow
from tongpin.gateway.storage.store import Store


class SqlRepository:
    """Implements :class:`tongpin.gateway.records.Repository`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def agencies(self, *, with_retired: bool = False) -> Sequence[Agency]:
        query = select(AgencyRow).order_by(AgencyRow.id)
        if not with_retired:
            query = query.where(AgencyRow.is_retired.is_(False))
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
        return [Agency(row.id, row.name, row.color, row.is_retired) for row in rows]

    async def save_agency(self, agency: Agency, *, is_new: bool) -> None:
        row = AgencyRow(id=agency.id, name=agency.name, color=agency.color, is_retired=agency.is_retired)
        await self._save(row, is_new=is_new)

    async def users(self) -> Sequence[User]:
        async with self._store.reading() as session:
            rows = (await session.scalars(select(UserRow).order_by(UserRow.username))).all()
        return [_user(row) for row in rows]

    async def user_by_name(self, username: str) -> User | None:
        async with self._store.reading() as session:
            row = await session.scalar(select(UserRow).where(UserRow.username == username))
        return _user(row) if row is not None else None

    async def save_user(self, user: User, *, is_new: bool) -> None:
        row = UserRow(
            id=user.id,
            username=user.username,
            password_hash=user.password_hash,
            role=user.role.value,
            agency=user.agency,
            is_disabled=user.is_disabled,
        )
        await self._save(row, is_new=is_new)

    async def talk_groups(self, *, with_retired: bool = False) -> Sequence[TalkGroup]:
        query = select(TalkGroupRow).order_by(TalkGroupRow.id)
        if not with_retired:
            query = query.where(TalkGroupRow.is_retired.is_(False))
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
        return [TalkGroup(row.id, row.name, row.agency, row.is_retired) for row in rows]

    async def save_talk_group(self, group: TalkGroup, *, is_new: bool) -> None:
        row = TalkGroupRow(id=group.id, name=group.name, agency=group.agency, is_retired=group.is_retired)
        await self._save(row, is_new=is_new)

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

    async def _save(self, row: AgencyRow | UserRow | TalkGroupRow, *, is_new: bool) -> None:
        async with self._store.transaction() as session:
            if is_new:
                session.add(row)
            else:
                await session.merge(row)


def _user(row: UserRow) -> User:
    return User(row.id, row.username, row.password_hash, Role(row.role), row.agency, row.is_disabled)


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
