"""Hostile bytes at the UDP port: ``python -m tests.fuzz.datagrams [SECONDS] [SEED]``.

Mutates good STUN, DTLS, RTP, RTCP and SDP, and feeds them to the mux with a peer behind it, to the RTP and RTCP readers
and to the reader of offers. Nothing may raise but what is documented, no table may grow, the peer must answer at the
end. Prints what it did; ends with an error at the first fault, with the bytes in hex.
"""

import random
import sys
from contextlib import suppress
from time import monotonic

from tests.webrtc.test_sdp import AUDIO, HEAD, VIDEO
from tests.webrtc.test_udp_mux import THEIRS, Bench
from tongpin.gateway.errors import CallerError
from tongpin.gateway.webrtc import rtp, stun
from tongpin.gateway.webrtc.sdp import read_offer


def _seeds(bench: Bench) -> list[bytes]:
    transport = bench.transport
    name = f"{transport.fragment}:their".encode()
    ours, theirs = stun.Integrity(transport.password), stun.Integrity(THEIRS)
    hello = bytes.fromhex("16fefd000000000000000000300100002400000000000000240303") + bytes(40)
    return [
        stun.request(bytes(12), name, 1, 2, ours, is_controlling=True),
        stun.request(bytes(12), name, 1, 2, ours, is_controlling=False),
        stun.response(bytes(12), stun.mapped_address("127.0.0.1", 9, bytes(12)), theirs),
        stun.role_conflict(bytes(12), theirs),
        hello,
        b"\x15\xfe\xfd\x00\x01" + bytes(20),
        b"\x90\x6f\x00\x01" + bytes(8) + b"\xbe\xde\x00\x01\x10\x94\x00\x00" + bytes(80),
        rtp.sender_report(5, 1.5, 9, 3, 4),
        b"\x81\xc9\x00\x07" + bytes(28),
    ]


def mutate(chance: random.Random, data: bytes) -> bytes:
    """A few random changes: bits, bytes, cuts, repeats, lengths."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        kind = chance.randrange(5)
        at = chance.randrange(len(out)) if out else 0
        if kind == 0 and out:
            out[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and out:
            out[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif kind == 2:
            del out[at : at + chance.randint(1, 8)]
        elif kind == 3:
            out[at:at] = out[at : at + chance.randint(1, 16)]
        elif len(out) >= 4:
            out[2:4] = chance.randrange(65_536).to_bytes(2, "big")
    return bytes(out)


def run(seconds: float, seed: int) -> int:
    """How many inputs were fed."""
    chance = random.Random(seed)
    bench = Bench()
    seeds = _seeds(bench)
    offer = (HEAD + VIDEO + AUDIO).encode()
    end, fed = monotonic() + seconds, 0
    while monotonic() < end:
        data = mutate(chance, chance.choice(seeds))
        text = mutate(chance, offer)
        address = ("127.0.0.1", chance.randint(40_000, 40_040))
        try:
            bench.mux.take(data, bench.local, address, float(fed))
            rtp.read_rtp(data, 1)
            list(rtp.read_rtcp(data))
            with suppress(CallerError):
                read_offer(text.decode("utf-8", "replace"))
        except Exception:
            print(f"seed {seed}, input {fed}: {data.hex()} / {text.hex()}", file=sys.stderr)
            raise
        fed += 1
    fragments, transactions, routes = bench.mux.table_sizes
    assert fragments == 1 and transactions <= 40 and routes <= 8, bench.mux.table_sizes
    peer = bench.client()
    peer.send(bench.request(bench.transport))
    bench.drain(1)
    assert peer.recv(2048)[:2] == b"\x01\x01", "the peer still answers"
    bench.close()
    return fed


if __name__ == "__main__":
    words = sys.argv[1:]
    seed = int(words[1]) if len(words) > 1 else random.randrange(2**32)
    print(f"{run(float(words[0]) if words else 60.0, seed)} inputs, seed {seed}, no fault")
