/** The push-to-talk key: what a press does until the release is over. No clock, socket or sound of its own. */

import type { Key } from './i18n'

/** After the release the microphone stays open this long, so that the last word is whole. */
export const TAIL_MS = 200

export type KeyState = 'idle' | 'requesting' | 'talking' | 'queued' | 'denied'
export type Tone = 'permit' | 'deny' | 'warn'
export type Priority = 'normal' | 'emergency'

/** Something to tell, not yet in a language. `cause` and `holder` are the gateway's. */
export interface Notice {
  readonly key: Key
  readonly values?: Readonly<Record<string, string | number>>
  readonly cause?: string
  readonly holder?: string
  /** Said within this one. */
  readonly inner?: Notice
}

export interface KeyView {
  readonly state: KeyState
  readonly isPressed: boolean
  readonly group: string | null
  /** Place in the queue. */
  readonly position: number
  readonly limitAtMs: number | null
}

export interface KeyPorts {
  /** False when there is no connection. */
  send(message: Record<string, unknown>): boolean
  /** Let the microphone flow. What hinders it, or null. */
  openMicrophone(): Notice | null
  closeMicrophone(): void
  tone(tone: Tone): void
  notice(notice: Notice): void
  changed(view: KeyView): void
  nowMs(): number
  /** Call back later; the answer cancels it. */
  later(callback: () => void, delayMs: number): () => void
}

/** The gateway's answers to a press. */
export type PttMessage =
  | { type: 'ptt.granted'; request: number | null; group: string; limit_s: number }
  | { type: 'ptt.queued'; request: number | null; position: number }
  | { type: 'ptt.denied'; request: number | null; cause: string; holder: { label: string } | null }
  | { type: 'ptt.revoking'; cause: string; grace_s: number }
  | { type: 'ptt.warning'; left_s: number }
  | { type: 'ptt.ended'; cause: string }

/** Several keys that are held as one: on the air if any is, refused only if none got or waits for a floor. */
export function combine(views: readonly KeyView[]): KeyView {
  const rank: readonly KeyState[] = ['talking', 'requesting', 'queued', 'denied', 'idle']
  return views.reduce((best, view) => (rank.indexOf(view.state) < rank.indexOf(best.state) ? view : best))
}

export const IDLE: KeyView = { state: 'idle', isPressed: false, group: null, position: 0, limitAtMs: null }

/** Fingers, mouse and space bar may hold the key at once; it is released when the last lets go. */
export class TalkKey {
  #view: KeyView = IDLE
  #holds = new Set<string>()
  #request = 0
  #stopTail: (() => void) | null = null

  constructor(private readonly ports: KeyPorts) {}

  get view(): KeyView {
    return this.#view
  }

