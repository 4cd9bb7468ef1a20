/** What the administration pages can list, make and change: each is one resource of the public API. */

import type { Board } from '../lib/board'
import type { Key } from '../lib/i18n'

export type Item = Record<string, unknown> & { id: string; name?: string }

export interface Field {
  name: string
  label: Key
  kind: 'text' | 'password' | 'color' | 'number' | 'check' | 'choice' | 'several' | 'words'
  /** Only when it is made, only when it is changed, or both. */
  when?: 'create' | 'change'
  isRequired?: boolean
  /** What may be chosen: values with their names. */
  options?: (board: Board) => [value: string, name: string | null][]
  /** A choice of nothing, said so. */
  nothing?: Key
  hint?: Key
}

export interface Resource {
  path: string
  title: Key
  /** Names of what is shown of each. */
  columns: { name: string; label: Key }[]
  fields: Field[]
  remove: Key | null
}

const agencies = (board: Board): [string, string][] => Object.values(board.agencies).map(({ id, name }) => [id, name])
const groups = (board: Board): [string, string][] =>
  Object.values(board.groups).map(({ id, name }): [string, string] => [id, name]).sort((a, b) => a[1].localeCompare(b[1]))
const plain = (...values: string[]) => (): [string, null][] => values.map((value) => [value, null])

const ID: Field = { name: 'id', label: 'id', kind: 'text', when: 'create', isRequired: true, hint: 'idHint' }
const NAME: Field = { name: 'name', label: 'name', kind: 'text', isRequired: true }
const AGENCY: Field = { name: 'agency', label: 'agency', kind: 'choice', options: agencies, nothing: 'centre', when: 'create' }

export const ROLES = ['admin', 'agency-admin', 'dispatcher', 'officer', 'auditor']
export const UNIT_KINDS = ['team', 'vehicle', 'person']

export const RESOURCES: readonly Resource[] = [
  {
    path: 'agencies',
    title: 'agencies',
    columns: [{ name: 'name', label: 'name' }, { name: 'id', label: 'id' }, { name: 'color', label: 'color' }],
    fields: [ID, NAME, { name: 'color', label: 'color', kind: 'color' }],
    remove: 'retire',
  },
  {
    path: 'talk-groups',
    title: 'groups',
    columns: [
      { name: 'name', label: 'name' }, { name: 'id', label: 'id' }, { name: 'agency', label: 'agency' },
      { name: 'joint_channel', label: 'joint' },
    ],
    fields: [ID, NAME, AGENCY],
    remove: 'retire',
  },
  {
    path: 'units',
    title: 'units',
    columns: [
      { name: 'name', label: 'name' }, { name: 'kind', label: 'kind' }, { name: 'agency', label: 'agency' },
      { name: 'home_talk_group', label: 'homeGroup' }, { name: 'grids', label: 'grids' },
    ],
    fields: [
      ID, NAME,
      { name: 'kind', label: 'kind', kind: 'choice', options: plain(...UNIT_KINDS), isRequired: true },
      AGENCY,
      { name: 'home_talk_group', label: 'homeGroup', kind: 'choice', options: groups, nothing: 'noFolder' },
      { name: 'grids', label: 'grids', kind: 'words', hint: 'listHint' },
    ],
    remove: 'retire',
  },
  {
    path: 'users',
    title: 'users',
    columns: [
      { name: 'name', label: 'username' }, { name: 'role', label: 'role' }, { name: 'agency', label: 'agency' },
      { name: 'is_disabled', label: 'disabled' },
    ],
    fields: [
      { name: 'username', label: 'username', kind: 'text', when: 'create', isRequired: true },
      { name: 'password', label: 'password', kind: 'password', when: 'create', isRequired: true },
      { name: 'role', label: 'role', kind: 'choice', options: plain(...ROLES), isRequired: true },
      { name: 'agency', label: 'agency', kind: 'choice', options: agencies, nothing: 'centre' },
      { name: 'is_disabled', label: 'disabled', kind: 'check', when: 'change' },
    ],
    remove: null,
  },
  {
    path: 'templates',
    title: 'templates',
    columns: [
      { name: 'name', label: 'name' }, { name: 'purpose', label: 'purpose' }, { name: 'members', label: 'groups' },
      { name: 'duration_s', label: 'durationS' },
    ],
    fields: [
      ID, NAME,
      { name: 'purpose', label: 'purpose', kind: 'text', isRequired: true },
      { name: 'talk_groups', label: 'groups', kind: 'several', options: groups },
      { name: 'duration_s', label: 'durationS', kind: 'number', isRequired: true },
      { name: 'lead_agency', label: 'lead', kind: 'choice', options: agencies, nothing: 'nobodyLeads' },
      AGENCY,
    ],
    remove: 'remove',
  },
]

export type Draft = Record<string, string | string[] | boolean>

/** The form's values for a new one, or for one that is changed. */
export function draftOf(fields: readonly Field[], item: Item | null): Draft {
  return Object.fromEntries<Draft[string]>(
    fields.map(({ name, kind }): [string, Draft[string]] => {
      const value = item?.[name]
      if (kind === 'check') return [name, value === true]
      if (kind === 'several') return [name, Array.isArray(value) ? value.map(String) : memberGroups(item)]
      if (kind === 'words') return [name, Array.isArray(value) ? value.join(' ') : '']
      if (kind === 'color') return [name, typeof value === 'string' ? value : '#3b6fb5']
      return [name, typeof value === 'string' || typeof value === 'number' ? String(value) : '']
    }),
  )
}

/** A template answers its talk groups among its members. */
function memberGroups(item: Item | null): string[] {
  const members = (item?.members ?? []) as { kind: string; id: string }[]
  return members.filter(({ kind }) => kind === 'talk_group').map(({ id }) => id)
}

/** What is sent: an empty choice is null, lists are lists, numbers numbers; of a change only what was changed. */
export function bodyOf(fields: readonly Field[], draft: Draft, before: Draft | null): Record<string, unknown> {
  const changed = fields.filter(({ name }) => before === null || JSON.stringify(before[name]) !== JSON.stringify(draft[name]))
  return Object.fromEntries<unknown>(
    changed.map(({ name, kind }): [string, unknown] => {
      const value = draft[name]
      if (kind === 'choice') return [name, value === '' ? null : value]
      if (kind === 'number') return [name, Number(value)]
      if (kind === 'words') return [name, String(value).split(/[\s,，、]+/).filter(Boolean)]
      return [name, value]
    }),
  )
}
