/** The session WebSocket: a ticket, hello with resume, heartbeats, and coming back when it is lost. */

import { Backoff } from './backoff'

/** A message of either side; the gateway is ours, so its fields are taken on trust. */
export type Message = { type: string } & Record<string, unknown>

/** What a ticket's absence means. */
export class LoggedOut extends Error {}

const HEARTBEAT_MS = 1_000
/** The gateway takes the floor after 2.5 s of silence; soon after, the page must not pretend either. */
const SILENCE_MS = 3_000
const OPENING_MS = 8_000

export type LinkState =
  | { readonly name: 'closed' }
  | { readonly name: 'connecting' }
  | { readonly name: 'open' }
  | { readonly name: 'waiting'; readonly untilMs: number }

/** As much of a WebSocket as is used here. */
export interface SocketLike {
  onopen: ((event: Event) => void) | null
  onmessage: ((event: MessageEvent) => void) | null
  onclose: ((event: CloseEvent) => void) | null
  send(text: string): void
  close(): void
}

export interface SessionPorts {
  ticket(): Promise<string>
  open(ticket: string): SocketLike
  nowMs(): number
  linkChanged(state: LinkState): void
  /** A message; `ageMs` is how long ago an event happened, for those that were missed. */
  message(message: Message, ageMs: number): void
  /** The connection was lost, for whatever reason; it is tried again. */
  lost(): void
  /** The token is no longer good. */
  loggedOut(): void
}

export class Session {
  /** The last event or view seen. */
  sequence: number | null = null

  #socket: SocketLike | null = null
  #isWanted = false
  #attempt = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #heartbeat: ReturnType<typeof setInterval> | undefined
  #beats = 0
  #heardAtMs = 0
  #clockShiftMs = Number.POSITIVE_INFINITY
  readonly #backoff: Backoff

  constructor(
    private readonly ports: SessionPorts,
    backoff = new Backoff(),
  ) {
    this.#backoff = backoff
  }

  start(): void {
    this.#isWanted = true
    void this.#connect()
  }

  stop(): void {
    this.#isWanted = false
    clearTimeout(this.#timer)
    this.#drop()
    this.ports.linkChanged({ name: 'closed' })
  }

  /** Try at once: the network came back. */
  hurry(): void {
    if (this.#isWanted && this.#socket === null) void this.#connect()
  }

  send(message: Record<string, unknown>): boolean {
    if (this.#socket === null || this.#heartbeat === undefined) return false
    this.#socket.send(JSON.stringify(message))
    return true
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#timer)
    this.#attempt += 1
    const attempt = this.#attempt
    this.ports.linkChanged({ name: 'connecting' })
    let ticket: string
    try {
      ticket = await this.ports.ticket()
    } catch (error) {
      if (attempt !== this.#attempt || !this.#isWanted) return
      if (error instanceof LoggedOut) {
        this.stop()
        this.ports.loggedOut()
      } else {
        this.#again()
      }
      return
    }
    if (attempt !== this.#attempt || !this.#isWanted) return
    const socket = this.ports.open(ticket)
    this.#socket = socket
    this.#timer = setTimeout(() => this.#lose(socket), OPENING_MS)
    socket.onopen = () => {
      clearTimeout(this.#timer)
      this.#heardAtMs = this.ports.nowMs()
      this.#heartbeat = setInterval(() => this.#beat(socket), HEARTBEAT_MS)
      this.send({ type: 'hello', resume_from: this.sequence })
    }
    socket.onmessage = (event) => {
      if (this.#socket === socket && typeof event.data === 'string') this.#take(socket, event.data)
    }
    socket.onclose = () => this.#lose(socket)
  }

  #take(socket: SocketLike, text: string): void {
    this.#heardAtMs = this.ports.nowMs()
    const message = readMessage(text)
    if (message === null) return
    let ageMs = 0
    if (message.type === 'view') {
      this.sequence = Number(message.sequence)
      this.#ready()
    } else if (message.type === 'resumed') {
      this.#ready()
    } else if (message.type === 'event') {
      if (this.sequence !== null && message.sequence !== this.sequence + 1) {
        // A gap: what we show is wrong. Ask for the whole picture.
        this.sequence = null
        this.#lose(socket)
        return
      }
      this.sequence = Number(message.sequence)
      const shiftMs = Date.now() - Date.parse(String(message.at))
      if (!Number.isNaN(shiftMs)) {
        this.#clockShiftMs = Math.min(this.#clockShiftMs, shiftMs)
        ageMs = shiftMs - this.#clockShiftMs
      }
    }
    this.ports.message(message, ageMs)
  }

  #ready(): void {
    this.#backoff.reset()
    this.ports.linkChanged({ name: 'open' })
  }

  #beat(socket: SocketLike): void {
    if (this.ports.nowMs() - this.#heardAtMs > SILENCE_MS) {
      this.#lose(socket)
      return
    }
    this.#beats += 1
    this.send({ type: 'heartbeat', n: this.#beats })
  }

  #lose(socket: SocketLike): void {
    if (this.#socket !== socket) return
    this.#drop()
    if (this.#isWanted) this.#again()
  }

  #drop(): void {
    const socket = this.#socket
    this.#attempt += 1
    clearInterval(this.#heartbeat)
    this.#heartbeat = undefined
    this.#socket = null
    if (socket === null) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
    this.ports.lost()
  }

  #again(): void {
    const delayMs = this.#backoff.nextMs()
    this.ports.linkChanged({ name: 'waiting', untilMs: this.ports.nowMs() + delayMs })
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#connect(), delayMs)
  }
}

function readMessage(text: string): Message | null {
  try {
    const content = JSON.parse(text) as Message | null
    return typeof content?.type === 'string' ? content : null
  } catch {
    return null
  }
}
