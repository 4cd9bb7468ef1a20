"""The band filter and the leveller: what passes, how loud, how late."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tongpin.codecs.errors import FrameShapeError
from tongpin.codecs.filters import DELAY_SAMPLES, BandFilter
from tongpin.codecs.leveller import CEILING_DBFS, TARGET_DBFS, AutomaticGain, Limiter
from tongpin.codecs.levels import FULL_SCALE

Floats = NDArray[np.float32]
CEILING = FULL_SCALE * 10 ** (CEILING_DBFS / 20)


def tone(hz: float, seconds: float = 1.0, amplitude: float = 8_000.0) -> NDArray[np.int16]:
    t = np.arange(round(48_000 * seconds)) / 48_000
    return np.asarray(amplitude * np.cos(2 * np.pi * hz * t), np.int16)


def passed_db(band: BandFilter, hz: float) -> float:
    pcm = tone(hz)
    out = np.concatenate([band.push(frame) for frame in pcm.reshape(-1, 960)])
    return float(10 * np.log10(np.mean(out[9600:] ** 2) / np.mean(pcm[9600:].astype(float) ** 2) + 1e-9))


@pytest.mark.parametrize(
    ("hz", "low", "high"),
    [
        (0, -90, -60),
        (100, -60, -25),
        (250, -12, -4),
        (300, -4, -2),
        (1_000, -0.2, 0.2),
        (3_400, -4, -2),
        (6_000, -60, -25),
    ],
)
def test_the_voice_band_passes_and_the_rest_does_not(hz: float, low: float, high: float) -> None:
    assert low <= passed_db(BandFilter(300, 3_400), hz) <= high


def test_a_lower_edge_keeps_the_sub_audible_tone_but_never_dc() -> None:
    assert passed_db(BandFilter(60, 3_400), 100) > -5
    assert passed_db(BandFilter(60, 3_400), 0) < -60


def test_de_emphasis_falls_six_db_an_octave_from_where_it_keeps_the_level() -> None:
    band = BandFilter(60, 3_400, is_de_emphasised=True)
    assert abs(passed_db(band, 1_000)) < 0.2
    assert -6.2 < passed_db(band, 2_000) < -5.2


def test_the_filter_holds_speech_back_for_six_ms() -> None:
    pcm = np.zeros(960, np.int16)
    pcm[100] = 30_000
    assert int(np.argmax(np.abs(BandFilter(300, 3_400).push(pcm)))) == 100 + DELAY_SAMPLES


def test_a_band_that_is_none_and_a_frame_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="3000 to 300"):
        BandFilter(3_000, 300)
    band = BandFilter(300, 3_400)
    with pytest.raises(FrameShapeError):
        band.push(np.zeros(10, np.int16))
    assert not band.push(np.zeros(960, np.int16)).any()


def noise(dbfs: float, seconds: float, seed: int = 1) -> Floats:
    rng = np.random.default_rng(seed)
    return rng.normal(0, FULL_SCALE * 10 ** (dbfs / 20), round(48_000 * seconds)).astype(np.float32)


def level_dbfs(pcm: Floats) -> float:
    return float(10 * np.log10(np.mean(pcm.astype(float) ** 2) / FULL_SCALE**2))


@pytest.mark.parametrize("dbfs", [-36, -24, -18, -8])
def test_speech_of_any_level_comes_to_the_target(dbfs: float) -> None:
    agc = AutomaticGain()
    out = np.concatenate([agc.push(frame, True) for frame in noise(dbfs, 12).reshape(-1, 960)])
    assert abs(level_dbfs(out[-48_000:]) - TARGET_DBFS) < 0.5


def test_the_gain_has_an_end_and_no_hurry() -> None:
    agc = AutomaticGain(most_db=6)
    gains = []
    for frame in noise(-50, 5).reshape(-1, 960):
        agc.push(frame, True)
        gains.append(agc.gain_db)
    assert gains[-1] == 6
    assert max(np.diff(gains)) <= 3 * 0.02 + 1e-9


def test_what_is_not_speech_and_pauses_within_speech_move_nothing() -> None:
    agc = AutomaticGain()
    quiet = noise(-60, 1).reshape(-1, 960)
    for frame in quiet:
        assert agc.push(frame, False) is frame
    for frame in noise(-24, 5).reshape(-1, 960):
        agc.push(frame, True)
    before = agc.gain_db
    for frame in quiet:
        agc.push(frame, True)
    assert agc.gain_db == pytest.approx(before, abs=0.5)
    assert agc.gain_db > 5


def test_nothing_leaves_above_the_ceiling_and_quiet_sound_is_untouched() -> None:
    rng = np.random.default_rng(3)
    limiter = Limiter()
    loud = noise(-6, 5) * np.repeat(rng.uniform(0, 3, 250), 960).astype(np.float32)
    out = np.concatenate([limiter.push(frame) for frame in loud.reshape(-1, 960)])
    assert np.abs(out).max() <= CEILING + 1
    quiet = Limiter()
    pcm = tone(1_000, 0.2).astype(np.float32)
    out = np.concatenate([quiet.push(frame) for frame in pcm.reshape(-1, 960)])
    assert np.array_equal(out[240:], pcm[:-240].astype(np.int16)), "5 ms later, bit for bit"


def test_the_limiter_is_down_before_the_peak_and_recovers() -> None:
    limiter = Limiter()
    pcm = np.full(19_200, 4_000, np.float32)
    pcm[4_800] = 32_767
    out = np.concatenate([limiter.push(frame) for frame in pcm.reshape(-1, 960)])[240:]
    assert abs(int(out[4_800]) - CEILING) < 2_000
    assert out[4_790] < 2_500
    assert out[4_000] == 4_000
    assert out[12_000] == 4_000
    assert np.abs(np.diff(out[:4_800].astype(int))).max() < 50, "it glides"
