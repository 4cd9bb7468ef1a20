import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Backoff } from './backoff'
import { LoggedOut, Session, type Message, type SocketLike } from './session'

class FakeSocket implements SocketLike {
  onopen: SocketLike['onopen'] = null
  onmessage: SocketLike['onmessage'] = null
  onclose: SocketLike['onclose'] = null
  sent: Message[] = []
  isClosed = false

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Message)
  }

  close(): void {
    this.isClosed = true
  }

  open(): void {
    this.onopen?.(new Event('open'))
  }

  hear(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) } as MessageEvent)
  }
}

let sockets: FakeSocket[]
let links: string[]
let heard: Message[]
let lost: number
let loggedOut: number
let ticket: () => Promise<string>
let session: Session

const last = (): FakeSocket => sockets.at(-1) as FakeSocket
const event = (sequence: number): object => ({ type: 'event', sequence, at: new Date().toISOString(), event: { kind: 'net_idle' } })

beforeEach(async () => {
  vi.useFakeTimers()
  sockets = []
  links = []
  heard = []
  lost = loggedOut = 0
  ticket = () => Promise.resolve('t')
  session = new Session(
    {
      ticket: () => ticket(),
      open: () => {
        sockets.push(new FakeSocket())
        return last()
      },
      nowMs: () => Date.now(),
      linkChanged: (state) => void links.push(state.name),
      message: (message) => void heard.push(message),
      lost: () => void (lost += 1),
      loggedOut: () => void (loggedOut += 1),
    },
    new Backoff(400, 8_000, () => 1),
  )
  session.start()
  await vi.advanceTimersByTimeAsync(0)
})

afterEach(() => {
  session.stop()
  vi.useRealTimers()
})

async function stand(): Promise<void> {
  last().open()
  last().hear({ type: 'view', sequence: 7, view: {} })
  await vi.advanceTimersByTimeAsync(0)
}

it('says hello, beats every second, and comes back with the last sequence', async () => {
  await stand()
  expect(last().sent[0]).toEqual({ type: 'hello', resume_from: null })
  expect(links).toEqual(['connecting', 'open'])
  last().hear(event(8))
  await vi.advanceTimersByTimeAsync(2000)
  expect(last().sent.filter((message) => message.type === 'heartbeat')).toHaveLength(2)
  last().onclose?.({} as CloseEvent)
  expect([lost, links.at(-1)]).toEqual([1, 'waiting'])
  expect(session.send({ type: 'ptt.release' })).toBe(false)
  await vi.advanceTimersByTimeAsync(400)
  last().open()
  expect(last().sent[0]).toEqual({ type: 'hello', resume_from: 8 })
  last().hear({ type: 'resumed', sequence: 9 })
  last().hear(event(9))
  expect(session.sequence).toBe(9)
  expect(links.at(-1)).toBe('open')
})

it('gives up a connection that has fallen silent', async () => {
  await stand()
  await vi.advanceTimersByTimeAsync(5000)
  expect(sockets[0]?.isClosed).toBe(true)
  expect(lost).toBe(1)
})

it('asks for the whole picture when an event is missing', async () => {
  await stand()
  last().hear(event(9))
  expect(heard.some((message) => message.type === 'event')).toBe(false)
  await vi.advanceTimersByTimeAsync(400)
  last().open()
  expect(last().sent[0]).toEqual({ type: 'hello', resume_from: null })
})

it('tries again while the gateway is away, later each time', async () => {
  ticket = () => Promise.reject(new Error('503'))
  last().onclose?.({} as CloseEvent)
  const before = sockets.length
  await vi.advanceTimersByTimeAsync(400 + 720 + 1296)
  expect(links.filter((name) => name === 'waiting')).toHaveLength(4)
  ticket = () => Promise.resolve('t')
  session.hurry()
  await vi.advanceTimersByTimeAsync(0)
  expect(sockets.length).toBe(before + 1)
})

it('stops when the log-in is over', async () => {
  await stand()
  ticket = () => Promise.reject(new LoggedOut())
  last().onclose?.({} as CloseEvent)
  await vi.advanceTimersByTimeAsync(400)
  expect([loggedOut, links.at(-1)]).toEqual([1, 'closed'])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(sockets).toHaveLength(1)
})

it('is not upset by what is no message', async () => {
  await stand()
  const before = heard.length
  for (const data of ['{', '7', 'null', '{"type": 1}']) last().onmessage?.({ data } as MessageEvent)
  expect(heard).toHaveLength(before)
})
