"""The keypad: every key, its limits, and how it stands up to noise."""

import numpy as np
import pytest

from tests.codecs.sounds import dbfs, noisy, silence, voice_events, within_silence
from tongpin.codecs.dtmf import DtmfDecoder, DtmfKey, encode_dtmf
from tongpin.codecs.errors import SignallingError
from tongpin.codecs.frame import SAMPLE_RATE_HZ
from tongpin.codecs.levels import rms_dbfs

ALL_KEYS = "123A456B789C*0#D"


def keys_in(sound: np.ndarray) -> str:
    return "".join(event.key for event in voice_events(DtmfDecoder().push, sound))


def two_tones(row_hz: float, column_hz: float, row: float = 1.0, column: float = 1.0, ms: int = 100) -> np.ndarray:
    time_s = np.arange(ms * SAMPLE_RATE_HZ // 1000) / SAMPLE_RATE_HZ
    amplitude = dbfs(-21)
    tones = row * np.sin(2 * np.pi * row_hz * time_s) + column * np.sin(2 * np.pi * column_hz * time_s)
    return within_silence(amplitude * tones)


@pytest.mark.parametrize(("tone_ms", "gap_ms"), [(40, 40), (80, 60), (300, 50)])
def test_every_key_comes_once_and_a_pause_makes_two(tone_ms: int, gap_ms: int) -> None:
    dialled = ALL_KEYS + "1122"
    assert keys_in(within_silence(encode_dtmf(dialled, -20.0, tone_ms, gap_ms))) == dialled


@pytest.mark.parametrize("level_dbfs", [-45.0, -30.0, -6.0])
def test_any_level_will_do(level_dbfs: float) -> None:
    sound = encode_dtmf("0", level_dbfs, 2000)
    assert rms_dbfs(sound[:SAMPLE_RATE_HZ]) == pytest.approx(level_dbfs, abs=0.2)
    assert keys_in(within_silence(sound)) == "0"


def test_it_says_where_the_sound_begins_and_while_it_lasts() -> None:
    decoder = DtmfDecoder()
    (event,) = voice_events(decoder.push, np.concatenate([silence(500), encode_dtmf("5", tone_ms=60)[: 48 * 60]]))
    assert event.key == "5"
    assert abs(event.at_samples - 500 * 48) <= 480
    assert decoder.key == "5"
    assert decoder.since_samples == event.at_samples
    assert voice_events(decoder.push, silence(60)) == []
    assert decoder.key is None
    assert decoder.since_samples is None


def test_the_first_sample_may_be_in_the_tone() -> None:
    assert voice_events(DtmfDecoder().push, encode_dtmf("8"))[0] == DtmfKey("8", 0)


@pytest.mark.parametrize(
    "sound",
    [
        two_tones(697, 1209, row=10 ** (10 / 20)),
        two_tones(697, 1209, column=10 ** (8 / 20)),
        two_tones(697, 1209, column=0.0),
        two_tones(733, 1272),
        two_tones(697, 1209, ms=20),
        two_tones(697, 1209) + two_tones(941, 0.0, row=0.7),
        two_tones(697, 1209) + two_tones(0.0, 1477, column=0.7),
        two_tones(697, 1209) + two_tones(0.0, 2418, column=0.7),
        two_tones(852, 1336) + two_tones(1704, 0.0, row=0.7),
    ],
    ids=["row too loud", "column too loud", "one tone", "off frequency", "too short", "two rows", "two columns",
         "column's overtone", "row's overtone"],
)  # fmt: skip
def test_what_is_no_key(sound: np.ndarray) -> None:
    assert keys_in(sound) == ""


@pytest.mark.parametrize("factor", [0.992, 1.008])
def test_tones_may_be_off_by_eight_in_a_thousand(factor: float) -> None:
    assert keys_in(two_tones(941 * factor, 1633 * factor)) == "D"


def test_de_emphasis_may_make_columns_weak() -> None:
    assert keys_in(two_tones(697, 1633, row=10 ** (8 / 20))) == "A"


def test_another_key_without_a_pause_counts_too() -> None:
    assert keys_in(np.concatenate([two_tones(697, 1209)[:9600], two_tones(770, 1336)[4800:]])) == "15"


@pytest.mark.parametrize(("snr_db", "expected"), [(10, 160), (6, 160), (3, 158)])
def test_keys_in_noise(snr_db: float, expected: int) -> None:
    """Ten times the sixteen keys, in noise of 4 kHz; no key more or wrong."""
    random = np.random.default_rng(11)
    right = 0
    for _ in range(10):
        sound = within_silence(encode_dtmf(ALL_KEYS, -20.0))
        got = keys_in(noisy(sound, random, -20.0, snr_db, 4000))
        right += sum(key in got for key in ALL_KEYS)
        assert len(got) <= len(ALL_KEYS)
    assert right == expected


def test_noise_dials_nothing() -> None:
    assert keys_in(np.random.default_rng(3).normal(0, 3000, 60 * SAMPLE_RATE_HZ)) == ""


@pytest.mark.parametrize(("keys", "tone_ms", "gap_ms"), [("", 80, 60), ("1x", 80, 60), ("1", 39, 60), ("1", 80, 39)])
def test_what_cannot_be_sent(keys: str, tone_ms: int, gap_ms: int) -> None:
    with pytest.raises(SignallingError):
        encode_dtmf(keys, -20.0, tone_ms, gap_ms)
