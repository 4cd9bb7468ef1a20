"""DTMF: the sixteen keypad tones (ITU-T Q.23), decoded and made.

Rules and figures after SvxLink's decoder (docs/signalling.md): 20 ms windows every 10 ms; a key counts after 40 ms.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.errors import SignallingError
from tongpin.codecs.frame import SAMPLE_RATE_HZ
from tongpin.codecs.front import VOICE_DELAY_SAMPLES, VOICE_RATE_HZ, VOICE_SAMPLES
from tongpin.codecs.goertzel import ToneBank
from tongpin.codecs.levels import FULL_SCALE, to_pcm
from tongpin.codecs.windows import Floats

ROWS_HZ = (697.0, 770.0, 852.0, 941.0)
COLUMNS_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = ("123A", "456B", "789C", "*0#D")

_WINDOW = 160
_HOP = 80
_HOP_SAMPLES = _HOP * SAMPLE_RATE_HZ // VOICE_RATE_HZ
_FLOOR = (FULL_SCALE * 10 ** (-50 / 20)) ** 2
"""Quieter than -50 dBFS is nobody's keypad."""
_SHARE = 0.63
"""Both tones' part of all energy below 4 kHz; noise at 6 dB leaves 0.8."""
_ROW_TWIST = 10 ** (8.5 / 10)
"""The row may be so much louder than the column: a radio's de-emphasis does that."""
_COLUMN_TWIST = 10 ** (6.0 / 10)
_SECOND = 0.13
"""The second-best tone of a group against the best."""
_OVERTONE = 0.2
_NEEDED = 3
"""Windows that agree: 20 ms and two steps of 10 ms make 40 ms."""
_MISSES_TO_END = 3


@dataclass(frozen=True, slots=True)
class DtmfKey:
    """A key was pressed. ``at_samples``: where its sound begins, to 10 ms, in 48 kHz samples since the start."""

    key: str
    at_samples: int


class DtmfDecoder:
    """Streams voice-band blocks of 160 samples; remembers 20 ms of sound and one key.

    ``key`` is the one that sounds now, or None.
    """

    def __init__(self) -> None:
        tones = (*ROWS_HZ, *COLUMNS_HZ, *(2 * tone for tone in (*ROWS_HZ, *COLUMNS_HZ)))
        self._bank = ToneBank(tones, _WINDOW, VOICE_RATE_HZ, _HOP, VOICE_SAMPLES)
        self._hop = 0
        self._candidate: str | None = None
        self._hits = 0
        self._misses = 0
        self._since = 0
        self.key: str | None = None

    @property
    def since_samples(self) -> int | None:
        """Where the key that sounds now began, in 48 kHz samples since the start."""
        return None if self.key is None else max(0, (self._since - 2) * _HOP_SAMPLES - VOICE_DELAY_SAMPLES)

    def push(self, voice: Floats) -> list[DtmfKey]:
        """20 ms; the keys that began to count."""
        powers, energies = self._bank.push(voice)
        pressed: list[DtmfKey] = []
        for power, energy in zip(powers, energies, strict=True):
            self._hop += 1
            found = _key_of(power, float(energy)) if energy > _FLOOR else None
            began = self._note(found)
            if began is not None:
                pressed.append(began)
        return pressed

    def _note(self, found: str | None) -> DtmfKey | None:
        if found is not None and found == self._candidate:
            self._hits += 1
            self._misses = 0
        elif self._candidate is None or (found is not None and self.key is None):
            self._candidate, self._hits, self._misses, self._since = found, 1, 0, self._hop
        else:
            self._misses += 1
            if self._misses >= _MISSES_TO_END or (self.key is None and self._misses > 1):
                self._candidate = self.key = None
                if found is not None:
                    self._candidate, self._hits, self._misses, self._since = found, 1, 0, self._hop
            return None
        if self._candidate is None or self.key is not None or self._hits < _NEEDED:
            return None
        self.key = self._candidate
        since = self.since_samples
        assert since is not None
        return DtmfKey(self.key, since)


def _key_of(power: Floats, energy: float) -> str | None:
    """The key that one window holds: shares, twist, dominance and overtones must all be right."""
    rows, columns = power[:4], power[4:8]
    row, column = int(np.argmax(rows)), int(np.argmax(columns))
    loud_row, loud_column = float(rows[row]), float(columns[column])
    if loud_row + loud_column < _SHARE * energy:
        return None
    if loud_row > _ROW_TWIST * loud_column or loud_column > _COLUMN_TWIST * loud_row:
        return None
    if float(np.partition(rows, 2)[2]) > _SECOND * loud_row + 0.02 * loud_column:
        return None
    if float(np.partition(columns, 2)[2]) > _SECOND * loud_column + 0.02 * loud_row:
        return None
    # A row's overtone lies within 60 Hz of a column: what leaks from there is not the row's.
    overtones = float(power[8 + row]) > _OVERTONE * loud_row + 0.05 * loud_column
    if overtones or float(power[12 + column]) > _OVERTONE * loud_column:
        return None
    return KEYS[row][column]


def encode_dtmf(keys: str, level_dbfs: float = -18.0, tone_ms: int = 80, gap_ms: int = 60) -> NDArray[np.int16]:
    """Keys as sound: int16, 48 kHz mono. ``level_dbfs`` is of both tones together.

    Raises:
        SignallingError: a character that is no key, or a duration that receivers need not accept (below 40 ms).
    """
    places = {key: (row, column) for row, line in enumerate(KEYS) for column, key in enumerate(line)}
    unknown = sorted(set(keys) - places.keys())
    if unknown or not keys:
        raise SignallingError(f"{''.join(unknown) or 'nothing'!r} cannot be dialled; the keys are 0-9, A-D, * and #")
    if tone_ms < 40 or gap_ms < 40:
        raise SignallingError("a DTMF tone and a pause last 40 ms at least")
    time_s = np.arange(tone_ms * SAMPLE_RATE_HZ // 1000) / SAMPLE_RATE_HZ
    amplitude = FULL_SCALE * 10 ** (level_dbfs / 20)
    gap = np.zeros(gap_ms * SAMPLE_RATE_HZ // 1000)
    parts: list[NDArray[np.float64]] = []
    for key in keys:
        row, column = places[key]
        tones = np.sin(2 * np.pi * ROWS_HZ[row] * time_s) + np.sin(2 * np.pi * COLUMNS_HZ[column] * time_s)
        parts += [amplitude * tones, gap]
    return to_pcm(np.concatenate(parts))
