"""The growth plot of docs/performance.md from the bench's JSON: ``python -m tests.bench.plot IN.json OUT.svg``."""

import json
import math
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 360, 60, 50
COLOURS = {"Tongpin": "#1f5fbf", "Mumble": "#c0392b", "floor in C": "#777777"}


def draw(series: dict[str, list[tuple[int, float]]]) -> str:
    """ms/listener-s over N, N on a logarithmic axis."""
    points = [point for line in series.values() for point in line]
    low, high = math.log(min(n for n, _ in points)), math.log(max(n for n, _ in points))
    top = 1.15 * max(value for _, value in points)

    def x(n: int) -> float:
        return LEFT + (WIDTH - LEFT - 130) * ((math.log(n) - low) / (high - low) if high > low else 0.5)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 20) * max(0.0, value) / top

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"',
        ' font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for step in range(6):
        value = top * step / 5
        out.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - 120}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>')
    for n in sorted({n for n, _ in points}):
        out.append(f'<text x="{x(n):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{n}</text>')
    out.append(f'<text x="{(WIDTH - 60) / 2}" y="{HEIGHT - 10}" text-anchor="middle">listeners</text>')
    out.append(
        f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">ms CPU / listener-s</text>'
    )
    for name, line in series.items():
        colour = COLOURS[name]
        path = "L".join(f"{x(n):.1f} {y(value):.1f}" for n, value in line)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x(n):.1f}" cy="{y(value):.1f}" r="3.5" fill="{colour}"/>' for n, value in line]
        last, value = line[-1]
        out.append(f'<text x="{x(last) + 10:.1f}" y="{y(value) + 4:.1f}" fill="{colour}">{name}</text>')
    return "\n".join([*out, "</svg>", ""])


def main() -> None:
    result = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    series = {"Tongpin": [(point["n"], point["ms_per_listener_s"]) for point in result["points"]]}
    for name, key in (("Mumble", "mumble"), ("floor in C", "floor")):
        line = sorted((int(n), value) for n, value in result["peers"].get(key, {}).items())
        if line:
            series[name] = line
    Path(sys.argv[2]).write_text(draw(series), "utf-8")


if __name__ == "__main__":
    main()
