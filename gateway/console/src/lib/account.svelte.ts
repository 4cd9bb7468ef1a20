/** Who is logged in, and every call of the public API: one place that knows the token. */

import type { Key } from './i18n'
import { LoggedOut } from './session'

const TOKEN = 'tongpin.token'
const PATIENCE_MS = 15_000

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
      return null
    } catch {
      return 'noService'
    }
  }

  forget(): void {
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

  /** As fetch, with the token. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const answer = await fetch(`api/v1/${path}`, {
      ...init,
      headers: { ...(init.headers as Record<string, string> | undefined), Authorization: `Bearer ${this.token ?? ''}` },
      signal: init.signal ?? AbortSignal.timeout(PATIENCE_MS),
    })
    if (answer.status === 401) throw new LoggedOut()
    if (!answer.ok) throw await problemOf(answer)
    return answer
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
