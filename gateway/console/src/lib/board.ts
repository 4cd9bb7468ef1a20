/** The picture of the district: a view, then events that bring it up to date. `apply` changes the board in place. */

export interface Queued {
  party: string
  group: string
  priority: string
}

export interface Floor {
  state: 'idle' | 'taken' | 'pending_revoke'
  holder: string | null
  group: string | null
  priority: string | null
  talk: number | null
  /** When the talk is cut, in milliseconds of the caller's clock. */
  limitAt: number | null
  queue: Queued[]
}

export interface Group {
  id: string
  name: string
  agency: string | null
  net: string
  listeners: string[]
  talkers: string[]
}

export interface Party {
  id: string
  kind: string
  label: string
  agency: string | null
  is_deaf: boolean
  is_keyed: boolean
}

export interface Net {
  id: string
  groups: string[]
  jointChannel: string | null
  name: string | null
  floor: Floor
}

export interface Leg {
  name: string
  label: string
  party: string
  agency: string | null
  talk_group: string | null
  online: boolean
  reason: string
  cos: boolean | null
  keyed: boolean
  rx_dbfs: number
  tx_dbfs: number
}

export interface Agency {
  id: string
  name: string
  color: string
}

/** Somebody who talked; `at` is milliseconds of the caller's clock. */
export interface Talked {
  party: string
  label: string
  agency: string | null
  at: number
}

export interface Board {
  groups: Record<string, Group>
  parties: Record<string, Party>
  nets: Record<string, Net>
  legs: Record<string, Leg>
  agencies: Record<string, Agency>
  /** The last talkers of each group, the newest first; what this page has seen, not what was before. */
  recent: Record<string, Talked[]>
  /** By group: the last emergency call that nobody here has acknowledged. */
  emergencies: Record<string, Talked>
}

export interface WireView {
  groups: Group[]
  parties: Party[]
  nets: {
    id: string
    groups: string[]
    joint_channel: string | null
    name: string | null
    floor: Omit<Floor, 'limitAt'> & { limit_s: number | null }
  }[]
  legs: Leg[]
  agencies: Agency[]
}

/** Fields are those of the effects in `channels/effects.py`; deadlines are told as seconds left. */
export type WireEvent = { kind: string } & Record<string, unknown>

/** Of a `party_attached`: its `kind` may have been overwritten by the party's own. */
const PARTY_KINDS = ['leg', 'session', 'whip', 'whep']

/** So many talkers are remembered for each group. */
export const RECENT = 3

export function emptyBoard(): Board {
  return { groups: {}, parties: {}, nets: {}, legs: {}, agencies: {}, recent: {}, emergencies: {} }
}

/** A fresh picture; what only this page remembers comes from the board before. */
export function fromView(view: WireView, now: number, before: Board = emptyBoard()): Board {
  const nets = view.nets.map(({ id, groups, joint_channel: jointChannel, name, floor: { limit_s: left, ...floor } }) => ({
    id,
    groups,
    jointChannel,
    name,
    floor: { ...floor, limitAt: left === null ? null : now + left * 1000 },
  }))
  return {
    groups: byKey(view.groups, (group) => group.id),
    parties: byKey(view.parties, (party) => party.id),
    nets: byKey(nets, (net) => net.id),
    legs: byKey(view.legs, (leg) => leg.name),
    agencies: byKey(view.agencies, (agency) => agency.id),
    recent: before.recent,
    emergencies: before.emergencies,
  }
}

/** Take in one event. One that is unknown, or about something unknown, changes nothing: the next view puts it right. */
export function apply(board: Board, event: WireEvent, now: number): void {
  const text = (name: string): string => String(event[name])
  const floor = board.nets[text('net')]?.floor
  const group = board.groups[text('group')]
  const party = board.parties[text('party')]
  const leg = board.legs[text('leg')]
  switch (PARTY_KINDS.includes(event.kind) ? 'party_attached' : event.kind) {
    case 'group_defined':
      defineGroup(board, text('group'), text('name'), event.agency as string | null)
      break
    case 'group_retired':
      retireGroup(board, text('group'))
      break
    case 'party_attached': {
      const id = text('party')
      const kind = id.split(':', 1)[0] ?? ''
      const agency = event.agency as string | null
      board.parties[id] = { id, kind, label: text('label'), agency, is_deaf: false, is_keyed: false }
      break
    }
    case 'party_detached':
      detachParty(board, text('party'))
      break
    case 'membership_set':
      if (group) {
        setMember(group.listeners, text('party'), event.may_listen === true)
        setMember(group.talkers, text('party'), event.may_talk === true)
      }
      break
    case 'membership_ended':
      if (group) {
        setMember(group.listeners, text('party'), false)
        setMember(group.talkers, text('party'), false)
      }
      break
    case 'floor_granted':
      leaveQueues(board, text('party'))
      if (floor) {
        floor.state = 'taken'
        floor.holder = text('party')
        floor.group = text('group')
        floor.priority = text('priority')
        floor.talk = Number(event.talk)
        floor.limitAt = now + Number(event.limit_s) * 1000
        remember(board, text('net'), now)
      }
      break
    case 'floor_queued':
      leaveQueues(board, text('party'))
      floor?.queue.splice(Number(event.position) - 1, 0, {
        party: text('party'),
        group: text('group'),
        priority: text('priority'),
      })
      break
    case 'queue_left':
      leaveQueues(board, text('party'))
      break
    case 'floor_revoking':
      if (floor?.holder === text('party')) floor.state = 'pending_revoke'
      break
    case 'floor_released':
      // A late word about an earlier talk must not end the one that runs.
      if (floor && floor.talk === event.talk) Object.assign(floor, { ...idleFloor(), queue: floor.queue })
      break
    case 'deafness_began':
    case 'deafness_ended':
      if (party) party.is_deaf = event.kind === 'deafness_began'
      break
    case 'leg_keyed':
    case 'leg_unkeyed':
      if (party) party.is_keyed = event.kind === 'leg_keyed'
      break
    case 'patch_installed': {
      const net = text('net')
      regroup(board, event.groups as string[], () => net, text('patch'), text('name'))
      break
    }
    case 'patch_changed': {
      const [net, groups] = [text('net'), event.groups as string[]]
      const both = [...new Set([...(board.nets[net]?.groups ?? []), ...groups])]
      regroup(board, both, (id) => (groups.includes(id) ? net : id), text('patch'), text('name'))
      break
    }
    case 'patch_removed':
      regroup(board, event.groups as string[], (id) => id, null, null)
      break
    case 'leg_online':
      if (leg) Object.assign(leg, { online: true, reason: text('reason') })
      break
    case 'leg_missing':
      if (leg) Object.assign(leg, { online: false, reason: text('reason'), cos: false, keyed: false })
      break
    default:
      break
  }
}

