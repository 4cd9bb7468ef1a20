"""Is it a voice? One opinion per frame: a small network that looks at the last 320 ms.

What it must not take for speech is most of what a radio gives: open-squelch noise, dead carriers, hum, tones, DTMF,
data bursts, sirens, engines. Its numbers (``speech.npz``) come from ``tests/bench/gate_train.py``, which trains it on
generated FM audio; docs/gate.md says how well it does on voices that it was not trained on.
"""

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import FRAME_SAMPLES, PcmFrame
from tongpin.codecs.resample import Decimator
from tongpin.codecs.voicing import FEATURES, HOP, WINDOW, features_of

CONTEXT = 16
"""Frames that the network sees."""
LEVEL = 15
"""The one feature that depends on the level: the network sees it against its mean over the context."""
_BEGINNING = 2
"""Frames before a window is whole."""
_MINUTE = 3_000
_FULL_SCALE = 32_768.0**2 * float(np.sum(np.hanning(WINDOW) ** 2)) * 256
"""What a window's power adds up to at 0 dBFS: Parseval, one side of 512 points."""


def _logits(windows: NDArray[np.float32], parameters: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The network's answer to windows of features, shape (n, 16, 26)."""
    layer = np.array(windows, np.float32).reshape(windows.shape[0], -1)
    layer[:, LEVEL::FEATURES] -= layer[:, LEVEL::FEATURES].mean(axis=1, keepdims=True)
    for at in range(0, len(parameters) - 2, 2):
        layer = np.maximum(layer @ parameters[at] + parameters[at + 1], 0)
    return np.asarray((layer @ parameters[-2] + parameters[-1])[:, 0], np.float32)


def _parameters() -> list[NDArray[np.float32]]:
    with (files("tongpin.codecs") / "speech.npz").open("rb") as file, np.load(file) as stored:
        return [stored[f"p{at}"] for at in range(len(stored.files))]


class SpeechScore:
    """Frames in, how much the last 320 ms look like speech out. Holds no more than those 320 ms."""

    def __init__(self) -> None:
        self._decimator = Decimator(6)
        self._parameters = _parameters()
        self._window = np.zeros(WINDOW, np.float32)
        self._seen = np.zeros((CONTEXT, FEATURES), np.float32)
        self._frames = 0

    def push(self, pcm: PcmFrame) -> float:
        """One frame; the log of the odds that it is within speech. Raises FrameShapeError; nothing changed."""
        block = self._decimator.push(pcm)
        self._window[:-HOP] = self._window[HOP:]
        self._window[-HOP:] = block
        self._seen[:-1] = self._seen[1:]
        # Before the first whole window is what came with it, not silence: a beginning is no event.
        self._seen[-1 if self._frames >= _BEGINNING else slice(None)] = features_of(self._window[None, :])[0]
        self._frames += 1
        return float(_logits(self._seen[None, :, :], self._parameters)[0])

    @property
    def harmonicity(self) -> float:
        """Of the last window: near 0.3 for noise, 0.6–0.9 for voiced speech."""
        return float(self._seen[-1, LEVEL + 1])

    @property
    def flat_harmonicity(self) -> float:
        """The same of 280–2800 Hz without de-emphasis: noise stays below 0.42."""
        return float(self._seen[-1, LEVEL + 2])

    @property
    def level_dbfs(self) -> float:
        """Of the last window, 280–3400 Hz; not below −75 dBFS."""
        return float(10 * (self._seen[-1, LEVEL] - np.log10(_FULL_SCALE)))


class RecordedScore(SpeechScore):
    """The same scores for a recording that is known beforehand, many times quicker: a minute is computed at once.

    Args:
        pcm: int16, 48 kHz mono, whole frames; they must be pushed in order, one after the other.
    """

    def __init__(self, pcm: NDArray[np.int16]) -> None:
        super().__init__()
        self._pcm = pcm
        self._rows = np.zeros((0, FEATURES), np.float32)
        self._scores = np.zeros(0, np.float32)
        self._at = 0

    def push(self, pcm: PcmFrame) -> float:
        """The next frame of the recording."""
        if self._at == self._scores.size:
            self._compute()
        self._seen = self._rows[self._at : self._at + CONTEXT]
        self._at += 1
        return float(self._scores[self._at - 1])

    def _compute(self) -> None:
        """Features and scores of the next minute; the context before it is kept."""
        begin = self._frames * FRAME_SAMPLES
        thin = self._decimator.push_many(self._pcm[begin : begin + _MINUTE * FRAME_SAMPLES])
        joined = np.concatenate([self._window[-HOP:], thin])
        rows = features_of(np.lib.stride_tricks.sliding_window_view(joined, WINDOW)[::HOP])
        self._window[-HOP:] = joined[-HOP:]
        if self._frames == 0:
            early = [np.broadcast_to(row.copy(), (CONTEXT, FEATURES)) for row in rows[:_BEGINNING]]
            before = early[-1][1:]
            rows[: _BEGINNING - 1] = rows[_BEGINNING - 1]
        else:
            early, before = [], self._rows[-(CONTEXT - 1) :]
        self._rows = np.concatenate([before, rows])
        windows = np.lib.stride_tricks.sliding_window_view(self._rows, CONTEXT, axis=0).transpose(0, 2, 1)
        self._scores = _logits(windows, self._parameters)
        if early:
            self._scores[: len(early)] = _logits(np.stack(early), self._parameters)
        self._frames += rows.shape[0]
        self._at = 0
