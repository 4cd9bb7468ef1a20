"""Grids in the database."""

import json
from collections.abc import Sequence

from sqlalchemy import select

from tongpin.gateway.geometry import Area
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.models import AgencyRow, GridRow, UnitGridRow, UnitRow
from tongpin.gateway.storage.part import SqlPart, check_alive, refuse_in_use
from tongpin.gateway.things import Grid


class SqlPlaces(SqlPart):
    """Implements :class:`tongpin.gateway.things.Grids`."""

    async def grids(self, *, scheme: str | None = None, with_retired: bool = False) -> Sequence[Grid]:
        query = select(GridRow).order_by(GridRow.id)
        if not with_retired:
            query = query.where(GridRow.is_retired.is_(False))
        if scheme is not None:
            query = query.where(GridRow.scheme == scheme)
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
        return [_grid(row) for row in rows]

    async def grid(self, grid_id: str) -> Grid | None:
        async with self._store.reading() as session:
            row = await session.get(GridRow, grid_id)
        return _grid(row) if row is not None else None

    async def save_grid(self, grid: Grid, *, is_new: bool, audit: Sequence[AuditDraft] = ()) -> None:
        row = GridRow(
            id=grid.id,
            name=grid.name,
            scheme=grid.scheme,
            agency=grid.agency,
            area=json.dumps(grid.area, separators=(",", ":")),
            is_retired=grid.is_retired,
        )
        async with self._change(audit) as session:
            if grid.is_retired:
                serving = select(UnitRow.id).join(UnitGridRow, UnitGridRow.unit == UnitRow.id)
                query = serving.where(UnitGridRow.grid == grid.id, UnitRow.is_retired.is_(False))
                refuse_in_use(f"grid {grid.id!r}", {"units": (await session.scalars(query)).all()})
            else:
                await check_alive(session, AgencyRow, [grid.agency])
            if is_new:
                session.add(row)
            else:
                await session.merge(row)


def _grid(row: GridRow) -> Grid:
    area: Area = tuple(tuple(tuple((x, y) for x, y in ring) for ring in polygon) for polygon in json.loads(row.area))
    return Grid(row.id, row.name, row.scheme, row.agency, area, row.is_retired)
