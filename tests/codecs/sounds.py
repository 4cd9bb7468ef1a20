"""Sounds for the decoders' tests: frames, noise with a seed, and what a decoder makes of them."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import FRAME_SAMPLES, SAMPLE_RATE_HZ, PcmFrame
from tongpin.codecs.front import Bands, FrontEnd

Sound = NDArray[np.floating] | NDArray[np.int16]
T = TypeVar("T")


def dbfs(level: float) -> float:
    return float(32768 * 10 ** (level / 20))


def frames(sound: Sound) -> Iterator[PcmFrame]:
    whole = np.concatenate([sound, np.zeros(-sound.size % FRAME_SAMPLES)])
    yield from np.clip(np.rint(whole), -32768, 32767).astype(np.int16).reshape(-1, FRAME_SAMPLES)


def silence(ms: int) -> NDArray[np.float64]:
    return np.zeros(ms * SAMPLE_RATE_HZ // 1000)


def within_silence(sound: Sound, before_ms: int = 100, after_ms: int = 200) -> NDArray[np.float64]:
    return np.concatenate([silence(before_ms), sound, silence(after_ms)])


def noisy(sound: Sound, random: np.random.Generator, signal_dbfs: float, snr_db: float, band_hz: float) -> Sound:
    """White noise over all of it, ``snr_db`` below the signal when both are taken in ``band_hz``."""
    sigma = dbfs(signal_dbfs) / 10 ** (snr_db / 20) * np.sqrt(SAMPLE_RATE_HZ / 2 / band_hz)
    return sound + random.normal(0, sigma, sound.size)


def voice_events(push: Callable[[NDArray[np.float32]], list[T]], sound: Sound) -> list[T]:
    """What a voice-band decoder finds in a sound."""
    front = FrontEnd()
    return [event for frame in frames(sound) for event in push(front.push(frame).voice)]


def low_events(push: Callable[[NDArray[np.float32]], T | None], sound: Sound) -> list[T]:
    """What a low-band decoder finds in a sound."""
    front = FrontEnd()
    found = (push(front.push(frame).low) for frame in frames(sound))
    return [event for event in found if event is not None]


def bands(sound: Sound) -> list[Bands]:
    front = FrontEnd()
    return [front.push(frame) for frame in frames(sound)]
