"""The level of what passes by, between two status messages."""

import numpy as np

from tongpin.codecs.levels import FULL_SCALE, SILENT_DBFS
from tongpin.gateway.radio.ring import Frame


class Meter:
    """Mean power of the samples since the level was taken last."""

    def __init__(self) -> None:
        self._energy = 0.0
        self._samples = 0

    def add(self, pcm: Frame) -> None:
        floats = pcm.astype(np.float32)
        self._energy += float(np.dot(floats, floats))
        self._samples += pcm.size

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
