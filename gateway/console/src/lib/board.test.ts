import { describe, expect, it } from 'vitest'
import { apply, applyLevels, emptyBoard, fromView, type Board, type WireEvent, type WireView } from './board'

const view: WireView = {
  agencies: [{ id: 'gongan', name: 'Police', color: '#1f5fbf' }],
  legs: [
    {
      name: 'radio', label: 'Radio', party: 'leg:radio', agency: 'gongan', talk_group: 'p', online: true,
      reason: '', cos: false, keyed: false, rx_dbfs: -60, tx_dbfs: -120,
    },
  ],
  parties: [{ id: 'leg:radio', kind: 'leg', label: 'Radio', agency: 'gongan', is_deaf: false, is_keyed: false }],
  groups: [
    { id: 'p', name: 'P', agency: 'gongan', net: 'p', listeners: ['leg:radio'], talkers: ['leg:radio'] },
    { id: 'u', name: 'U', agency: null, net: 'u', listeners: [], talkers: [] },
  ],
  nets: ['p', 'u'].map((id) => ({
    id,
    groups: [id],
    joint_channel: null,
    name: null,
    floor: { state: 'idle' as const, holder: null, group: null, priority: null, talk: null, limit_s: null, queue: [] },
  })),
}

function after(...events: WireEvent[]): Board {
  const board = fromView(structuredClone(view), 1000)
  for (const event of events) apply(board, event, 1000)
  return board
}

const granted = { kind: 'floor_granted', net: 'p', party: 'leg:radio', group: 'p', priority: 'normal', talk: 7, limit_s: 60 }
const queued = { kind: 'floor_queued', net: 'p', party: 'session:x', group: 'p', position: 1, priority: 'high' }
const patched = { kind: 'patch_installed', patch: 'jc', net: 'jc', name: 'Fire', groups: ['p', 'u'] }

