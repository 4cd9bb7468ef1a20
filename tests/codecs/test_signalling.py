"""All decoders together: what they find, what they leave alone, and that nothing of theirs grows."""

import pickle
import subprocess

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codecs.sounds import frames, silence
from tongpin.codecs.ctcss import CtcssEncoder, ToneMoved
from tongpin.codecs.dcs import CodeMoved, DcsEncoder
from tongpin.codecs.dtmf import DtmfKey, encode_dtmf
from tongpin.codecs.errors import FrameShapeError, SignallingError
from tongpin.codecs.mdc1200 import MdcCall, MdcHeard, MdcKind
from tongpin.codecs.mdc1200_modem import encode_mdc
from tongpin.codecs.selcall import SelcallHeard, SelcallKind, encode_selcall
from tongpin.codecs.signalling import SignalEvent, SignallingDecoder, SignallingSettings, Signals

EVERYTHING = SignallingSettings(True, True, SelcallKind.ZVEI1, 5, (88.5, 123.0), ("023", "114I"))


def all_signals() -> NDArray[np.floating]:
    tone, code = CtcssEncoder(123.0, -28.0), DcsEncoder("114I", -28.0)
    parts: list[NDArray[np.floating] | NDArray[np.int16]] = [
        *(silence(200), encode_dtmf("7"), silence(100), encode_mdc(MdcCall(MdcKind.EMERGENCY, 77)), silence(100)),
        *(encode_selcall(SelcallKind.ZVEI1, "54321"), silence(200)),
        *(tone.next_frame() for _ in range(20)),
        silence(400),
        *(code.next_frame() for _ in range(20)),
        silence(500),
    ]
    return np.concatenate(parts)


def signals(settings: SignallingSettings, sound: NDArray[np.floating]) -> list[Signals]:
    decoder = SignallingDecoder(settings)
    return [decoder.push(frame) for frame in frames(sound)]


def kinds(found: list[Signals]) -> list[type[SignalEvent]]:
    return [type(event) for one in found for event in one.events]


def test_everything_is_found_once_and_in_order() -> None:
    found = signals(EVERYTHING, all_signals())
    assert kinds(found) == [DtmfKey, MdcHeard, SelcallHeard, ToneMoved, ToneMoved, CodeMoved, CodeMoved]
    offsets = [event.at_samples for one in found for event in one.events]
    assert offsets == sorted(offsets)
    for name in ("dtmf", "ctcss", "dcs"):
        states = [getattr(one, name) for one in found]
        assert sum(now != before for before, now in zip(states, states[1:], strict=False)) == 2, name


def test_a_burst_says_where_it_began_while_it_sounds() -> None:
    found = signals(EVERYTHING, all_signals())
    begins = sorted({one.burst_since for one in found if one.burst_since is not None})
    assert len(begins) == 3
    for begin, ms in zip(begins, (200, 200 + 140 + 100, 200 + 140 + 100 + 173.3 + 100), strict=True):
        assert abs(begin - ms * 48) <= 960
    assert found[-1].burst_since is None


def test_what_is_not_asked_for_is_not_decoded() -> None:
    assert not SignallingSettings().is_any
    assert kinds(signals(SignallingSettings(), all_signals())) == []
    assert kinds(signals(SignallingSettings(mdc1200=True), all_signals())) == [MdcHeard]
    assert SignallingSettings(dcs=("023",)).is_any


def test_wrong_settings_and_wrong_frames() -> None:
    with pytest.raises(SignallingError):
        SignallingDecoder(SignallingSettings(ctcss=(1.0,)))
    with pytest.raises(FrameShapeError):
        SignallingDecoder(EVERYTHING).push(np.zeros(959, np.int16))


def test_the_state_does_not_grow() -> None:
    random = np.random.default_rng(1)
    decoder = SignallingDecoder(EVERYTHING)
    sizes = []
    for _ in range(3):
        for frame in frames(np.concatenate([all_signals(), random.normal(0, 4000, 48_000)])):
            decoder.push(frame)
        sizes.append(len(pickle.dumps(decoder)))
    assert max(sizes) - min(sizes) < 200
    assert max(sizes) < 1_000_000


@pytest.mark.parametrize("voice", ["en-us+m3", "en-us+f2"])
def test_speech_signals_nothing(voice: str) -> None:
    text = "Alpha five to control, two ambulances at the north gate, one hundred and thirty people, over. " * 4
    command = ["espeak-ng", "-v", voice, "-s", "160", "--stdout", text]
    wav = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    raw = ["sox", "-t", "wav", "-", "-t", "raw", "-r", "48000", "-e", "signed", "-b", "16", "-c", "1", "-"]
    pcm = subprocess.run([*raw, "sinc", "300-3400"], input=wav, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    sound = np.frombuffer(pcm, np.int16).astype(np.float64)
    assert sound.size > 20 * 48_000
    assert kinds(signals(EVERYTHING, sound)) == []
