/** Talking on several channels at once: each further channel has a session, a connection and a key of its own. */

import { IDLE, TalkKey, type KeyPorts, type KeyView, type Notice, type Priority, type PttMessage } from './key'
import { localDescription } from './media'
import { Session, type Message, type SessionPorts } from './session'

/** With the first one: so many channels may be talked to at once. Each costs the browser an encoder. */
export const MOST_SELECTED = 4

export interface LinePorts extends Pick<SessionPorts, 'ticket' | 'open' | 'nowMs'> {
  /** What is to be sent while one talks. */
  voice(): MediaStreamTrack | null
  notice(group: string, notice: Notice): void
  changed(): void
  tone: KeyPorts['tone']
  later: KeyPorts['later']
}

/** One further channel. It hears nothing: the first session does that. */
export class Line {
  party: string | null = null
  view: KeyView = IDLE
  private peer: RTCPeerConnection | null = null
  private sender: RTCRtpSender | null = null
  private iceServers: string[] = []
  private readonly session: Session
  private readonly key: TalkKey

  constructor(
    readonly group: string,
    private readonly ports: LinePorts,
  ) {
    this.session = new Session({
      ticket: () => ports.ticket(),
      open: (ticket) => ports.open(ticket),
      nowMs: () => ports.nowMs(),
      linkChanged: () => undefined,
      message: (message) => { this.take(message) },
      lost: () => { this.hangUp() },
      loggedOut: () => undefined,
    })
    this.key = new TalkKey({
      send: (message) => this.session.send(message),
      openMicrophone: () => {
        if (this.peer?.connectionState !== 'connected') return { key: 'lineNotReady' }
        void this.sender?.replaceTrack(ports.voice())
        return null
      },
      closeMicrophone: () => void this.sender?.replaceTrack(null),
      tone: (tone) => { ports.tone(tone) },
      notice: (notice) => { ports.notice(group, notice) },
      changed: (view) => {
        this.view = view
        ports.changed()
      },
      nowMs: () => ports.nowMs(),
      later: (callback, delayMs) => ports.later(callback, delayMs),
    })
    this.session.start()
  }

  /** How its connection stands. */
  get state(): string {
    return this.peer?.connectionState ?? 'none'
  }

  press(by: string, priority: Priority): void {
    this.key.press(by, this.group, priority)
  }

  release(by: string): void {
    this.key.release(by)
  }

  releaseAll(): void {
    this.key.releaseAll()
  }

  stop(): void {
    this.key.releaseAll()
    this.session.stop()
    this.hangUp()
  }

  private take(message: Message): void {
    switch (message.type) {
      case 'welcome':
        this.party = String(message.party)
        this.iceServers = message.ice_servers as string[]
        this.ports.changed()
        break
      case 'view':
      case 'resumed':
        this.session.send({ type: 'monitor', groups: [] })
        void this.dial()
        break
      case 'answer':
        void this.peer?.setRemoteDescription({ type: 'answer', sdp: String(message.sdp) })
        break
      case 'error':
        if (message.code === 'media-lost') void this.dial()
        break
      default:
        if (message.type.startsWith('ptt.')) this.key.hear(message as unknown as PttMessage)
    }
  }

  private async dial(): Promise<void> {
    this.closePeer()
    const peer = new RTCPeerConnection({ iceServers: this.iceServers.map((urls) => ({ urls })), bundlePolicy: 'max-bundle' })
    this.peer = peer
    this.sender = peer.addTransceiver('audio', { direction: 'sendonly' }).sender
    peer.addEventListener('connectionstatechange', () => {
      if (peer !== this.peer) return
      if (peer.connectionState === 'failed') {
        this.key.disconnected()
        void this.dial()
      }
      this.ports.changed()
    })
    const sdp = await localDescription(peer)
    if (peer === this.peer) this.session.send({ type: 'offer', sdp })
  }

  private hangUp(): void {
    this.key.disconnected()
    this.party = null
    this.closePeer()
    this.ports.changed()
  }

  private closePeer(): void {
    this.peer?.close()
    this.peer = null
    this.sender = null
  }
}

/** The further channels, as one. */
export class Lines {
  private lines: Line[] = []

  constructor(private readonly ports: LinePorts) {}

  get parties(): string[] {
    return this.lines.flatMap(({ party }) => (party === null ? [] : [party]))
  }

  get views(): KeyView[] {
    return this.lines.map(({ view }) => view)
  }

  get states(): string[] {
    return this.lines.map(({ state }) => state)
  }

  /** Have a line for each of these groups, and for no other. */
  set(groups: readonly string[]): void {
    for (const line of this.lines) if (!groups.includes(line.group)) line.stop()
    const kept = this.lines.filter(({ group }) => groups.includes(group))
    const fresh = groups.filter((group) => !kept.some((line) => line.group === group))
    this.lines = [...kept, ...fresh.map((group) => new Line(group, this.ports))]
  }

  press(by: string, priority: Priority): void {
    for (const line of this.lines) line.press(by, priority)
  }

  release(by: string): void {
    for (const line of this.lines) line.release(by)
  }

  releaseAll(): void {
    for (const line of this.lines) line.releaseAll()
  }
}
