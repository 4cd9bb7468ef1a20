"""Talk groups and units in the database."""

from collections.abc import Sequence

from sqlalchemy import Select, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import AuditDraft, TalkGroup
from tongpin.gateway.storage.models import (
    AgencyRow,
    GridRow,
    TalkGroupRow,
    UnitGridRow,
    UnitRadioIdRow,
    UnitRow,
)
from tongpin.gateway.storage.part import SqlPart, check_alive, refuse_in_use
from tongpin.gateway.things import ALL_UNITS, RadioId, Signalling, Unit, UnitFilter, UnitKind


class SqlThings(SqlPart):
    """Implements :class:`tongpin.gateway.things.Units`, and the store of talk groups."""

    async def talk_groups(self, *, with_retired: bool = False) -> Sequence[TalkGroup]:
        query = select(TalkGroupRow).order_by(TalkGroupRow.id)
        if not with_retired:
            query = query.where(TalkGroupRow.is_retired.is_(False))
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
        return [TalkGroup(row.id, row.name, row.agency, row.is_retired) for row in rows]

    async def save_talk_group(self, group: TalkGroup, *, is_new: bool, audit: Sequence[AuditDraft] = ()) -> None:
        row = TalkGroupRow(id=group.id, name=group.name, agency=group.agency, is_retired=group.is_retired)
        async with self._change(audit) as session:
            if group.is_retired:
                query = select(UnitRow.id).where(UnitRow.home_talk_group == group.id, UnitRow.is_retired.is_(False))
                refuse_in_use(f"talk group {group.id!r}", {"units": (await session.scalars(query)).all()})
            else:
                await check_alive(session, AgencyRow, [group.agency])
            if is_new:
                session.add(row)
            else:
                await session.merge(row)

    async def units(self, wanted: UnitFilter = ALL_UNITS) -> Sequence[Unit]:
        query = select(UnitRow).where(UnitRow.id > wanted.after).order_by(UnitRow.id).limit(wanted.limit)
        if not wanted.with_retired:
            query = query.where(UnitRow.is_retired.is_(False))
        if wanted.agency is not None:
            query = query.where(UnitRow.agency == wanted.agency)
        if wanted.kind is not None:
            query = query.where(UnitRow.kind == wanted.kind.value)
        if wanted.talk_group is not None:
            query = query.where(UnitRow.home_talk_group == wanted.talk_group)
        if wanted.grids is not None:
            query = query.where(UnitRow.id.in_(select(UnitGridRow.unit).where(UnitGridRow.grid.in_(wanted.grids))))
        if wanted.radio_id is not None:
            query = query.where(UnitRow.id.in_(_holders([wanted.radio_id])))
        async with self._store.reading() as session:
            return await _units(session, (await session.scalars(query)).all())

    async def unit(self, unit_id: str) -> Unit | None:
        async with self._store.reading() as session:
            row = await session.get(UnitRow, unit_id)
            found = await _units(session, [row] if row is not None else [])
        return found[0] if found else None

    async def save_unit(self, unit: Unit, *, is_new: bool, audit: Sequence[AuditDraft] = ()) -> None:
        row = UnitRow(
            id=unit.id,
            name=unit.name,
            kind=unit.kind.value,
            agency=unit.agency,
            home_talk_group=unit.home_talk_group,
            is_retired=unit.is_retired,
        )
        async with self._change(audit) as session:
            if not unit.is_retired:
                await check_alive(session, AgencyRow, [unit.agency])
                await check_alive(session, TalkGroupRow, [unit.home_talk_group])
                await check_alive(session, GridRow, unit.grids)
                await _check_radio_ids(session, unit)
            if is_new:
                session.add(row)
                await session.flush()
            else:
                await session.merge(row)
                await session.execute(delete(UnitRadioIdRow).where(UnitRadioIdRow.unit == unit.id))
                await session.execute(delete(UnitGridRow).where(UnitGridRow.unit == unit.id))
            session.add_all(
                UnitRadioIdRow(unit=unit.id, kind=one.kind.value, code=one.code, is_retired=unit.is_retired)
                for one in unit.radio_ids
            )
            session.add_all(UnitGridRow(unit=unit.id, grid=grid) for grid in unit.grids)


def _holders(ids: Sequence[RadioId]) -> Select[str]:
    """Units that have one of these ids now."""
    wanted = or_(*(and_(UnitRadioIdRow.kind == one.kind.value, UnitRadioIdRow.code == one.code) for one in ids))
    return select(UnitRadioIdRow.unit).where(UnitRadioIdRow.is_retired.is_(False), wanted)


async def _check_radio_ids(session: AsyncSession, unit: Unit) -> None:
    if not unit.radio_ids:
        return
    holder = await session.scalar(_holders(unit.radio_ids).where(UnitRadioIdRow.unit != unit.id).limit(1))
    if holder is not None:
        raise CallerError(
            409, "radio-id-taken", f"unit {holder!r} has one of these radio ids already", {"unit": holder}
        )


async def _units(session: AsyncSession, rows: Sequence[UnitRow]) -> list[Unit]:
    """Whole units for these rows, in their order."""
    ids = [row.id for row in rows]
    codes = (await session.scalars(select(UnitRadioIdRow).where(UnitRadioIdRow.unit.in_(ids)))).all()
    places = (await session.scalars(select(UnitGridRow).where(UnitGridRow.unit.in_(ids)))).all()
    radio_ids: dict[str, list[RadioId]] = {}
    grids: dict[str, list[str]] = {}
    for code in codes:
        radio_ids.setdefault(code.unit, []).append(RadioId(Signalling(code.kind), code.code))
    for place in places:
        grids.setdefault(place.unit, []).append(place.grid)
    return [
        Unit(
            id=row.id,
            name=row.name,
            kind=UnitKind(row.kind),
            agency=row.agency,
            home_talk_group=row.home_talk_group,
            grids=tuple(sorted(grids.get(row.id, []))),
            radio_ids=tuple(sorted(radio_ids.get(row.id, []))),
            is_retired=row.is_retired,
        )
        for row in rows
    ]
