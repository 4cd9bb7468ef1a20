"""What leaves for the transmitter: its level, its slope over frequency, and that it never exceeds its ceiling."""

import numpy as np
import pytest

from tongpin.codecs.errors import FrameShapeError
from tongpin.codecs.frame import FRAME_SAMPLES, PcmFrame
from tongpin.codecs.levels import FULL_SCALE, rms_dbfs
from tongpin.codecs.shaper import KNEE, SpeechShaper


def sine(hertz: float, dbfs: float, frames: int = 20) -> list[PcmFrame]:
    n = np.arange(frames * FRAME_SAMPLES)
    pcm = FULL_SCALE * np.sqrt(2) * 10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz / 48_000 * n)
    return list(np.asarray(pcm, np.int16).reshape(-1, FRAME_SAMPLES))


def level(shaper: SpeechShaper, hertz: float, dbfs: float) -> float:
    return rms_dbfs(np.concatenate([shaper.push(frame) for frame in sine(hertz, dbfs)][5:]))


def test_nothing_to_do_gives_the_frame_itself() -> None:
    (frame,) = sine(1000, -18, 1)
    assert SpeechShaper(0.0, False, -3.0).push(frame) is frame
    assert SpeechShaper(0.0, False, None).push(frame) is frame


@pytest.mark.parametrize("gain_db", [-12.0, 6.0])
def test_gain(gain_db: float) -> None:
    assert level(SpeechShaper(gain_db, False, None), 1000, -24) == pytest.approx(-24 + gain_db, abs=0.05)


@pytest.mark.parametrize(("hertz", "db"), [(500, -6.0), (1000, 0.0), (2000, 6.0), (3000, 9.5)])
def test_pre_emphasis_rises_6_db_an_octave(hertz: float, db: float) -> None:
    assert level(SpeechShaper(0.0, True, None), hertz, -30) == pytest.approx(-30 + db, abs=0.7)


def test_pre_emphasis_does_not_raise_what_lies_above_the_voice() -> None:
    assert level(SpeechShaper(0.0, True, None), 8000, -30) < -40


def test_frames_join_without_a_seam() -> None:
    shaper = SpeechShaper(0.0, True, None)
    out = np.concatenate([shaper.push(frame) for frame in sine(1000, -20)]).astype(np.int32)[FRAME_SAMPLES:]
    assert np.abs(np.diff(out)).max() < 1.05 * 2 * np.pi * 1000 / 48_000 * FULL_SCALE * np.sqrt(2) * 0.1


@pytest.mark.parametrize("limit_dbfs", [-3.0, -6.0])
@pytest.mark.parametrize("gain_db", [0.0, 20.0])
def test_no_sample_exceeds_the_ceiling_and_quiet_ones_are_left_alone(limit_dbfs: float, gain_db: float) -> None:
    ceiling = FULL_SCALE * 10 ** (limit_dbfs / 20)
    shaper = SpeechShaper(gain_db, False, limit_dbfs)
    loud = sine(1000, -3.1)
    out = np.concatenate([shaper.push(frame) for frame in loud])
    assert np.abs(out.astype(np.int32)).max() <= np.ceil(ceiling)
    assert shaper.limited_frames == len(loud)
    source = np.concatenate(loud) * 10 ** (gain_db / 20)
    quiet = np.abs(source) < ceiling * KNEE
    assert np.abs(out[quiet] - source[quiet]).max() <= 1
    assert np.all(np.diff(out[np.argsort(source)].astype(np.int32)) >= 0), "louder in is never quieter out"


def test_without_a_limit_full_scale_is_cut_and_does_not_wrap() -> None:
    out = np.concatenate([SpeechShaper(40.0, False, None).push(frame) for frame in sine(1000, -10, 2)])
    assert (out.max(), out.min()) == (32_767, -32_768)


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(FrameShapeError):
        SpeechShaper(0.0, True, -3.0).push(np.zeros(480, np.int16))
