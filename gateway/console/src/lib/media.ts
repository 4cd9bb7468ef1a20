/** Sound: the microphone, the peer connection, the receive slots, and the console's own tones. */

import type { Tone } from './key'

export type MicTrouble = 'micStarting' | 'micDenied' | 'micMissing' | 'micBusy' | 'micEnded' | 'micInsecure'

const GATHER_MS = 1000
const CONNECT_MS = 12_000
/** ICE may heal by itself; after this the connection is made anew. */
const HEAL_MS = 3_000
const RAMP_S = 0.02
/** Hz, start and length in seconds. */
const TONES: Readonly<Record<Tone, readonly (readonly [number, number, number])[]>> = {
  permit: [[910, 0, 0.045], [910, 0.07, 0.045], [1214, 0.14, 0.06]],
  deny: [[330, 0, 0.16], [262, 0.2, 0.28]],
  warn: [[740, 0, 0.08], [740, 0.16, 0.08]],
}
const TONE_GAIN = 0.12

export class Sound {
  readonly context = new AudioContext({ latencyHint: 'interactive', sampleRate: 48_000 })
  private peer: RTCPeerConnection | null = null
  private sender: RTCRtpSender | null = null
  private track: MediaStreamTrack | null = null
  private microphone: MediaStreamAudioSourceNode | null = null
  private timer = 0
  private analyser: AnalyserNode | null = null
  private gains: GainNode[] = []
  private elements: HTMLAudioElement[] = []

  /** Open the microphone. Comes back with what is wrong, or null. */
  async openMicrophone(onEnded: () => void): Promise<MicTrouble | null> {
    // Absent on plain http; the types do not know.
    const devices = navigator.mediaDevices as MediaDevices | undefined
    if (!devices) return 'micInsecure'
    this.closeMicrophone()
    const processing = localStorage.getItem('tongpin.processing') !== 'off'
    try {
      const stream = await devices.getUserMedia({
        audio: { echoCancellation: processing, noiseSuppression: processing, autoGainControl: processing, channelCount: 1 },
      })
      this.track = stream.getAudioTracks()[0] ?? null
      if (!this.track) return 'micMissing'
      this.track.addEventListener('ended', onEnded)
      this.analyser = this.context.createAnalyser()
      this.analyser.fftSize = 1024
      this.microphone = this.context.createMediaStreamSource(stream)
      this.microphone.connect(this.analyser)
      return null
    } catch (error) {
      const name = error instanceof DOMException ? error.name : ''
      if (name === 'NotAllowedError' || name === 'SecurityError') return 'micDenied'
      return name === 'NotFoundError' || name === 'OverconstrainedError' ? 'micMissing' : 'micBusy'
    }
  }

  closeMicrophone(): void {
    this.microphone?.disconnect()
    this.microphone = null
    this.analyser = null
    // Stopping it ourselves tells nobody: `ended` is for what others do to it.
    this.track?.stop()
    this.track = null
  }

  /** Level of the microphone, 0 (silent, -60 dBFS) to 1 (full scale). */
  level(): number {
    if (!this.analyser) return 0
    const samples = new Float32Array(this.analyser.fftSize)
    this.analyser.getFloatTimeDomainData(samples)
    let energy = 0
    for (const sample of samples) energy += sample * sample
    const db = 10 * Math.log10(energy / samples.length + 1e-12)
    return Math.min(1, Math.max(0, 1 + db / 60))
  }