  press(by: string, group: string | null, priority: Priority = 'normal'): void {
    const isFirst = this.#holds.size === 0
    this.#holds.add(by)
    if (!isFirst) return
    if (this.#stopTail !== null) {
      // Pressed again while the last word was still going out: the same talk goes on.
      this.#stopTail()
      this.#stopTail = null
      this.#show({ isPressed: true })
      return
    }
    if (group === null) return this.#refuse({ key: 'noGroup' })
    // The microphone flows at once, so that the first syllable is there when the grant is.
    const hindrance = this.ports.openMicrophone()
    if (hindrance !== null) return this.#refuse(hindrance)
    this.#request += 1
    if (!this.ports.send({ type: 'ptt.press', group, priority, request: this.#request })) {
      this.ports.closeMicrophone()
      return this.#refuse({ key: 'notConnected' })
    }
    this.#show({ ...IDLE, state: 'requesting', isPressed: true, group })
  }

  release(by: string): void {
    if (!this.#holds.delete(by) || this.#holds.size > 0) return
    if (this.#view.state === 'requesting' || this.#view.state === 'talking') {
      this.#show({ isPressed: false })
      this.#stopTail = this.ports.later(() => this.#finish(), TAIL_MS)
    } else {
      this.#finish()
    }
  }

  /** Everything lets go: the page lost the focus, or is hidden. */
  releaseAll(): void {
    for (const by of [...this.#holds]) this.release(by)
  }

  /** The connection is gone, and with it the floor. */
  disconnected(): void {
    const wasEngaged = ['requesting', 'talking', 'queued'].includes(this.#view.state)
    this.#stopTail?.()
    this.#stopTail = null
    this.ports.closeMicrophone()
    if (!wasEngaged) return
    // Only the sound may be gone: then the gateway still has to be told.
    this.ports.send({ type: 'ptt.release' })
    if (this.#holds.size > 0) this.#refuse({ key: 'ended', cause: 'party_gone' })
    else this.#show(IDLE)
  }

  /** The microphone stopped working. */
  microphoneLost(why: Notice): void {
    if (this.#view.state === 'idle' || this.#view.state === 'denied') return
    this.#stopTail?.()
    this.#stopTail = null
    this.ports.closeMicrophone()
    this.ports.send({ type: 'ptt.release' })
    this.#refuse(why)
    if (this.#holds.size === 0) this.#show(IDLE)
  }

  hear(message: PttMessage): void {
    const { state, isPressed } = this.#view
    const isAsking = state === 'requesting' || state === 'queued'
    switch (message.type) {
      case 'ptt.granted':
        // A grant for an earlier press, or after the release: our release is on its way.
        if (!this.#isOurs(message.request) || !(isAsking || state === 'talking')) return
        if (state === 'queued') this.ports.openMicrophone()
        if (isAsking && isPressed) this.ports.tone('permit')
        this.#show({
          state: 'talking',
          group: message.group,
          position: 0,
          limitAtMs: this.ports.nowMs() + message.limit_s * 1000,
        })
        return
      case 'ptt.queued':
        if (!this.#isOurs(message.request) || !isAsking) return
        if (this.#stopTail !== null) {
          // Let go already: nobody wants to wait.
          this.#stopTail()
          this.#finish()
          return
        }
        this.ports.closeMicrophone()
        if (state === 'requesting') {
          this.ports.tone('warn')
          this.ports.notice({ key: 'queuedWhy' })
        }
        this.#show({ state: 'queued', position: message.position })
        return
      case 'ptt.denied': {
        if (!this.#isOurs(message.request) || !isAsking) return
        const holder = message.holder?.label ?? ''
        this.#stop({ key: 'denied', cause: message.cause, ...(holder ? { holder } : {}) })
        return
      }
      case 'ptt.revoking':
        if (state !== 'talking') return
        this.ports.tone('warn')
        this.ports.notice({ key: 'revoking', cause: message.cause })
        return
      case 'ptt.warning':
        if (state !== 'talking') return
        this.ports.tone('warn')
        this.ports.notice({ key: 'limitNear', values: { n: Math.ceil(message.left_s) } })
        return
      case 'ptt.ended':
        // While asking, it is the end of an earlier talk; after our own release there is nothing to say.
        if (state === 'requesting' || state === 'idle' || state === 'denied' || message.cause === 'released') return
        this.#stop({ key: 'ended', cause: message.cause })
        return
    }
  }

  #isOurs(request: number | null): boolean {
    return request === null || request === this.#request
  }

  /** Refused or cut: off the air at once; the key stays red until it is let go. */
  #stop(notice: Notice): void {
    this.#stopTail?.()
    this.#stopTail = null
    this.ports.closeMicrophone()
    this.#refuse(notice)
    if (this.#holds.size === 0) this.#finish()
  }

  #refuse(notice: Notice): void {
    this.ports.tone('deny')
    this.ports.notice(notice)
    this.#show({ ...IDLE, state: 'denied', isPressed: this.#holds.size > 0 })
  }

  #finish(): void {
    this.#stopTail = null
    this.ports.closeMicrophone()
    // Also after a refusal: it ends the penalty of one who talked too long.
    this.ports.send({ type: 'ptt.release' })
    this.#show(IDLE)
  }

  #show(change: Partial<KeyView>): void {
    this.#view = { ...this.#view, ...change }
    this.ports.changed(this.#view)
  }
}
