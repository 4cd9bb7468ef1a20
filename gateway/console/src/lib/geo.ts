/** Grids as SVG: GeoJSON areas on a flat picture. A district is small enough for that. */

type Position = readonly number[]
type Ring = readonly Position[]

export type Geometry =
  | { type: 'Polygon'; coordinates: readonly Ring[] }
  | { type: 'MultiPolygon'; coordinates: readonly (readonly Ring[])[] }

export interface Shape {
  /** For `<path d>`; holes need `fill-rule="evenodd"`. */
  path: string
  /** Where a name is written: the middle of the area's box. */
  x: number
  y: number
}

/** All areas to one scale, north up, within a box of this width; the answer's height keeps the true proportions. */
export function project(areas: readonly Geometry[], width: number): { shapes: Shape[]; height: number } {
  const all = areas.flatMap(ringsOf).flat()
  if (all.length === 0) return { shapes: [], height: 0 }
  const west = Math.min(...all.map(longitude))
  const east = Math.max(...all.map(longitude))
  const south = Math.min(...all.map(latitude))
  const north = Math.max(...all.map(latitude))
  const squeeze = Math.cos((((north + south) / 2) * Math.PI) / 180)
  const scale = width / Math.max((east - west) * squeeze, 1e-9)
  const x = (position: Position): number => round((longitude(position) - west) * squeeze * scale)
  const y = (position: Position): number => round((north - latitude(position)) * scale)
  const shapes = areas.map((area): Shape => {
    const rings = ringsOf(area)
    const points = rings.flat()
    const middle = (values: number[]): number => round((Math.min(...values) + Math.max(...values)) / 2)
    return {
      path: rings.map((ring) => `M${ring.map((position) => `${x(position)} ${y(position)}`).join('L')}Z`).join(''),
      x: middle(points.map(x)),
      y: middle(points.map(y)),
    }
  })
  return { shapes, height: round((north - south) * scale) }
}

function ringsOf(area: Geometry): readonly Ring[] {
  return area.type === 'Polygon' ? area.coordinates : area.coordinates.flat()
}

const longitude = (position: Position): number => position[0] ?? 0
const latitude = (position: Position): number => position[1] ?? 0
const round = (value: number): number => Math.round(value * 10) / 10
