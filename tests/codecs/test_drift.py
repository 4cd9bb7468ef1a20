"""Two clocks: how far apart they are is found through jitter, and taken out of the sound without a seam."""

import numpy as np
import pytest

from tests.codecs.clocks import run, snr_db, tone
from tongpin.codecs.drift import FIRST_S, HALF_TAPS, MAX_PPM, ClockMeter, DriftResampler
from tongpin.codecs.errors import FrameShapeError
from tongpin.codecs.frame import FRAME_SAMPLES

RATE = 48_000


def watched(ppm: float, seconds: int, seed: int, stall_at: int = -1) -> float | None:
    """What a meter says of a clock seen through delays of 3 ms on average."""
    rng = np.random.default_rng(seed)
    meter, lost_s = ClockMeter(), 0.0
    for block in range(1, seconds * 50):
        if block == stall_at * 50:
            lost_s = 0.2
        meter.add(block * FRAME_SAMPLES, block * 0.02 / (1 + ppm * 1e-6) + lost_s + rng.exponential(0.003))
    return meter.measure()


@pytest.mark.parametrize("ppm", [-200.0, -35.0, 0.0, 90.0, 200.0])
def test_a_clock_is_measured_through_jitter(ppm: float) -> None:
    assert watched(ppm, 120, 1) == pytest.approx(ppm, abs=5)


def test_an_interruption_is_not_drift() -> None:
    assert watched(50.0, 120, 2, stall_at=60) == pytest.approx(50, abs=8)


def test_nothing_is_said_too_soon_nor_of_an_absurd_clock() -> None:
    assert watched(100.0, FIRST_S, 3) is None
    assert watched(2 * MAX_PPM, 60, 3) is None


def push_through(resampler: DriftResampler, frames: int, first: int = 0) -> list[np.ndarray]:
    out = []
    for number in range(first, first + frames):
        resampler.feed(tone(number * FRAME_SAMPLES))
        while resampler.has_frame:
            frame = resampler.take()
            assert frame is not None
            out.append(frame)
    return out


def test_without_a_correction_the_samples_come_out_as_they_went_in() -> None:
    resampler = DriftResampler()
    out = np.concatenate(push_through(resampler, 50))
    source = np.concatenate([tone(number * FRAME_SAMPLES) for number in range(50)])
    assert out.size == source.size
    assert np.array_equal(out[HALF_TAPS:], source[:-HALF_TAPS])


@pytest.mark.parametrize("ppm", [-200.0, 200.0, MAX_PPM])
def test_a_corrected_tone_stays_clean_and_has_the_right_length(ppm: float) -> None:
    resampler = DriftResampler()
    resampler.steer(ppm)
    push_through(resampler, 2_500)
    assert resampler.ppm == ppm
    out = push_through(resampler, 5_000, 2_500)
    made = len(out) * FRAME_SAMPLES
    assert abs(made - 5_000 * FRAME_SAMPLES / (1 + ppm * 1e-6)) <= FRAME_SAMPLES
    assert snr_db(np.concatenate(out[-100:])) > 75
    assert 0 <= resampler.held_samples < 2 * FRAME_SAMPLES


def test_the_correction_glides() -> None:
    resampler = DriftResampler()
    resampler.steer(100.0)
    push_through(resampler, 20)
    assert resampler.ppm == pytest.approx(10, abs=1)


def test_silence_is_counted_but_not_computed() -> None:
    resampler = DriftResampler()
    resampler.steer(150.0)
    for _ in range(400):
        resampler.feed(None)
        while resampler.has_frame:
            assert resampler.take() is None
    resampler.feed(tone(0))
    assert resampler.take() is not None
    resampler.feed(None)
    resampler.feed(None)
    last = [resampler.take() for _ in range(2)]
    assert last[0] is not None
    assert last[1] is None


@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_after_aligning_no_frame_slips_for_long(ppm: float) -> None:
    """One frame in for each frame out, for the 100 s that 200 ppm need to add up to a whole frame."""
    resampler = DriftResampler()
    resampler.steer(ppm)
    push_through(resampler, 600)
    resampler.align()
    fed = taken = 0
    for _ in range(4_500):
        while not resampler.has_frame:
            resampler.feed(None)
            fed += 1
        resampler.take()
        taken += 1
    assert fed == taken


def test_bad_input_changes_nothing() -> None:
    resampler = DriftResampler()
    with pytest.raises(ValueError, match="ppm off"):
        resampler.steer(MAX_PPM + 1)
    with pytest.raises(ValueError, match="ppm off"):
        resampler.steer(float("nan"))
    with pytest.raises(FrameShapeError):
        resampler.feed(np.zeros(480, np.int16))
    assert not resampler.has_frame
    assert resampler.ppm == 0


@pytest.mark.parametrize(("capture", "playout"), [(200.0, -200.0), (-200.0, 200.0)])
def test_two_drifting_cards_talk_without_a_glitch(capture: float, playout: float) -> None:
    """Eight minutes; the whole day is ``python -m tests.bench.bench_drift``."""
    tally = run(480, capture, playout, talk_s=60, listen_every_s=60)
    assert tally.talks == 8
    assert tally.glitches == 0, tally
    assert tally.frames > 7 * 60 * 50
    assert tally.deepest <= 6
    assert tally.worst_snr_db > 60
    assert tally.capture_ppm == pytest.approx(capture, abs=2)
    assert tally.playout_ppm == pytest.approx(playout, abs=2)
