/** The dispatcher's desk: session, floor and sound, as state that the pages show. */

import { Account, Problem } from './account.svelte'
import { Backoff } from './backoff'
import { apply, applyLevels, emptyBoard, fromView, type Board, type Group, type Leg, type WireEvent, type WireView } from './board'
import { say, sayCause, type Key } from './i18n'
import { Inputs } from './inputs'
import type { Notice, PttMessage } from './key'
import { JointChannels } from './joint.svelte'
import { MOST_SELECTED } from './lines'
import { Sound, type MicTrouble } from './media'
import { Mixer, toggled } from './mixer.svelte'
import { Prefs, type Pedal, type Values } from './prefs.svelte'
import { Route } from './route.svelte'
import { LoggedOut, Session, type LinkState, type Message, type SocketLike } from './session'
import { Talking } from './talking.svelte'

export type Connection = 'connecting' | 'connected' | 'no-sound' | 'lost'

const NOTICE_MS = 8_000
/** Listening need not wait for somebody to answer the browser's question about the microphone. */
const MIC_PATIENCE_MS = 1_500
const SILENT_MS = 10_000
const METER_MS = 66

export class Desk {
  readonly account = new Account()
  readonly prefs = new Prefs()
  readonly route = new Route()
  readonly joint = new JointChannels(this.account)
  /** Why the log-in form is shown again. */
  loginTrouble = $state<Key | null>(null)
  board = $state<Board>(emptyBoard())
  party = $state('')
  link = $state.raw<LinkState>({ name: 'closed' })
  media = $state<'none' | 'connecting' | 'connected' | 'failed'>('none')
  ownParties = $state.raw<readonly string[]>([])
  micTrouble = $state<MicTrouble | null>('micStarting')
  micLevel = $state(0)
  isMicSilent = $state(false)
  isSoundBlocked = $state(false)
  isTeaching = $state(false)
  notice = $state.raw<Notice | null>(null)
  now = $state(performance.now())
  sound: Sound | null = null

  readonly mixer = new Mixer(this.prefs, {
    board: () => this.board,
    party: () => this.party,
    ownParties: () => this.ownParties,
    selected: () => this.selected,
    listen: (groups) => this.session.send({ type: 'monitor', groups }),
  })

  readonly connection: Connection = $derived.by(() => {
    if (this.link.name === 'open') {
      if (this.media === 'failed') return 'no-sound'
      return this.media === 'connected' ? 'connected' : 'connecting'
    }
    return this.wasConnected || this.link.name === 'waiting' ? 'lost' : 'connecting'
  })

  /** The groups that the key talks to; the first is there as soon as there is any. */
  readonly selected: readonly string[] = $derived.by(() => {
    const mine = Object.values(this.board.groups).filter((group) => this.mayTalk(group)).map(({ id }) => id)
    const chosen = this.prefs.values.selected.filter((id) => mine.includes(id))
    return chosen.length > 0 ? chosen : mine.sort().slice(0, 1)
  })

  private wasConnected = $state(false)
  private slotCount = 6
  private iceServers: string[] = []
  private noticeTimer = 0
  private redialTimer = 0
  private timers: number[] = []
  private listening: AbortController | null = null
  private micOpening: Promise<void> = Promise.resolve()
  private heardMicAt = 0
  private inputs: Inputs | null = null
  private readonly listeners = new Set<(event: WireEvent) => void>()
  private readonly redials = new Backoff(500, 10_000)

  private readonly session = new Session({
    ticket: () => this.account.ticket(),
    open: openSocket,
    nowMs: () => performance.now(),
    linkChanged: (state) => {
      this.now = performance.now()
      this.link = state
    },
    message: (message, ageMs) => { this.take(message, ageMs) },
    lost: () => { this.lost() },
    loggedOut: () => { this.sendAway() },
  })

  readonly talking = new Talking(this.prefs, {
    send: (message) => this.session.send(message),
    ticket: () => this.account.ticket(),
    open: openSocket,
    sound: () => this.sound,
    hindrance: (isAlert) => {
      if (this.connection !== 'connected') return { key: 'notConnected' }
      return this.micTrouble !== null && !isAlert ? { key: this.micTrouble } : null
    },
    selected: () => this.selected,
    nameOf: (group) => this.board.groups[group]?.name ?? group,
    tell: (notice) => { this.tell(notice) },
    moved: () => { this.now = performance.now() },
    partiesChanged: (parties) => {
      this.ownParties = [this.party, ...parties]
      this.mixer.place()
    },
  })

