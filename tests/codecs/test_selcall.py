"""Five tones: both kinds, repeats, what is no call, noise."""

import numpy as np
import pytest

from tests.codecs.sounds import noisy, silence, voice_events, within_silence
from tongpin.codecs.errors import SignallingError
from tongpin.codecs.frame import SAMPLE_RATE_HZ
from tongpin.codecs.selcall import TONE_MS, SelcallDecoder, SelcallKind, encode_selcall

KINDS = list(SelcallKind)


def codes_in(kind: SelcallKind, sound: np.ndarray, digits: int = 5) -> list[str]:
    return [event.code for event in voice_events(SelcallDecoder(kind, digits).push, sound)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", ["12345", "67890", "11111", "11223", "ABCDF", "90909"])
def test_codes_and_repeated_digits(kind: SelcallKind, code: str) -> None:
    assert codes_in(kind, within_silence(encode_selcall(kind, code))) == [code]


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_first_tone_wakes_and_is_one_digit(kind: SelcallKind) -> None:
    assert codes_in(kind, within_silence(encode_selcall(kind, "45678", first_tone_ms=700))) == ["45678"]
    assert codes_in(kind, within_silence(encode_selcall(kind, "45678", first_tone_ms=1800))) == []


def test_other_lengths() -> None:
    assert codes_in(SelcallKind.CCIR, within_silence(encode_selcall(SelcallKind.CCIR, "12345678")), 8) == ["12345678"]
    assert codes_in(SelcallKind.CCIR, within_silence(encode_selcall(SelcallKind.CCIR, "1234567")), 5) == []
    assert codes_in(SelcallKind.CCIR, within_silence(encode_selcall(SelcallKind.CCIR, "123")), 5) == []
    with pytest.raises(SignallingError):
        SelcallDecoder(SelcallKind.CCIR, 9)


def test_two_calls_and_where_they_begin() -> None:
    call = encode_selcall(SelcallKind.ZVEI1, "31415")
    sound = np.concatenate([silence(500), call, silence(300), call, silence(200)])
    first, second = voice_events(SelcallDecoder(SelcallKind.ZVEI1).push, sound)
    assert first.code == second.code == "31415"
    assert abs(first.at_samples - 500 * 48) <= 960
    assert abs(second.at_samples - (800 * 48 + call.size)) <= 960


def test_it_says_that_a_row_is_under_way() -> None:
    decoder = SelcallDecoder(SelcallKind.ZVEI1)
    call = encode_selcall(SelcallKind.ZVEI1, "31415")
    assert voice_events(decoder.push, call[: 48 * 60]) == []
    assert decoder.since_samples is None, "one tone is a whistle"
    decoder = SelcallDecoder(SelcallKind.ZVEI1)
    voice_events(decoder.push, call[: 48 * 200])
    assert decoder.since_samples == 0
    assert voice_events(decoder.push, silence(200)) == []
    assert decoder.since_samples is None


def test_the_wrong_pace_or_kind_is_no_call() -> None:
    zvei, ccir = SelcallKind.ZVEI1, SelcallKind.CCIR
    slow = np.repeat(encode_selcall(zvei, "12345"), 1)
    stretched = np.concatenate([silence(100), *(np.tile(part, 2) for part in np.split(slow, 5)), silence(200)])
    assert codes_in(zvei, stretched) == []
    assert codes_in(ccir, within_silence(encode_selcall(zvei, "12345"))) == []


def test_a_crackle_within_a_tone_is_bridged() -> None:
    call = within_silence(encode_selcall(SelcallKind.CCIR, "12345"))
    call[4800 + 4800 + 2000 : 4800 + 4800 + 2600] = 0
    assert codes_in(SelcallKind.CCIR, call) == ["12345"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("snr_db", "expected"), [(6, 50), (3, 50), (0, 50)])
def test_calls_in_noise(kind: SelcallKind, snr_db: float, expected: int) -> None:
    random = np.random.default_rng(5)
    sound = within_silence(encode_selcall(kind, "12345", -20.0))
    right = [codes_in(kind, noisy(sound, random, -20.0, snr_db, 4000)) == ["12345"] for _ in range(50)]
    assert sum(right) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_noise_calls_nobody(kind: SelcallKind) -> None:
    assert codes_in(kind, np.random.default_rng(3).normal(0, 3000, 60 * SAMPLE_RATE_HZ)) == []


@pytest.mark.parametrize("code", ["", "12", "123456789", "1234E", "1234G"])
def test_what_cannot_be_sent(code: str) -> None:
    with pytest.raises(SignallingError):
        encode_selcall(SelcallKind.CCIR, code)


def test_the_length_of_a_call() -> None:
    for kind in KINDS:
        assert encode_selcall(kind, "12345").size == 5 * TONE_MS[kind] * 48
