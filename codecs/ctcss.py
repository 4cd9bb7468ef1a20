"""CTCSS: the sub-audible tone that says whose carrier it is; found, followed, and made."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from tongpin.codecs.errors import SignallingError
from tongpin.codecs.frame import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ
from tongpin.codecs.front import LOW_DELAY_SAMPLES, LOW_RATE_HZ, LOW_SAMPLES
from tongpin.codecs.levels import FULL_SCALE
from tongpin.codecs.windows import Floats, SlidingWindows

TONES_HZ = (
    *(67.0, 69.3, 71.9, 74.4, 77.0, 79.7, 82.5, 85.4, 88.5, 91.5, 94.8, 97.4, 100.0, 103.5, 107.2, 110.9, 114.8),
    *(118.8, 123.0, 127.3, 131.8, 136.5, 141.3, 146.2, 151.4, 156.7, 159.8, 162.2, 165.5, 167.9, 171.3),
    *(173.8, 177.3, 179.9, 183.5, 186.2, 189.9, 192.8, 196.6, 199.5, 203.5, 206.5, 210.7, 218.1, 225.7, 229.1),
    *(233.6, 241.8, 250.3, 254.1),
)
"""TIA-603's tones and those that radios add."""

_WINDOW = 200
"""200 ms: lines 5 Hz wide."""
_OPEN = 10 ** (15 / 10)
_CLOSE = 10 ** (9 / 10)
_BAND_HZ = (60, 270)
_NOISE_SHARE = 1 / 60
"""Noise is counted in 3.5 Hz of the band's 210: a tone at 0 dB in 200 Hz then measures 17.6 dB."""
_BINS = slice(_BAND_HZ[0] * _WINDOW // LOW_RATE_HZ, _BAND_HZ[1] * _WINDOW // LOW_RATE_HZ + 1)
_FLOOR = (FULL_SCALE * 10 ** (-66 / 20)) ** 2
_SHORT = 60
"""The newest 60 ms tell that the tone has turned round or has gone."""
_TURNED = -0.2
"""Cosine of the angle by which a reverse burst turns the tone: 120 to 180 degrees, less what noise takes."""
_WHOLE = 0.5
"""Part of its power that a tone has in each stretch before it opens: less of it would not tell neighbours apart."""
_STRAIGHT = 0.85
_TURNED_POWER = 0.2
_GONE = 0.1
"""Parts of its power that a tone has when it has turned, and less than which it has when it is no more there. While
it turns there is a moment of nothing: two frames in a row must agree that it has gone."""
_AFTER_BURST = 300 // FRAME_MS
"""Frames for which a tone that was turned round opens nothing: the burst itself lasts 150–250 ms."""


class SquelchCause(StrEnum):
    """Why a tone or code squelch moved."""

    FOUND = "found"
    LOST = "lost"
    TURN_OFF = "turn_off"
    """The transmitter said that it ends: a reverse burst, or the turn-off tone of DCS."""


@dataclass(frozen=True, slots=True)
class ToneMoved:
    """The tone opened or closed the squelch. ``at_samples``: the end of the frame that decided it."""

    is_open: bool
    tone_hz: float
    cause: SquelchCause
    at_samples: int


class CtcssDecoder:
    """Streams low-band blocks of 20 samples; remembers 200 ms.

    All fifty tones are weighed against each other, so that a neighbour is not taken for the tone that is waited for;
    only a tone of ``wanted`` opens. ``tone_hz`` is the open one, or None.
    """

    def __init__(self, wanted: tuple[float, ...]) -> None:
        """Raises SignallingError for a frequency that is not among the fifty."""
        for tone in wanted:
            tone_index(tone)
        self._wanted = frozenset(wanted)
        self._windows = SlidingWindows(_WINDOW, LOW_SAMPLES, LOW_SAMPLES)
        times = np.arange(_WINDOW) / LOW_RATE_HZ
        turned = np.exp(-2j * np.pi * np.outer(times, TONES_HZ)) / _WINDOW
        self._matrix = np.hstack([turned.real, turned.imag]).astype(np.float32)
        self._turned = turned * _WINDOW / _SHORT
        self._frames = 0
        self._closed_until = 0
        self._gone = 0
        self.tone_hz: float | None = None

    def push(self, low: Floats) -> ToneMoved | None:
        """20 ms; whether the squelch moved."""
        self._frames += 1
        window = self._windows.push(low)[0]
        level = window - window.mean()
        band = np.fft.rfft(level)[_BINS]
        total = 2 * float(np.vdot(band, band).real) / _WINDOW**2
        if total < _FLOOR:
            return self._close(SquelchCause.LOST)
        parts = level @ self._matrix
        powers = 2 * (parts[: len(TONES_HZ)] ** 2 + parts[len(TONES_HZ) :] ** 2)
        if self.tone_hz is None:
            best = int(np.argmax(powers))
            tone, power = TONES_HZ[best], float(powers[best])
            if tone not in self._wanted or _ratio(power, total) < _OPEN or self._frames < self._closed_until:
                return None
            if not self._is_steady(level, best, power):
                return None
            self.tone_hz = tone
            return ToneMoved(True, tone, SquelchCause.FOUND, self._at())
        index = TONES_HZ.index(self.tone_hz)
        _, before, now = self._stretches(level, index)
        power = float(powers[index])
        has_turned = (before * now.conjugate()).real < _TURNED * abs(before) * abs(now)
        if has_turned and 2 * abs(now) ** 2 > _TURNED_POWER * power:
            self._closed_until = self._frames + _AFTER_BURST
            return self._close(SquelchCause.TURN_OFF)
        self._gone = self._gone + 1 if 2 * abs(now) ** 2 < _GONE * power else 0
        if _ratio(power, total) < _CLOSE or self._gone > 1:
            return self._close(SquelchCause.LOST)
        return None

    def _stretches(self, level: Floats, index: int) -> tuple[complex, complex, complex]:
        """The tone's amplitude and angle in the three newest stretches of 60 ms, the newest last."""
        turned = self._turned[:, index] * level
        first, second, third = turned[-3 * _SHORT :].reshape(3, _SHORT).sum(axis=1).tolist()
        return first, second, third

    def _is_steady(self, level: Floats, index: int, power: float) -> bool:
        """There for long enough to be told from its neighbours, and not in the midst of turning round."""
        first, second, third = self._stretches(level, index)
        stretches = (first, second, third)
        if min(abs(stretch) for stretch in stretches) ** 2 <= _WHOLE * power / 2:
            return False
        # Side by side they make a straight line when the tone stood still.
        return abs(sum(stretches)) > _STRAIGHT * sum(abs(stretch) for stretch in stretches)

    def _close(self, cause: SquelchCause) -> ToneMoved | None:
        tone, self.tone_hz, self._gone = self.tone_hz, None, 0
        return None if tone is None else ToneMoved(False, tone, cause, self._at())

    def _at(self) -> int:
        return max(0, self._frames * FRAME_SAMPLES - LOW_DELAY_SAMPLES)


def _ratio(tone: float, total: float) -> float:
    return tone / (max(total - tone, 1e-6 * total) * _NOISE_SHARE)


def tone_index(tone_hz: float) -> int:
    """Raises SignallingError for a frequency that is not among the fifty."""
    if tone_hz not in TONES_HZ:
        nearest = min(TONES_HZ, key=lambda tone: abs(tone - tone_hz))
        raise SignallingError(f"{tone_hz} Hz is no CTCSS tone; the nearest is {nearest}")
    return TONES_HZ.index(tone_hz)


class CtcssEncoder:
    """The tone under a transmission, phase-continuous from frame to frame.

    Args:
        level_dbfs: root mean square of the tone.
    """

    def __init__(self, tone_hz: float, level_dbfs: float = -30.0) -> None:
        """Raises SignallingError for a frequency that is not among the fifty."""
        tone_index(tone_hz)
        self._step = 2 * np.pi * tone_hz / SAMPLE_RATE_HZ
        self._amplitude = FULL_SCALE * np.sqrt(2) * 10 ** (level_dbfs / 20)
        self._phase = 0.0

    def next_frame(self) -> Floats:
        """20 ms: float32, shape (960,), in int16 units, to be added to the speech."""
        phases = self._phase + self._step * np.arange(FRAME_SAMPLES)
        self._phase = (self._phase + self._step * FRAME_SAMPLES) % (2 * np.pi)
        return np.asarray(self._amplitude * np.sin(phases), np.float32)

    def turn_off(self) -> None:
        """From the next frame on the tone is turned by 180 degrees: the reverse burst."""
        self._phase += np.pi
