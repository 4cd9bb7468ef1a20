"""What a listener costs: ``python -m tests.bench.listeners [N ...]``; see docs/performance.md.

Starts ``tongpin demo`` with a talker, joins N real DTLS-SRTP listeners from other processes by WHEP, and measures: CPU
of every gateway process for one listener and second (the scheduler's nanoseconds), memory and CPU of a join, latency
from the talker's packet to the first and the last listener, loss. Prints a table, writes JSON. ``--peers FOLDER`` runs
Mumble's server and the floor in C of that folder in the same sitting. Absolute figures drift with the machine; compare
ratios of one run.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.request import urlopen

from tests.bench.light import Told, listeners, talker

OPUS_BYTES = 80


@dataclass
class Point:
    """One N. ``gross_…`` counts the whole gateway, the simulated radios' workers too; the others what N adds."""

    n: int
    ms_per_listener_s: float
    gross_ms_per_listener_s: float
    kib_per_listener: float
    join_cpu_ms: float
    loss: float
    dropped_frames: float
    deaf: int
    first_ms: dict[str, float]
    last_ms: dict[str, float]


class Tree:
    """The gateway and all its children."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def pids(self) -> list[int]:
        found, at = [self._pid], 0
        while at < len(found):
            for task in Path(f"/proc/{found[at]}/task").glob("*/children"):
                found += [int(pid) for pid in task.read_text().split()]
            at += 1
        return found

    def cpu_s(self) -> float:
        total = 0
        for pid in self.pids():
            for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                total += int(path.read_text().split()[0])
        return total / 1e9

    def rss_kib(self) -> int:
        status = Path(f"/proc/{self._pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def rate(self, seconds: float) -> float:
        """CPU seconds for a second."""
        before, start = self.cpu_s(), time.monotonic()
        time.sleep(seconds)
        return (self.cpu_s() - before) / (time.monotonic() - start)


def quantiles(samples: list[float]) -> dict[str, float]:
    if not samples:
        return {}
    ordered = sorted(samples)
    return {f"p{q}": round(ordered[min(len(ordered) - 1, len(ordered) * q // 100)], 2) for q in (50, 95, 99)}


class Gateway:
    """A running demo."""

    def __init__(self, chatter: str, native: bool) -> None:
        env = {**os.environ, "TONGPIN_NATIVE": "auto" if native else "no"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tongpin.gateway", "demo", "--chatter", chatter, "--json", "--port", "0"],
            stdout=subprocess.PIPE,
            env=env,
        )
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.url: str = told["url"]
        self.user: dict[str, str] = told["users"]["admin"]
        self.tree = Tree(told["pid"])

    def metric(self, name: str) -> float:
        with urlopen(f"{self.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)


def ask(pipes: list[Connection], *command: object) -> list[object]:
    for pipe in pipes:
        pipe.send(command)
    return [pipe.recv() for pipe in pipes]


def measure(counts: list[int], options: argparse.Namespace) -> list[Point]:
    """One gateway, growing."""
    gateway = Gateway("busy" if options.talker == "leg" else "quiet", not options.pure)
    spawn = multiprocessing.get_context("spawn")
    points: list[Point] = []
    talking, theirs = spawn.Pipe()
    try:
        if options.talker == "whip":
            speaker = spawn.Process(
                target=talker, args=(theirs, gateway.url, gateway.user, options.group, OPUS_BYTES), daemon=True
            )
            speaker.start()
            assert talking.recv() == "talking"
        pipes: list[Connection] = []
        for _ in range(options.processes):
            ours, its = spawn.Pipe()
            spawn.Process(
                target=listeners, args=(its, gateway.url, gateway.user, options.group, _is_probe), daemon=True
            ).start()
            pipes.append(ours)
        time.sleep(3)
        idle = statistics.median(gateway.tree.rate(options.seconds / 2) for _ in range(3))
        rss = gateway.tree.rss_kib()
        joined = 0
        for n in counts:
            joins, cpu, start = n - joined, gateway.tree.cpu_s(), time.monotonic()
            share = [joins // len(pipes) + (index < joins % len(pipes)) for index in range(len(pipes))]
            for pipe, part in zip(pipes, share, strict=True):
                pipe.send(("join", part))
            for pipe in pipes:
                pipe.recv()
            took = time.monotonic() - start
            join_cpu = gateway.tree.cpu_s() - cpu - took * idle
            joined = n
            time.sleep(options.settle)
            ask(pipes, "start")
            rates = [gateway.tree.rate(options.seconds) for _ in range(options.runs)]
            told = [part for part in ask(pipes, "told") if isinstance(part, Told)]
            latencies = [series for part in told for series in part.latencies if series]
            came, expected = sum(part.came for part in told), sum(part.expected for part in told)
            rate = statistics.median(rates)
            points.append(
                Point(
                    n,
                    round(1e3 * (rate - idle) / n, 3),
                    round(1e3 * rate / n, 3),
                    round((gateway.tree.rss_kib() - rss) / n, 1),
                    round(1e3 * join_cpu / joins, 2),
                    round(1 - came / expected, 5) if expected else 1.0,
                    gateway.metric("tongpin_fanout_dropped_frames"),
                    sum(part.deaf for part in told),
                    quantiles(latencies[0]) if latencies else {},
                    quantiles(latencies[-1]) if latencies else {},
                )
            )
            print(json.dumps(asdict(points[-1])), flush=True)
    finally:
        gateway.close()
    return points


def _is_probe(index: int) -> bool:
    """The first listener of a process, and every 250th: sparse enough to wake nobody often."""
    return index % 250 in (0, 249)


def run_peers(folder: Path, counts: list[int]) -> dict[str, dict[int, float]]:
    """ms/listener-s of Mumble's server and of the floor, by N."""
    found: dict[str, dict[int, float]] = {"mumble": {}, "floor": {}}
    for n in [count for count in counts if count <= 500]:
        out = subprocess.run(
            [sys.executable, "mumble_load.py", str(n)], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
        )
        found["mumble"][n] = json.loads(out.stdout.splitlines()[-1])["cpu_ms_per_listener_s"][0]
    program = Path("/tmp") / f"tongpin-floor-{os.getpid()}"
    build = ["cc", "-O2", "-o", str(program), str(folder / "srtp_limit.c"), "-lsrtp2", "-lcrypto"]
    if subprocess.run(build, check=False).returncode == 0:
        for n in counts:
            out = subprocess.run([str(program), str(n)], stdout=subprocess.PIPE, text=True, check=True)
            paced = [line for line in out.stdout.splitlines() if line.startswith("PACED") and "OpenSSL" in line]
            found["floor"][n] = round(float(paced[0].split("SHA1_80")[1].split()[0]) * 50 / 1e6, 3)
        program.unlink()
    return found


