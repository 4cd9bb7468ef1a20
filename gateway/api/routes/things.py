"""Units, and the grids they serve."""

import asyncio
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from tongpin.gateway.api.deps import Manager, Services, Viewer, With
from tongpin.gateway.api.schemas import Slug
from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.api.thing_schemas import (
    GridChange,
    GridIn,
    GridOut,
    OverlapOut,
    RadioIdBody,
    UnitChange,
    UnitIn,
    UnitOut,
    UnitPage,
    area_of,
    geometry_of,
)
from tongpin.gateway.changes import changed, made
from tongpin.gateway.errors import CallerError
from tongpin.gateway.geometry import check_area
from tongpin.gateway.rights import Identity, Reach, Right, reach, require
from tongpin.gateway.things import Grid, RadioId, Signalling, Unit, UnitFilter, UnitKind, radio_id

router = APIRouter(tags=["units and grids"])

UnitViewer = Annotated[Identity, Depends(With(Right.SEE_UNITS))]


def _unit_out(unit: Unit) -> UnitOut:
    return UnitOut(
        id=unit.id,
        name=unit.name,
        kind=unit.kind,
        agency=unit.agency,
        home_talk_group=unit.home_talk_group,
        grids=list(unit.grids),
        radio_ids=[RadioIdBody(kind=one.kind, code=one.code) for one in unit.radio_ids],
        is_retired=unit.is_retired,
    )


def _grid_out(grid: Grid) -> GridOut:
    return GridOut(
        id=grid.id,
        name=grid.name,
        scheme=grid.scheme,
        agency=grid.agency,
        geometry=geometry_of(grid.area),
        is_retired=grid.is_retired,
    )


def _radio_ids(bodies: list[RadioIdBody]) -> tuple[RadioId, ...]:
    return tuple(sorted({radio_id(body.kind, body.code) for body in bodies}))


async def _unit(services: ApiServices, unit_id: str) -> Unit:
    unit = await services.units.unit(unit_id)
    if unit is None:
        raise CallerError(404, "no-such-unit", f"there is no unit {unit_id!r}")
    return unit


async def _check_home(services: ApiServices, unit: Unit) -> None:
    """A unit lives with its own people: on a group of its agency, or one of the command centre's."""
    for group in await services.talk_groups.talk_groups():
        if group.id == unit.home_talk_group and group.agency not in (None, unit.agency):
            raise CallerError(422, "home-of-other-agency", f"talk group {group.id!r} belongs to another agency")


