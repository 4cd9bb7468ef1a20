"""From a score per frame to speech or no speech, and when open noise is back.

webrtcvad must second an opening: it calls nearly everything speech, but what even it does not hear is none.

A single frame's score is no decision: opening takes the mean of the newest three, staying open a lower mean of five.
Both thresholds were set on the tuned part of the benchmark (docs/gate.md).
"""

import numpy as np
import webrtcvad

from tongpin.codecs.frame import SAMPLE_RATE_HZ, PcmFrame
from tongpin.codecs.speech import SpeechScore

OPEN_SCORE = 3.7
HOLD_SCORE = 0.0
_OPEN_FRAMES = 3
_VAD_MODE = 1
_VAD_FRAMES = 16
"""webrtcvad must have heard something within as many frames as the network sees."""
_HOLD_FRAMES = 5
NOISE_FRAMES = 2
"""So many frames of open noise in a row end a talk."""
_NOISE_ABOVE_DB = 6.0
_NOISE_HARMONICITY = 0.42


class SpeechDetector:
    """One decision per frame. Holds the last 320 ms and the level of the present talk.

    Args:
        score: where scores come from; None = the frames themselves.

    Attributes:
        is_speech: a voice is present now.
        noise_frames: for how many frames there has been open noise, louder than the speech before it; an FM receiver
            without a carrier sounds like that. Counted only while there is, or just was, speech.
    """

    def __init__(self, score: SpeechScore | None = None) -> None:
        self._score = score or SpeechScore()
        self._second = webrtcvad.Vad(_VAD_MODE)
        self._unheard = _VAD_FRAMES
        self._scores = np.full(_HOLD_FRAMES, -20.0)
        self._speech_power = 0.0
        self._speech_frames = 0
        self.is_speech = False
        self.noise_frames = 0

    @property
    def score(self) -> float:
        """Log of the odds that the newest frame is within speech, smoothed as for opening."""
        return float(self._scores[-_OPEN_FRAMES:].mean())

    @property
    def harmonicity(self) -> float:
        return self._score.harmonicity

    @property
    def level_dbfs(self) -> float:
        return self._score.level_dbfs

    def push(self, pcm: PcmFrame) -> bool:
        """One frame; whether a voice is present now. Raises FrameShapeError; nothing changed."""
        score = self._score.push(pcm)
        self._unheard = 0 if self._second.is_speech(pcm.tobytes(), SAMPLE_RATE_HZ) else self._unheard + 1
        self._scores[:-1] = self._scores[1:]
        self._scores[-1] = score
        self._watch_for_noise(score)
        was_speech = self.is_speech
        if was_speech:
            enough = float(self._scores.mean()) >= HOLD_SCORE
        else:
            enough = self.score >= OPEN_SCORE and self._unheard < _VAD_FRAMES
        self.is_speech = enough and self.noise_frames < NOISE_FRAMES
        return self.is_speech

    def _watch_for_noise(self, score: float) -> None:
        power = 10 ** (self._score.level_dbfs / 10)
        is_noise = self._speech_frames > 0 and self._score.flat_harmonicity < _NOISE_HARMONICITY
        if is_noise and power > self._speech_power * 10 ** (_NOISE_ABOVE_DB / 10):
            self.noise_frames += 1
            return
        self.noise_frames = 0
        if score >= OPEN_SCORE and power > self._speech_power / 16:
            self._speech_frames = min(self._speech_frames + 1, 50)
            self._speech_power += (power - self._speech_power) / self._speech_frames
        elif not self.is_speech and score < HOLD_SCORE:
            self._speech_frames, self._speech_power = 0, 0.0