describe('the board', () => {
  it('follows a patch that changes', () => {
    const board = after(patched, { ...granted, net: 'jc' }, { kind: 'group_defined', group: 'w', name: 'W', agency: null })
    apply(board, { ...patched, kind: 'patch_changed', name: 'Flood', groups: ['u', 'w'] }, 0)
    expect(board.nets.jc).toMatchObject({ groups: ['u', 'w'], jointChannel: 'jc', name: 'Flood' })
    expect(board.nets.jc?.floor.holder).toBeNull()
    expect(board.nets.p).toMatchObject({ groups: ['p'], jointChannel: null, name: null })
    expect(board.nets.p?.floor.holder).toBe('leg:radio')
    expect(board.nets.w).toBeUndefined()
  })

  it('starts from a view', () => {
    const board = after()
    expect(Object.keys(board.groups)).toEqual(['p', 'u'])
    expect(board.nets.p?.floor.state).toBe('idle')
    expect(emptyBoard().nets).toEqual({})
  })

  it('follows groups', () => {
    const board = after({ kind: 'group_defined', group: 'w', name: 'Water', agency: null })
    expect(board.nets.w?.groups).toEqual(['w'])
    apply(board, { kind: 'group_defined', group: 'w', name: 'Waters', agency: 'gongan' }, 0)
    expect(board.groups.w?.name).toBe('Waters')
    apply(board, { kind: 'group_retired', group: 'w' }, 0)
    expect(board.groups.w).toBeUndefined()
    expect(board.nets.w).toBeUndefined()
  })

  it('follows parties and memberships', () => {
    const board = after(
      { kind: 'party_attached', party: 'session:x', kind_: '', label: 'Duty', agency: null },
      { kind: 'membership_set', party: 'session:x', group: 'u', may_listen: true, may_talk: false },
    )
    expect(board.groups.u?.listeners).toEqual(['session:x'])
    expect(board.groups.u?.talkers).toEqual([])
    apply(board, { kind: 'membership_ended', party: 'session:x', group: 'u' }, 0)
    expect(board.groups.u?.listeners).toEqual([])
    apply(board, { kind: 'party_detached', party: 'leg:radio' }, 0)
    expect(board.groups.p?.talkers).toEqual([])
  })

  it('follows the floor', () => {
    const board = after(granted)
    expect(board.nets.p?.floor).toMatchObject({ state: 'taken', holder: 'leg:radio', talk: 7, limitAt: 61000 })
    apply(board, { kind: 'floor_revoking', net: 'p', party: 'leg:radio', cause: 'talk_limit', grace_s: 3 }, 0)
    expect(board.nets.p?.floor.state).toBe('pending_revoke')
    apply(board, { kind: 'floor_released', net: 'p', party: 'leg:radio', talk: 7, cause: 'released' }, 0)
    expect(board.nets.p?.floor.holder).toBeNull()
    apply(board, { kind: 'net_idle', net: 'p' }, 0)
    expect(board.nets.p?.floor.state).toBe('idle')
  })

  it('follows the queue', () => {
    const board = after(granted, queued, { ...queued, party: 'session:y', position: 1 })
    expect(board.nets.p?.floor.queue.map((entry) => entry.party)).toEqual(['session:y', 'session:x'])
    apply(board, { ...queued, position: 1 }, 0)
    expect(board.nets.p?.floor.queue.map((entry) => entry.party)).toEqual(['session:x', 'session:y'])
    apply(board, { kind: 'queue_left', net: 'p', party: 'session:y', cause: 'released' }, 0)
    apply(board, { ...granted, party: 'session:x', talk: 8 }, 0)
    expect(board.nets.p?.floor.queue).toEqual([])
    expect(board.nets.p?.floor.holder).toBe('session:x')
  })

  it('follows deafness and keys', () => {
    const board = after({ kind: 'deafness_began', net: 'p', party: 'leg:radio' }, { kind: 'leg_keyed', party: 'leg:radio', net: 'p' })
    expect(board.parties['leg:radio']).toMatchObject({ is_deaf: true, is_keyed: true })
    apply(board, { kind: 'deafness_ended', net: 'p', party: 'leg:radio' }, 0)
    apply(board, { kind: 'leg_unkeyed', party: 'leg:radio', net: 'p' }, 0)
    expect(board.parties['leg:radio']).toMatchObject({ is_deaf: false, is_keyed: false })
  })

  it('follows joint channels; talker and queue go along and come back', () => {
    const board = after(granted, queued, patched)
    expect(Object.keys(board.nets)).toEqual(['jc'])
    expect(board.nets.jc).toMatchObject({ jointChannel: 'jc', name: 'Fire', groups: ['p', 'u'] })
    expect(board.nets.jc?.floor).toMatchObject({ holder: 'leg:radio', talk: 7 })
    expect(board.nets.jc?.floor.queue).toHaveLength(1)
    apply(board, { kind: 'patch_removed', patch: 'jc', net: 'jc', groups: ['p', 'u'], cause: 'closed' }, 0)
    expect(Object.keys(board.nets).sort()).toEqual(['p', 'u'])
    expect(board.nets.p?.floor).toMatchObject({ holder: 'leg:radio', queue: [{ party: 'session:x' }] })
    expect(board.nets.u?.floor.holder).toBeNull()
    expect(board.groups.u?.net).toBe('u')
  })

  it('follows legs', () => {
    const board = after({ kind: 'leg_missing', leg: 'radio', reason: 'unplugged' })
    expect(board.legs.radio).toMatchObject({ online: false, reason: 'unplugged' })
    apply(board, { kind: 'leg_online', leg: 'radio', reason: '' }, 0)
    applyLevels(board, [{ name: 'radio', rx_dbfs: -20, cos: true }, { name: 'nobody', rx_dbfs: 0 }])
    expect(board.legs.radio).toMatchObject({ online: true, rx_dbfs: -20, cos: true })
  })

  it('is not upset by what it does not know', () => {
    const before = after()
    expect(after({ kind: 'something_new', net: 'p' })).toEqual(before)
  })
})
