"""The level of what passes by, between two status messages."""

from collections import deque
from math import log10

import numpy as np

from tongpin.codecs.levels import FULL_SCALE, SILENT_DBFS
from tongpin.gateway.radio.ring import Frame

_ENVELOPE_FRAMES = 50
_LOWEST_DBFS = -90


def _step(mean: float) -> str:
    dbfs = 10 * log10(mean / FULL_SCALE**2) if mean > 0 else _LOWEST_DBFS
    return chr(ord("!") + round(max(0.0, dbfs - _LOWEST_DBFS)))


class Meter:
    """Mean power of the samples since the level was taken last."""

    def __init__(self) -> None:
        self._energy = 0.0
        self._samples = 0
        self._envelope: deque[str] = deque(maxlen=_ENVELOPE_FRAMES)

    def add(self, pcm: Frame) -> None:
        floats = pcm.astype(np.float32)
        energy = float(np.dot(floats, floats))
        self._energy += energy
        self._samples += pcm.size
        self._envelope.append(_step(energy / pcm.size))

    def take_envelope(self) -> str:
        """One character for each frame since it was taken last: ``!`` and so many dB above -90 dBFS."""
        envelope = "".join(self._envelope)
        self._envelope.clear()
        return envelope

    def take_dbfs(self) -> float:
        """The level in dB below a full-scale square wave; -120 for digital silence or nothing at all."""
        mean = self._energy / self._samples if self._samples else 0.0
        self._energy, self._samples = 0.0, 0
        return max(SILENT_DBFS, float(10 * np.log10(mean / FULL_SCALE**2))) if mean > 0 else SILENT_DBFS


def gain_factor(gain_db: float) -> float:
    return float(10 ** (gain_db / 20))


def amplified(pcm: Frame, factor: float) -> Frame:
    """A frame times ``factor``, cut at full scale; the frame itself when the factor is 1."""
    if factor == 1.0:
        return pcm
    louder: Frame = np.clip(np.rint(pcm * np.float32(factor)), -32768, 32767).astype(np.int16)
    return louder
