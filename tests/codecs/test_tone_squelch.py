"""CTCSS and DCS: found in time, told from neighbours and aliases, closed when told or lost, in noise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codecs.sounds import frames, low_events, noisy, silence
from tongpin.codecs.ctcss import TONES_HZ, CtcssDecoder, CtcssEncoder, SquelchCause, ToneMoved
from tongpin.codecs.dcs import BIT_RATE, CodeMoved, DcsDecoder, DcsEncoder, aliases, word_of
from tongpin.codecs.errors import SignallingError
from tongpin.codecs.front import FrontEnd

LEVEL = -30.0
OTHERS = {tone: tuple(other for other in TONES_HZ if other != tone) for tone in TONES_HZ}


def carried(encoder: CtcssEncoder | DcsEncoder, on: int, turn_off: int = 0) -> NDArray[np.float64]:
    """Half a second of nothing, ``on`` frames with the tone, ``turn_off`` frames that end it, and as much again."""
    parts: list[NDArray[np.floating]] = [silence(500), *(encoder.next_frame() for _ in range(on))]
    encoder.turn_off()
    parts += [encoder.next_frame() for _ in range(turn_off)]
    return np.concatenate([*parts, silence(500)])


def after_ms(event: ToneMoved | CodeMoved, start_ms: int) -> float:
    return event.at_samples / 48 - start_ms


def test_there_are_fifty_tones() -> None:
    assert len(TONES_HZ) == len(set(TONES_HZ)) == 50
    assert (TONES_HZ[0], TONES_HZ[-1]) == (67.0, 254.1)
    assert sorted(TONES_HZ) == list(TONES_HZ)


@pytest.mark.parametrize("tone", TONES_HZ)
def test_each_tone_opens_and_is_turned_off(tone: float) -> None:
    opened, closed = low_events(CtcssDecoder((tone,)).push, carried(CtcssEncoder(tone, LEVEL), 50, 9))
    assert (opened.is_open, opened.tone_hz, opened.cause) == (True, tone, SquelchCause.FOUND)
    assert 0 < after_ms(opened, 500) <= 200
    assert (closed.is_open, closed.cause) == (False, SquelchCause.TURN_OFF)
    assert 0 < after_ms(closed, 1500) <= 80


@pytest.mark.parametrize("tone", TONES_HZ)
def test_no_tone_opens_for_another(tone: float) -> None:
    assert low_events(CtcssDecoder(OTHERS[tone]).push, carried(CtcssEncoder(tone, LEVEL), 50)) == []


def test_a_tone_that_is_gone_closes() -> None:
    encoder = CtcssEncoder(88.5, LEVEL)
    sound = np.concatenate([*(encoder.next_frame() for _ in range(50)), silence(500)])
    opened, closed = low_events(CtcssDecoder((88.5,)).push, sound)
    assert (closed.is_open, closed.cause) == (False, SquelchCause.LOST)
    assert after_ms(closed, 1000) <= 120
    assert opened.tone_hz == closed.tone_hz == 88.5
    random = np.random.default_rng(1)
    sound[-24_000:] += random.normal(0, 4000, 24_000)
    assert [event.cause for event in low_events(CtcssDecoder((88.5,)).push, sound)][1:] == [SquelchCause.LOST]


def test_a_tone_may_be_off_by_half_a_percent() -> None:
    for factor in (0.995, 1.005):
        time_s = np.arange(48_000) / 48_000
        sound = 1000 * np.sin(2 * np.pi * 254.1 * factor * time_s)
        assert low_events(CtcssDecoder((254.1,)).push, sound)[0].is_open


def test_silence_closes_without_a_word_more() -> None:
    decoder = CtcssDecoder((100.0,))
    assert low_events(decoder.push, silence(400)) == []
    assert decoder.tone_hz is None


def right_openings(snr_db: float) -> tuple[int, int, int]:
    """Of the fifty tones: opened as the right one, within 200 ms of the tone's start, and as a wrong one."""
    random = np.random.default_rng(17)
    right = in_time = wrong = 0
    for tone in TONES_HZ:
        sound = noisy(carried(CtcssEncoder(tone, LEVEL), 50), random, LEVEL, snr_db, 200)
        opened = [event for event in low_events(CtcssDecoder(TONES_HZ).push, sound) if event.is_open][:1]
        right += [event.tone_hz for event in opened] == [tone]
        wrong += any(event.tone_hz != tone for event in opened)
        in_time += any(after_ms(event, 500) <= 200 for event in opened)
    return right, in_time, wrong


@pytest.mark.parametrize(("snr_db", "expected"), [(10, (50, 50, 0)), (5, (49, 50, 1)), (0, (49, 47, 1))])
def test_tones_in_noise(snr_db: float, expected: tuple[int, int, int]) -> None:
    """Noise is taken in the 200 Hz of the band, and all fifty tones are waited for."""
    assert right_openings(snr_db) == expected


def test_noise_opens_neither() -> None:
    sound = np.random.default_rng(3).normal(0, 3000, 60 * 48_000)
    assert low_events(CtcssDecoder(TONES_HZ).push, sound) == []
    assert low_events(DcsDecoder(("023", "754I")).push, sound) == []


