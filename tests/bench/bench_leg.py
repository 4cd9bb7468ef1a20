"""What one leg's samples cost, and where their time goes: ``python -m tests.bench.bench_leg``."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

from tongpin.codecs.drift import DriftResampler
from tongpin.codecs.frame import FRAME_SAMPLES
from tongpin.codecs.jitter import START_TARGET
from tongpin.codecs.opus import OpusDecoder, OpusEncoder
from tongpin.codecs.shaper import SpeechShaper
from tongpin.config.models import LegConfig, SimCard
from tongpin.gateway.radio.pace import FRAMES_AHEAD
from tongpin.gateway.radio.receive import Receiver
from tongpin.gateway.radio.sim import make_voice

FRAMES = 1_500


def cost_us(work: Callable[[np.ndarray], object], frames: np.ndarray) -> tuple[float, float]:
    """Median and 95th percentile of one frame."""
    took = []
    for frame in frames:
        began = perf_counter()
        work(frame)
        took.append(1e6 * (perf_counter() - began))
    return median(took), float(np.percentile(took, 95))


def main() -> None:
    voice = make_voice(FRAMES * 0.02, 1)[: FRAMES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    into, out = DriftResampler(), DriftResampler()
    into.steer(100)
    out.steer(-100)

    def resample(resampler: DriftResampler) -> Callable[[np.ndarray], object]:
        def work(frame: np.ndarray) -> None:
            resampler.feed(frame)
            while resampler.has_frame:
                resampler.take()

        return work

    leg = LegConfig(name="a", card=SimCard(kind="sim"))
    receiver, cos_receiver = Receiver(leg), Receiver(leg.model_copy(update={"has_cos": True}))
    decoder, encoder = OpusDecoder(), OpusEncoder()
    packets = [encoder.encode(frame) for frame in voice]
    shaper = SpeechShaper(6.0, True, -3.0)
    numbers = iter(range(FRAMES))
    rows = (
        ("capture: clock correction", resample(into)),
        ("receive without COS: gate, Opus encode", lambda frame: receiver.push(frame, None, False, 0.0)),
        ("receive with COS: gate, Opus encode", lambda frame: cos_receiver.push(frame, True, False, 0.0)),
        ("transmit: Opus decode", lambda frame: decoder.decode(packets[next(numbers)])),
        ("transmit: gain, pre-emphasis, limiter", shaper.push),
        ("playout: clock correction", resample(out)),
    )
    print("| per 20 ms frame | median µs | p95 µs |")
    print("|---|---:|---:|")
    total = 0.0
    for title, work in rows:
        middle, late = cost_us(work, voice)
        total += 0.0 if "with COS" in title else middle
        print(f"| {title} | {middle:.0f} | {late:.0f} |")
    print(f"| a leg without COS, both ways at once | {total:.0f} | |")
    print()
    print("| stage | delay ms |")
    print("|---|---|")
    for title, delay in (
        ("capture block", "20"),
        ("clock correction", "0.3, and up to 20 as two clocks slide past each other"),
        ("receive gate", "0 with COS; look-ahead of the gate without"),
        ("jitter buffer towards a radio", f"{START_TARGET * 20 - 20} to {START_TARGET * 20}"),
        ("pre-emphasis, when it is on", "2"),
        ("playout ring", f"{FRAMES_AHEAD * 20}"),
        ("sound card", "card.latency_ms each way"),
    ):
        print(f"| {title} | {delay} |")


if __name__ == "__main__":
    main()
