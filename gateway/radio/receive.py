"""From captured frames to packets: gain, band filter, levels, receive gate, Opus, once at the source."""

from dataclasses import dataclass, replace
from typing import Final

from tongpin.codecs.errors import ExpressionError
from tongpin.codecs.expression import compile_expression
from tongpin.codecs.filters import BandFilter
from tongpin.codecs.gate import INPUTS, EdgeKind, GateSettings, ReceiveGate
from tongpin.codecs.leveller import AutomaticGain, Limiter
from tongpin.codecs.opus import OpusEncoder
from tongpin.codecs.signalling import NO_SIGNALS, SignallingDecoder
from tongpin.codecs.vad import SpeechDetector
from tongpin.config.models import LegConfig
from tongpin.gateway.media.packet import PACKET_SAMPLES, Packet
from tongpin.gateway.radio.level import Meter, amplified, gain_factor
from tongpin.gateway.radio.messages import Signalled
from tongpin.gateway.radio.ring import Frame
from tongpin.gateway.radio.signals import message_of, signalling_settings


@dataclass(frozen=True, slots=True)
class Heard:
    """What one captured frame led to: the gate's opening comes before the packet, its closing after it."""

    opened: str | None
    packet: Packet | None
    closed: str | None
    signals: tuple[Signalled, ...] = ()


_TONE_PRE_ROLL_MS = 260
"""Before a tone or a code is sure, so much has been said."""
_MUTE_PRE_ROLL_MS = 120
"""A data burst is known 80 ms after its beginning."""


def gate_settings(leg: LegConfig) -> GateSettings:
    """The gate that the operator wants: what is not said is the default for legs with, or without, a COS line, a tone
    or a code.

    Raises:
        ExpressionError: it asks for a decoder that does not run.
    """
    config, signalling = leg.gate, leg.signalling
    base = GateSettings.for_cos() if leg.has_cos else GateSettings()
    wanted = [name for name, on in (("ctcss", signalling.ctcss), ("dcs", signalling.dcs)) if on]
    if wanted:
        tone = wanted[0] if len(wanted) == 1 else "(ctcss | dcs)"
        expression = f"cos & {tone}" if leg.has_cos else tone
        base = replace(base, expression=expression, pre_roll_ms=_TONE_PRE_ROLL_MS, hang_ms=60)
    if signalling.mute:
        base = replace(base, mute_bursts=True, pre_roll_ms=max(base.pre_roll_ms, _MUTE_PRE_ROLL_MS))
    asked = compile_expression(config.expression or base.expression, INPUTS).names
    for name in ("ctcss", "dcs", "dtmf"):
        if name in asked and not getattr(signalling, name):
            raise ExpressionError(f"{name!r} is asked for, but signalling.{name} is not set", 1)
    return replace(
        base,
        expression=base.expression if config.expression is None else config.expression,
        pre_roll_ms=base.pre_roll_ms if config.pre_roll_ms is None else config.pre_roll_ms,
        hang_ms=base.hang_ms if config.hang_ms is None else config.hang_ms,
        open_delay_ms=base.open_delay_ms if config.open_delay_ms is None else config.open_delay_ms,
        tail_cut_ms=base.tail_cut_ms if config.tail_cut_ms is None else config.tail_cut_ms,
        squelch_open_dbfs=config.squelch_open_dbfs,
        squelch_close_dbfs=config.squelch_close_dbfs,
        stuck_s=config.stuck_s,
    )


class Receiver:
    """The receive side of a leg. Not thread-safe; time is counted in frames.

    Raises:
        CodecError: the gate's expression or a tone cannot be read, or libopus is missing.
        ValueError: the squelch closes above the level at which it opens.
    """

    def __init__(self, config: LegConfig) -> None:
        self._gain: Final = gain_factor(config.rx_gain_db)
        self._gate = ReceiveGate(gate_settings(config))
        self._signalling: Final = config.signalling
        settings = signalling_settings(config.signalling)
        self._decoder = SignallingDecoder(settings) if settings.is_any else None
        wanted = config.receive
        self._filter = BandFilter(wanted.low_hz, wanted.high_hz, is_de_emphasised=wanted.is_flat)
        self._agc = AutomaticGain(wanted.agc_most_db) if wanted.agc else None
        self._talker = SpeechDetector() if wanted.agc and self._gate.speech is None else None
        """Whose level counts, on a leg whose gate does not ask for speech."""
        self._limiter = Limiter()
        self._bitrate_bps: Final = config.opus_bitrate_bps
        self._encoder = OpusEncoder(self._bitrate_bps)
        self._meter = Meter()
        self._sequence = 0
        self._frames = 0
        self._heard_at: float | None = None
        self.talk = 0
        """Number of gate openings so far."""

    @property
    def is_open(self) -> bool:
        return self._gate.is_open

    def push(self, frame: Frame, cos: bool | None, is_deaf: bool, now: float) -> Heard:
        """Take one captured frame.

        Args:
            frame: int16, shape (960,); not kept.
            cos: the carrier line, None where there is none.
            is_deaf: the leg transmits, or has just done so.
            now: monotonic seconds, for :meth:`heard_s_ago` only.
        """
        frame = amplified(frame, self._gain)
        self._meter.add(frame)
        self._frames += 1
        signals = self._decoder.push(frame) if self._decoder is not None else NO_SIGNALS
        if is_deaf:
            signals = NO_SIGNALS
        out = self._gate.push(frame, cos is True, is_inhibited=is_deaf, audible=self._levelled(frame), signals=signals)
        opened = closed = None
        if out.edge is not None:
            if out.edge.kind is EdgeKind.OPEN:
                opened = str(out.edge.cause)
                self.talk += 1
            else:
                closed = str(out.edge.cause)
        packet = None
        if out.pcm is not None:
            # Timestamps go on between two openings, sequence numbers do not: nothing was lost.
            packet = Packet(self._encoder.encode(out.pcm), self._sequence, self._frames * PACKET_SAMPLES & 0xFFFFFFFF)
            self._sequence = (self._sequence + 1) & 0xFFFF
            self._heard_at = now
        return Heard(opened, packet, closed, tuple(message_of(event, self._signalling) for event in signals.events))

    def take_envelope(self) -> str:
        """Levels frame by frame since they were taken last (:class:`Status`)."""
        return self._meter.take_envelope()

    def amplified(self, frame: Frame) -> Frame:
        """A frame at the leg's level, for a leg test; nothing is remembered."""
        return amplified(frame, self._gain)

    def _levelled(self, frame: Frame) -> Frame:
        """What the listeners get of a frame: the voice band, at equal loudness, nowhere above −6 dBFS; 5 ms late."""
        voice = self._filter.push(frame)
        if self._agc is not None:
            detector = self._talker or self._gate.speech
            assert detector is not None
            if self._talker is not None:
                self._talker.push(frame)
            voice = self._agc.push(voice, self._gate.is_open and detector.is_speech)
        return self._limiter.push(voice)

    def take_level_dbfs(self) -> float:
        """Mean level since it was taken last."""
        return self._meter.take_dbfs()

    def heard_s_ago(self, now: float) -> float | None:
        """Seconds since the last packet, or None before the first."""
        return None if self._heard_at is None else now - self._heard_at
