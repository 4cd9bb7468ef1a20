"""A leg's receive gate over a recording: for tuning squelch and voice detection without a radio."""

from dataclasses import dataclass
from pathlib import Path

from tongpin.codecs.errors import CodecError
from tongpin.codecs.gate import EdgeKind, GateSettings, gate_edges
from tongpin.codecs.signalling import SignallingSettings
from tongpin.config.models import LegConfig
from tongpin.gateway.errors import CallerError
from tongpin.gateway.radio.level import amplified, gain_factor
from tongpin.gateway.radio.receive import gate_settings
from tongpin.gateway.radio.signals import signalling_settings
from tongpin.gateway.radio.wavefile import SAMPLE_RATE_HZ, read_wav


@dataclass(frozen=True, slots=True)
class GateEvent:
    """The gate moved: ``kind`` is ``open`` or ``close``, ``at_s`` seconds into the recording, ``cause`` the input.

    An opening lies where the first sample that would be heard lies, so pre-roll is included.
    """

    kind: str
    at_s: float
    cause: str


def gate_events(path: Path, leg: LegConfig | None) -> list[GateEvent]:
    """Run a gate over a 16-bit WAV file of any rate.

    Args:
        leg: whose gain, levels and times to use; None = the defaults. A recording has no COS line, so the gate is
            always that of a leg without one, unless the leg's own expression says otherwise.
    Raises:
        CallerError: the file cannot be read, or the leg's gate settings contradict themselves.
    """
    pcm = read_wav(path)
    settings, signalling = GateSettings(), SignallingSettings()
    try:
        if leg is not None:
            pcm = amplified(pcm, gain_factor(leg.rx_gain_db))
            settings = gate_settings(leg.model_copy(update={"has_cos": False}))
            signalling = signalling_settings(leg.signalling)
        edges = gate_edges(pcm, settings, signalling)
    except (CodecError, ValueError) as error:
        raise CallerError(422, "bad-gate", f"the receive gate of the leg: {error}") from None
    return [
        GateEvent("open" if edge.kind is EdgeKind.OPEN else "close", edge.at_samples / SAMPLE_RATE_HZ, str(edge.cause))
        for edge in edges
    ]


__all__ = ["GateEvent", "gate_events"]