  /** Begin a connection: the offer's text. */
  async offer(slots: number, iceServers: string[], onState: (state: RTCPeerConnectionState) => void): Promise<string> {
    this.hangUp()
    const peer = new RTCPeerConnection({ iceServers: iceServers.map((urls) => ({ urls })), bundlePolicy: 'max-bundle' })
    this.peer = peer
    const fail = (): void => { if (peer === this.peer) onState('failed') }
    this.timer = window.setTimeout(fail, CONNECT_MS)
    peer.addEventListener('connectionstatechange', () => {
      if (peer !== this.peer) return
      const state = peer.connectionState
      if (state === 'connected' || state === 'disconnected') clearTimeout(this.timer)
      if (state === 'disconnected') this.timer = window.setTimeout(fail, HEAL_MS)
      onState(state)
    })
    this.sender = peer.addTransceiver('audio', { direction: 'sendonly' }).sender
    for (let slot = 0; slot < slots; slot += 1) {
      const { receiver } = peer.addTransceiver('audio', { direction: 'recvonly' })
      if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 20
      this.play(receiver.track)
    }
    await peer.setLocalDescription()
    if (peer.iceGatheringState !== 'complete') {
      await new Promise<void>((resolve) => {
        setTimeout(resolve, GATHER_MS)
        peer.addEventListener('icegatheringstatechange', () => {
          if (peer.iceGatheringState === 'complete') resolve()
        })
      })
    }
    return peer.localDescription?.sdp ?? ''
  }

  async answer(sdp: string): Promise<void> {
    await this.peer?.setRemoteDescription({ type: 'answer', sdp })
  }

  /** Let the microphone through, or nothing at all: a track that is merely disabled still sends. */
  async speak(on: boolean): Promise<void> {
    await this.sender?.replaceTrack(on ? this.track : null)
  }

  setGain(slot: number, gain: number): void {
    this.gains[slot]?.gain.setTargetAtTime(gain, this.context.currentTime, RAMP_S)
  }

  hangUp(): void {
    clearTimeout(this.timer)
    this.peer?.close()
    this.peer = null
    this.sender = null
    for (const gain of this.gains) gain.disconnect()
    for (const element of this.elements) element.srcObject = null
    this.gains = []
    this.elements = []
  }

  /** For the dispatcher only: it never goes to the microphone's line. */
  tone(tone: Tone): void {
    if (this.context.state !== 'running') return
    for (const [pitch, start, length] of TONES[tone]) {
      const from = this.context.currentTime + 0.005 + start
      const oscillator = new OscillatorNode(this.context, { frequency: pitch })
      const gain = new GainNode(this.context, { gain: 0 })
      gain.gain.setValueAtTime(0, from)
      gain.gain.linearRampToValueAtTime(TONE_GAIN, from + 0.006)
      gain.gain.setValueAtTime(TONE_GAIN, from + length - 0.01)
      gain.gain.linearRampToValueAtTime(0, from + length)
      oscillator.connect(gain).connect(this.context.destination)
      oscillator.start(from)
      oscillator.stop(from + length)
    }
  }

  /** Counters of the connection, for tests and for whoever looks. */
  async statistics(): Promise<Record<string, number>> {
    const names = ['packetsReceived', 'packetsLost', 'concealedSamples', 'silentConcealedSamples', 'totalSamplesReceived',
      'jitterBufferDelay', 'jitterBufferEmittedCount', 'fecPacketsReceived', 'packetsSent']
    const sums: Record<string, number> = Object.fromEntries(names.map((name) => [name, 0]))
    const report = await this.peer?.getStats()
    report?.forEach((entry: Record<string, unknown>) => {
      if (entry.type !== 'inbound-rtp' && entry.type !== 'outbound-rtp') return
      for (const name of names) {
        const value = entry[name]
        if (typeof value === 'number') sums[name] = (sums[name] ?? 0) + value
      }
    })
    const { jitterBufferDelay: delay_s = 0, jitterBufferEmittedCount: emitted = 0 } = sums
    sums.jitterBufferMs = emitted > 0 ? (1000 * delay_s) / emitted : 0
    return sums
  }

  private play(track: MediaStreamTrack): void {
    const stream = new MediaStream([track])
    // Chromium pulls a remote track only while an element plays it, muted or not.
    const element = new Audio()
    element.muted = true
    element.srcObject = stream
    void element.play().catch(() => undefined)
    const gain = this.context.createGain()
    this.context.createMediaStreamSource(stream).connect(gain).connect(this.context.destination)
    this.elements.push(element)
    this.gains.push(gain)
  }
}
