/** Talking: one key over one or several channels, latched or held, emergencies and alert tones. */

import { combine, IDLE, TalkKey, type KeyView, type Notice, type Priority, type PttMessage } from './key'
import { Lines } from './lines'
import type { Sound } from './media'
import type { Prefs } from './prefs.svelte'
import type { SocketLike } from './session'
import type { Alert } from './tones'

export interface TalkingPorts {
  send(message: Record<string, unknown>): boolean
  ticket(): Promise<string>
  open(ticket: string): SocketLike
  sound(): Sound | null
  /** What hinders sound from going out, or null. */
  hindrance(isAlert: boolean): Notice | null
  /** The groups that are chosen. */
  selected(): readonly string[]
  nameOf(group: string): string
  tell(notice: Notice): void
  /** A key has moved: the time is looked at again. */
  moved(): void
  /** The parties of the further lines have changed. */
  partiesChanged(parties: string[]): void
}

/** Presses that end although the page has lost the focus; a pedal tells us of its release wherever the focus is. */
const FOCUS_FREE = ['hid', 'midi', 'alert']

export class Talking {
  talk = $state.raw<KeyView>(IDLE)
  /** Views of the further keys of a simultaneous talk. */
  lineViews = $state.raw<readonly KeyView[]>([])
  /** The group of an emergency that was declared here and not yet cleared. */
  emergency = $state<string | null>(null)
  alert = $state<Alert | null>(null)
  /** All keys as one, for what the page says about talking. */
  readonly view: KeyView = $derived(combine([this.talk, ...this.lineViews]))

  private readonly holds = new Set<string>()
  private latchTimer = 0
  private readonly key: TalkKey
  private readonly lines: Lines

  constructor(
    private readonly prefs: Prefs,
    private readonly ports: TalkingPorts,
  ) {
    this.key = new TalkKey({
      send: (message) => ports.send(message),
      openMicrophone: () => {
        const hindrance = ports.hindrance(this.alert !== null)
        if (hindrance === null) void ports.sound()?.speak(true)
        return hindrance
      },
      closeMicrophone: () => void ports.sound()?.speak(false),
      tone: (tone) => ports.sound()?.tone(tone),
      notice: (notice) => { ports.tell(notice) },
      changed: (view) => { this.keyChanged(view) },
      nowMs: () => performance.now(),
      later,
    })
    this.lines = new Lines({
      ticket: () => ports.ticket(),
      open: (ticket) => ports.open(ticket),
      nowMs: () => performance.now(),
      voice: () => ports.sound()?.voice ?? null,
      // The first channel's tones are enough, but a refusal must be heard.
      tone: (tone) => { if (tone === 'deny') ports.sound()?.tone('deny') },
      notice: (group, notice) => {
        ports.tell({ key: 'onGroup', values: { group: ports.nameOf(group) }, inner: notice })
      },
      changed: () => {
        this.lineViews = this.lines.views
        ports.partiesChanged(this.lines.parties)
        this.moved()
      },
      later,
    })
  }

  /** `by` names the finger, pointer, key or pedal that holds it down. A latched key is pressed again to let go. */
  press(by: string): void {
    if (!this.prefs.values.isLatched) {
      this.hold(by)
    } else if (this.talk.isPressed) {
      this.releaseAll()
    } else {
      clearTimeout(this.latchTimer)
      this.latchTimer = window.setTimeout(() => { this.latchOver() }, this.prefs.values.latchMax_s * 1000)
      this.hold('latch')
    }
  }

  release(by: string): void {
    this.holds.delete(by)
    this.key.release(by)
    this.lines.release(by)
  }

  releaseAll(): void {
    clearTimeout(this.latchTimer)
    this.holds.clear()
    this.key.releaseAll()
    this.lines.releaseAll()
  }

  /** The page lost the focus: keys and pointers may be let go elsewhere, where nobody tells us. */
  blurred(): void {
    for (const by of [...this.holds]) if (!FOCUS_FREE.includes(by)) this.release(by)
  }

  /** Every talk on the group is an emergency call until it is cleared. */
  declareEmergency(group: string): void {
    this.releaseAll()
    this.emergency = group
    this.ports.sound()?.tone('emergency')
  }

  clearEmergency(): void {
    this.releaseAll()
    this.emergency = null
  }

  /** Send a tone to everybody on the channel: it asks for the floor, and lets go when it is over. */
  sendAlert(alert: Alert): void {
    if (this.view.state !== 'idle') return
    this.alert = alert
    this.ports.sound()?.prepareAlert()
    this.hold('alert')
  }

  /** Have a line for each of these further groups. */
  setLines(groups: readonly string[]): void {
    this.lines.set(groups)
  }

  /** How the connections of the further lines stand. */
  get lineStates(): string[] {
    return this.lines.states
  }

  hear(message: PttMessage): void {
    this.key.hear(message)
  }

  disconnected(): void {
    this.key.disconnected()
  }

  microphoneLost(why: Notice): void {
    this.key.microphoneLost(why)
  }

  private hold(by: string): void {
    this.holds.add(by)
    const priority: Priority = this.emergency === null ? 'normal' : 'emergency'
    const selected = this.ports.selected()
    this.key.press(by, this.emergency ?? selected[0] ?? null, priority)
    if (this.emergency === null && selected.length > 1) this.lines.press(by, priority)
  }

  private keyChanged(view: KeyView): void {
    const wasTalking = this.talk.state === 'talking'
    this.talk = view
    if (view.state === 'talking' && !wasTalking && this.alert !== null) {
      const length_s = this.ports.sound()?.playAlert(this.alert) ?? 0
      setTimeout(() => { this.alertOver() }, length_s * 1000)
    }
    if (view.state === 'denied' || view.state === 'idle') this.alertOver()
    this.moved()
  }

  private moved(): void {
    this.ports.sound()?.setDucked(this.prefs.values.isDucked && this.view.state === 'talking')
    this.ports.moved()
  }

  private alertOver(): void {
    if (this.alert === null) return
    this.alert = null
    this.release('alert')
    this.ports.sound()?.endAlert()
  }

  private latchOver(): void {
    this.ports.tell({ key: 'latchOver', values: { n: this.prefs.values.latchMax_s } })
    this.releaseAll()
  }
}

function later(callback: () => void, delayMs: number): () => void {
  const timer = setTimeout(callback, delayMs)
  return () => { clearTimeout(timer) }
}
