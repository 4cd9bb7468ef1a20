"""What lies where: grids at a point, grids that lie over each other, and the talk groups of those who serve them."""

import asyncio
from collections.abc import Sequence

from tongpin.gateway.errors import CallerError
from tongpin.gateway.geometry import Position, containing, overlaps
from tongpin.gateway.things import Grid, Grids, UnitFilter, Units

SMALLEST_SHARE = 0.02
"""Grids of two schemes that share less of the smaller one are neighbours whose borders were drawn twice."""


class Places:
    """Lookups over the store. Geometry runs in a thread."""

    def __init__(self, grids: Grids, units: Units) -> None:
        self._grids = grids
        self._units = units

    async def grid(self, grid_id: str) -> Grid:
        """A grid that is not retired. Raises CallerError 404."""
        found = await self._grids.grid(grid_id)
        if found is None or found.is_retired:
            raise CallerError(404, "no-such-grid", f"there is no grid {grid_id!r}")
        return found

    async def at(self, position: Position, scheme: str | None = None) -> list[Grid]:
        """The grids, of every scheme or of one, that hold a position."""
        grids = await self._grids.grids(scheme=scheme)
        found = await asyncio.to_thread(containing, [grid.area for grid in grids], position)
        return [grids[index] for index in found]

    async def overlapping(self, grid_id: str, scheme: str | None = None) -> list[tuple[Grid, float]]:
        """Other grids that share ground with this one, the largest share first. Raises CallerError 404."""
        grid = await self.grid(grid_id)
        others = [other for other in await self._grids.grids(scheme=scheme) if other.id != grid_id]
        shares = await asyncio.to_thread(overlaps, grid.area, [other.area for other in others])
        found = [(other, share) for other, share in zip(others, shares, strict=True) if share >= SMALLEST_SHARE]
        return sorted(found, key=lambda pair: (-pair[1], pair[0].id))

    async def talk_groups(self, grid_id: str, agency: str | None = None) -> Sequence[str]:
        """Home talk groups, sorted, of the units (of one agency, or all) that serve the grid or one that overlaps it.

        A unit serves the grids of its own agency's scheme, so "everybody of fire in city grid 3" goes by ground, not
        by the name of the grid. Raises CallerError 404 for an unknown grid.
        """
        near = {grid_id, *(grid.id for grid, _ in await self.overlapping(grid_id))}
        units = await self._units.units(UnitFilter(agency=agency, grids=frozenset(near)))
        return sorted({unit.home_talk_group for unit in units if unit.home_talk_group is not None})
