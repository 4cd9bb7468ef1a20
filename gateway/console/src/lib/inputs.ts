/** Foot switches: gamepads (polled), HID and MIDI devices (they report). Each is taught once and known afterwards. */

import type { Pedal } from './prefs.svelte'

const POLL_MS = 20
/** So much of a report is looked at; a pedal's is a few bytes. */
const REPORT_BYTES = 64

export interface InputPorts {
  pressed(by: string): void
  released(by: string): void
  /** Something moved while teaching. */
  taught(pedal: Pedal): void
}

/** The first bit that is set in `now` and was not in `rest`, or null. */
export function firstBit(rest: Uint8Array, now: Uint8Array): { byte: number; mask: number } | null {
  for (let byte = 0; byte < now.length; byte += 1) {
    const fresh = (now[byte] ?? 0) & ~(rest[byte] ?? 0)
    if (fresh !== 0) return { byte, mask: fresh & -fresh }
  }
  return null
}

/** What a MIDI message says about a pedal: true down, false up, null something else. */
export function midiState(pedal: { status: number; number: number }, data: Uint8Array): boolean | null {
  const [status = 0, number = 0, value = 0] = data
  if (number !== pedal.number) return null
  // Note off (0x8n) is the release of note on (0x9n); a sustain pedal (0xBn) says 64 and more for down.
  if (pedal.status >> 4 === 9 && status >> 4 === 8 && (status & 15) === (pedal.status & 15)) return false
  if (status !== pedal.status) return null
  return status >> 4 === 11 ? value >= 64 : value > 0
}

export class Inputs {
  private timer = 0
  private isTeaching = false
  private isDown = false
  private readonly rest = new Map<HIDDevice, Uint8Array>()
  private readonly listening = new AbortController()

  constructor(
    private readonly ports: InputPorts,
    private readonly pedal: () => Pedal | null,
  ) {
    const { signal } = this.listening
    window.addEventListener('gamepadconnected', () => { this.poll() }, { signal })
    window.addEventListener('gamepaddisconnected', () => { this.up('gamepad') }, { signal })
    const hid = navigator.hid as HID | undefined
    hid?.addEventListener('disconnect', ({ device }) => { this.gone(device) }, { signal })
    hid?.addEventListener('connect', ({ device }) => void this.listen(device), { signal })
    void hid?.getDevices().then((devices) => Promise.all(devices.map((device) => this.listen(device))))
    if (this.pedal()?.kind === 'midi') void this.openMidi()
    this.poll()
  }

  stop(): void {
    this.listening.abort()
    clearInterval(this.timer)
    for (const device of this.rest.keys()) void device.close()
  }

  /** Wait for the next thing that is pressed. */
  teach(): void {
    this.isTeaching = true
    this.poll()
  }

  cancelTeaching(): void {
    this.isTeaching = false
  }

  static get hasHid(): boolean {
    return 'hid' in navigator
  }

  static get hasMidi(): boolean {
    return 'requestMIDIAccess' in navigator
  }

  /** Let the user choose a HID device; the browser asks. */
  async addHid(): Promise<void> {
    const devices = await navigator.hid.requestDevice({ filters: [] })
    for (const device of devices) await this.listen(device)
  }

  async openMidi(): Promise<boolean> {
    try {
      const access = await navigator.requestMIDIAccess()
      const attach = (): void => {
        for (const input of access.inputs.values()) input.onmidimessage = ({ data }) => { if (data) this.midi(data) }
      }
      access.onstatechange = attach
      attach()
      return true
    } catch {
      return false
    }
  }

  private taught(pedal: Pedal): void {
    this.isTeaching = false
    this.ports.taught(pedal)
  }

  private down(by: string): void {
    if (this.isDown) return
    this.isDown = true
    this.ports.pressed(by)
  }

  private up(by: string): void {
    if (!this.isDown) return
    this.isDown = false
    this.ports.released(by)
  }

  /** The browser tells of gamepads only when it is asked. */
  private poll(): void {
    clearInterval(this.timer)
    if (!navigator.getGamepads().some((pad) => pad !== null)) return
    this.timer = window.setInterval(() => { this.lookAtGamepads() }, POLL_MS)
  }

  private lookAtGamepads(): void {
    const pedal = this.pedal()
    for (const pad of navigator.getGamepads()) {
      if (pad === null) continue
      const button = pad.buttons.findIndex(({ pressed }) => pressed)
      if (this.isTeaching && button >= 0) this.taught({ kind: 'gamepad', id: pad.id, button })
      else if (pedal?.kind === 'gamepad' && pedal.id === pad.id) {
        if (pad.buttons[pedal.button]?.pressed === true) this.down('gamepad')
        else this.up('gamepad')
      }
    }
  }

  private async listen(device: HIDDevice): Promise<void> {
    if (this.rest.has(device)) return
    try {
      if (!device.opened) await device.open()
    } catch {
      return
    }
    this.rest.set(device, new Uint8Array(REPORT_BYTES))
    device.addEventListener('inputreport', (event) => { this.report(event) }, { signal: this.listening.signal })
  }

  private gone(device: HIDDevice): void {
    this.rest.delete(device)
    const pedal = this.pedal()
    if (pedal?.kind === 'hid' && pedal.vendorId === device.vendorId && pedal.productId === device.productId) this.up('hid')
  }

  private report({ device, data }: HIDInputReportEvent): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, Math.min(data.byteLength, REPORT_BYTES))
    const pedal = this.pedal()
    const rest = this.rest.get(device)
    if (this.isTeaching && rest) {
      const bit = firstBit(rest, bytes)
      if (bit !== null) this.taught({ kind: 'hid', vendorId: device.vendorId, productId: device.productId, ...bit })
    } else if (pedal?.kind === 'hid' && pedal.vendorId === device.vendorId && pedal.productId === device.productId) {
      if (((bytes[pedal.byte] ?? 0) & pedal.mask) !== 0) this.down('hid')
      else this.up('hid')
    }
    rest?.set(bytes)
  }

  private midi(data: Uint8Array): void {
    const pedal = this.pedal()
    const [status = 0, number = 0, value = 0] = data
    if (this.isTeaching && (status >> 4 === 9 || status >> 4 === 11) && value > 0) {
      this.taught({ kind: 'midi', status, number })
    } else if (pedal?.kind === 'midi') {
      const isDown = midiState(pedal, data)
      if (isDown === true) this.down('midi')
      else if (isDown === false) this.up('midi')
    }
  }
}
