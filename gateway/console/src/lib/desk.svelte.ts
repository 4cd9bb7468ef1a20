/** The dispatcher's desk: log-in, session, floor and sound, as state that the page shows. */

import { apply, applyLevels, emptyBoard, fromView, type Board, type Group, type Leg, type WireEvent, type WireView } from './board'
import { Backoff } from './backoff'
import { preferred, say, sayCause, type Key, type Language } from './i18n'
import { IDLE, TalkKey, type KeyView, type Notice, type PttMessage } from './key'
import { Sound, type MicTrouble } from './media'
import { LoggedOut, Session, type LinkState, type Message, type SocketLike } from './session'

export type Connection = 'connecting' | 'connected' | 'no-sound' | 'lost'

interface Slot {
  group: string
  party: string
  label: string
}

const NOTICE_MS = 8_000
/** Listening need not wait for somebody to answer the browser's question about the microphone. */
const MIC_PATIENCE_MS = 1_500
const SILENT_MS = 10_000
const TOKEN = 'tongpin.token'

export class Desk {
  language = $state<Language>((localStorage.getItem('tongpin.language') as Language | null) ?? preferred(navigator.languages))
  token = $state<string | null>(sessionStorage.getItem(TOKEN))
  /** Why the log-in form is shown again. */
  loginTrouble = $state<Key | null>(null)
  board = $state<Board>(emptyBoard())
  party = $state('')
  link = $state.raw<LinkState>({ name: 'closed' })
  sound = $state<'none' | 'connecting' | 'connected' | 'failed'>('none')
  talk = $state.raw<KeyView>(IDLE)
  target = $state<string | null>(localStorage.getItem('tongpin.target'))
  muted = $state<string[]>([])
  micTrouble = $state<MicTrouble | null>('micStarting')
  micLevel = $state(0)
  isMicSilent = $state(false)
  isSoundBlocked = $state(false)
  isProcessed = $state(localStorage.getItem('tongpin.processing') !== 'off')
  notice = $state.raw<Notice | null>(null)
  now = $state(performance.now())

  readonly connection: Connection = $derived.by(() => {
    if (this.link.name === 'open') {
      if (this.sound === 'failed') return 'no-sound'
      return this.sound === 'connected' ? 'connected' : 'connecting'
    }
    return this.wasConnected || this.link.name === 'waiting' ? 'lost' : 'connecting'
  })

  private wasConnected = $state(false)
  private media: Sound | null = null
  private slots: (Slot | null)[] = []
  private slotCount = 6
  private iceServers: string[] = []
  private noticeTimer = 0
  private redialTimer = 0
  private timers: number[] = []
  private listening: AbortController | null = null
  private micOpening: Promise<void> = Promise.resolve()
  private heardMicAt = 0
  private readonly redials = new Backoff(500, 10_000)

  private readonly session = new Session({
    ticket: () => this.ticket(),
    open: openSocket,
    nowMs: () => performance.now(),
    linkChanged: (state) => {
      this.now = performance.now()
      this.link = state
    },
    message: (message, ageMs) => { this.take(message, ageMs) },
    lost: () => { this.lost() },
    loggedOut: () => {
      this.logOut()
      this.loginTrouble = 'loginOver'
    },
  })

  private readonly key = new TalkKey({
    send: (message) => this.session.send(message),
    openMicrophone: () => {
      if (this.connection !== 'connected') return { key: 'notConnected' }
      if (this.micTrouble !== null) return { key: this.micTrouble }
      void this.media?.speak(true)
      return null
    },
    closeMicrophone: () => void this.media?.speak(false),
    tone: (tone) => this.media?.tone(tone),
    notice: (notice) => { this.tell(notice) },
    changed: (view) => {
      this.now = performance.now()
      this.talk = view
    },
    nowMs: () => performance.now(),
    later: (callback, delayMs) => {
      const timer = setTimeout(callback, delayMs)
      return () => { clearTimeout(timer) }
    },
  })

  words(key: Key, values: Record<string, string | number> = {}): string {
    return say(this.language, key, values)
  }

  cause(cause: string): string {
    return sayCause(this.language, cause)
  }

  switchLanguage(): void {
    this.language = this.language === 'en' ? 'zh' : 'en'
    localStorage.setItem('tongpin.language', this.language)
  }

