"""What the demo's town has beside radios: four city-management grids under five public-security areas, and units."""

from typing import Protocol

from tongpin.gateway.changes import made
from tongpin.gateway.geometry import Area
from tongpin.gateway.things import Grid, Grids, Signalling, Unit, UnitKind, Units, radio_id

WEST, SOUTH, EAST, NORTH = 120.60, 30.00, 120.68, 30.06
"""The town, degrees; a place on the map with nothing special to it."""
ACTOR = "demo"


class Town(Grids, Units, Protocol):
    """Where the demo's things are kept."""


def town_grids() -> list[Grid]:
    """Four quarters, and five strips from west to east."""
    middle_x, middle_y = (WEST + EAST) / 2, (SOUTH + NORTH) / 2
    quarters = (
        _box(WEST, middle_y, middle_x, NORTH),
        _box(middle_x, middle_y, EAST, NORTH),
        _box(WEST, SOUTH, middle_x, middle_y),
        _box(middle_x, SOUTH, EAST, middle_y),
    )
    edges = [round(WEST + (EAST - WEST) * step / 5, 6) for step in range(6)]
    strips = [_box(west, SOUTH, east, NORTH) for west, east in zip(edges, edges[1:], strict=False)]
    return [
        *(
            Grid(f"city-{number}", f"City grid {number} 城管网格{number}", "city-management", "chengguan", area)
            for number, area in enumerate(quarters, 1)
        ),
        *(
            Grid(f"security-{number}", f"Security area {number} 警务区{number}", "public-security", "gongan", area)
            for number, area in enumerate(strips, 1)
        ),
    ]


def town_units() -> list[Unit]:
    """Teams, vehicles and a person of each agency, on their home groups, with radio ids."""
    everywhere = tuple(f"city-{number}" for number in range(1, 5))
    return [
        _unit("police-car-1", "Patrol car 1 巡逻车1", UnitKind.VEHICLE, "gongan", "police-1", ("security-1",), "1101"),
        _unit("police-car-2", "Patrol car 2 巡逻车2", UnitKind.VEHICLE, "gongan", "police-1", ("security-4",), "1102"),
        _unit("police-foot-3", "Foot patrol 3 步巡3组", UnitKind.TEAM, "gongan", "police-1", ("security-3",), "1103"),
        _unit("urban-team-1", "Urban team 1 城管一中队", UnitKind.TEAM, "chengguan", "urban-1", everywhere[:2], "2101"),
        _unit("urban-team-2", "Urban team 2 城管二中队", UnitKind.TEAM, "chengguan", "urban-1", everywhere[2:], "2102"),
        _unit("urban-warden-7", "Warden 7 协管员7", UnitKind.PERSON, "chengguan", "urban-1", ("city-3",), "2107"),
        _unit("fire-engine-1", "Engine 1 消防一号车", UnitKind.VEHICLE, "xiaofang", "fire-1", everywhere, "3101"),
    ]


async def settle(town: Town) -> None:
    """Put grids and units into a store that has the demo's agencies and talk groups."""
    for grid in town_grids():
        await town.save_grid(grid, is_new=True, audit=made(ACTOR, "grid", grid))
    for unit in town_units():
        await town.save_unit(unit, is_new=True, audit=made(ACTOR, "unit", unit))


def _unit(id_: str, name: str, kind: UnitKind, agency: str, group: str, grids: tuple[str, ...], code: str) -> Unit:
    return Unit(id_, name, kind, agency, group, grids, (radio_id(Signalling.MDC1200, code),))


def _box(west: float, south: float, east: float, north: float) -> Area:
    return ((((west, south), (east, south), (east, north), (west, north), (west, south)),),)
