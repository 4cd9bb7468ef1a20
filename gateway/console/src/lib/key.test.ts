import { beforeEach, describe, expect, it } from 'vitest'
import { TAIL_MS, TalkKey, type Notice, type PttMessage, type Tone } from './key'

/** A key with everything around it written down; time passes when the test says so. */
class Bench {
  log: string[] = []
  notices: Notice[] = []
  hindrance: Notice | null = null
  isConnected = true
  now = 0
  private pending: { at: number; call: () => void }[] = []

  readonly key = new TalkKey({
    send: (message) => {
      if (!this.isConnected) return false
      this.log.push(String(message.type))
      return true
    },
    openMicrophone: () => {
      if (this.hindrance === null) this.log.push('mic on')
      return this.hindrance
    },
    closeMicrophone: () => void this.log.push('mic off'),
    tone: (tone: Tone) => void this.log.push(`tone ${tone}`),
    notice: (notice) => void this.notices.push(notice),
    changed: () => undefined,
    nowMs: () => this.now,
    later: (call, delay) => {
      const entry = { at: this.now + delay, call }
      this.pending.push(entry)
      return () => { this.pending = this.pending.filter((other) => other !== entry) }
    },
  })

  wait(ms: number): void {
    this.now += ms
    const due = this.pending.filter((entry) => entry.at <= this.now)
    this.pending = this.pending.filter((entry) => entry.at > this.now)
    for (const entry of due) entry.call()
  }

  /** What has been written down since the last call. */
  said(): string[] {
    return this.log.splice(0)
  }

  grant(request = 1): void {
    this.key.hear({ type: 'ptt.granted', request, group: 'p', limit_s: 30 })
  }
}

let bench: Bench
beforeEach(() => { bench = new Bench() })
const state = (): string => bench.key.view.state

describe('a talk', () => {
  it('has the microphone open before the request, and 200 ms longer than the finger', () => {
    bench.key.press('space', 'p')
    expect(bench.said()).toEqual(['mic on', 'ptt.press'])
    expect(state()).toBe('requesting')
    bench.grant()
    expect(bench.said()).toEqual(['tone permit'])
    expect(bench.key.view).toMatchObject({ state: 'talking', limitAtMs: 30_000 })
    bench.key.release('space')
    bench.wait(TAIL_MS - 1)
    expect(bench.said()).toEqual([])
    bench.wait(1)
    expect(bench.said()).toEqual(['mic off', 'ptt.release'])
    expect(state()).toBe('idle')
  })

  it('goes on when the key is pressed again within the tail', () => {
    bench.key.press('space', 'p')
    bench.grant()
    bench.key.release('space')
    bench.wait(100)
    bench.key.press('space', 'p')
    bench.said()
    bench.wait(1000)
    expect(bench.said()).toEqual([])
    expect(state()).toBe('talking')
  })

  it('lasts until the last finger lets go', () => {
    bench.key.press('space', 'p')
    bench.key.press('pointer 1', 'p')
    bench.grant()
    bench.key.release('space')
    bench.wait(1000)
    expect(state()).toBe('talking')
    bench.key.releaseAll()
    bench.wait(TAIL_MS)
    expect(state()).toBe('idle')
  })

  it('is not begun by a grant of an earlier press, nor by one that comes after the release', () => {
    bench.key.press('space', 'p')
    bench.key.release('space')
    bench.wait(TAIL_MS)
    bench.said()
    bench.grant()
    expect(state()).toBe('idle')
    bench.key.press('space', 'p')
    bench.grant(1)
    expect(state()).toBe('requesting')
    bench.key.hear({ type: 'ptt.ended', cause: 'released' })
    expect(state()).toBe('requesting')
    bench.grant(2)
    expect(state()).toBe('talking')
  })
})

