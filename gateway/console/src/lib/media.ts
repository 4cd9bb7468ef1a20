/** Sound: microphone, peer connection, receive slots mixed for two speakers, and the console's own tones. */

import { Speaker } from './speaker'
import { ALERT_NOTES, length_s, play, TONES, type Alert } from './tones'

export type MicTrouble = 'micStarting' | 'micDenied' | 'micMissing' | 'micBusy' | 'micEnded' | 'micInsecure' | 'micMuted'

export interface MicWish {
  device: string
  isProcessed: boolean
}

/** How one slot is to sound now. */
export interface Placing {
  gain: number
  pan: number
  isSelected: boolean
}

const GATHER_MS = 1000
const CONNECT_MS = 12_000
/** ICE may heal by itself; after this the connection is made anew. */
const HEAL_MS = 3_000
const RAMP_S = 0.02
const TONE_GAIN = 0.24
/** An alert over the air: loud, but below the level at which a radio's limiter distorts it. */
const ALERT_GAIN = 0.4
const DUCKED = 0.12

interface Slot {
  gain: GainNode
  pan: StereoPannerNode
  analyser: AnalyserNode
  isSelected: boolean | null
}

export class Sound {
  readonly context = new AudioContext({ latencyHint: 'interactive', sampleRate: 48_000 })
  readonly select = new Speaker(this.context)
  readonly unselect = new Speaker(this.context)
  private readonly tones = new GainNode(this.context, { gain: 0.5 })
  private readonly duck = new Map<Speaker, GainNode>()
  private peer: RTCPeerConnection | null = null
  private sender: RTCRtpSender | null = null
  private track: MediaStreamTrack | null = null
  private microphone: MediaStreamAudioSourceNode | null = null
  private alert: MediaStreamAudioDestinationNode | null = null
  private timer = 0
  private analyser: AnalyserNode | null = null
  private slots: Slot[] = []
  private elements: HTMLAudioElement[] = []
  private readonly samples = new Float32Array(1024)

  constructor() {
    // Tones go past the ducking: one must hear that one is cut while one talks.
    this.tones.connect(this.select.input)
    for (const speaker of [this.select, this.unselect]) {
      const gain = new GainNode(this.context)
      gain.connect(speaker.input)
      this.duck.set(speaker, gain)
    }
  }

