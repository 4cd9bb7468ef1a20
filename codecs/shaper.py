"""Speech on its way to a transmitter: gain, pre-emphasis for a modulator that has none, and a soft limit."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import FRAME_SAMPLES, SAMPLE_RATE_HZ, PcmFrame, check_frame
from tongpin.codecs.levels import FULL_SCALE

KNEE: Final = 10 ** (-3 / 20)
"""The limiter begins to bend 3 dB below its ceiling, so that nothing has a corner."""
_TAPS: Final = 193
_LOW_HZ, _HIGH_HZ, _FLAT_HZ = 300.0, 3_400.0, 1_000.0


def _pre_emphasis() -> NDArray[np.float32]:
    """6 dB an octave, 0 dB at 1 kHz, from 300 Hz to 3.4 kHz and falling above; linear phase, 2 ms."""
    hertz = np.fft.rfftfreq(4_096, 1 / SAMPLE_RATE_HZ)
    gain = np.clip(hertz, _LOW_HZ, _HIGH_HZ) / _FLAT_HZ
    gain *= 1 / (1 + (hertz / (1.3 * _HIGH_HZ)) ** 12)
    ideal = np.roll(np.fft.irfft(gain), _TAPS // 2)[:_TAPS]
    return np.asarray(ideal * np.hamming(_TAPS), np.float32)


class SpeechShaper:
    """One transmitter's. Streams frames; delay 2 ms with pre-emphasis, none without."""

    def __init__(self, gain_db: float, is_pre_emphasised: bool, limit_dbfs: float | None) -> None:
        """Args: limit_dbfs: no sample leaves louder, in dB below full scale; None = full scale, cut off hard."""
        self._gain: Final = 10 ** (gain_db / 20)
        self._taps: Final = _pre_emphasis() if is_pre_emphasised else None
        self._history = np.zeros(_TAPS - 1, np.float32)
        self._ceiling: Final = None if limit_dbfs is None else FULL_SCALE * 10 ** (limit_dbfs / 20)
        self.limited_frames = 0
        """Frames that had to be bent: many of them mean that the gain is too high."""

    def push(self, pcm: PcmFrame) -> PcmFrame:
        """One frame in, one out; the frame itself when there is nothing to do. Raises FrameShapeError."""
        check_frame(pcm)
        if self._gain == 1.0 and self._taps is None and (self._ceiling is None or not self._is_loud(pcm)):
            return pcm
        sound = pcm * np.float32(self._gain)
        if self._taps is not None:
            joined = np.concatenate((self._history, sound))
            self._history = joined[FRAME_SAMPLES:]
            sound = np.convolve(joined, self._taps, "valid")
        if self._ceiling is not None and self._is_loud(sound):
            self.limited_frames += 1
            sound = self._bent(sound, self._ceiling)
        out: PcmFrame = np.clip(np.rint(sound), -32_768, 32_767).astype(np.int16)
        return out

    def _is_loud(self, sound: NDArray[np.float32] | PcmFrame) -> bool:
        assert self._ceiling is not None
        knee = self._ceiling * KNEE
        return bool(sound.max() > knee or sound.min() < -knee)

    @staticmethod
    def _bent(sound: NDArray[np.float32], ceiling: float) -> NDArray[np.float32]:
        """Straight up to the knee, then ever flatter towards the ceiling."""
        knee = np.float32(ceiling * KNEE)
        room = np.float32(ceiling - knee)
        over = np.maximum(np.abs(sound) - knee, 0)
        bent: NDArray[np.float32] = np.where(
            over > 0, np.sign(sound) * (knee + room * np.tanh(over / room)), sound
        ).astype(np.float32)
        return bent