describe('a refusal', () => {
  it.each<[PttMessage, Notice]>([
    [
      { type: 'ptt.denied', request: 1, cause: 'taken', holder: { label: 'Radio' } },
      { key: 'denied', cause: 'taken', holder: 'Radio' },
    ],
    [{ type: 'ptt.denied', request: 1, cause: 'penalty', holder: null }, { key: 'denied', cause: 'penalty' }],
  ])('is told, closes the microphone, and is over when the key is let go: %o', (message, notice) => {
    bench.key.press('space', 'p')
    bench.said()
    bench.key.hear(message)
    expect(bench.said()).toEqual(['mic off', 'tone deny'])
    expect(bench.notices).toEqual([notice])
    expect(state()).toBe('denied')
    // The release is said all the same: it ends the penalty.
    bench.key.release('space')
    expect(bench.said()).toEqual(['mic off', 'ptt.release'])
    expect(state()).toBe('idle')
  })

  it('comes without asking when there is no group, no microphone, or no connection', () => {
    bench.key.press('space', null)
    bench.key.release('space')
    bench.hindrance = { key: 'micDenied' }
    bench.key.press('space', 'p')
    bench.key.release('space')
    bench.hindrance = null
    bench.isConnected = false
    bench.key.press('space', 'p')
    expect(state()).toBe('denied')
    expect(bench.notices.map((notice) => notice.key)).toEqual(['noGroup', 'micDenied', 'notConnected'])
    expect(bench.log).not.toContain('ptt.press')
    expect(bench.log.at(-2)).toBe('mic off')
  })
})

it('waits in the queue with the microphone closed, and opens it at the grant', () => {
  bench.key.press('space', 'p')
  bench.key.hear({ type: 'ptt.queued', request: 1, position: 2 })
  expect(bench.key.view).toMatchObject({ state: 'queued', position: 2 })
  bench.key.hear({ type: 'ptt.queued', request: 1, position: 1 })
  expect(bench.notices).toEqual([{ key: 'queuedWhy' }])
  bench.said()
  bench.grant()
  expect(bench.said()).toEqual(['mic on', 'tone permit'])
  expect(state()).toBe('talking')
})

it('leaves the queue at once', () => {
  bench.key.press('space', 'p')
  bench.key.hear({ type: 'ptt.queued', request: 1, position: 1 })
  bench.said()
  bench.key.release('space')
  expect(bench.said()).toEqual(['mic off', 'ptt.release'])
  bench.key.press('space', 'p')
  bench.key.release('space')
  bench.key.hear({ type: 'ptt.queued', request: 2, position: 1 })
  expect(state()).toBe('idle')
})

it('is cut: warned, told to stop, off the air', () => {
  bench.key.press('space', 'p')
  bench.grant()
  bench.key.hear({ type: 'ptt.warning', left_s: 4.2 })
  bench.key.hear({ type: 'ptt.revoking', cause: 'talk_limit', grace_s: 3 })
  expect(state()).toBe('talking')
  bench.said()
  bench.key.hear({ type: 'ptt.ended', cause: 'talk_limit' })
  expect(bench.said()).toEqual(['mic off', 'tone deny'])
  expect(state()).toBe('denied')
  expect(bench.notices).toEqual([
    { key: 'limitNear', values: { n: 5 } },
    { key: 'revoking', cause: 'talk_limit' },
    { key: 'ended', cause: 'talk_limit' },
  ])
})

it('loses the floor with the connection, and with the microphone', () => {
  bench.key.press('space', 'p')
  bench.grant()
  bench.isConnected = false
  bench.key.disconnected()
  expect(state()).toBe('denied')
  expect(bench.log).toContain('mic off')
  bench.key.release('space')
  expect(state()).toBe('idle')
  bench.isConnected = true
  bench.key.press('space', 'p')
  bench.grant(2)
  bench.said()
  bench.key.microphoneLost({ key: 'micEnded' })
  expect(bench.said()).toEqual(['mic off', 'ptt.release', 'tone deny'])
  expect(state()).toBe('denied')
})
