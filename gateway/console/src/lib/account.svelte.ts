/** Who is logged in, and every call of the public API: one place that knows the token. */

import type { Key } from './i18n'
import { LoggedOut } from './session'

const TOKEN = 'tongpin.token'
const PATIENCE_MS = 15_000
/** Makes the gateway keep the refresh token in a cookie that no script can read (docs/auth.md). */
const CONSOLE = { 'X-Tongpin-Client': 'console' }

export interface User {
  id: string
  name: string
  role: string
  agency: string | null
}

/** A refusal of the gateway: an RFC 9457 problem document. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** The stable name of the problem. */
    readonly code: string,
    detail: string,
    readonly body: Readonly<Record<string, unknown>> = {},
  ) {
    super(detail)
  }
}

export class Account {
  token = $state<string | null>(sessionStorage.getItem(TOKEN))
  user = $state.raw<User | null>(null)

  private refreshing: Promise<boolean> | null = null

  /** Change name and password, and the app's code once it is asked for, for a token. What went wrong, or null. */
  async logIn(username: string, password: string, otp = ''): Promise<Key | null> {
    try {
      const body = new URLSearchParams({ username, password, ...(otp === '' ? {} : { otp }) })
      const answer = await fetch('api/v1/auth/token', { method: 'POST', headers: CONSOLE, body })
      if (answer.status === 429) return 'tooManyLogins'
      if (answer.status >= 500) return 'noService'
      if (!answer.ok) return (await problemOf(answer)).code === 'otp-needed' ? 'codeNeeded' : 'wrongLogin'
      await this.take(answer)
      return null
    } catch {
      return 'noService'
    }
  }

  private async take(answer: Response): Promise<void> {
    const { access_token: token } = (await answer.json()) as { access_token: string }
    sessionStorage.setItem(TOKEN, token)
    this.token = token
  }

  /** Access tokens last 15 minutes: get another by the cookie. One at a time, since each refresh token is good once. */
  private refresh(): Promise<boolean> {
    this.refreshing ??= (async () => {
      try {
        const answer = await fetch('api/v1/auth/refresh', {
          method: 'POST',
          headers: CONSOLE,
          signal: AbortSignal.timeout(PATIENCE_MS),
        })
        if (!answer.ok) return false
        await this.take(answer)
        return true
      } finally {
        this.refreshing = null
      }
    })()
    return this.refreshing
  }

  /** End the log-in here and at the gateway. */
  forget(): void {
    if (this.token !== null) {
      void fetch('api/v1/auth/logout', { method: 'POST', headers: CONSOLE, keepalive: true }).catch(() => null)
    }
    sessionStorage.removeItem(TOKEN)
    this.token = null
    this.user = null
  }

  /** A ticket for one WebSocket. Throws LoggedOut when the token is no longer good. */
  async ticket(): Promise<string> {
    const { ticket } = await this.call<{ ticket: string }>('POST', 'auth/ticket')
    return ticket
  }

  /** Call `/api/v1/…`. Throws LoggedOut, a Problem, or what fetch throws when there is no network. */
  async call<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
    const answer = await this.fetch(path, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return (answer.status === 204 ? null : await answer.json()) as T
  }

  get<T>(path: string): Promise<T> {
    return this.call<T>('GET', path)
  }

  /** Every item of a list, page after page, at most `limit`. `cursor` is how the list wants to be told where to go on. */
  async all<T>(path: string, cursor: 'after' | 'cursor' = 'after', limit = 2_000): Promise<T[]> {
    const found: T[] = []
    let next: string | null = null
    do {
      const on: string = next === null ? '' : `${path.includes('?') ? '&' : '?'}${cursor}=${encodeURIComponent(next)}`
      const answer: T[] | { items: T[]; next: string | null } = await this.get(path + on)
      found.push(...(Array.isArray(answer) ? answer : answer.items))
      next = Array.isArray(answer) ? null : answer.next
    } while (next !== null && found.length < limit)
    return found.slice(0, limit)
  }

  /** As fetch, with the token; with a new one when it is over. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const used = this.token
    let answer = await this.send(path, init)
    if (answer.status === 401 && used !== null && (this.token !== used || (await this.refresh()))) {
      answer = await this.send(path, init)
    }
    if (answer.status === 401) throw new LoggedOut()
    if (!answer.ok) throw await problemOf(answer)
    return answer
  }

  private send(path: string, init: RequestInit): Promise<Response> {
    return fetch(`api/v1/${path}`, {
      ...init,
      headers: { ...(init.headers as Record<string, string> | undefined), Authorization: `Bearer ${this.token ?? ''}` },
      signal: init.signal ?? AbortSignal.timeout(PATIENCE_MS),
    })
  }
}

export async function problemOf(answer: Response): Promise<Problem> {
  let body: Record<string, unknown> = {}
  try {
    body = (await answer.json()) as Record<string, unknown>
  } catch {
    // Not ours: a proxy's page. The status has to do.
  }
  const code = typeof body.type === 'string' ? (body.type.split(/[/:#]/).at(-1) ?? '') : ''
  const detail = typeof body.detail === 'string' ? body.detail : answer.statusText || `HTTP ${answer.status}`
  return new Problem(answer.status, code, detail, body)
}
