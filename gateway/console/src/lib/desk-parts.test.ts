import { describe, expect, it } from 'vitest'
import { bodyOf, draftOf, RESOURCES } from '../admin/resources'
import { fromView, apply, type Board, type WireView } from './board'
import { project, type Geometry } from './geo'
import { firstBit, midiState } from './inputs'
import { leftOf, type JointChannel } from './joint.svelte'
import { combine, IDLE } from './key'
import { toggled } from './mixer.svelte'
import { ordered, shown } from './order'
import { entryOf } from './page'
import { nextSpeech } from './player.svelte'
import { merge, type Values } from './prefs.svelte'
import { localInput, span } from './time'
import { ALERT_NOTES, ALERTS, length_s, TONES } from './tones'

function view(): WireView {
  const floor = { state: 'idle' as const, holder: null, group: null, priority: null, talk: null, limit_s: null, queue: [] }
  return {
    groups: ['b', 'a', 'c10', 'c9'].map((id) => ({
      id, name: `Group ${id}`, agency: id === 'a' ? 'police' : null, net: id, listeners: [], talkers: [],
    })),
    parties: [{ id: 'leg:x', kind: 'leg', label: 'Car 7', agency: 'police', is_deaf: false, is_keyed: false }],
    nets: ['b', 'a', 'c10', 'c9'].map((id) => ({ id, groups: [id], joint_channel: null, name: null, floor: { ...floor, queue: [] } })),
    legs: [],
    agencies: [{ id: 'police', name: 'Police 公安', color: '#00f' }],
  }
}

function talk(board: Board, net: string, number: number, at: number, priority = 'normal'): void {
  apply(board, { kind: 'floor_granted', net, party: 'leg:x', group: net, priority, talk: number, limit_s: 30 }, at)
  apply(board, { kind: 'floor_released', net, party: 'leg:x', talk: number, cause: 'released' }, at)
}

describe('the order of channels', () => {
  it('is by name as people count, or by who talked last', () => {
    const board = fromView(view(), 0)
    const all = Object.values(board.groups)
    expect(ordered(board, all, 'name', 0)).toEqual(['a', 'b', 'c9', 'c10'])
    talk(board, 'c10', 1, 5)
    talk(board, 'b', 2, 9)
    expect(ordered(board, all, 'activity', 10).slice(0, 2)).toEqual(['b', 'c10'])
    expect(ordered(board, all, 'agency', 10).at(-1)).toBe('a')
  })

  it('is searched by channel, agency and folder', () => {
    const board = fromView(view(), 0)
    const folderOf = (id: string): string => (id === 'b' ? 'night' : '')
    expect(shown(board, { search: '公安', folder: '', folderOf }).map(({ id }) => id)).toEqual(['a'])
    expect(shown(board, { search: 'GROUP C', folder: '', folderOf })).toHaveLength(2)
    expect(shown(board, { search: '', folder: 'night', folderOf }).map(({ id }) => id)).toEqual(['b'])
  })
})

describe('what the board remembers', () => {
  it('is the last talkers, each once, also over a fresh view', () => {
    const board = fromView(view(), 0)
    talk(board, 'a', 1, 5)
    talk(board, 'a', 2, 7)
    expect(board.recent.a).toEqual([{ party: 'leg:x', label: 'Car 7', agency: 'police', at: 7 }])
    expect(fromView(view(), 8, board).recent.a).toHaveLength(1)
  })

  it('is an emergency until somebody acknowledges it', () => {
    const board = fromView(view(), 0)
    talk(board, 'a', 1, 5, 'emergency')
    expect(board.emergencies.a?.label).toBe('Car 7')
    expect(board.emergencies.b).toBeUndefined()
  })
})

describe('pedals', () => {
  it('are taught by the first bit that comes', () => {
    expect(firstBit(new Uint8Array([0, 1]), new Uint8Array([0, 1]))).toBeNull()
    expect(firstBit(new Uint8Array([0, 1]), new Uint8Array([0, 7]))).toEqual({ byte: 1, mask: 2 })
  })

  it('of MIDI know notes and the sustain pedal', () => {
    expect(midiState({ status: 0x90, number: 60 }, new Uint8Array([0x90, 60, 9]))).toBe(true)
    expect(midiState({ status: 0x90, number: 60 }, new Uint8Array([0x80, 60, 0]))).toBe(false)
    expect(midiState({ status: 0x90, number: 60 }, new Uint8Array([0x90, 61, 9]))).toBeNull()
    expect(midiState({ status: 0xb0, number: 64 }, new Uint8Array([0xb0, 64, 63]))).toBe(false)
    expect(midiState({ status: 0xb0, number: 64 }, new Uint8Array([0xb0, 64, 64]))).toBe(true)
  })
})