@router.get("/units")
async def units(
    caller: UnitViewer,
    services: Services,
    agency: Slug | None = None,
    kind: UnitKind | None = None,
    talk_group: Slug | None = None,
    grid: Slug | None = None,
    radio_id: Annotated[str | None, Query(max_length=40, description="kind:code, e.g. mdc1200:1A2B")] = None,
    with_retired: bool = False,
    after: Annotated[str, Query(max_length=63)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> UnitPage:
    """Units by id, those that the caller may see."""
    if agency is not None:
        require(caller, Right.SEE_UNITS, agency)
    elif reach(caller, Right.SEE_UNITS) is not Reach.ALL:
        agency = caller.agency
    wanted = UnitFilter(
        agency=agency,
        kind=kind,
        talk_group=talk_group,
        grids=frozenset({grid}) if grid is not None else None,
        radio_id=_wanted_id(radio_id) if radio_id is not None else None,
        with_retired=with_retired,
        after=after,
        limit=limit + 1,
    )
    found = await services.units.units(wanted)
    following = found[limit - 1].id if len(found) > limit else None
    return UnitPage(items=[_unit_out(unit) for unit in found[:limit]], next=following)


def _wanted_id(text: str) -> RadioId:
    kind, _, code = text.partition(":")
    if kind not in set(Signalling):
        raise CallerError(422, "bad-radio-id", f"write radio_id as kind:code, with one of {', '.join(Signalling)}")
    return radio_id(Signalling(kind), code)


@router.post("/units", status_code=201)
async def create_unit(body: UnitIn, caller: Manager, services: Services) -> UnitOut:
    require(caller, Right.MANAGE, body.agency)
    unit = Unit(
        id=body.id,
        name=body.name,
        kind=body.kind,
        agency=body.agency,
        home_talk_group=body.home_talk_group,
        grids=tuple(sorted(set(body.grids))),
        radio_ids=_radio_ids(body.radio_ids),
    )
    await _check_home(services, unit)
    await services.units.save_unit(unit, is_new=True, audit=made(caller.username, "unit", unit))
    return _unit_out(unit)


@router.get("/units/{unit_id}")
async def read_unit(unit_id: str, caller: UnitViewer, services: Services) -> UnitOut:
    unit = await _unit(services, unit_id)
    require(caller, Right.SEE_UNITS, unit.agency)
    return _unit_out(unit)


@router.patch("/units/{unit_id}")
async def change_unit(unit_id: str, body: UnitChange, caller: Manager, services: Services) -> UnitOut:
    unit = await _active_unit(services, caller, unit_id)
    after = replace(
        unit,
        name=body.name or unit.name,
        kind=body.kind or unit.kind,
        home_talk_group=body.home_talk_group if "home_talk_group" in body.model_fields_set else unit.home_talk_group,
        grids=tuple(sorted(set(body.grids))) if body.grids is not None else unit.grids,
        radio_ids=_radio_ids(body.radio_ids) if body.radio_ids is not None else unit.radio_ids,
    )
    await _check_home(services, after)
    await services.units.save_unit(after, is_new=False, audit=changed(caller.username, "unit", unit, after))
    return _unit_out(after)


@router.delete("/units/{unit_id}", status_code=204)
async def retire_unit(unit_id: str, caller: Manager, services: Services) -> None:
    """Retire a unit: it stays readable, its radio ids are free for others."""
    unit = await _active_unit(services, caller, unit_id)
    after = replace(unit, is_retired=True)
    await services.units.save_unit(after, is_new=False, audit=changed(caller.username, "unit", unit, after, "retired"))


async def _active_unit(services: ApiServices, caller: Identity, unit_id: str) -> Unit:
    unit = await _unit(services, unit_id)
    require(caller, Right.MANAGE, unit.agency)
    if unit.is_retired:
        raise CallerError(409, "retired", f"unit {unit_id!r} is retired")
    return unit


@router.get("/grids")
async def grids(
    caller: Viewer,
    services: Services,
    scheme: Slug | None = None,
    agency: Slug | None = None,
    longitude: Annotated[float | None, Query(ge=-180, le=180)] = None,
    latitude: Annotated[float | None, Query(ge=-90, le=90)] = None,
) -> list[GridOut]:
    """Grids of all schemes or of one; with longitude and latitude those that hold the point."""
    if (longitude is None) is not (latitude is None):
        raise CallerError(422, "half-a-point", "give longitude and latitude together")
    if longitude is not None and latitude is not None:
        found = await services.places.at((longitude, latitude), scheme)
    else:
        found = list(await services.grids.grids(scheme=scheme))
    return [_grid_out(grid) for grid in found if agency is None or grid.agency == agency]


@router.post("/grids", status_code=201)
async def create_grid(body: GridIn, caller: Manager, services: Services) -> GridOut:
    require(caller, Right.MANAGE, body.agency)
    grid = Grid(body.id, body.name, body.scheme, body.agency, area_of(body.geometry))
    await asyncio.to_thread(check_area, grid.area)
    await services.grids.save_grid(grid, is_new=True, audit=made(caller.username, "grid", grid))
    return _grid_out(grid)


@router.get("/grids/{grid_id}")
async def read_grid(grid_id: str, caller: Viewer, services: Services) -> GridOut:
    return _grid_out(await services.places.grid(grid_id))


@router.get("/grids/{grid_id}/overlaps")
async def grid_overlaps(
    grid_id: str, caller: Viewer, services: Services, scheme: Slug | None = None
) -> list[OverlapOut]:
    """Grids that share ground with this one, of all schemes or of one."""
    return [
        OverlapOut(id=grid.id, name=grid.name, scheme=grid.scheme, agency=grid.agency, share=round(share, 4))
        for grid, share in await services.places.overlapping(grid_id, scheme)
    ]


@router.get("/grids/{grid_id}/talk-groups")
async def grid_talk_groups(grid_id: str, caller: Viewer, services: Services, agency: Slug | None = None) -> list[str]:
    """Ids of the home talk groups of those who serve this grid or one that overlaps it, of all agencies or of one."""
    return list(await services.places.talk_groups(grid_id, agency))


@router.patch("/grids/{grid_id}")
async def change_grid(grid_id: str, body: GridChange, caller: Manager, services: Services) -> GridOut:
    grid = await services.places.grid(grid_id)
    require(caller, Right.MANAGE, grid.agency)
    area = area_of(body.geometry) if body.geometry is not None else grid.area
    await asyncio.to_thread(check_area, area)
    after = replace(grid, name=body.name or grid.name, scheme=body.scheme or grid.scheme, area=area)
    await services.grids.save_grid(after, is_new=False, audit=changed(caller.username, "grid", grid, after))
    return _grid_out(after)


@router.delete("/grids/{grid_id}", status_code=204)
async def retire_grid(grid_id: str, caller: Manager, services: Services) -> None:
    """Retire a grid that no unit serves any more; 409 names the units."""
    grid = await services.places.grid(grid_id)
    require(caller, Right.MANAGE, grid.agency)
    after = replace(grid, is_retired=True)
    await services.grids.save_grid(after, is_new=False, audit=changed(caller.username, "grid", grid, after, "retired"))