/** Levels and lines of the legs; they come often and are no events. */
export function applyLevels(board: Board, levels: readonly Partial<Leg>[]): void {
  for (const level of levels) {
    const leg = level.name === undefined ? undefined : board.legs[level.name]
    if (leg) Object.assign(leg, level)
  }
}

function remember(board: Board, net: string, now: number): void {
  const floor = board.nets[net]?.floor
  if (floor?.holder == null) return
  const { label = floor.holder, agency = null } = board.parties[floor.holder] ?? {}
  const talked = { party: floor.holder, label, agency, at: now }
  for (const group of board.nets[net]?.groups ?? []) {
    const others = (board.recent[group] ?? []).filter((other) => other.label !== label)
    board.recent[group] = [talked, ...others].slice(0, RECENT)
    if (floor.priority === 'emergency') board.emergencies[group] = talked
  }
}

function byKey<T>(entries: readonly T[], key: (entry: T) => string): Record<string, T> {
  return Object.fromEntries(entries.map((entry) => [key(entry), entry]))
}

function idleFloor(): Floor {
  return { state: 'idle', holder: null, group: null, priority: null, talk: null, limitAt: null, queue: [] }
}

function setMember(members: string[], party: string, isIn: boolean): void {
  const at = members.indexOf(party)
  if (isIn && at < 0) members.push(party)
  else if (!isIn && at >= 0) members.splice(at, 1)
}

function defineGroup(board: Board, id: string, name: string, agency: string | null): void {
  const known = board.groups[id]
  if (known) {
    Object.assign(known, { name, agency })
    return
  }
  board.groups[id] = { id, name, agency, net: id, listeners: [], talkers: [] }
  board.nets[id] = { id, groups: [id], jointChannel: null, name: null, floor: idleFloor() }
}

function retireGroup(board: Board, id: string): void {
  const net = board.nets[board.groups[id]?.net ?? '']
  delete board.groups[id]
  if (!net) return
  net.groups = net.groups.filter((group) => group !== id)
  if (net.groups.length === 0) delete board.nets[net.id]
}

function detachParty(board: Board, party: string): void {
  delete board.parties[party]
  for (const group of Object.values(board.groups)) {
    setMember(group.listeners, party, false)
    setMember(group.talkers, party, false)
  }
  leaveQueues(board, party)
}

function leaveQueues(board: Board, party: string): void {
  for (const { floor } of Object.values(board.nets)) {
    const at = floor.queue.findIndex((entry) => entry.party === party)
    if (at >= 0) floor.queue.splice(at, 1)
  }
}

/** Move groups to other nets; whoever talks or waits goes along with its group. */
function regroup(
  board: Board,
  moved: readonly string[],
  netFor: (group: string) => string,
  jointChannel: string | null,
  name: string | null,
): void {
  const left = new Set<string>()
  for (const id of moved) left.add(board.groups[id]?.net ?? id)
  const floors: Floor[] = []
  for (const id of left) {
    const net = board.nets[id]
    if (!net) continue
    floors.push(net.floor)
    net.groups = net.groups.filter((group) => !moved.includes(group))
    net.floor = idleFloor()
    if (net.groups.length === 0) delete board.nets[id]
  }
  for (const id of moved) {
    const group = board.groups[id]
    if (!group) continue
    group.net = netFor(id)
    const joint = group.net === id ? { jointChannel: null, name: null } : { jointChannel, name }
    const net = (board.nets[group.net] ??= { id: group.net, groups: [], ...joint, floor: idleFloor() })
    if (!net.groups.includes(id)) net.groups.push(id)
  }
  for (const { queue, ...talk } of floors) {
    const net = talk.group === null ? undefined : board.nets[netFor(talk.group)]
    if (net) Object.assign(net.floor, talk)
    for (const entry of queue) board.nets[netFor(entry.group)]?.floor.queue.push(entry)
  }
}
