"""The measure by which the scenarios judge sound: blind to a clock that is corrected, not to a word that is lost."""

from pathlib import Path

import numpy as np

from tests.scenarios.audio import RATE, Pcm, match, match_parts, speak
from tongpin.codecs.drift import DriftResampler


def _slid(source: Pcm, ppm: float) -> Pcm:
    resampler = DriftResampler()
    resampler.steer(ppm)
    frames = []
    for start in range(0, len(source) - 959, 960):
        resampler.feed(source[start : start + 960])
        while resampler.has_frame:
            frame = resampler.take()
            frames.append(np.zeros(960, np.int16) if frame is None else frame)
    return np.concatenate([np.zeros(RATE // 2, np.int16), *frames, np.zeros(RATE, np.int16)])


def test_half_seconds_are_found_where_the_whole_has_slid(tmp_path: Path) -> None:
    text = "All units, ten year old boy on the second floor, Station Road."
    source = speak(tmp_path / "order.wav", text, lead_s=1.0, tail_s=1.0)
    heard = _slid(source, 400.0)
    assert match(source, heard).score < 0.9
    assert min(part.score for part in match_parts(source, heard)) > 0.9
    lost = heard.copy()
    lost[round(3.0 * RATE) : round(3.3 * RATE)] = 0
    assert min(part.score for part in match_parts(source, lost)) < 0.9
