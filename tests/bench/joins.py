"""Joins: ``python -m tests.bench.joins [--burst N] [--cycles N]``.

``--burst``: N listeners join as fast as they can while a talker speaks; prints the CPU of a join, and what a listener
who was there before heard meanwhile: packets missed, quantiles of the latency, the latest packet. ``--cycles``: so many
listeners join and leave again, a hundred at a time; prints the gateway's memory, which must stand still.
"""

import argparse
import json
import multiprocessing
import time
from multiprocessing.connection import Connection

from tests.bench.light import Told, listeners, talker
from tests.bench.listeners import OPUS_BYTES, Gateway, ask, quantiles


def _first_only(index: int) -> bool:
    return index == 0


def _nobody(index: int) -> bool:
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--burst", type=int, default=3_000)
    parser.add_argument("--cycles", type=int, default=0)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--group", default="police-1")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    gateway = Gateway("quiet", True)

    def started(target: object, *words: object) -> Connection:
        ours, theirs = spawn.Pipe()
        assert callable(target)
        spawn.Process(
            target=target, args=(theirs, gateway.url, gateway.user, options.group, *words), daemon=True
        ).start()
        return ours

    try:
        speaking = started(talker, OPUS_BYTES)
        assert speaking.recv() == "talking"
        ear = started(listeners, _first_only)
        crowd = [started(listeners, _nobody) for _ in range(options.processes)]
        ask([ear], "join", 1)
        time.sleep(3)
        idle = gateway.tree.rate(4)
        if options.cycles:
            share = 100 // len(crowd)
            for turn in range(options.cycles // 100):
                ask(crowd, "join", share)
                ask(crowd, "leave", share)
                if turn % 10 == 9 or turn == 0:
                    done = (turn + 1) * share * len(crowd)
                    print(json.dumps({"joined_and_left": done, "rss_kib": gateway.tree.rss_kib()}), flush=True)
            return
        ask([ear], "start")
        cpu, start = gateway.tree.cpu_s(), time.monotonic()
        ask(crowd, "join", options.burst // len(crowd))
        took = time.monotonic() - start
        used = gateway.tree.cpu_s() - cpu - took * idle
        (told,) = ask([ear], "told")
        assert isinstance(told, Told)
        latencies = told.latencies[0]
        print(
            json.dumps(
                {
                    "joined": options.burst,
                    "seconds": round(took, 1),
                    "cpu_ms_per_join": round(1e3 * used / options.burst, 2),
                    "heard": told.came,
                    "missed": told.expected - told.came,
                    "latency_ms": quantiles(latencies),
                    "latest_ms": round(max(latencies), 1),
                }
            )
        )
    finally:
        gateway.close()


if __name__ == "__main__":
    main()
