"""Is it a voice? One opinion per frame: a small network that looks at the last 320 ms.

What it must not take for speech is most of what a radio gives: open-squelch noise, dead carriers, hum, tones, DTMF,
data bursts, sirens, engines. Its numbers (``speech.npz``) come from ``tests/bench/gate_train.py``, which trains it on
generated FM audio; docs/gate.md says how well it does on voices that it was not trained on.
"""

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import PcmFrame
from tongpin.codecs.resample import Decimator
from tongpin.codecs.voicing import FEATURES, HOP, WINDOW, features_of

CONTEXT = 16
"""Frames that the network sees."""
LEVEL = 15
"""The one feature that depends on the level: the network sees it against its mean over the context."""
_FULL_SCALE = 32_768.0**2 * float(np.sum(np.hanning(WINDOW) ** 2)) * 256
"""What a window's power adds up to at 0 dBFS: Parseval, one side of 512 points."""


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
        self._seen[-1 if self._frames >= 2 else slice(None)] = features_of(self._window[None, :])[0]
        self._frames += 1
        inputs = self._seen.copy()
        inputs[:, LEVEL] -= inputs[:, LEVEL].mean()
        layer = inputs.reshape(-1)
        for at in range(0, len(self._parameters) - 2, 2):
            layer = np.maximum(layer @ self._parameters[at] + self._parameters[at + 1], 0)
        return float((layer @ self._parameters[-2] + self._parameters[-1])[0])

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
