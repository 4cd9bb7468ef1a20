"""A day of two radios whose sound cards are 400 ppm apart, in virtual time: ``python -m tests.bench.bench_drift``."""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from tests.codecs.clocks import Tally, run

PAIRS = ((200.0, -200.0), (-200.0, 200.0))


def _one(arguments: tuple[float, float, float]) -> Tally:
    seconds, capture, playout = arguments
    return run(seconds, capture, playout, talk_s=60.0, listen_every_s=600.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    seconds = parser.parse_args().hours * 3600
    started = perf_counter()
    with ProcessPoolExecutor(2) as pool:
        tallies = list(pool.map(_one, [(seconds, *pair) for pair in PAIRS]))
    print("| capture → playout, ppm | measured | talks | frames | concealed | dropped | left out | deepest | SNR |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for (capture, playout), t in zip(PAIRS, tallies, strict=True):
        print(
            f"| {capture:+.0f} → {playout:+.0f} | {t.capture_ppm:+.2f} → {t.playout_ppm:+.2f} | {t.talks} | {t.frames} "
            f"| {t.concealed} | {t.dropped} | {t.left_out} | {t.deepest} packets | {t.worst_snr_db:.0f} dB |"
        )
    print(f"{seconds / 3600:g} hours took {perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
