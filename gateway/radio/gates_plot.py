"""A picture of what a receive gate saw: waveform with the open spans, level over the quietest sound, speech signs."""

from collections.abc import Iterable
from html import escape

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import FRAME_MS, SAMPLE_RATE_HZ
from tongpin.codecs.gate import EdgeKind, GateTrace

_WIDTH, _LEFT, _RIGHT = 1200, 70, 20
_INSIDE = _WIDTH - _LEFT - _RIGHT
_TOP, _PANEL, _GAP = 46, 130, 26
_STYLE = (
    "text{font:12px sans-serif;fill:#333}.t{font-weight:bold}.g{stroke:#ddd}.o{fill:#35a06a;fill-opacity:.22}"
    ".w{fill:#44546a}.l{fill:none;stroke:#1f6fb2;stroke-width:1.3}.h{fill:none;stroke:#c4662a;stroke-width:1.3}"
    ".s{fill:none;stroke:#8a3fa0;stroke-width:1.3}"
)


def _columns(values: NDArray[np.float64], take: str) -> NDArray[np.float64]:
    """No more values than pixels: each the largest, the smallest or the mean of those that share one."""
    count = min(_INSIDE, values.size)
    edges = np.linspace(0, values.size, count + 1).astype(int)
    if take == "mean":
        return np.add.reduceat(values, edges[:-1]) / np.diff(edges)
    return (np.maximum if take == "max" else np.minimum).reduceat(values, edges[:-1])


class _Panel:
    """One strip of the picture with its own scale."""

    def __init__(self, row: int, low: float, high: float) -> None:
        self.top = _TOP + row * (_PANEL + _GAP)
        self._low, self._high = low, high

    def y(self, value: float) -> float:
        share = (min(self._high, max(self._low, value)) - self._low) / (self._high - self._low)
        return self.top + _PANEL * (1 - share)

    def grid(self, title: str, marks: Iterable[tuple[float, str]]) -> list[str]:
        lines = [f'<text class="t" x="{_LEFT}" y="{self.top - 6}">{title}</text>']
        for value, label in marks:
            y = self.y(value)
            lines.append(f'<line class="g" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            lines.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
        return lines

    def line(self, values: NDArray[np.float64], css: str) -> str:
        columns = _columns(values, "mean")
        step = _INSIDE / columns.size
        points = " ".join(f"{_LEFT + (at + 0.5) * step:.1f},{self.y(float(v)):.1f}" for at, v in enumerate(columns))
        return f'<polyline class="{css}" points="{points}"/>'


def _wave(panel: _Panel, pcm: NDArray[np.int16]) -> str:
    floats = pcm.astype(np.float64) / 32_768
    tops, bottoms = _columns(floats, "max"), _columns(floats, "min")
    step = _INSIDE / tops.size
    way = [f"{_LEFT + at * step:.1f},{panel.y(float(v)) - 0.3:.1f}" for at, v in enumerate(tops)]
    back = [f"{_LEFT + at * step:.1f},{panel.y(float(v)) + 0.3:.1f}" for at, v in enumerate(bottoms)]
    return f'<polygon class="w" points="{" ".join(way + back[::-1])}"/>'


def _spans(trace: GateTrace, seconds: float, height: int) -> list[str]:
    """The time that the gate was open, behind all panels, with its causes."""
    out: list[str] = []
    begin, cause = 0.0, ""
    for edge in trace.edges:
        at_s = edge.at_samples / SAMPLE_RATE_HZ
        if edge.kind is EdgeKind.OPEN:
            begin, cause = at_s, str(edge.cause)
            continue
        x, width = _LEFT + _INSIDE * begin / seconds, _INSIDE * (at_s - begin) / seconds
        out.append(f'<rect class="o" x="{x:.1f}" y="{_TOP}" width="{width:.1f}" height="{height - _TOP - 24}">')
        out.append(f"<title>{begin:.2f}–{at_s:.2f} s: {cause}, closed by {edge.cause}</title></rect>")
    return out


def _time_axis(seconds: float, y: int) -> list[str]:
    step = next(step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600) if seconds / step <= 15)
    marks = np.arange(0, seconds, step)
    return [f'<text x="{_LEFT + _INSIDE * t / seconds:.1f}" y="{y}" text-anchor="middle">{t:g} s</text>' for t in marks]


def svg_of(pcm: NDArray[np.int16], trace: GateTrace, title: str) -> str:
    """Draw a recording (48 kHz mono) and what a gate made of it.

    Returns:
        An SVG document, 1200 wide, at most some 150 kB however long the recording is.
    """
    seconds = max(FRAME_MS / 1000, trace.level_dbfs.size * FRAME_MS / 1000)
    height = _TOP + 3 * _PANEL + 2 * _GAP + 30
    # Against the level that a tenth of the recording stays below: the noise, if there are any pauses at all.
    quiet = float(np.percentile(trace.level_dbfs, 10)) if trace.level_dbfs.size else 0.0
    wave, snr, signs = _Panel(0, -1, 1), _Panel(1, -20, 60), _Panel(2, 0, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
        f"<style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text class="t" x="{_LEFT}" y="18">{escape(title)} – gate open where green</text>',
        *_spans(trace, seconds, height),
        *wave.grid("waveform, share of full scale", [(-1, "−1"), (0, "0"), (1, "1")]),
        *snr.grid(f"level of 280–3400 Hz above the quietest tenth ({quiet:.0f} dBFS), dB", _marks(-20, 60, 20)),
        *signs.grid(
            'harmonicity (orange: noise 0.3, voice 0.6–0.9) and <tspan fill="#8a3fa0">chance of speech</tspan>',
            [(0, "0"), (0.5, "0.5"), (1, "1")],
        ),
    ]
    if trace.level_dbfs.size:
        chance = 1 / (1 + np.exp(-np.clip(trace.score, -30, 30)))
        parts += [
            _wave(wave, pcm),
            snr.line(trace.level_dbfs - quiet, "l"),
            signs.line(trace.harmonicity, "h"),
            signs.line(chance, "s"),
        ]
    parts += [*_time_axis(seconds, height - 8), "</svg>"]
    return "\n".join(parts) + "\n"


def _marks(low: int, high: int, step: int) -> list[tuple[float, str]]:
    return [(value, str(value).replace("-", "−")) for value in range(low, high + 1, step)]
