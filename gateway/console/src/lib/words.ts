/** What several pages say about the same things. */

import type { Group } from './board'
import type { Desk } from './desk.svelte'
import type { Key } from './i18n'
import { clock } from './time'

/** Names of who is on line in a group; a person who talks on several lines is one person. */
export function namesOf(desk: Desk, group: Group): string[] {
  const labels = [...group.listeners, ...group.talkers].map((id) => desk.board.parties[id]?.label ?? id)
  return [...new Set(labels)].sort((a, b) => a.localeCompare(b))
}

/** Why nothing that is said here goes out by radio, or not at all; null when it does. */
export function noTxOf(desk: Desk, group: Group): Key | null {
  if (desk.connection === 'lost' || desk.connection === 'no-sound') return 'noTxLost'
  if (desk.party !== '' && !desk.mayTalk(group)) return 'noTxRight'
  const legs = Object.values(desk.board.legs).filter((leg) => leg.talk_group === group.id)
  return legs.length > 0 && legs.every((leg) => !leg.online) ? 'noTxRadio' : null
}

/** The time of day of a moment on the page's own clock. */
export function timeOf(desk: Desk, at: number): string {
  return clock(desk.prefs.values.language, performance.timeOrigin + at)
}

/** An agency's name; the command centre is of no agency. */
export function agencyName(desk: Desk, id: string | null): string {
  return id === null || id === '' ? desk.words('centre') : (desk.board.agencies[id]?.name ?? id)
}
