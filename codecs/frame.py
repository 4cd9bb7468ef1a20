"""The frame: 20 ms of 48 kHz mono int16."""

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.errors import FrameShapeError

SAMPLE_RATE_HZ = 48_000
FRAME_SAMPLES = 960
FRAME_MS = 20

PcmFrame = NDArray[np.int16]
"""int16, shape (960,), 48 000 Hz mono, full scale ±32 767."""


def check_frame(pcm: PcmFrame) -> None:
    """Raise FrameShapeError unless it is one frame."""
    if pcm.shape != (FRAME_SAMPLES,) or pcm.dtype != np.int16:
        raise FrameShapeError(f"a frame is int16 of shape ({FRAME_SAMPLES},), not {pcm.dtype} of {pcm.shape}")


def frames_of_ms(ms: float) -> int:
    """Whole frames that hold ``ms`` milliseconds, rounded up."""
    return -int(-ms // FRAME_MS)