describe('maps', () => {
  it('keep north up and the proportions true', () => {
    const square: Geometry = { type: 'Polygon', coordinates: [[[10, 60], [12, 60], [12, 61], [10, 61], [10, 60]]] }
    const { shapes, height } = project([square], 100)
    // At 60° a degree of longitude is half as long as one of latitude.
    expect(height).toBeGreaterThan(95)
    expect(height).toBeLessThan(105)
    expect(shapes[0]?.path.startsWith(`M0 ${height}L100 ${height}`)).toBe(true)
    expect(project([], 100)).toEqual({ shapes: [], height: 0 })
  })
})

describe('recordings', () => {
  const waveform = { step_ms: 100, peaks_dbfs: [-20, ...Array.from({ length: 10 }, () => -70), -18], is_open: false }

  it('skip a pause to just before the next word, and no short one', () => {
    expect(nextSpeech(waveform, 0)).toBeNull()
    expect(nextSpeech(waveform, 150)).toBe(1000)
    expect(nextSpeech(waveform, 900)).toBeNull()
    expect(nextSpeech(waveform, 5_000)).toBeNull()
  })
})

describe('forms', () => {
  const units = RESOURCES.find(({ path }) => path === 'units')
  it('send lists as lists, nothing as null, and of a change only what changed', () => {
    const fields = units?.fields ?? []
    const before = draftOf(fields, { id: 'u', name: 'One', kind: 'team', agency: null, grids: ['n'], home_talk_group: 'a' })
    const after = { ...before, grids: 'n, s', home_talk_group: '' }
    expect(bodyOf(fields, after, before)).toEqual({ grids: ['n', 's'], home_talk_group: null })
    expect(bodyOf(fields, after, null)).toMatchObject({ name: 'One', agency: null, kind: 'team' })
  })
})

it('several keys are one: on the air if any is', () => {
  const denied = { ...IDLE, state: 'denied' as const }
  expect(combine([denied, { ...IDLE, state: 'talking' }]).state).toBe('talking')
  expect(combine([denied, IDLE]).state).toBe('denied')
  expect(combine([{ ...IDLE, state: 'queued' }, { ...IDLE, state: 'requesting' }]).state).toBe('requesting')
})

it('settings of another version are left out, not believed', () => {
  const base = { language: 'en', isLatched: false, selected: ['x'], pedal: null } as unknown as Values
  const stored = { language: 7, isLatched: true, selected: 'no', pedal: { kind: 'hid' }, unknown: 1 }
  expect(merge(base, stored)).toEqual({ language: 'en', isLatched: true, selected: ['x'], pedal: { kind: 'hid' } })
  expect(merge(base, null)).toBe(base)
})

it('the three alert tones, and the console’s own, are all different', () => {
  const made = [...Object.values(TONES), ...ALERTS.map((alert) => ALERT_NOTES[alert])].map((notes) => JSON.stringify(notes))
  expect(new Set(made).size).toBe(made.length)
  for (const alert of ALERTS) expect(length_s(ALERT_NOTES[alert])).toBeLessThan(3)
})

it('tells a page of another version by the name of its script', () => {
  expect(entryOf('<script type="module" crossorigin src="./assets/index-abc.js"></script>')).toBe('./assets/index-abc.js')
  expect(entryOf('<p>login of a hotel</p>')).toBeNull()
})

it('says spans and local times', () => {
  expect(span(59.9)).toBe('00:59')
  expect(span(3_723)).toBe('1:02:03')
  expect(span(-5)).toBe('00:00')
  expect(localInput(new Date(2026, 2, 4, 21, 7))).toBe('2026-03-04T21:07')
  expect(toggled(['a'], 'a')).toEqual([])
})

it('counts down to the end, or to the beginning of what is planned', () => {
  const channel = { state: 'active', expires_at: '2026-03-04T21:00:00Z', ends_at: null, starts_at: '2026-03-04T20:30:00Z' } as JointChannel
  const now = Date.parse('2026-03-04T20:00:00Z')
  expect(leftOf(channel, now)).toBe(3600)
  expect(leftOf({ ...channel, state: 'scheduled' }, now)).toBe(1800)
})
