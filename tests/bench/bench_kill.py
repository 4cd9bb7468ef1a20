"""How long a transmitter stays keyed when everything dies: ``python -m tests.bench.bench_kill [--times 5]``.

A stand-in for the gateway keys a leg with a real worker; then gateway, worker or both are killed, or the gateway is
stopped for 5 s. After both have died, what systemd does (ExecStopPost) is done: ``tongpin unkey --all``.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import monotonic, sleep

import yaml

import tests.radio.standin as standin
from tests.radio.legs import SimFolder
from tests.radio.lines import Bench, HidBench, Rfc2217Bench, RigctlBench, SimBench

LINES: dict[str, Callable[[Path], Bench]] = {
    "sim": SimBench,
    "serial (rfc2217)": lambda folder: Rfc2217Bench(),
    "cm108 (pty)": HidBench,
    "rigctld": lambda folder: RigctlBench(),
}
KILLS = ("gateway", "worker", "both, then unkey --all", "gateway stopped for 5 s")
_LIMIT_S = 30.0


def wait(is_so: Callable[[], bool]) -> float:
    """Seconds until it is so."""
    began = monotonic()
    while not is_so():
        if monotonic() - began > _LIMIT_S:
            raise SystemExit("the line is still keyed after 30 s")
        sleep(0.001)
    return monotonic() - began


def once(kill: str, bench: Bench, folder: Path) -> float:
    leg = SimFolder(folder).config(keyer=bench.config.model_dump(mode="json"))
    words = [sys.executable, str(Path(standin.__file__)), leg.model_dump_json()]
    gateway = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert gateway.stdout is not None
    worker = int(gateway.stdout.readline().split()[1])
    wait(lambda: bench.level() is True)
    try:
        if kill == "worker":
            # The stand-in still wants the key: what counts is that the line was let go before it is keyed again.
            os.kill(worker, signal.SIGKILL)
            return wait(lambda: bench.level() is False)
        if kill == "gateway":
            gateway.kill()
            return wait(lambda: bench.level() is False)
        if kill.startswith("both"):
            gateway.kill()
            os.kill(worker, signal.SIGKILL)
            file = folder / "tongpin.yaml"
            file.write_text(yaml.safe_dump({"legs": [leg.model_dump(mode="json")]}))
            began = monotonic()
            subprocess.run(
                [sys.executable, "-m", "tongpin.gateway", "unkey", "--all", "--config", str(file)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            wait(lambda: bench.level() is False)
            return monotonic() - began
        gateway.send_signal(signal.SIGSTOP)
        took = wait(lambda: bench.level() is False)
        until = monotonic() + 5.0 - took
        while monotonic() < until:
            assert bench.level() is False, "keyed by nobody"
            sleep(0.01)
        return took
    finally:
        gateway.kill()
        gateway.wait()
        gateway.stdout.close()


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    print("| killed | line | median ms | worst ms |")
    print("|---|---|---:|---:|")
    for kill in KILLS:
        for name, make in LINES.items():
            took = []
            for _ in range(times):
                with tempfile.TemporaryDirectory(prefix="tp-") as folder:
                    bench = make(Path(folder))
                    try:
                        took.append(once(kill, bench, Path(folder)))
                    finally:
                        bench.close()
            print(f"| {kill} | {name} | {median(took) * 1000:.0f} | {max(took) * 1000:.0f} |", flush=True)


if __name__ == "__main__":
    main()
