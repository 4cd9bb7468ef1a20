"""Areas on the map: GeoJSON polygons (RFC 7946, longitude before latitude, WGS 84), checked and compared."""

import math
from collections.abc import Sequence

from shapely import MultiPolygon, Point, Polygon, is_valid_reason

from tongpin.gateway.errors import CallerError

Position = tuple[float, float]
"""Longitude, latitude in degrees."""
Ring = tuple[Position, ...]
Area = tuple[tuple[Ring, ...], ...]
"""Polygons; of each the outer ring first, then its holes."""

MAX_POSITIONS = 2_000


def check_area(area: Area) -> None:
    """Raise CallerError 422, saying what is wrong and where, unless these are proper polygons."""
    count = sum(len(ring) for polygon in area for ring in polygon)
    if count > MAX_POSITIONS:
        raise _bad(f"{count} positions; {MAX_POSITIONS} are allowed, so simplify it")
    for polygon in area:
        if not polygon:
            raise _bad("a polygon without a ring")
        for ring in polygon:
            _check_ring(ring)
    if not area:
        raise _bad("no polygon")
    shape = _shape(area)
    if not shape.is_valid:
        raise _bad(is_valid_reason(shape).replace("[", " at ").rstrip("]"))
    west, _, east, _ = shape.bounds
    if east - west >= 180:
        raise _bad("it is wider than half the earth; cut it at the antimeridian")


def containing(areas: Sequence[Area], position: Position) -> list[int]:
    """Indices of the areas that hold the position; a position on a border is in both."""
    point = Point(position)
    return [index for index, area in enumerate(areas) if _shape(area).covers(point)]


def overlaps(area: Area, others: Sequence[Area]) -> list[float]:
    """For each other area the common part, as a share (0 to 1) of the smaller of the two. Borders have no area."""
    shape = _shape(area)
    shares = []
    for other in map(_shape, others):
        common = shape.intersection(other).area if shape.intersects(other) else 0.0
        shares.append(common / min(shape.area, other.area))
    return shares


def _check_ring(ring: Ring) -> None:
    if len(ring) < 4 or ring[0] != ring[-1]:
        raise _bad("a ring has at least four positions, and ends where it begins")
    for longitude, latitude in ring:
        if not (math.isfinite(longitude) and abs(longitude) <= 180 and math.isfinite(latitude) and abs(latitude) <= 90):
            raise _bad(f"[{longitude}, {latitude}] is no longitude and latitude in degrees")


def _shape(area: Area) -> MultiPolygon:
    return MultiPolygon([Polygon(polygon[0], polygon[1:]) for polygon in area])


def _bad(reason: str) -> CallerError:
    return CallerError(422, "bad-geometry", f"the geometry cannot be used: {reason}")
