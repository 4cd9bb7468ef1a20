"""A sound card pulled out and put back fifty times: ``python -m tests.bench.bench_hotplug [--times 50]``."""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from statistics import median

from tests.radio.hotplug import cycles
from tests.radio.pulse import PulseBench


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory(prefix="tp-") as folder, PulseBench(Path(folder) / "pa") as pulse:
        os.environ.update(pulse.env)
        found = asyncio.run(cycles(pulse, Path(folder), times))
    print("| | median s | worst s |")
    print("|---|---:|---:|")
    for title, values in (
        ("unplugged → missing", [cycle.missing_s for cycle in found]),
        ("put back → online", [cycle.back_s for cycle in found]),
    ):
        print(f"| {title} | {median(values):.2f} | {max(values):.2f} |")
    print(f"{len(found)} times, same worker, same name; the other leg stayed on line throughout")


if __name__ == "__main__":
    main()
