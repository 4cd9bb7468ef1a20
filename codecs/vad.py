"""Is it a voice? webrtcvad's opinion, held against what it is known to get wrong.

webrtcvad alone calls open-squelch noise, hum, steady tones and data bursts speech. Speech is periodic at 80–400 Hz,
noise is not: the autocorrelation of the 280–2000 Hz band at lags of 2.5–12.5 ms tells them apart (threshold 0.5 in 3
of 10 frames: docs/decisions/0003-speech-gate.md). Steady tones are periodic too, but put nearly all their energy into
one or two spectral lines.
"""

from collections import deque

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from tongpin.codecs.frame import PcmFrame
from tongpin.codecs.resample import Decimator

_RATE_HZ = 16_000
_WINDOW = 640
"""40 ms at 16 kHz."""
_LAGS = slice(_RATE_HZ * 25 // 10_000, _RATE_HZ * 125 // 10_000 + 1)
_HARMONIC = 0.5
_ONE_LINE = 0.85
_TWO_LINES = 0.92
_FFT = 2048
_FREQUENCIES = np.fft.rfftfreq(_FFT, 1 / _RATE_HZ)
_BAND = (_FREQUENCIES >= 280) & (_FREQUENCIES <= 2000)
_SPEECH_BAND = (_FREQUENCIES >= 200) & (_FREQUENCIES <= 3800)
_HANN = np.hanning(_WINDOW).astype(np.float32)
_WINDOW_CORRECTION = np.fft.irfft(np.abs(np.fft.rfft(_HANN, _FFT)) ** 2)[: _LAGS.stop]
_WINDOW_CORRECTION = _WINDOW_CORRECTION / _WINDOW_CORRECTION[0]
_LINE_BINS = 2 * _FFT // _WINDOW
"""Half the width of a Hann window's main lobe: what belongs to one spectral line."""


def _line_share(power: NDArray[np.float64], lines: int) -> float:
    """Share of the energy that lies in the strongest spectral lines."""
    left = power.copy()
    total = float(left.sum())
    taken = 0.0
    for _ in range(lines):
        peak = int(np.argmax(left))
        part = slice(max(0, peak - _LINE_BINS), peak + _LINE_BINS + 1)
        taken += float(left[part].sum())
        left[part] = 0.0
    return taken / total if total > 0 else 0.0


class SpeechDetector:
    """One decision per frame. Holds 40 ms of history and the opinions of the last 10 frames.

    Args:
        mode: webrtcvad's aggressiveness, 0–3.
        needed: how many of the last ten frames must look like speech.
    """

    def __init__(self, mode: int = 3, needed: int = 3) -> None:
        self._vad = webrtcvad.Vad(mode)
        self._decimator = Decimator()
        self._needed = needed
        self._window = np.zeros(_WINDOW, np.float32)
        self._recent: deque[bool] = deque(maxlen=10)

    def push(self, pcm: PcmFrame) -> bool:
        """One frame; whether a voice is present now. Raises FrameShapeError; nothing changed."""
        block = self._decimator.push(pcm)
        self._window = np.concatenate([self._window[320:], block])
        is_speech = self._vad.is_speech(np.clip(block, -32768, 32767).astype(np.int16).tobytes(), _RATE_HZ)
        self._recent.append(is_speech and self._is_voiced())
        return sum(self._recent) >= self._needed

    def _is_voiced(self) -> bool:
        power = np.abs(np.fft.rfft(self._window * _HANN, _FFT)) ** 2
        in_band = np.where(_BAND, power, 0.0)
        correlation = np.fft.irfft(in_band)[: _LAGS.stop]
        if correlation[0] <= 0:
            return False
        harmonicity = float(np.max(correlation[_LAGS] / _WINDOW_CORRECTION[_LAGS])) / float(correlation[0])
        if harmonicity < _HARMONIC:
            return False
        speech = np.where(_SPEECH_BAND, power, 0.0)
        return _line_share(speech, 1) < _ONE_LINE and _line_share(speech, 2) < _TWO_LINES
