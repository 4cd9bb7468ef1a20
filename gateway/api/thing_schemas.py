"""Bodies of units and grids."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tongpin.gateway.api.schemas import Body, Name, Slug
from tongpin.gateway.geometry import MAX_POSITIONS, Area, Ring
from tongpin.gateway.things import Signalling, UnitKind


class RadioIdBody(Body):
    """``code`` is a quoted string: leading zeros count."""

    kind: Signalling
    code: Annotated[str, Field(min_length=1, max_length=16)]


RadioIds = Annotated[list[RadioIdBody], Field(max_length=16)]
GridIds = Annotated[list[Slug], Field(max_length=200)]


class UnitIn(Body):
    """``agency`` null = the command centre's own; the home talk group is the agency's or the command centre's."""

    id: Slug
    name: Name
    kind: UnitKind
    agency: Slug | None = None
    home_talk_group: Slug | None = None
    grids: GridIds = Field(default_factory=list)
    radio_ids: RadioIds = Field(default_factory=list)


class UnitChange(Body):
    """What is left out stays; ``home_talk_group`` null takes it away; lists are replaced."""

    name: Name | None = None
    kind: UnitKind | None = None
    home_talk_group: Slug | None = None
    grids: GridIds | None = None
    radio_ids: RadioIds | None = None


class UnitOut(BaseModel):
    id: str
    name: str
    kind: UnitKind
    agency: str | None
    home_talk_group: str | None
    grids: list[str]
    radio_ids: list[RadioIdBody]
    is_retired: bool


class UnitPage(BaseModel):
    """``next``: give it as ``after`` for the following page; null = the last one."""

    items: list[UnitOut]
    next: str | None


Position = tuple[float, float] | tuple[float, float, float]
Rings = Annotated[list[Annotated[list[Position], Field(max_length=MAX_POSITIONS)]], Field(max_length=MAX_POSITIONS)]


class Polygon(BaseModel):
    """GeoJSON (RFC 7946): longitude, latitude in degrees; the outer ring, then holes; a height is dropped."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["Polygon"]
    coordinates: Rings


class MultiPolygon(BaseModel):
    """GeoJSON (RFC 7946): several polygons."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["MultiPolygon"]
    coordinates: Annotated[list[Rings], Field(max_length=MAX_POSITIONS)]


Geometry = Annotated[Polygon | MultiPolygon, Field(discriminator="type")]


def area_of(geometry: Polygon | MultiPolygon) -> Area:
    """The polygons, not checked yet."""
    polygons = [geometry.coordinates] if isinstance(geometry, Polygon) else geometry.coordinates
    return tuple(tuple(tuple((at[0], at[1]) for at in ring) for ring in polygon) for polygon in polygons)


def geometry_of(area: Area) -> Polygon | MultiPolygon:
    """The area as GeoJSON."""

    def ring(positions: Ring) -> list[Position]:
        return [(longitude, latitude) for longitude, latitude in positions]

    polygons = [[ring(positions) for positions in polygon] for polygon in area]
    if len(polygons) == 1:
        return Polygon(type="Polygon", coordinates=polygons[0])
    return MultiPolygon(type="MultiPolygon", coordinates=polygons)


class GridIn(Body):
    """``scheme`` names the set of grids it is one of, e.g. ``city-management`` or ``public-security``."""

    id: Slug
    name: Name
    scheme: Slug
    agency: Slug | None = None
    geometry: Geometry


class GridChange(Body):
    """What is left out stays."""

    name: Name | None = None
    scheme: Slug | None = None
    geometry: Geometry | None = None


class GridOut(BaseModel):
    id: str
    name: str
    scheme: str
    agency: str | None
    geometry: Geometry
    is_retired: bool


class OverlapOut(BaseModel):
    """``share``: the common ground as a part (0 to 1) of the smaller of the two."""

    id: str
    name: str
    scheme: str
    agency: str | None
    share: float