  /** Change name and password for a token. What went wrong, or null. */
  async logIn(username: string, password: string): Promise<Key | null> {
    try {
      const answer = await fetch('api/v1/auth/token', { method: 'POST', body: new URLSearchParams({ username, password }) })
      if (answer.status === 429) return 'tooManyLogins'
      if (answer.status >= 500) return 'noService'
      if (!answer.ok) return 'wrongLogin'
      const { access_token: token } = (await answer.json()) as { access_token: string }
      sessionStorage.setItem(TOKEN, token)
      this.token = token
      this.loginTrouble = null
      return null
    } catch {
      return 'noService'
    }
  }

  logOut(): void {
    sessionStorage.removeItem(TOKEN)
    this.token = null
    this.stop()
  }

  /** After log-in: microphone, session, timers. */
  start(): void {
    const sound = new Sound()
    this.media = sound
    this.listening = new AbortController()
    const { signal } = this.listening
    this.timers = [window.setInterval(() => { this.now = performance.now() }, 250)]
    const level = (): void => {
      if (this.media !== sound) return
      this.micLevel = sound.level()
      this.watchSilence()
      requestAnimationFrame(level)
    }
    requestAnimationFrame(level)
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
    devices?.addEventListener(
      'devicechange',
      () => {
        if (this.micTrouble === 'micMissing' || this.micTrouble === 'micEnded') void this.openMicrophone()
      },
      { signal },
    )
    void this.openMicrophone()
    this.session.start()
  }

  stop(): void {
    this.key.releaseAll()
    for (const timer of this.timers) clearInterval(timer)
    this.listening?.abort()
    this.session.stop()
    this.session.sequence = null
    this.wasConnected = false
    this.media?.hangUp()
    this.media?.closeMicrophone()
    void this.media?.context.close()
    this.media = null
    this.board = emptyBoard()
  }

  /** Take the microphone, or try again; what is wrong stands in `micTrouble`. */
  async openMicrophone(): Promise<void> {
    const sound = this.media
    if (sound === null) return
    this.micTrouble = 'micStarting'
    const opening = sound.openMicrophone(() => {
      this.micTrouble = 'micEnded'
      this.key.microphoneLost({ key: 'micEnded' })
    })
    this.micOpening = opening.then(() => undefined)
    const trouble = await opening
    if (this.media !== sound) return
    this.heardMicAt = performance.now()
    this.isMicSilent = false
    this.micTrouble = trouble
  }

  setProcessed(isProcessed: boolean): void {
    this.isProcessed = isProcessed
    localStorage.setItem('tongpin.processing', isProcessed ? 'on' : 'off')
    // The track that is sent now is about to end.
    this.key.microphoneLost({ key: 'micStarting' })
    void this.openMicrophone()
  }

  // -- the key -------------------------------------------------------------------------------------------------

  /** `by` names the finger, pointer or key that holds it down. */
  press(by: string): void {
    const group = this.target === null ? undefined : this.board.groups[this.target]
    this.key.press(by, group && this.mayTalk(group) ? group.id : null)
  }

  release(by: string): void {
    this.key.release(by)
  }

  releaseAll(): void {
    this.key.releaseAll()
  }

  choose(group: string): void {
    this.target = group
    localStorage.setItem('tongpin.target', group)
  }

  mayTalk(group: Group): boolean {
    return group.talkers.includes(this.party)
  }

  toggleMute(group: string): void {
    this.muted = this.muted.includes(group) ? this.muted.filter((other) => other !== group) : [...this.muted, group]
    this.sendMonitor()
    this.setGains()
  }

  /** Whether a talk on the group is heard: through it, or through another group of its joint channel. */
  isHeard(group: string): boolean {
    const net = this.board.nets[this.board.groups[group]?.net ?? '']
    return (net?.groups ?? []).some((id) => {
      const other = this.board.groups[id]
      return other !== undefined && this.mayTalk(other) && !this.muted.includes(id)
    })
  }

  async statistics(): Promise<Record<string, number>> {
    return (await this.media?.statistics()) ?? {}
  }