def test_the_encoders_keep_their_level_and_stay_below_the_voice() -> None:
    for encoder in (CtcssEncoder(254.1, LEVEL), DcsEncoder("754", LEVEL)):
        sound = np.concatenate([encoder.next_frame() for _ in range(100)])
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size))) ** 2
        hertz = np.fft.rfftfreq(sound.size, 1 / 48_000)
        assert 10 * np.log10(spectrum[hertz > 300].sum() / spectrum.sum()) < -25
        level = 20 * np.log10(np.sqrt(np.mean(sound.astype(float) ** 2)) / 32768)
        assert level == pytest.approx(LEVEL, abs=1.5)


def test_golay_words() -> None:
    """023 is 763813 in the published parity equations; any two words differ in seven bits at least."""
    assert word_of("023") == word_of("D023N") == 0x763813
    assert word_of("023I") == 0x763813 ^ 0x7FFFFF
    words = [word_of(f"{code:03o}") for code in range(512)]
    assert min((words[0] ^ word).bit_count() for word in words[1:]) >= 7


def test_aliases() -> None:
    assert {"023", "340", "766"} == {code for code in aliases("023") if not code.endswith("I")}
    assert "047I" in aliases("023")
    assert "023I" in aliases("047")


@pytest.mark.parametrize("code", ["23", "", "888", "0234", "023X", "023n"])
def test_what_is_no_code(code: str) -> None:
    with pytest.raises(SignallingError):
        word_of(code)
    with pytest.raises(SignallingError):
        DcsDecoder((code,))


@pytest.mark.parametrize("code", ["023", "047", "114", "754", "431I"])
@pytest.mark.parametrize("sign", [1, -1])
def test_each_code_opens_and_is_turned_off(code: str, sign: int) -> None:
    sound = sign * carried(DcsEncoder(code, LEVEL), 50, 9)
    heard_as = code if sign == 1 else (code[:-1] if code.endswith("I") else code + "I")
    opened, closed = low_events(DcsDecoder(("155", heard_as)).push, sound)
    assert (opened.is_open, opened.code, opened.cause) == (True, heard_as, SquelchCause.FOUND)
    assert 0 < after_ms(opened, 500) <= 280
    assert (closed.is_open, closed.cause) == (False, SquelchCause.TURN_OFF)
    assert 0 < after_ms(closed, 1500) <= 120


def test_an_alias_opens_and_another_code_does_not() -> None:
    sound = carried(DcsEncoder("023", LEVEL), 50)
    assert [event.code for event in low_events(DcsDecoder(("766",)).push, sound)] == ["766", "766"]
    assert low_events(DcsDecoder(("025", "026", "114", "023I")).push, sound) == []
    assert low_events(DcsDecoder(()).push, sound) == []


def test_a_code_that_is_gone_closes() -> None:
    encoder = DcsEncoder("114", LEVEL)
    sound = np.concatenate([*(encoder.next_frame() for _ in range(50)), silence(600)])
    opened, closed = low_events(DcsDecoder(("114",)).push, sound)
    assert (closed.is_open, closed.cause, closed.code) == (False, SquelchCause.LOST, opened.code)
    assert after_ms(closed, 1000) <= 400


def test_three_wrong_bits_in_every_word_still_open() -> None:
    """As many as the Golay code can correct, at the same three places of each word."""
    word = word_of("023") ^ (1 << 2 | 1 << 9 | 1 << 17)
    places = (np.arange(2 * 48_000) * BIT_RATE / 48_000).astype(int) % 23
    sound = 1000.0 * (2 * (word >> places & 1) - 1)
    opened = low_events(DcsDecoder(("023",)).push, sound)[0]
    assert opened.is_open
    assert after_ms(opened, 0) <= 800


@pytest.mark.parametrize(("snr_db", "expected"), [(5, 20), (0, 20), (-3, 20)])
def test_codes_in_noise(snr_db: float, expected: int) -> None:
    random = np.random.default_rng(19)
    sound = carried(DcsEncoder("023", LEVEL), 50)
    found = [
        low_events(DcsDecoder(("023", "754")).push, noisy(sound, random, LEVEL, snr_db, 200))[:1] for _ in range(20)
    ]
    assert sum(bool(events) and events[0].code == "023" for events in found) == expected


@pytest.mark.parametrize("tone", [66.9, 0.0, 255.0])
def test_what_is_no_tone(tone: float) -> None:
    with pytest.raises(SignallingError, match="the nearest is"):
        CtcssDecoder((tone,))
    with pytest.raises(SignallingError):
        CtcssEncoder(tone)


def test_the_front_end_keeps_the_bands_apart() -> None:
    time_s = np.arange(48_000) / 48_000
    for hertz, in_voice, in_low in ((100, 1.0, 1.0), (1000, 1.0, 0.0), (3000, 1.0, 0.0), (6000, 0.0, 0.0)):
        front = FrontEnd()
        heard = [front.push(frame) for frame in frames(1000 * np.sin(2 * np.pi * hertz * time_s))][10:]
        for bands, expected in (([one.voice for one in heard], in_voice), ([one.low for one in heard], in_low)):
            level = float(np.sqrt(2 * np.mean(np.concatenate(bands) ** 2))) / 1000
            assert level == pytest.approx(expected, abs=0.03)
