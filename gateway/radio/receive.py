"""From captured frames to packets: gain, receive gate, Opus, once at the source."""

from dataclasses import dataclass, replace
from typing import Final

from tongpin.codecs.gate import EdgeKind, GateSettings, ReceiveGate
from tongpin.codecs.opus import OpusEncoder
from tongpin.config.models import GateConfig, LegConfig
from tongpin.gateway.media.packet import PACKET_SAMPLES, Packet
from tongpin.gateway.radio.level import Meter, amplified, gain_factor
from tongpin.gateway.radio.ring import Frame


@dataclass(frozen=True, slots=True)
class Heard:
    """What one captured frame led to: the gate's opening comes before the packet, its closing after it."""

    opened: str | None
    packet: Packet | None
    closed: str | None


def gate_settings(config: GateConfig, has_cos: bool) -> GateSettings:
    """The gate that the operator wants: what is not said is the default for legs with, or without, a COS line."""
    base = GateSettings.for_cos() if has_cos else GateSettings()
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
        CodecError: the gate's expression cannot be read, or libopus is missing.
        ValueError: the squelch closes above the level at which it opens.
    """

    def __init__(self, config: LegConfig) -> None:
        self._gain: Final = gain_factor(config.rx_gain_db)
        self._gate = ReceiveGate(gate_settings(config.gate, config.has_cos))
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
        out = self._gate.push(frame, cos is True, is_inhibited=is_deaf)
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
        return Heard(opened, packet, closed)

    def amplified(self, frame: Frame) -> Frame:
        """A frame at the leg's level, for a leg test; nothing is remembered."""
        return amplified(frame, self._gain)

    def take_level_dbfs(self) -> float:
        """Mean level since it was taken last."""
        return self._meter.take_dbfs()

    def heard_s_ago(self, now: float) -> float | None:
        """Seconds since the last packet, or None before the first."""
        return None if self._heard_at is None else now - self._heard_at
