"""Real workers: what a radio signals reaches the gateway, bursts are muted, transmissions carry their tone."""

from pathlib import Path

import numpy as np
import pytest

from tests.codecs.sounds import low_events
from tests.radio.legs import SimFolder, encode, running, transmit, write_pcm
from tongpin.codecs.ctcss import CtcssDecoder, SquelchCause, ToneMoved
from tongpin.codecs.dcs import CodeMoved, DcsDecoder
from tongpin.codecs.dtmf import encode_dtmf
from tongpin.codecs.levels import rms_dbfs
from tongpin.codecs.mdc1200 import MdcCall, MdcHeard, MdcKind
from tongpin.codecs.mdc1200_modem import encode_mdc
from tongpin.codecs.selcall import SelcallKind, encode_selcall
from tongpin.config.signalling import SignallingConfig
from tongpin.gateway.radio.messages import Signalled
from tongpin.gateway.radio.signals import message_of
from tongpin.gateway.radio.sim import make_voice
from tongpin.gateway.radio.wavefile import read_wav

pytestmark = pytest.mark.exclusive

PAUSE = np.zeros(9600, np.int16)


@pytest.fixture
def sim(tmp_path: Path) -> SimFolder:
    return SimFolder(tmp_path)


def test_messages() -> None:
    config = SignallingConfig(selcall="zvei1")
    heard = MdcHeard(0x35, 0x89, 0x5678, bytes.fromhex("82051234"), 0, 0)
    assert message_of(heard, config) == Signalled("mdc1200", "selcall", "1234", "5678")
    assert message_of(MdcHeard(0x2B, 0, 1, None, 0, 0), config) == Signalled("mdc1200", "other", "0001", "2B00")
    assert message_of(ToneMoved(True, 88.5, SquelchCause.FOUND, 0), config) == Signalled("ctcss", "found", "88.5", "")
    moved = CodeMoved(False, "023", SquelchCause.TURN_OFF, 0)
    assert message_of(moved, config) == Signalled("dcs", "turn_off", "023", "")


@pytest.mark.parametrize("mute", [False, True])
async def test_what_a_radio_signals_is_told_and_may_be_muted(sim: SimFolder, mute: bool) -> None:
    bursts = [
        encode_mdc(MdcCall(MdcKind.STATUS, 0x1A2B, 7)),
        encode_dtmf("5"),
        encode_selcall(SelcallKind.ZVEI1, "12345"),
    ]
    voice = make_voice(0.6, 1)
    write_pcm(
        sim.folder / "all.wav", np.concatenate([voice, *(part for burst in bursts for part in (PAUSE, burst)), PAUSE])
    )
    signalling = {"dtmf": True, "mdc1200": True, "selcall": "zvei1", "mute": mute}
    async with running(sim.config(signalling=signalling)) as (_, ear):
        sim.command(f"say {sim.folder / 'all.wav'}")
        await ear.wait_gate(True)
        await ear.wait_gate(False)
        heard = ear.heard()
    assert ear.signals == [
        Signalled("mdc1200", "status", "1A2B", "7"),
        Signalled("dtmf", "key", "5", ""),
        Signalled("zvei1", "call", "12345", ""),
    ]
    # What follows the voice is nothing but bursts: half a second after its end there is sound, or none.
    rest = heard[int(1.2 * 48_000) :]
    assert (rms_dbfs(rest) < -40) is mute


async def test_only_the_right_tone_opens(sim: SimFolder) -> None:
    voice = make_voice(1.0, 2)
    time_s = np.arange(voice.size) / 48_000
    for name, hertz in (("wrong", 91.5), ("right", 88.5)):
        tone = 1500 * np.sin(2 * np.pi * hertz * time_s)
        write_pcm(sim.folder / f"{name}.wav", (voice * 0.8 + tone).astype(np.int16))
    async with running(sim.config(signalling={"ctcss": [88.5]})) as (_, ear):
        sim.command(f"say {sim.folder / 'wrong.wav'}")
        await ear.wait(lambda: bool(ear.statuses) and ear.statuses[-1].cos is True)
        await ear.wait(lambda: ear.statuses[-1].cos is False)
        assert ear.gates == []
        sim.command(f"say {sim.folder / 'right.wav'}")
        await ear.wait_gate(True)
        await ear.wait_gate(False)
        heard = ear.heard()
    assert ear.signals[0] == Signalled("ctcss", "found", "88.5", "")
    assert heard.size >= 0.95 * voice.size, "what was said before the tone was sure is there too"


@pytest.mark.parametrize("settings", [{"tx_ctcss": 123.0}, {"tx_dcs": "023"}])
async def test_a_transmission_carries_its_tone_and_announces_its_end(
    sim: SimFolder, settings: dict[str, object]
) -> None:
    async with running(sim.config(signalling={**settings, "tx_tone_dbfs": -28})) as (leg, ear):
        await transmit(leg, encode(make_voice(1.0, 3)))
        await ear.wait_keyed(False)
    sent = read_wav(sim.record)
    if "tx_ctcss" in settings:
        moves = [(move.is_open, move.cause) for move in low_events(CtcssDecoder((123.0,)).push, sent)]
    else:
        moves = [(move.is_open, move.cause) for move in low_events(DcsDecoder(("023",)).push, sent)]
    assert moves == [(True, SquelchCause.FOUND), (False, SquelchCause.TURN_OFF)]
