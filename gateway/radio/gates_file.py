"""A leg's receive gate over a recording: for tuning squelch and voice detection without a radio."""

from dataclasses import dataclass
from pathlib import Path

from tongpin.codecs.errors import CodecError
from tongpin.codecs.gate import EdgeKind, GateSettings, trace_gate
from tongpin.codecs.signalling import SignallingSettings
from tongpin.config.models import LegConfig
from tongpin.gateway.errors import CallerError
from tongpin.gateway.radio.gates_plot import svg_of
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


def gate_events(path: Path, leg: LegConfig | None, plot: Path | None = None) -> list[GateEvent]:
    """Run a gate over a PCM WAV file of any rate.

    Args:
        leg: whose gain, levels and times to use; None = the defaults. A recording has no COS line, so the gate is
            always that of a leg without one, unless the leg's own expression says otherwise.
        plot: an SVG file to draw what the gate saw into; it is overwritten.
    Raises:
        CallerError: the file cannot be read, the leg's gate settings contradict themselves, or the picture cannot be
            written.
    """
    if plot is not None and plot.suffix.lower() != ".svg":
        raise CallerError(422, "bad-plot", f"{plot}: the picture is an SVG drawing; name a file that ends in .svg")
    pcm = read_wav(path)
    settings, signalling = GateSettings(), SignallingSettings()
    try:
        if leg is not None:
            pcm = amplified(pcm, gain_factor(leg.rx_gain_db))
            settings = gate_settings(leg.model_copy(update={"has_cos": False}))
            signalling = signalling_settings(leg.signalling)
        trace = trace_gate(pcm, settings, signalling)
    except (CodecError, ValueError) as error:
        raise CallerError(422, "bad-gate", f"the receive gate of the leg: {error}") from None
    if plot is not None:
        try:
            plot.write_text(svg_of(pcm, trace, path.name), encoding="utf-8")
        except OSError as error:
            raise CallerError(422, "bad-plot", f"{plot}: cannot be written: {error.strerror}") from None
    return [
        GateEvent("open" if edge.kind is EdgeKind.OPEN else "close", edge.at_samples / SAMPLE_RATE_HZ, str(edge.cause))
        for edge in trace.edges
    ]


__all__ = ["GateEvent", "gate_events"]
