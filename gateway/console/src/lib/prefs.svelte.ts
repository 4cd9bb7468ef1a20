/** What a dispatcher has set on this machine: kept in the browser, never at the gateway. */

import { preferred, type Language } from './i18n'

export type Theme = 'auto' | 'light' | 'dark'
export type Order = 'name' | 'activity' | 'agency'

/** How one channel sounds: volume 0–1, pan -1 (left) to 1 (right). */
export interface ChannelPrefs {
  volume: number
  pan: number
  folder: string
}

/** A foot switch that was taught: which device, and what of its report or message says "down". */
export type Pedal =
  | { kind: 'gamepad'; id: string; button: number }
  | { kind: 'hid'; vendorId: number; productId: number; byte: number; mask: number }
  | { kind: 'midi'; status: number; number: number }

export interface Values {
  language: Language
  theme: Theme
  selected: string[]
  order: Order
  channels: Record<string, ChannelPrefs>
  selectVolume: number
  unselectVolume: number
  toneVolume: number
  /** Device ids; empty means what the system has chosen. */
  selectSpeaker: string
  unselectSpeaker: string
  microphone: string
  isProcessed: boolean
  /** Lower the speakers while one talks: without a headset the microphone would hear them. */
  isDucked: boolean
  isLatched: boolean
  latchMax_s: number
  talkKey: string
  pedal: Pedal | null
}

const STORE = 'tongpin.prefs'
export const PLAIN: Readonly<ChannelPrefs> = { volume: 1, pan: 0, folder: '' }

function defaults(): Values {
  return {
    language: preferred(navigator.languages),
    theme: 'auto',
    selected: [],
    order: 'name',
    channels: {},
    selectVolume: 1,
    unselectVolume: 0.5,
    toneVolume: 0.5,
    selectSpeaker: '',
    unselectSpeaker: '',
    microphone: '',
    isProcessed: true,
    isDucked: true,
    isLatched: false,
    latchMax_s: 20,
    talkKey: 'Space',
    pedal: null,
  }
}

/** Stored values over the defaults; what has the wrong type, as after a change of versions, is left out. */
export function merge(base: Values, stored: unknown): Values {
  if (typeof stored !== 'object' || stored === null) return base
  const known = Object.entries(stored).filter(([name, value]) => {
    if (name === 'pedal') return value === null || typeof value === 'object'
    const own = (base as unknown as Record<string, unknown>)[name]
    return own !== undefined && typeof own === typeof value && Array.isArray(own) === Array.isArray(value) && value !== null
  })
  return { ...base, ...Object.fromEntries(known) }
}

export class Prefs {
  values = $state<Values>(this.read())

  set(change: Partial<Values>): void {
    Object.assign(this.values, change)
    localStorage.setItem(STORE, JSON.stringify(this.values))
  }

  channel(group: string): ChannelPrefs {
    return this.values.channels[group] ?? PLAIN
  }

  setChannel(group: string, change: Partial<ChannelPrefs>): void {
    this.set({ channels: { ...this.values.channels, [group]: { ...this.channel(group), ...change } } })
  }

  private read(): Values {
    try {
      return merge(defaults(), JSON.parse(localStorage.getItem(STORE) ?? 'null'))
    } catch {
      return defaults()
    }
  }
}