  words(key: Key, values: Record<string, string | number> = {}): string {
    return say(this.prefs.values.language, key, values)
  }

  cause(cause: string): string {
    return sayCause(this.prefs.values.language, cause)
  }

  switchLanguage(): void {
    this.prefs.set({ language: this.prefs.values.language === 'en' ? 'zh' : 'en' })
  }

  async logIn(username: string, password: string, otp = ''): Promise<Key | null> {
    const trouble = await this.account.logIn(username, password, otp)
    if (trouble === null) this.loginTrouble = null
    return trouble
  }

  logOut(): void {
    this.account.forget()
    this.stop()
  }

  /** The token is no longer good: to the log-in form, which says why. */
  sendAway(): void {
    this.logOut()
    this.loginTrouble = 'loginOver'
  }

  /** Hear every event of the session; the answer ends it. */
  onEvent(listener: (event: WireEvent) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** After log-in: microphone, session, timers. */
  start(): void {
    const sound = new Sound()
    this.sound = sound
    this.mixer.sound = sound
    this.listening = new AbortController()
    const { signal } = this.listening
    this.timers = [
      window.setInterval(() => { this.now = performance.now() }, 250),
      window.setInterval(() => { this.measure() }, METER_MS),
    ]
    // A page that was reloaded has no gesture yet: the first one wakes the sound.
    const wake = (): void => void sound.context.resume().catch(() => undefined)
    const look = (): void => { this.isSoundBlocked = sound.context.state === 'suspended' }
    wake()
    look()
    sound.context.addEventListener('statechange', look, { signal })
    window.addEventListener('pointerdown', wake, { signal })
    window.addEventListener('keydown', wake, { signal })
    window.addEventListener('online', () => { this.session.hurry() }, { signal })
    const devices = navigator.mediaDevices as MediaDevices | undefined
    devices?.addEventListener('devicechange', () => { this.devicesChanged() }, { signal })
    this.inputs = new Inputs(
      {
        pressed: (by) => { this.talking.press(by) },
        released: (by) => { this.talking.release(by) },
        taught: (pedal) => { this.taught(pedal) },
      },
      () => this.prefs.values.pedal,
    )
    this.applyPrefs()
    void this.openMicrophone()
    this.session.start()
  }

  stop(): void {
    this.talking.releaseAll()
    for (const timer of this.timers) clearInterval(timer)
    this.listening?.abort()
    this.inputs?.stop()
    this.talking.setLines([])
    this.session.stop()
    this.session.sequence = null
    this.wasConnected = false
    this.talking.emergency = null
    this.sound?.close()
    this.sound = null
    this.mixer.sound = null
    this.board = emptyBoard()
  }

  /** Change a setting, and do at once what it says. */
  set(change: Partial<Values>): void {
    this.prefs.set(change)
    this.applyPrefs()
    if ('isProcessed' in change || 'microphone' in change) {
      // The track that is sent now is about to end.
      this.talking.microphoneLost({ key: 'micStarting' })
      void this.openMicrophone()
    }
  }

  /** Take the microphone, or try again; what is wrong stands in `micTrouble`. */
  async openMicrophone(): Promise<void> {
    const sound = this.sound
    if (sound === null) return
    this.micTrouble = 'micStarting'
    const { microphone, isProcessed } = this.prefs.values
    const opening = sound.openMicrophone({ device: microphone, isProcessed }, (trouble) => {
      this.micTrouble = trouble
      if (trouble !== null) this.talking.microphoneLost({ key: trouble })
    })
    this.micOpening = opening.then(() => undefined)
    const trouble = await opening
    if (this.sound !== sound) return
    this.heardMicAt = performance.now()
    this.isMicSilent = false
    this.micTrouble = trouble
  }

  /** Talk to this group only, or, with `isAdded`, to it as well or no more. */
  choose(group: string, isAdded = false): void {
    const selected = isAdded ? toggled(this.selected, group) : [group]
    if (selected.length > MOST_SELECTED) {
      this.tell({ key: 'mostSelected', values: { n: MOST_SELECTED } })
      return
    }
    if (selected.length === 0) return
    this.talking.releaseAll()
    this.prefs.set({ selected })
    this.selectionChanged()
  }

  /** The group that an emergency or an alert tone goes to. */
  get target(): string | null {
    return this.talking.emergency ?? this.selected[0] ?? null
  }

  mayTalk(group: Group): boolean {
    return group.talkers.includes(this.party)
  }

  teach(): void {
    this.isTeaching = true
    this.inputs?.teach()
  }

  cancelTeaching(): void {
    this.isTeaching = false
    this.inputs?.cancelTeaching()
  }

  async addHid(): Promise<void> {
    await this.inputs?.addHid()
  }

  async openMidi(): Promise<void> {
    if ((await this.inputs?.openMidi()) === false) this.tell({ key: 'midiRefused' })
  }

  async statistics(): Promise<Record<string, number>> {
    return (await this.sound?.statistics()) ?? {}
  }

  /** For tests and support. */
  state(): Record<string, unknown> {
    return {
      connection: this.connection,
      link: this.link.name,
      sound: this.media,
      party: this.party,
      sequence: this.session.sequence,
      key: this.talking.view.state,
      target: this.target,
      selected: [...this.selected],
      lines: this.talking.lineStates,
      emergency: this.talking.emergency,
      microphone: this.micTrouble ?? 'ready',
      muted: [...this.mixer.muted],
      solo: [...this.mixer.solo],
      slots: this.mixer.slots.map((slot) => (slot === null ? null : { ...slot })),
      floors: Object.values(this.board.nets).map(({ id, groups, floor: { state, holder, talk, queue } }) => ({
        net: id,
        groups: [...groups],
        state,
        holder,
        talk,
        queue: queue.map((entry) => entry.party),
      })),
    }
  }

  /** Say something at the bottom of the page for a while. */
  tell(notice: Notice): void {
    this.notice = notice
    clearTimeout(this.noticeTimer)
    this.noticeTimer = window.setTimeout(() => { this.notice = null }, NOTICE_MS)
  }

  /** Say why a call of the API did not do what was asked. */
  failed(error: unknown): void {
    if (error instanceof LoggedOut) this.sendAway()
    else if (error instanceof Problem) this.tell({ key: 'refusedWhy', values: { detail: error.message } })
    else this.tell({ key: 'noService' })
  }

  /** A notice in the page's language. */
  sayNotice({ key, values, cause, holder, inner }: Notice): string {
    if (inner !== undefined) return this.words(key, { ...values, notice: this.sayNotice(inner) })
    if (cause === undefined) return this.words(key, values)
    const why = cause === 'taken' && holder ? this.words('cause.takenBy', { name: holder }) : this.cause(cause)
    return this.words(key, { ...values, cause: why })
  }

  // -- inside --------------------------------------------------------------------------------------------------

  private taught(pedal: Pedal): void {
    this.isTeaching = false
    this.prefs.set({ pedal })
  }

  private applyPrefs(): void {
    const { values } = this.prefs
    this.sound?.select.setVolume(values.selectVolume)
    this.sound?.unselect.setVolume(values.unselectVolume)
    this.sound?.setToneVolume(values.toneVolume)
    for (const [speaker, device] of [
      [this.sound?.select, values.selectSpeaker],
      [this.sound?.unselect, values.unselectSpeaker],
    ] as const) {
      void speaker?.use(device).then((isThere) => { if (!isThere) this.tell({ key: 'speakerGone' }) })
    }
    this.mixer.place()
  }

  private selectionChanged(): void {
    this.talking.setLines(this.link.name === 'open' ? this.selected.slice(1) : [])
    this.mixer.place()
  }

  private devicesChanged(): void {
    if (this.micTrouble === 'micMissing' || this.micTrouble === 'micEnded') void this.openMicrophone()
    this.applyPrefs()
  }

  private lost(): void {
    this.talking.disconnected()
    clearTimeout(this.redialTimer)
    this.sound?.hangUp()
    this.media = 'none'
    this.mixer.begin(0)
    this.talking.setLines([])
  }

  private async dial(): Promise<void> {
    const sound = this.sound
    if (!sound) return
    clearTimeout(this.redialTimer)
    this.mixer.begin(this.slotCount)
    this.media = 'connecting'
    // With a microphone the browser tells its addresses plainly, which connects faster.
    await Promise.race([this.micOpening, new Promise((resolve) => setTimeout(resolve, MIC_PATIENCE_MS))])
    if (this.link.name !== 'open' || this.sound !== sound) return
    const sdp = await sound.offer(this.slotCount, this.iceServers, (state) => {
      if (state === 'connected') {
        this.media = 'connected'
        this.redials.reset()
      } else if (state === 'disconnected') {
        this.media = 'connecting'
      } else if (state === 'failed') {
        this.redial()
      }
    })
    this.session.send({ type: 'offer', sdp })
  }

  /** The sound is gone, or was refused, while the session stands. */
  private redial(): void {
    this.talking.disconnected()
    this.sound?.hangUp()
    this.media = 'failed'
    clearTimeout(this.redialTimer)
    this.redialTimer = window.setTimeout(() => {
      if (this.link.name === 'open') void this.dial()
    }, this.redials.nextMs())
  }

  private take(message: Message, ageMs: number): void {
    const text = (name: string): string => String(message[name])
    switch (message.type) {
      case 'welcome':
        this.party = text('party')
        this.ownParties = [this.party]
        this.account.user = message.user as Account['user']
        this.slotCount = Number(message.slots)
        this.iceServers = message.ice_servers as string[]
        break
      case 'view':
        this.board = fromView(message.view as WireView, performance.now(), this.board)
        this.begin()
        break
      case 'resumed':
        this.begin()
        break
      case 'event':
        this.happened(message.event as WireEvent, performance.now() - ageMs)
        break
      case 'levels':
        applyLevels(this.board, message.legs as Partial<Leg>[])
        break
      case 'answer':
        this.sound?.answer(text('sdp')).catch(() => { this.redial() })
        break
      case 'offer.failed':
        this.tell({ key: 'offerFailed', values: { detail: text('detail') } })
        this.redial()
        break
      case 'slot':
        this.slotMoved(message)
        break
      case 'error':
        if (message.code === 'media-lost') {
          this.tell({ key: 'mediaLost' })
          this.redial()
        } else {
          this.tell({ key: 'denied', cause: text('detail') })
        }
        break
      case 'bye':
        this.tell({ key: 'denied', cause: text('detail') })
        break
      default:
        if (message.type.startsWith('ptt.')) this.talking.hear(message as unknown as PttMessage)
    }
  }

  private happened(event: WireEvent, now: number): void {
    const before = this.selected.join()
    apply(this.board, event, now)
    if (event.kind === 'floor_granted' && event.priority === 'emergency' && !this.ownParties.includes(String(event.party))) {
      this.sound?.tone('emergency')
    }
    if (this.selected.join() !== before) this.selectionChanged()
    this.joint.hear(event)
    if (event.kind === 'recording_alarm') this.tell({ key: 'recordingAlarm', values: { reason: String(event.reason) } })
    for (const listener of this.listeners) listener(event)
  }

  /** The session stands. It is a new one each time: the gateway has to be told again what we listen to. */
  private begin(): void {
    this.wasConnected = true
    this.mixer.listen()
    this.selectionChanged()
    void this.joint.load().catch((error: unknown) => { this.failed(error) })
    void this.dial()
  }

  private slotMoved(message: Message): void {
    const source = message.source as { party: string; label: string } | null
    const group = message.group as string | null
    const talk = source && group !== null ? { group, party: source.party, label: source.label } : null
    this.mixer.moved(Number(message.slot), talk)
  }

  private measure(): void {
    if (!this.sound || document.hidden) return
    this.micLevel = this.sound.level()
    this.mixer.measure()
    const now = performance.now()
    if (this.micLevel > 0 || this.isSoundBlocked || this.micTrouble !== null) this.heardMicAt = now
    this.isMicSilent = now - this.heardMicAt > SILENT_MS
  }
}

function openSocket(ticket: string): SocketLike {
  const url = new URL('api/v1/session', location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  url.searchParams.set('ticket', ticket)
  return new WebSocket(url)
}
