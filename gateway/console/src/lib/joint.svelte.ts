/** Joint channels that are open, proposed or planned; kept up to date by the session's events. */

import type { Account } from './account.svelte'
import type { WireEvent } from './board'

export interface Consent {
  agency: string
  decision: string
  by: string | null
  reason: string | null
}

export interface JointChannel {
  id: string
  name: string
  purpose: string
  state: string
  talk_groups: string[]
  lead_agency: string | null
  proposer?: string | null
  consents?: Consent[]
  awaits?: string[]
  created_by: string
  starts_at?: string | null
  expires_at: string
  ends_at?: string | null
  version?: number
}

export interface Preview {
  result: string
  conflicts: { talk_group: string; joint_channel: string; joint_channel_name: string; would_be_taken_over: boolean }[]
  awaits: string[]
  nets: {
    name: string
    talk_groups: string[]
    party_count: number
    parties: { id: string; name: string; agency: string | null; hears: boolean; talks: boolean }[]
  }[]
}

const OPEN = ['draft', 'proposed', 'scheduled', 'active']
/** In this many seconds its time is over: the timer is red. */
export const SOON_S = 600

export class JointChannels {
  open = $state<JointChannel[]>([])

  constructor(private readonly account: Account) {}

  async load(): Promise<void> {
    const states = OPEN.map((state) => `state=${state}`).join('&')
    this.open = await this.account.all<JointChannel>(`joint-channels?${states}&sort=-created_at`, 'cursor')
  }

  hear(event: WireEvent): void {
    if (event.kind !== 'joint_channel') return
    this.put(event.joint_channel as JointChannel)
  }

  put(channel: JointChannel): void {
    const others = this.open.filter(({ id }) => id !== channel.id)
    this.open = OPEN.includes(channel.state) ? [channel, ...others] : others
  }

  /** Those that wait for the word of this user's agency; of the command centre, for those of no agency. */
  get asking(): JointChannel[] {
    const own = this.account.user?.agency ?? ''
    return this.open.filter(({ state, awaits }) => state === 'proposed' && (awaits ?? []).includes(own))
  }

  async decide(channel: JointChannel, isGranted: boolean, reason: string): Promise<void> {
    const body = isGranted ? { decision: 'grant' } : { decision: 'refuse', reason }
    this.put(await this.account.call<JointChannel>('POST', `joint-channels/${channel.id}/consents`, body))
  }

  async change(channel: JointChannel, change: Record<string, unknown>): Promise<void> {
    const match = { 'If-Match': `"${channel.version ?? 1}"` }
    this.put(await this.account.call<JointChannel>('PATCH', `joint-channels/${channel.id}`, change, match))
  }

  async close(channel: JointChannel): Promise<void> {
    this.put(await this.account.call<JointChannel>('POST', `joint-channels/${channel.id}/close`))
  }

  async propose(channel: JointChannel): Promise<void> {
    this.put(await this.account.call<JointChannel>('POST', `joint-channels/${channel.id}/propose`))
  }
}

/** Seconds until it ends; of one that is planned, until it begins. */
export function leftOf(channel: JointChannel, atMs: number): number {
  const until = channel.state === 'scheduled' ? (channel.starts_at ?? channel.expires_at) : (channel.ends_at ?? channel.expires_at)
  return (Date.parse(until) - atMs) / 1000
}
