/** What is heard of what comes in: muted and solo channels, two speakers, and how loud each slot is now. */

import type { Board } from './board'
import type { Sound } from './media'
import type { Prefs } from './prefs.svelte'

export interface Talk {
  group: string
  party: string
  label: string
}

export interface MixerPorts {
  board(): Board
  party(): string
  /** Every party that is this page: its own sessions. */
  ownParties(): readonly string[]
  /** The groups that are talked to. */
  selected(): readonly string[]
  /** The set of groups to listen to has changed. */
  listen(groups: string[]): void
}

export class Mixer {
  muted = $state<string[]>([])
  solo = $state<string[]>([])
  /** By slot, 0 to 1. */
  levels = $state<number[]>([])
  slots = $state<(Talk | null)[]>([])
  sound: Sound | null = null

  constructor(
    private readonly prefs: Prefs,
    private readonly ports: MixerPorts,
  ) {}

  begin(slots: number): void {
    this.slots = Array.from({ length: slots }, () => null)
    this.levels = this.slots.map(() => 0)
  }

  toggleMute(group: string): void {
    this.muted = toggled(this.muted, group)
    this.listen()
  }

  toggleSolo(group: string): void {
    this.solo = toggled(this.solo, group)
    this.listen()
  }

  /** Mute every channel that is not selected, or let all be heard again. */
  muteOthers(): void {
    const selected = this.ports.selected()
    const others = Object.keys(this.ports.board().groups).filter((group) => !selected.includes(group))
    this.muted = others.every((group) => this.muted.includes(group)) ? [] : others
    this.listen()
  }

  /** Tell the gateway what to send, and set what came before. */
  listen(): void {
    this.ports.listen(Object.keys(this.ports.board().groups).filter((group) => this.wants(group)))
    this.place()
  }

  /** Whether a talk on the group is heard: through it, or through another group of its joint channel. */
  isHeard(group: string): boolean {
    const { groups, nets } = this.ports.board()
    return (nets[groups[group]?.net ?? '']?.groups ?? []).some(
      (id) => (groups[id]?.talkers.includes(this.ports.party()) ?? false) && this.wants(id),
    )
  }

  moved(index: number, talk: Talk | null): void {
    this.slots[index] = talk
    this.place()
  }

  place(): void {
    const selected = this.selectedNets()
    this.slots.forEach((slot, index) => {
      // A slot that has just become free still carries the end of its talk: it keeps its gain.
      if (slot === null) return
      const { volume, pan } = this.prefs.channel(slot.group)
      const isHeard = this.isHeard(slot.group) && !this.ports.ownParties().includes(slot.party)
      const isSelected = selected.has(this.ports.board().groups[slot.group]?.net ?? '')
      this.sound?.place(index, { gain: isHeard ? volume : 0, pan, isSelected })
    })
  }

  measure(): void {
    this.slots.forEach((slot, index) => {
      const level = slot === null ? 0 : (this.sound?.slotLevel(index) ?? 0)
      if (this.levels[index] !== level) this.levels[index] = level
    })
  }

  /** Level of what is heard on a net now, 0 to 1. */
  levelOf(net: string): number {
    const index = this.slots.findIndex((slot) => slot !== null && this.ports.board().groups[slot.group]?.net === net)
    return index < 0 ? 0 : (this.levels[index] ?? 0)
  }

  private wants(group: string): boolean {
    return this.solo.length > 0 ? this.solo.includes(group) : !this.muted.includes(group)
  }

  private selectedNets(): Set<string> {
    const { groups } = this.ports.board()
    return new Set(this.ports.selected().map((id) => groups[id]?.net ?? id))
  }
}

export function toggled(list: readonly string[], item: string): string[] {
  return list.includes(item) ? list.filter((other) => other !== item) : [...list, item]
}
