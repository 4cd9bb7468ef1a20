"""Five-tone selective calling, ZVEI1 and CCIR: a call is a row of tones without gaps; a repeated digit is tone E."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.errors import SignallingError
from tongpin.codecs.frame import SAMPLE_RATE_HZ
from tongpin.codecs.front import VOICE_DELAY_SAMPLES, VOICE_RATE_HZ, VOICE_SAMPLES
from tongpin.codecs.goertzel import ToneBank
from tongpin.codecs.levels import FULL_SCALE, to_pcm
from tongpin.codecs.windows import Floats

DIGITS = "0123456789ABCDEF"
_REPEAT = "E"


class SelcallKind(StrEnum):
    ZVEI1 = "zvei1"
    CCIR = "ccir"


TONES_HZ: dict[SelcallKind, tuple[float, ...]] = {
    SelcallKind.ZVEI1: (
        *(2400, 1060, 1160, 1270, 1400, 1530, 1670, 1830, 2000, 2200),
        *(2800, 810, 970, 885, 2600, 680),
    ),
    SelcallKind.CCIR: (
        *(1981, 1124, 1197, 1275, 1358, 1446, 1540, 1640, 1747, 1860),
        *(2400, 930, 2247, 991, 2110, 1055),
    ),
}
"""By digit, 0 to F; E is the repeat tone."""
TONE_MS = {SelcallKind.ZVEI1: 70, SelcallKind.CCIR: 100}

MIN_DIGITS = 3
MAX_DIGITS = 8

_WINDOW = 240
_HOP = 80
_HOP_MS = 10
_HOP_SAMPLES = _HOP * SAMPLE_RATE_HZ // VOICE_RATE_HZ
_FLOOR = (FULL_SCALE * 10 ** (-50 / 20)) ** 2
_SHARE = 0.4
_LEAD = 10.0
"""The winner is 10 dB above every other tone and has 40 % of the energy (multimon-ng's rule)."""
_NEEDED = 3
"""Windows of 30 ms, 10 ms apart, that make a tone."""
_FIRST_MAX_MS = 1500
"""The first tone may be long, to wake receivers that sleep."""


@dataclass(frozen=True, slots=True)
class SelcallHeard:
    """A call of the expected number of digits. ``at_samples``: where its sound begins, to 10 ms."""

    code: str
    at_samples: int


class SelcallDecoder:
    """Streams voice-band blocks of 160 samples; remembers 30 ms of sound and at most eight tones and one more."""

    def __init__(self, kind: SelcallKind, digits: int = 5) -> None:
        """Raises SignallingError for a number of digits outside 3–8."""
        if not MIN_DIGITS <= digits <= MAX_DIGITS:
            raise SignallingError(f"a selective call has {MIN_DIGITS} to {MAX_DIGITS} digits, not {digits}")
        self._bank = ToneBank(TONES_HZ[kind], _WINDOW, VOICE_RATE_HZ, _HOP, VOICE_SAMPLES)
        self._digits = digits
        self._nominal = TONE_MS[kind] // _HOP_MS
        self._hop = 0
        self._row: list[list[int]] = []
        """Tone, first hop, last hop."""
        self._rising: list[int] = []
        """The tone that may follow: tone, first hop, hits."""

    @property
    def since_samples(self) -> int | None:
        """Where the row of tones began, in 48 kHz samples since the start; None with less than two tones."""
        return _place(self._row[0][1]) if len(self._row) > 1 else None

    def push(self, voice: Floats) -> list[SelcallHeard]:
        """20 ms; the calls that ended."""
        powers, energies = self._bank.push(voice)
        heard: list[SelcallHeard] = []
        for power, energy in zip(powers, energies, strict=True):
            self._hop += 1
            if self._row and self._is_over():
                call = self._finish()
                heard += [call] if call is not None else []
            if energy > _FLOOR:
                self._note(power, float(energy))
        return heard

    def _is_over(self) -> bool:
        # Two windows' length of nothing; the tones themselves touch.
        return self._hop - self._row[-1][2] > self._nominal // 2 + 3

    def _note(self, power: Floats, energy: float) -> None:
        tone = int(np.argmax(power))
        best = float(power[tone])
        if best < _SHARE * energy or best < _LEAD * float(np.partition(power, -2)[-2]):
            return
        if self._row and self._row[-1][0] == tone:
            self._row[-1][2] = self._hop
            self._rising = []
        elif self._rising and self._rising[0] == tone:
            self._rising[2] += 1
            if self._rising[2] >= _NEEDED:
                self._row.append([tone, self._rising[1], self._hop])
                self._rising = []
                # One more than a call has is enough to know that this is none.
                del self._row[: -self._digits - 1]
        else:
            self._rising = [tone, self._hop, 1]

    def _finish(self) -> SelcallHeard | None:
        row, self._row, self._rising = self._row, [], []
        if len(row) != self._digits:
            return None
        begins = [first for _, first, _ in row]
        # Tones begin one length after the other; the first may be long, and each start is known to about 20 ms.
        if any(abs(after - before - self._nominal) > 3 for before, after in zip(begins[1:], begins[2:], strict=False)):
            return None
        if begins[1] - begins[0] > _FIRST_MAX_MS // _HOP_MS:
            return None
        code = ""
        for tone, _, _ in row:
            digit = DIGITS[tone]
            code += code[-1] if digit == _REPEAT and code else digit
        return SelcallHeard(code, _place(begins[0]))


def _place(hop: int) -> int:
    """The sample at which the window of this number begins."""
    return max(0, (hop - _WINDOW // _HOP) * _HOP_SAMPLES - VOICE_DELAY_SAMPLES)


def encode_selcall(
    kind: SelcallKind, code: str, level_dbfs: float = -18.0, first_tone_ms: int | None = None
) -> NDArray[np.int16]:
    """A call as sound: int16, 48 kHz mono, phase-continuous.

    Raises:
        SignallingError: a wrong number of digits, or one that cannot be sent (E is the repeat tone).
    """
    if not MIN_DIGITS <= len(code) <= MAX_DIGITS or not set(code) <= set(DIGITS) - {_REPEAT}:
        raise SignallingError(f"{code!r} is no selective call: {MIN_DIGITS} to {MAX_DIGITS} of 0-9, A-D, F")
    sent = ""
    for before, digit in zip(" " + code, code, strict=False):
        sent += _REPEAT if digit == before and sent[-1] != _REPEAT else digit
    lengths = [TONE_MS[kind]] * len(sent)
    lengths[0] = first_tone_ms or lengths[0]
    hertz = np.concatenate(
        [
            np.full(ms * SAMPLE_RATE_HZ // 1000, TONES_HZ[kind][DIGITS.index(digit)])
            for digit, ms in zip(sent, lengths, strict=True)
        ]
    )
    sound = FULL_SCALE * np.sqrt(2) * 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE_HZ)
    return to_pcm(sound)
