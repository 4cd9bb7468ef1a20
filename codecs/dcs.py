"""DCS: a 23-bit Golay word, over and over at 134.4 bit/s below the voice, that says whose carrier it is.

The word has no beginning on the air, so some codes are rotations of each other (023, 340 and 766): :func:`aliases`.

Decoding is a sequential test. For every place at which the wanted word may stand, a bit that fits adds one to a score
and a bit that does not takes three away; noise never gets far, the word opens after 32 bits (240 ms) when it is clean,
and with three wrong bits in every word (all that the Golay code can correct) after some three words. The bit clock is
not recovered: four quarters of a bit are tried beside each other.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.ctcss import SquelchCause
from tongpin.codecs.errors import SignallingError
from tongpin.codecs.frame import FRAME_SAMPLES, SAMPLE_RATE_HZ
from tongpin.codecs.front import LOW_DELAY_SAMPLES, LOW_RATE_HZ, LOW_SAMPLES
from tongpin.codecs.levels import FULL_SCALE
from tongpin.codecs.windows import Floats, SlidingWindows

BIT_RATE = 134.4
WORD_BITS = 23
_GENERATOR = 0xC75
_CODE = re.compile(r"D?([0-7]{3})([NI]?)")

_FITS = 1
_FITS_NOT = -3
_OPEN = 32
_CLOSE = 14
_TOP = 46
"""Two words: what has been clean for long is forgotten within 11 wrong bits."""
_CLOCKS = 4
_BIT = LOW_RATE_HZ / BIT_RATE
_TAIL = 100
"""100 ms of the turn-off tone decide; the word itself has nothing at its own bit rate."""
_TAIL_SHARE = 0.6
_FLOOR = (FULL_SCALE * 10 ** (-66 / 20)) ** 2


@dataclass(frozen=True, slots=True)
class CodeMoved:
    """The code opened or closed the squelch. ``at_samples``: the end of the frame that decided it."""

    is_open: bool
    code: str
    cause: SquelchCause
    at_samples: int


def word_of(code: str) -> int:
    """The 23 bits of a code, the first on the air lowest: nine of the code, the fixed 100, eleven of parity.

    Args:
        code: three octal digits, with or without ``D`` before and ``N`` or ``I`` (inverted) after.
    Raises:
        SignallingError: it is not written so.
    """
    read = _CODE.fullmatch(code)
    if read is None:
        raise SignallingError(f'{code!r} is no DCS code: write "023", or "023I" for an inverted one')
    data = 0b100 << 9 | int(read[1], 8)
    rest = data << 11
    for bit in range(22, 10, -1):
        if rest >> bit & 1:
            rest ^= _GENERATOR << (bit - 11)
    word = rest << 12 | data
    return word ^ 0x7FFFFF if read[2] == "I" else word


def aliases(code: str) -> tuple[str, ...]:
    """All codes, inverted ones with ``I``, that sound the same on the air: rotations of one word; sorted."""
    word = word_of(code)
    rotations = {word >> turn | (word & (1 << turn) - 1) << (WORD_BITS - turn) for turn in range(WORD_BITS)}
    every = (f"{number:03o}{mark}" for mark in ("", "I") for number in range(512))
    return tuple(sorted(other for other in every if word_of(other) in rotations))


class DcsDecoder:
    """Streams low-band blocks of 20 samples; remembers a word and its scores. ``code`` is the open one, or None."""

    def __init__(self, wanted: tuple[str, ...]) -> None:
        """Raises SignallingError for a code that cannot be read."""
        self._codes = wanted
        bits = np.array([[word_of(code) >> bit & 1 for bit in range(WORD_BITS)] for code in wanted], np.int8)
        bits = bits.reshape(len(wanted), WORD_BITS)
        # expected[n][code][place]: the bit due next when the word stands at that place and n bits have come.
        turns = (np.arange(WORD_BITS)[:, np.newaxis] + np.arange(WORD_BITS)) % WORD_BITS
        self._gains = np.where(bits[:, turns].transpose(1, 0, 2)[np.newaxis] == np.arange(2).reshape(2, 1, 1, 1), 1, 0)
        self._gains = np.where(self._gains == 1, _FITS, _FITS_NOT).astype(np.int16)
        self._scores = np.zeros((_CLOCKS, len(wanted), WORD_BITS), np.int16)
        self._next_at = [quarter * _BIT / _CLOCKS for quarter in range(_CLOCKS)]
        """When each clock's present bit ends, in samples of the low band counted since the start."""
        self._bits = [0] * _CLOCKS
        self._sums = [[0.0] * WORD_BITS for _ in range(_CLOCKS)]
        """The newest word's bits as sums of samples, in a ring: their own mean is where zero is."""
        self._windows = SlidingWindows(_TAIL, LOW_SAMPLES, LOW_SAMPLES)
        self._tail = np.exp(-2j * np.pi * BIT_RATE / LOW_RATE_HZ * np.arange(_TAIL)) / _TAIL
        self._running = [0.0] * (2 * LOW_SAMPLES + 1)
        """Running sum before, and after each, of the newest 40 samples."""
        self._samples = 0
        self._frames = 0
        self.code: str | None = None

    def push(self, low: Floats) -> CodeMoved | None:
        """20 ms; whether the squelch moved."""
        self._frames += 1
        offset = self._running[LOW_SAMPLES]
        self._running = [value - offset for value in self._running[LOW_SAMPLES:]]
        self._running += [self._running[-1] + value for value in np.cumsum(low, dtype=np.float64).tolist()]
        self._samples += LOW_SAMPLES
        for clock in range(_CLOCKS):
            while self._next_at[clock] <= self._samples:
                self._take_bit(clock)
        if self.code is not None and self._is_turned_off(low):
            self._scores[:] = 0
            return self._close(SquelchCause.TURN_OFF)
        best = self._scores.max(axis=(0, 2))
        if self.code is None:
            found = int(np.argmax(best)) if best.size else 0
            if not best.size or best[found] < _OPEN:
                return None
            self.code = self._codes[found]
            return CodeMoved(True, self.code, SquelchCause.FOUND, self._at())
        if best[self._codes.index(self.code)] < _CLOSE:
            return self._close(SquelchCause.LOST)
        return None

    def _take_bit(self, clock: int) -> None:
        end = self._next_at[clock] - self._samples + 2 * LOW_SAMPLES
        self._next_at[clock] += _BIT
        turn = self._bits[clock] % WORD_BITS
        self._bits[clock] += 1
        sums = self._sums[clock]
        sums[turn] = self._sum_before(end) - self._sum_before(end - _BIT)
        bit = int(sums[turn] * WORD_BITS > sum(sums))
        scores = self._scores[clock]
        scores += self._gains[bit, turn]
        np.maximum(scores, 0, out=scores)
        np.minimum(scores, _TOP, out=scores)

    def _sum_before(self, place: float) -> float:
        """The running sum at a place between two samples."""
        whole = int(place)
        rest = place - whole
        return self._running[whole] * (1 - rest) + (self._running[whole + 1] * rest if rest else 0.0)

    def _is_turned_off(self, low: Floats) -> bool:
        window = self._windows.push(low)[0]
        level = window - window.mean()
        power = float(level @ level) / _TAIL
        return power > _FLOOR and 2 * abs(complex(self._tail @ level)) ** 2 > _TAIL_SHARE * power

    def _close(self, cause: SquelchCause) -> CodeMoved:
        code, self.code = self.code, None
        assert code is not None
        return CodeMoved(False, code, cause, self._at())

    def _at(self) -> int:
        return max(0, self._frames * FRAME_SAMPLES - LOW_DELAY_SAMPLES)


