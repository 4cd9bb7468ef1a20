"""Agencies and users in the database."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tongpin.gateway.records import Agency, AuditDraft, Role, User
from tongpin.gateway.storage.credentials_rows import end_logins
from tongpin.gateway.storage.models import AgencyRow, GridRow, TalkGroupRow, UnitRow, UserRow
from tongpin.gateway.storage.part import SqlPart, check_alive, refuse_in_use


class SqlPeople(SqlPart):
    """Implements :class:`tongpin.gateway.records.People`."""

    async def agencies(self, *, with_retired: bool = False) -> Sequence[Agency]:
        query = select(AgencyRow).order_by(AgencyRow.id)
        if not with_retired:
            query = query.where(AgencyRow.is_retired.is_(False))
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
        return [Agency(row.id, row.name, row.color, row.is_retired) for row in rows]

    async def save_agency(self, agency: Agency, *, is_new: bool, audit: Sequence[AuditDraft] = ()) -> None:
        row = AgencyRow(id=agency.id, name=agency.name, color=agency.color, is_retired=agency.is_retired)
        async with self._change(audit) as session:
            if agency.is_retired:
                refuse_in_use(f"agency {agency.id!r}", await _belongings(session, agency.id))
            if is_new:
                session.add(row)
            else:
                await session.merge(row)

    async def users(self) -> Sequence[User]:
        async with self._store.reading() as session:
            rows = (await session.scalars(select(UserRow).order_by(UserRow.username))).all()
        return [user_of(row) for row in rows]

    async def user(self, user_id: str) -> User | None:
        async with self._store.reading() as session:
            row = await session.get(UserRow, user_id)
        return user_of(row) if row is not None else None

    async def user_by_name(self, username: str) -> User | None:
        async with self._store.reading() as session:
            row = await session.scalar(select(UserRow).where(UserRow.username == username))
        return user_of(row) if row is not None else None

    async def save_user(self, user: User, *, is_new: bool, audit: Sequence[AuditDraft] = ()) -> None:
        row = UserRow(
            id=user.id,
            username=user.username,
            password_hash=user.password_hash,
            role=user.role.value,
            agency=user.agency,
            is_disabled=user.is_disabled,
        )
        async with self._change(audit) as session:
            if not user.is_disabled:
                await check_alive(session, AgencyRow, [user.agency])
            if is_new:
                row.epoch = 0
                session.add(row)
                return
            before = await session.get(UserRow, user.id, with_for_update=True)
            row.epoch = before.epoch if before is not None else 0
            if before is not None and _is_other(before, row):
                row.epoch += 1
                await end_logins(session, user.id, row.epoch, self._clock.at())
            await session.merge(row)


async def _belongings(session: AsyncSession, agency: str) -> dict[str, Sequence[str]]:
    """What is the agency's and not retired, by kind."""
    found: dict[str, Sequence[str]] = {}
    for table in (TalkGroupRow, UnitRow, GridRow):
        query = select(table.id).where(table.agency == agency, table.is_retired.is_(False))
        found[table.__tablename__] = (await session.scalars(query)).all()
    people = select(UserRow.username).where(UserRow.agency == agency, UserRow.is_disabled.is_(False))
    return {**found, "users": (await session.scalars(people)).all()}


def _is_other(before: UserRow, after: UserRow) -> bool:
    """What was given out for the one is wrong for the other."""
    return (before.role, before.agency, before.password_hash, before.is_disabled) != (
        after.role,
        after.agency,
        after.password_hash,
        after.is_disabled,
    )


def user_of(row: UserRow) -> User:
    return User(row.id, row.username, row.password_hash, Role(row.role), row.agency, row.is_disabled, row.epoch)
