"""The receive chain of a leg as a whole: what its packets sound like."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.radio.legs import SimFolder
from tongpin.codecs.opus import OpusDecoder
from tongpin.config.models import LegConfig
from tongpin.gateway.radio.receive import Receiver
from tongpin.gateway.radio.sim import make_voice

Pcm = NDArray[np.int16]


def heard(receiver: Receiver, pcm: Pcm, cos: bool | None) -> NDArray[np.float64]:
    """What a listener hears, decoded; empty when the gate stays shut."""
    decoder = OpusDecoder()
    packets = [receiver.push(frame, cos, False, 0.0).packet for frame in pcm[: pcm.size // 960 * 960].reshape(-1, 960)]
    frames = [decoder.decode(packet.payload) for packet in packets if packet is not None]
    return np.concatenate(frames).astype(np.float64) if frames else np.zeros(0)


def dbfs(pcm: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(pcm**2) / 32_768**2 + 1e-12))


@pytest.fixture
def leg(tmp_path: Path) -> LegConfig:
    return SimFolder(tmp_path).config(has_cos=True)


def quiet_voice(seconds: float, db: float) -> Pcm:
    return np.asarray(make_voice(seconds, 4) * 10 ** (db / 20), np.int16)


def test_a_quiet_radio_comes_to_the_level_of_the_others(leg: LegConfig) -> None:
    receiver = Receiver(leg)
    first = heard(receiver, quiet_voice(8, -14), True)
    after = heard(receiver, quiet_voice(3, -14), True)
    assert dbfs(first[:48_000]) < -27
    assert -22 < dbfs(after) < -16
    flat = Receiver(leg.model_copy(update={"receive": leg.receive.model_copy(update={"agc": False})}))
    heard(flat, quiet_voice(8, -14), True)
    assert dbfs(heard(flat, quiet_voice(3, -14), True)) < -30


def test_noise_on_an_open_carrier_is_not_pumped_up(leg: LegConfig) -> None:
    receiver = Receiver(leg)
    noise = np.random.default_rng(1).normal(0, 100, 48_000 * 6).astype(np.int16)
    out = heard(receiver, noise, True)
    assert dbfs(out) < dbfs(noise.astype(np.float64))


def test_hum_and_dc_stay_behind_and_nothing_is_louder_than_the_limit(leg: LegConfig) -> None:
    receiver = Receiver(leg)
    t = np.arange(48_000 * 2) / 48_000
    hum = np.asarray(3_000 + 12_000 * np.sin(2 * np.pi * 100 * t), np.int16)
    assert dbfs(heard(receiver, hum, True)[24_000:]) < -40
    loud = np.asarray(np.clip(make_voice(3, 2).astype(np.float64) * 8, -32_768, 32_767), np.int16)
    # Opus may overshoot a little.
    assert np.abs(heard(Receiver(leg), loud, True)).max() < 32_768 * 10 ** (-6 / 20) * 1.25


def test_without_cos_speech_is_heard_whole_and_noise_never(leg: LegConfig) -> None:
    open_squelch = leg.model_copy(update={"has_cos": False})
    noise = np.random.default_rng(1).normal(0, 6_000, 48_000 * 4).astype(np.int16)
    receiver = Receiver(open_squelch)
    assert heard(receiver, noise, None).size == 0
    spoken = np.concatenate([np.zeros(24_000, np.int16), make_voice(2, 4), np.zeros(48_000, np.int16)])
    assert heard(receiver, spoken, None).size >= 2 * 48_000
