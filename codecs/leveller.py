"""Equal loudness for every leg: a slow gain that listens to speech only, and a limiter behind it."""

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import FRAME_MS, FRAME_SAMPLES, PcmFrame
from tongpin.codecs.levels import FULL_SCALE

TARGET_DBFS = -18.0
"""Active speech level (radio_facts: −18 dBFS per leg, average at most −12)."""
CEILING_DBFS = -6.0
_UP_DB_A_FRAME = 3.0 * FRAME_MS / 1000
_DOWN_DB_A_FRAME = 20.0 * FRAME_MS / 1000
_MEMORY_FRAMES = 50
"""One second of active speech."""
_BLOCK = 24
"""0.5 ms: the limiter's grid."""
_BLOCKS = FRAME_SAMPLES // _BLOCK
_AHEAD = 10
"""Blocks that the limiter sees before they are heard: 5 ms."""
_RELEASE = 10 ** (0.5 * 0.06 / 20)
"""A block's recovery of the limiter's gain: 60 dB a second."""


class AutomaticGain:
    """Brings active speech to −18 dBFS: 20 dB a second down, 3 dB up; without speech the gain stays as it is.

    Args:
        most_db: the largest gain, up or down.
    """

    def __init__(self, most_db: float = 20.0) -> None:
        self._most_db = most_db
        self._power = 0.0
        self._frames = 0
        self.gain_db = 0.0

    def push(self, pcm: NDArray[np.float32], is_speech: bool) -> NDArray[np.float32]:
        """One frame of 960 samples, amplified; the gain glides over the frame."""
        before = self.gain_db
        if is_speech:
            self._learn(float(np.dot(pcm, pcm)) / FRAME_SAMPLES / FULL_SCALE**2)
        if before == self.gain_db:
            return np.asarray(pcm * np.float32(10 ** (before / 20)), np.float32) if before else pcm
        glide = np.geomspace(10 ** (before / 20), 10 ** (self.gain_db / 20), FRAME_SAMPLES, dtype=np.float32)
        return np.asarray(pcm * glide, np.float32)

    def _learn(self, power: float) -> None:
        # Pauses between words lie more than 12 dB under the mean of the words: they are not the talker's level.
        if power < 1e-7 or power < self._power / 16:
            return
        self._frames = min(self._frames + 1, _MEMORY_FRAMES)
        self._power += (power - self._power) / self._frames
        wanted = TARGET_DBFS - 10 * float(np.log10(self._power))
        wanted = min(self._most_db, max(-self._most_db, wanted))
        self.gain_db += min(_UP_DB_A_FRAME, max(-_DOWN_DB_A_FRAME, wanted - self.gain_db))


class Limiter:
    """Nothing leaves above −6 dBFS. Delay 5 ms, within which the gain is down before a peak comes."""

    def __init__(self) -> None:
        self._ceiling = FULL_SCALE * 10 ** (CEILING_DBFS / 20)
        self._held = np.zeros(FRAME_SAMPLES + _AHEAD * _BLOCK, np.float32)
        self._bounds = np.ones(_AHEAD - 1)
        self._node = 1.0

    def push(self, pcm: NDArray[np.float32]) -> PcmFrame:
        """One frame in; int16 of 5 ms before out."""
        self._held[: _AHEAD * _BLOCK] = self._held[FRAME_SAMPLES:]
        self._held[_AHEAD * _BLOCK :] = pcm
        peaks = np.abs(self._held).reshape(-1, _BLOCK).max(axis=1)
        now = self._held[:FRAME_SAMPLES]
        if self._node == 1.0 and float(self._bounds[-1]) == 1.0 and float(peaks.max()) <= self._ceiling:
            return np.asarray(np.rint(now), np.int16)
        return np.asarray(np.rint(now * self._gains(peaks)), np.int16)

    def _gains(self, peaks: NDArray[np.float32]) -> NDArray[np.float32]:
        """A gain for every sample, in straight lines between the blocks' edges.

        Each block's bound is the least that a block in reach of it needs; an edge takes the mean of the bounds before
        it, all of which reach over both its neighbours: so it glides, and is never too high.
        """
        allowed = np.minimum(1.0, self._ceiling / np.maximum(peaks, 1.0))
        bounds = np.lib.stride_tricks.sliding_window_view(allowed, _AHEAD)[:_BLOCKS].min(axis=1)
        before = float(self._bounds[-1])
        for block in range(_BLOCKS):
            before = bounds[block] = min(float(bounds[block]), before * _RELEASE)
        every = np.concatenate([self._bounds, bounds])
        nodes = np.lib.stride_tricks.sliding_window_view(every, _AHEAD - 1).mean(axis=1)[1:]
        places = np.arange(FRAME_SAMPLES) / _BLOCK
        gains = np.interp(places, np.arange(_BLOCKS + 1), np.concatenate([[self._node], nodes]))
        self._bounds, self._node = every[-(_AHEAD - 1) :], float(nodes[-1])
        return np.asarray(gains, np.float32)
