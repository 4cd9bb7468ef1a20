"""The repository over SQLAlchemy's asyncio engine."""

from collections.abc import Sequence

from sqlalchemy import select

from tongpin.gateway.records import Agency, Role, TalkGroup, User
from tongpin.gateway.storage.models import AgencyRow, TalkGroupRow, UserRow
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

    async def _save(self, row: AgencyRow | UserRow | TalkGroupRow, *, is_new: bool) -> None:
        async with self._store.transaction() as session:
            if is_new:
                session.add(row)
            else:
                await session.merge(row)


def _user(row: UserRow) -> User:
    return User(row.id, row.username, row.password_hash, Role(row.role), row.agency, row.is_disabled)
