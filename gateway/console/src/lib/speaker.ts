/** One of the two loudspeakers: a volume, and the device it plays on. */

export class Speaker {
  readonly input: GainNode
  private element: HTMLAudioElement | null = null
  private device = ''

  constructor(private readonly context: AudioContext) {
    this.input = new GainNode(context)
    this.input.connect(context.destination)
  }

  setVolume(volume: number): void {
    this.input.gain.setTargetAtTime(volume, this.context.currentTime, 0.02)
  }

  /** Play on the device, or on the system's choice for ''. False: it is gone, and the system's choice plays. */
  async use(device: string): Promise<boolean> {
    if (device === this.device) return true
    this.device = device
    this.input.disconnect()
    this.element?.pause()
    this.element = null
    if (device !== '') {
      const element = new Audio()
      try {
        // A detour that costs some milliseconds, so only where a device was chosen.
        await element.setSinkId(device)
        const destination = this.context.createMediaStreamDestination()
        element.srcObject = destination.stream
        await element.play()
        this.input.connect(destination)
        this.element = element
        return true
      } catch {
        this.device = ''
      }
    }
    this.input.connect(this.context.destination)
    return device === ''
  }
}