class DcsEncoder:
    """The code under a transmission, or its turn-off tone; smoothed, so that nothing of it is heard.

    Args:
        level_dbfs: of the bits' flat tops.
    """

    def __init__(self, code: str, level_dbfs: float = -30.0) -> None:
        """Raises SignallingError for a code that cannot be read."""
        word = word_of(code)
        self._bits: NDArray[np.float64] = np.array([2.0 * (word >> bit & 1) - 1 for bit in range(WORD_BITS)])
        self._amplitude = FULL_SCALE * 10 ** (level_dbfs / 20)
        self._place = 0.0
        """In bits since the word's first."""
        self._is_ending = False

    def next_frame(self) -> Floats:
        """20 ms: float32, shape (960,), in int16 units, to be added to the speech."""
        places = self._place + BIT_RATE / SAMPLE_RATE_HZ * np.arange(FRAME_SAMPLES)
        self._place = (self._place + BIT_RATE / SAMPLE_RATE_HZ * FRAME_SAMPLES) % WORD_BITS
        if self._is_ending:
            return np.asarray(self._amplitude * np.sin(2 * np.pi * places), np.float32)
        whole = np.floor(places).astype(np.intp)
        now, before = self._bits[whole % WORD_BITS], self._bits[(whole - 1) % WORD_BITS]
        # A change takes the first 45 % of a bit, along half a cosine: next to nothing is left above 300 Hz.
        way = 0.5 - 0.5 * np.cos(np.pi * np.minimum(1.0, (places - whole) / 0.45))
        return np.asarray(self._amplitude * (before + (now - before) * way), np.float32)

    def turn_off(self) -> None:
        """From the next frame on a tone of 134.4 Hz: receivers close at once."""
        self._is_ending = True
