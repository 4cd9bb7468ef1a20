"""Waveforms: the one place where the gateway decodes, in a thread and never while a frame waits for it."""

from dataclasses import dataclass
from math import log10

import numpy as np

from tongpin.codecs.errors import OpusError
from tongpin.codecs.ogg import read_sound
from tongpin.codecs.opus import OpusDecoder

PEAK_FRAMES = 5
"""Frames of 20 ms that one value covers: 100 ms."""
SILENCE_DBFS = -99


@dataclass(frozen=True, slots=True)
class Waveform:
    """Loudest sample of all, and of every 100 ms, in whole dBFS; -99 is silence or loss."""

    peak_dbfs: int
    peaks: tuple[int, ...]


def waveform(data: bytes) -> Waveform:
    """The waveform of a recording, or of what there is of it. Blocking: about 5 ms for each second of sound."""
    sound, _ = read_sound(data)
    decoder = OpusDecoder()
    levels: list[int] = []
    loudest = 0
    for number, packet in enumerate(sound):
        if number % PEAK_FRAMES == 0:
            if number:
                levels.append(_dbfs(loudest))
            loudest = 0
        try:
            pcm = decoder.conceal() if packet is None else decoder.decode(packet)
        except OpusError:
            continue
        if packet is not None:
            loudest = max(loudest, int(np.abs(pcm.astype(np.int32)).max()))
    if sound:
        levels.append(_dbfs(loudest))
    return Waveform(max(levels, default=SILENCE_DBFS), tuple(levels))


def _dbfs(sample: int) -> int:
    return round(20 * log10(sample / 32_768)) if sample else SILENCE_DBFS