def table(points: list[Point], peers: dict[str, dict[int, float]]) -> str:
    lines = [
        "| N | ms/listener-s | whole gateway | Mumble | ratio | floor | ratio | KiB | join ms | loss "
        "| first p50/p95 ms | last p50/p95 ms |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for point in points:
        cells = [str(point.n), f"{point.ms_per_listener_s:.3f}", f"{point.gross_ms_per_listener_s:.3f}"]
        for peer in ("mumble", "floor"):
            theirs = peers.get(peer, {}).get(point.n)
            cells += [f"{theirs:.3f}", f"{point.ms_per_listener_s / theirs:.2f}"] if theirs else ["–", "–"]
        cells += [f"{point.kib_per_listener:.0f}", f"{point.join_cpu_ms:.1f}", f"{100 * point.loss:.3f} %"]
        for latency in (point.first_ms, point.last_ms):
            cells.append(f"{latency['p50']}/{latency['p95']}" if latency else "–")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=[50, 200, 500, 1000, 3000])
    parser.add_argument("--talker", choices=("whip", "leg"), default="leg", help="leg: the demo's radios talk in turn")
    parser.add_argument("--pure", action="store_true", help="without the native fan-out")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--settle", type=float, default=11.0, help="until the last handshake's memory is let go")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2, help="that the listeners are spread over")
    parser.add_argument("--group", default="police-1")
    parser.add_argument("--peers", type=Path, help="folder with mumble_load.py and srtp_limit.c")
    parser.add_argument("--out", type=Path, default=Path("build/bench-listeners.json"))
    options = parser.parse_args()
    counts = sorted(options.counts)
    peers = run_peers(options.peers, counts) if options.peers else {}
    points = measure(counts, options)
    print(table(points, peers))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "talker": options.talker,
        "native": not options.pure,
        "cores": os.cpu_count(),
        "points": [asdict(point) for point in points],
        "peers": peers,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
