"""Let the demo run and watch memory, queues and delay.

    python tests/bench/soak.py --minutes 60 --listeners 4

Starts ``tongpin demo --chatter busy`` in a process of its own, joins real WHEP listeners (DTLS-SRTP) on both groups of
a joint channel, and every ten seconds prints resident memory of the gateway and of its radio workers, packets heard,
how much later than the talk's first packet the packets come in (a queue that grows shows here), the legs' playout
depth and drops. Prints first-to-last figures at the end and writes them as JSON where ``--json`` says.
"""

import argparse
import asyncio
import json
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import httpx

from tests.scenarios.listeners import WhepListener

EVERY_S = 10.0


@dataclass
class Sample:
    """One line of the table."""

    at_s: float
    gateway_rss_kib: int
    workers_rss_kib: int
    packets: int
    lateness_p95_ms: float
    playout_depth: int
    drops: int
    cpu_s: float


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return found


def rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def cpu_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / 100


def lateness_ms(heard: list[tuple[float, int, bytes]]) -> list[float]:
    """Each packet's arrival minus what the first packet of its run promised, by the RTP timestamps."""
    out: list[float] = []
    anchor: tuple[float, int] | None = None
    last = 0.0
    for arrived, timestamp, _ in heard:
        if anchor is None or arrived - last > 0.3:
            anchor = (arrived, timestamp)
        last = arrived
        out.append((arrived - anchor[0] - ((timestamp - anchor[1]) % 2**32) / 48_000) * 1000)
    return out


async def items(client: httpx.AsyncClient, path: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await client.get(path)).json()
    return found


async def log_in(client: httpx.AsyncClient, user: dict[str, str]) -> None:
    token = (await client.post("/auth/token", data=user)).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"


async def soak(minutes: float, count: int, chatter: str) -> list[Sample]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "tongpin.gateway", "demo", "--json", "--port", "0", "--chatter", chatter),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    ready = json.loads(await process.stdout.readline())
    user = ready["users"]["admin"]
    async with httpx.AsyncClient(base_url=ready["url"].rstrip("/") + "/api/v1", timeout=10, verify=False) as client:
        await log_in(client, user)
        groups = [str(group["id"]) for group in await items(client, "/talk-groups")]
        body = {"name": "soak", "purpose": "soak", "talk_groups": groups[:2], "expires_at": "2099-01-01T00:00:00Z"}
        (await client.post("/joint-channels", json=body)).raise_for_status()
        ears = [WhepListener() for _ in range(count)]
        for index, ear in enumerate(ears):
            await ear.open(client, groups[index % 2])
        samples: list[Sample] = []
        started = monotonic()
        total = 0
        print("   at_s gateway_KiB workers_KiB  packets late_p95_ms depth drops  cpu_s", flush=True)
        while monotonic() - started < minutes * 60:
            await asyncio.sleep(EVERY_S)
            late = sorted(value for ear in ears for value in lateness_ms(ear.heard))
            total += len(late)
            for ear in ears:
                ear.clear()
            await log_in(client, user)  # an access token does not outlive a soak
            legs = await items(client, "/legs")
            workers = children(ready["pid"])
            sample = Sample(
                round(monotonic() - started, 1),
                rss_kib(ready["pid"]),
                sum(rss_kib(pid) for pid in workers),
                total,
                round(late[int(len(late) * 0.95)], 1) if late else 0.0,
                max(int(str(leg.get("playout_depth", 0))) for leg in legs),
                sum(int(str(leg.get("dropped", 0))) for leg in legs),
                round(cpu_s(ready["pid"]), 2),
            )
            samples.append(sample)
            print(
                f"{sample.at_s:7.0f} {sample.gateway_rss_kib:11d} {sample.workers_rss_kib:11d} {sample.packets:8d}"
                f" {sample.lateness_p95_ms:11.1f} {sample.playout_depth:5d} {sample.drops:5d} {sample.cpu_s:6.1f}",
                flush=True,
            )
        for ear in ears:
            await ear.close()
    process.send_signal(signal.SIGTERM)
    code = await process.wait()
    print(f"demo ended with {code}")
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--listeners", type=int, default=4)
    parser.add_argument("--chatter", choices=("quiet", "normal", "busy"), default="busy")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    samples = asyncio.run(soak(arguments.minutes, arguments.listeners, arguments.chatter))
    if len(samples) >= 2:
        # The first minute fills caches and pools; growth is counted from there.
        first, last = samples[min(6, len(samples) - 2)], samples[-1]
        hours = (last.at_s - first.at_s) / 3600
        growth = (last.gateway_rss_kib - first.gateway_rss_kib) / hours
        print(f"gateway memory: {first.gateway_rss_kib} → {last.gateway_rss_kib} KiB, {growth:+.0f} KiB/h")
        print(f"workers memory: {first.workers_rss_kib} → {last.workers_rss_kib} KiB")
        print(f"late p95: {first.lateness_p95_ms} → {last.lateness_p95_ms} ms; drops {first.drops} → {last.drops}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(sample) for sample in samples], indent=1))


if __name__ == "__main__":
    main()