  /** Open the microphone. Comes back with what is wrong, or null. */
  async openMicrophone(wish: MicWish, onTrouble: (trouble: MicTrouble | null) => void): Promise<MicTrouble | null> {
    // Absent on plain http; the types do not know.
    const devices = navigator.mediaDevices as MediaDevices | undefined
    if (!devices) return 'micInsecure'
    this.closeMicrophone()
    const { isProcessed: processing } = wish
    try {
      const stream = await devices.getUserMedia({
        audio: {
          echoCancellation: processing,
          noiseSuppression: processing,
          autoGainControl: processing,
          channelCount: 1,
          ...(wish.device === '' ? {} : { deviceId: { ideal: wish.device } }),
        },
      })
      const track = stream.getAudioTracks()[0]
      if (!track) return 'micMissing'
      this.track = track
      track.addEventListener('ended', () => { onTrouble('micEnded') })
      track.addEventListener('mute', () => { onTrouble('micMuted') })
      track.addEventListener('unmute', () => { onTrouble(null) })
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

  /** What is sent while one talks; also for the further lines of a simultaneous talk. */
  get voice(): MediaStreamTrack | null {
    return this.alert?.stream.getAudioTracks()[0] ?? this.track
  }

  /** Level of the microphone, 0 (silent, -60 dBFS) to 1 (full scale). */
  level(): number {
    return this.analyser ? this.measure(this.analyser) : 0
  }

  slotLevel(slot: number): number {
    const analyser = this.slots[slot]?.analyser
    return analyser ? this.measure(analyser) : 0
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
    return localDescription(peer)
  }

  async answer(sdp: string): Promise<void> {
    await this.peer?.setRemoteDescription({ type: 'answer', sdp })
  }

  /** Let the microphone through, or nothing at all: a track that is merely disabled still sends. */
  async speak(on: boolean): Promise<void> {
    await this.sender?.replaceTrack(on ? this.voice : null)
  }

  /** From now on an alert is what is sent, not the microphone. */
  prepareAlert(): void {
    this.alert ??= this.context.createMediaStreamDestination()
  }

  /** Send the alert; the dispatcher hears it too. Seconds that it takes. */
  playAlert(alert: Alert): number {
    if (!this.alert) return 0
    play(this.context, ALERT_NOTES[alert], this.alert, ALERT_GAIN)
    play(this.context, ALERT_NOTES[alert], this.tones, TONE_GAIN)
    return length_s(ALERT_NOTES[alert]) + 0.1
  }

  endAlert(): void {
    this.alert = null
  }

  place(slot: number, { gain, pan, isSelected }: Placing): void {
    const nodes = this.slots[slot]
    if (!nodes) return
    const now = this.context.currentTime
    nodes.gain.gain.setTargetAtTime(gain, now, RAMP_S)
    nodes.pan.pan.setTargetAtTime(pan, now, RAMP_S)
    if (nodes.isSelected === isSelected) return
    nodes.isSelected = isSelected
    nodes.pan.disconnect()
    nodes.pan.connect(this.duckOf(isSelected ? this.select : this.unselect))
  }

  /** While one talks the speakers are low, or the microphone hears them. */
  setDucked(isDucked: boolean): void {
    for (const gain of this.duck.values()) {
      gain.gain.setTargetAtTime(isDucked ? DUCKED : 1, this.context.currentTime, RAMP_S)
    }
  }

  setToneVolume(volume: number): void {
    this.tones.gain.setTargetAtTime(volume, this.context.currentTime, RAMP_S)
  }

  hangUp(): void {
    clearTimeout(this.timer)
    this.peer?.close()
    this.peer = null
    this.sender = null
    for (const slot of this.slots) slot.pan.disconnect()
    for (const element of this.elements) element.srcObject = null
    this.slots = []
    this.elements = []
  }

  close(): void {
    this.hangUp()
    this.closeMicrophone()
    void this.context.close()
  }

  /** For the dispatcher only: it never goes to the microphone's line. */
  tone(tone: keyof typeof TONES): void {
    if (this.context.state === 'running') play(this.context, TONES[tone], this.tones, TONE_GAIN)
  }

  /** Play a sound of the page, such as a recording, on the select speaker. */
  attach(element: HTMLMediaElement): void {
    this.context.createMediaElementSource(element).connect(this.select.input)
  }

  /** Record the microphone and play it back: what others will hear. Seconds. */
  async tryMicrophone(seconds: number): Promise<void> {
    if (!this.track) return
    const recorder = new MediaRecorder(new MediaStream([this.track]))
    const parts: Blob[] = []
    recorder.addEventListener('dataavailable', ({ data }) => parts.push(data))
    const over = new Promise<void>((resolve) => { recorder.addEventListener('stop', () => { resolve() }) })
    recorder.start()
    setTimeout(() => { recorder.stop() }, seconds * 1000)
    await over
    const sound = await this.context.decodeAudioData(await new Blob(parts).arrayBuffer())
    const source = new AudioBufferSourceNode(this.context, { buffer: sound })
    source.connect(this.select.input)
    const played = new Promise<void>((resolve) => { source.addEventListener('ended', () => { resolve() }) })
    source.start()
    await played
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

  private duckOf(speaker: Speaker): GainNode {
    return this.duck.get(speaker) ?? speaker.input
  }

  private measure(analyser: AnalyserNode): number {
    analyser.getFloatTimeDomainData(this.samples)
    let energy = 0
    for (const sample of this.samples) energy += sample * sample
    const db = 10 * Math.log10(energy / this.samples.length + 1e-12)
    return Math.min(1, Math.max(0, 1 + db / 60))
  }

  private play(track: MediaStreamTrack): void {
    const stream = new MediaStream([track])
    // Chromium pulls a remote track only while an element plays it, muted or not.
    const element = new Audio()
    element.muted = true
    element.srcObject = stream
    void element.play().catch(() => undefined)
    const gain = this.context.createGain()
    const pan = this.context.createStereoPanner()
    const analyser = this.context.createAnalyser()
    analyser.fftSize = 1024
    const source = this.context.createMediaStreamSource(stream)
    source.connect(analyser)
    source.connect(gain).connect(pan).connect(this.duckOf(this.select))
    this.elements.push(element)
    this.slots.push({ gain, pan, analyser, isSelected: true })
  }
}

/** The description with its addresses, as far as they came within a second. */
export async function localDescription(peer: RTCPeerConnection): Promise<string> {
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
