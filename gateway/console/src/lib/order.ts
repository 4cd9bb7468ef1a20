/** Which channels are shown, and in which order. */

import type { Board, Group } from './board'
import type { Order } from './prefs.svelte'

export interface Filter {
  search: string
  /** '' for all; a folder's name otherwise. */
  folder: string
  folderOf: (group: string) => string
}

/** Everything that somebody may remember a channel by is searched. */
export function matches(board: Board, group: Group, search: string): boolean {
  const wanted = search.trim().toLocaleLowerCase()
  if (wanted === '') return true
  const net = board.nets[group.net]
  const agency = group.agency === null ? undefined : board.agencies[group.agency]
  const members = [...group.listeners, ...group.talkers].map((id) => board.parties[id]?.label ?? '')
  return [group.name, group.id, agency?.name ?? '', net?.name ?? '', ...members].some((text) =>
    text.toLocaleLowerCase().includes(wanted),
  )
}

export function shown(board: Board, filter: Filter): Group[] {
  return Object.values(board.groups).filter(
    (group) =>
      (filter.folder === '' || filter.folderOf(group.id) === filter.folder) && matches(board, group, filter.search),
  )
}

/** The ids in order; a channel where somebody talks counts as active now. */
export function ordered(board: Board, groups: readonly Group[], order: Order, now: number): string[] {
  const activeAt = (group: Group): number =>
    board.nets[group.net]?.floor.holder != null ? now : (board.recent[group.id]?.[0]?.at ?? Number.NEGATIVE_INFINITY)
  const byName = (a: Group, b: Group): number => a.name.localeCompare(b.name, undefined, { numeric: true }) || a.id.localeCompare(b.id)
  return [...groups]
    .sort((a, b) => {
      if (order === 'activity') return activeAt(b) - activeAt(a) || byName(a, b)
      if (order === 'agency') return (a.agency ?? '').localeCompare(b.agency ?? '') || byName(a, b)
      return byName(a, b)
    })
    .map((group) => group.id)
}