  /** For tests and support. */
  state(): Record<string, unknown> {
    return {
      connection: this.connection,
      link: this.link.name,
      sound: this.sound,
      party: this.party,
      sequence: this.session.sequence,
      key: this.talk.state,
      target: this.target,
      microphone: this.micTrouble ?? 'ready',
      muted: [...this.muted],
      slots: this.slots.map((slot) => (slot === null ? null : { ...slot })),
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

  // -- the session ---------------------------------------------------------------------------------------------

  private async ticket(): Promise<string> {
    const answer = await fetch('api/v1/auth/ticket', {
      method: 'POST',
      headers: { Authorization: `Bearer ${this.token ?? ''}` },
      signal: AbortSignal.timeout(8_000),
    })
    if (answer.status === 401 || answer.status === 403) throw new LoggedOut()
    if (!answer.ok) throw new Error(String(answer.status))
    return ((await answer.json()) as { ticket: string }).ticket
  }

  private lost(): void {
    this.key.disconnected()
    clearTimeout(this.redialTimer)
    this.media?.hangUp()
    this.sound = 'none'
    this.slots = []
  }

  private async dial(): Promise<void> {
    const sound = this.media
    if (!sound) return
    clearTimeout(this.redialTimer)
    this.slots = Array.from({ length: this.slotCount }, () => null)
    this.sound = 'connecting'
    // With a microphone the browser tells its addresses plainly, which connects faster.
    await Promise.race([this.micOpening, new Promise((resolve) => setTimeout(resolve, MIC_PATIENCE_MS))])
    if (this.link.name !== 'open' || this.media !== sound) return
    const sdp = await sound.offer(this.slotCount, this.iceServers, (state) => {
      if (state === 'connected') {
        this.sound = 'connected'
        this.redials.reset()
      } else if (state === 'disconnected') {
        this.sound = 'connecting'
      } else if (state === 'failed') {
        this.redial()
      }
    })
    this.session.send({ type: 'offer', sdp })
  }

  /** The sound is gone, or was refused, while the session stands. */
  private redial(): void {
    this.key.disconnected()
    this.media?.hangUp()
    this.sound = 'failed'
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
        this.slotCount = Number(message.slots)
        this.iceServers = message.ice_servers as string[]
        break
      case 'view':
        this.board = fromView(message.view as WireView, performance.now())
        this.begin()
        break
      case 'resumed':
        this.begin()
        break
      case 'event':
        apply(this.board, message.event as WireEvent, performance.now() - ageMs)
        this.chooseSomething()
        break
      case 'levels':
        applyLevels(this.board, message.legs as Partial<Leg>[])
        break
      case 'answer':
        this.media?.answer(text('sdp')).catch(() => { this.redial() })
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
        if (message.type.startsWith('ptt.')) this.key.hear(message as unknown as PttMessage)
    }
  }

  /** The session stands. It is a new one each time: the gateway has to be told again what we listen to. */
  private begin(): void {
    this.wasConnected = true
    this.chooseSomething()
    this.sendMonitor()
    void this.dial()
  }

  private sendMonitor(): void {
    this.session.send({
      type: 'monitor',
      groups: Object.keys(this.board.groups).filter((id) => !this.muted.includes(id)),
    })
  }

  private slotMoved(message: Message): void {
    const index = Number(message.slot)
    const source = message.source as { party: string; label: string } | null
    const group = message.group as string | null
    this.slots[index] = source && group !== null ? { group, party: source.party, label: source.label } : null
    this.setGains()
  }

  private setGains(): void {
    // A slot that has just become free still carries the end of its talk: it keeps its gain.
    this.slots.forEach((slot, index) => {
      if (slot) this.media?.setGain(index, this.isHeard(slot.group) ? 1 : 0)
    })
  }

  private chooseSomething(): void {
    const mine = Object.values(this.board.groups).filter((group) => this.mayTalk(group))
    if (mine.length > 0 && !mine.some((group) => group.id === this.target)) {
      this.target = mine.map((group) => group.id).sort()[0] ?? null
    }
  }

  private watchSilence(): void {
    const now = performance.now()
    if (this.micLevel > 0 || this.isSoundBlocked || this.micTrouble !== null) this.heardMicAt = now
    this.isMicSilent = now - this.heardMicAt > SILENT_MS
  }

  private tell(notice: Notice): void {
    this.notice = notice
    clearTimeout(this.noticeTimer)
    this.noticeTimer = window.setTimeout(() => { this.notice = null }, NOTICE_MS)
  }

  /** A notice in the page's language. */
  sayNotice({ key, values, cause, holder }: Notice): string {
    if (cause === undefined) return this.words(key, values)
    const why = cause === 'taken' && holder ? this.words('cause.takenBy', { name: holder }) : this.cause(cause)
    return this.words(key, { ...values, cause: why })
  }
}

function openSocket(ticket: string): SocketLike {
  const url = new URL('api/v1/session', location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  url.searchParams.set('ticket', ticket)
  return new WebSocket(url)
}
