/** The console's own sounds, synthesised: what each is and how it is made. Nobody has to be able to read to tell them apart. */

import type { Tone } from './key'

/** Hz at the start, start and length in seconds, Hz at the end when it glides. */
export type Note = readonly [hz: number, start_s: number, length_s: number, to_hz?: number]

/** For the dispatcher only: rising = go, falling = no, even pair = hurry, ringing = somebody wants an answer. */
export const TONES: Readonly<Record<Tone | 'ring' | 'emergency', readonly Note[]>> = {
  permit: [[910, 0, 0.045], [910, 0.07, 0.045], [1214, 0.14, 0.06]],
  deny: [[330, 0, 0.16], [262, 0.2, 0.28]],
  warn: [[740, 0, 0.08], [740, 0.16, 0.08]],
  ring: [[660, 0, 0.12], [880, 0.14, 0.12], [660, 0.34, 0.12], [880, 0.48, 0.12]],
  emergency: [[1000, 0, 0.2, 1600], [1000, 0.25, 0.2, 1600], [1000, 0.5, 0.2, 1600]],
}

export type Alert = 'attention' | 'clear-channel' | 'withdraw'
export const ALERTS: readonly Alert[] = ['attention', 'clear-channel', 'withdraw']

/** For everybody on the channel, sent over the air: steady = listen, pulsed = keep silent, sweeping = get out. */
export const ALERT_NOTES: Readonly<Record<Alert, readonly Note[]>> = {
  attention: [[1000, 0.1, 1.4]],
  'clear-channel': Array.from({ length: 8 }, (_, index): Note => [1400, 0.1 + index * 0.25, 0.12]),
  withdraw: Array.from({ length: 4 }, (_, index): Note => [600, 0.1 + index * 0.6, 0.55, 1500]),
}

/** Seconds until the last note is over. */
export function length_s(notes: readonly Note[]): number {
  return Math.max(...notes.map(([, start, length]) => start + length))
}

/** Play notes into a node; they end by themselves. */
export function play(context: BaseAudioContext, notes: readonly Note[], into: AudioNode, level: number): void {
  for (const [hz, start, length, to] of notes) {
    const from = context.currentTime + 0.005 + start
    const oscillator = new OscillatorNode(context, { frequency: hz })
    if (to !== undefined) {
      oscillator.frequency.setValueAtTime(hz, from)
      oscillator.frequency.linearRampToValueAtTime(to, from + length)
    }
    const gain = new GainNode(context, { gain: 0 })
    gain.gain.setValueAtTime(0, from)
    gain.gain.linearRampToValueAtTime(level, from + 0.006)
    gain.gain.setValueAtTime(level, from + length - 0.01)
    gain.gain.linearRampToValueAtTime(0, from + length)
    oscillator.connect(gain).connect(into)
    oscillator.start(from)
    oscillator.stop(from + length)
  }
}
