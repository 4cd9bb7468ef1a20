"""Levels in dBFS (0 = full-scale square wave) and short fades."""

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import FRAME_SAMPLES, PcmFrame

SILENT_DBFS = -120.0
FULL_SCALE = 32_768.0

_RAMP = np.linspace(0.0, 1.0, FRAME_SAMPLES, endpoint=False, dtype=np.float32)


def rms_dbfs(pcm: NDArray[np.int16]) -> float:
    """Mean power; -120 for silence or for no samples."""
    if pcm.size == 0:
        return SILENT_DBFS
    floats = pcm.astype(np.float32)
    mean = float(np.dot(floats, floats)) / pcm.size
    return max(SILENT_DBFS, float(10 * np.log10(mean / FULL_SCALE**2))) if mean > 0 else SILENT_DBFS


def faded_in(pcm: PcmFrame) -> PcmFrame:
    """A copy that rises from silence over its 20 ms."""
    return np.asarray(pcm * _RAMP, dtype=np.int16)


def faded_out(pcm: PcmFrame) -> PcmFrame:
    """A copy that falls to silence over its 20 ms."""
    return np.asarray(pcm * _RAMP[::-1], dtype=np.int16)


def to_pcm(sound: NDArray[np.floating]) -> NDArray[np.int16]:
    """Rounded, and cut at full scale."""
    return np.asarray(np.clip(np.rint(sound), -32768, 32767), np.int16)
