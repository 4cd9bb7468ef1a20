/** Plays one recording at a time, for this listener only; also one that is still being spoken. */

import type { Account } from './account.svelte'
import type { Sound } from './media'

export interface Transmission {
  id: string
  started_at: string
  ended_at: string | null
  state: string
  label: string
  agency: string | null
  unit: string | null
  talk_group: string
  joint_channel: string | null
  priority: string
  cause: string | null
  duration_ms: number
  lost_ms: number
}

export interface Waveform {
  step_ms: number
  peaks_dbfs: number[]
  is_open: boolean
}

export const RATES = [1, 1.25, 1.5, 2] as const
/** Quieter than this is nobody speaking; a pause shorter than this is part of speech. */
const SILENCE_DBFS = -50
const PAUSE_MS = 500
const LOOK_MS = 100
/** Of a talk that is still on, so much later there is something new. */
const MORE_MS = 400

/** From a place in silence, the place where somebody speaks again; null while somebody does, or if nobody will. */
export function nextSpeech(waveform: Waveform, at_ms: number): number | null {
  const { peaks_dbfs: peaks, step_ms } = waveform
  const from = Math.floor(at_ms / step_ms)
  const found = peaks.findIndex((peak, index) => index >= from && peak > SILENCE_DBFS)
  if (found < 0 || (found - from) * step_ms < PAUSE_MS) return null
  // A little before, so that the first syllable is whole.
  return Math.max(0, found * step_ms - 100)
}

export class Player {
  current = $state.raw<Transmission | null>(null)
  isPlaying = $state(false)
  position_ms = $state(0)
  rate = $state<number>(1)
  isLooped = $state(false)
  isSkipping = $state(true)
  waveforms = $state<Record<string, Waveform>>({})
  /** What went wrong with the last one. */
  failure = $state.raw<unknown>(null)

  private readonly element = new Audio()
  private url = ''
  private timer = 0
  private isOpen = false
  private attached: Sound | null = null

  constructor(
    private readonly account: Account,
    private readonly sound: () => Sound | null,
  ) {
    this.element.addEventListener('ended', () => void this.ended())
  }

  async play(transmission: Transmission, at_ms = 0): Promise<void> {
    this.stop()
    this.current = transmission
    this.failure = null
    const sound = this.sound()
    if (sound !== null && this.attached === null) {
      sound.attach(this.element)
      this.attached = sound
    }
    try {
      await this.load(transmission)
      if (this.current !== transmission) return
      await this.begin(at_ms)
      void this.waveform(transmission.id)
    } catch (error) {
      if (this.current !== transmission) return
      this.stop()
      this.failure = error
    }
  }

  pause(): void {
    this.element.pause()
    this.isPlaying = false
    clearInterval(this.timer)
  }

  async resume(): Promise<void> {
    await this.begin(this.position_ms)
  }

  stop(): void {
    this.pause()
    this.current = null
    this.position_ms = 0
    URL.revokeObjectURL(this.url)
  }

  close(): void {
    this.stop()
    this.element.removeAttribute('src')
  }

  setRate(rate: number): void {
    this.rate = rate
    this.element.playbackRate = rate
  }

  /** The waveform of a recording: fetched once when it is finished, again and again while it is on. */
  async waveform(id: string): Promise<void> {
    if (this.waveforms[id]?.is_open === false) return
    try {
      this.waveforms[id] = await this.account.get<Waveform>(`transmissions/${id}/waveform`)
    } catch {
      // The list stays readable without its picture.
    }
  }

  private async load(transmission: Transmission): Promise<void> {
    const answer = await this.account.fetch(`transmissions/${transmission.id}/audio`)
    this.isOpen = answer.headers.get('X-Tongpin-State') === 'open'
    const bytes = await answer.blob()
    if (this.current !== transmission) return
    URL.revokeObjectURL(this.url)
    this.url = URL.createObjectURL(new Blob([bytes], { type: 'audio/ogg' }))
    this.element.src = this.url
  }

  private async begin(at_ms: number): Promise<void> {
    this.element.currentTime = at_ms / 1000
    this.element.playbackRate = this.rate
    await this.element.play()
    this.isPlaying = true
    clearInterval(this.timer)
    this.timer = window.setInterval(() => { this.look() }, LOOK_MS)
  }

  private look(): void {
    this.position_ms = this.element.currentTime * 1000
    const waveform = this.current === null ? undefined : this.waveforms[this.current.id]
    if (!this.isSkipping || waveform === undefined) return
    const next = nextSpeech(waveform, this.position_ms)
    if (next !== null && next > this.position_ms) this.element.currentTime = next / 1000
  }

  private async ended(): Promise<void> {
    const transmission = this.current
    if (transmission === null) return
    if (!this.isOpen) {
      if (this.isLooped) await this.begin(0)
      else this.pause()
      return
    }
    // It is still being spoken: go on where we were with what has come meanwhile.
    const at_ms = this.element.currentTime * 1000
    await new Promise((resolve) => setTimeout(resolve, MORE_MS))
    if (this.current !== transmission || !this.isPlaying) return
    try {
      await this.load(transmission)
      if (this.current === transmission) await this.begin(at_ms)
      void this.waveform(transmission.id)
    } catch (error) {
      this.stop()
      this.failure = error
    }
  }
}
