"""The sound of MDC1200: 1200 bit/s MSK, one cycle of 1200 Hz for a bit like the last, one and a half of 1800 Hz for
a change.

So the wave crosses zero at the end of every bit, upwards after a 0 and downwards after a 1. The filter that fits both
tones on both sides of such a crossing is a 1500 Hz wave under half a cosine of two bits' length: its output at the
crossing is the bit. It is taken as a complex number, because a receiver's de-emphasis turns all of them by one angle;
the sync word, found by correlation whatever the angle, tells which. An inverted channel is an angle of 180 degrees.
"""

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import SAMPLE_RATE_HZ
from tongpin.codecs.front import VOICE_DELAY_SAMPLES, VOICE_RATE_HZ, VOICE_SAMPLES
from tongpin.codecs.levels import FULL_SCALE, to_pcm
from tongpin.codecs.mdc1200 import BLOCK_BITS, DOUBLE_OPS, LEADER, SYNC, Block, MdcCall, MdcHeard, decode_block
from tongpin.codecs.windows import Floats, SlidingWindows

_BIT_SAMPLES = SAMPLE_RATE_HZ // 1200
_LEADER_SAMPLES = 8 * len(LEADER) * _BIT_SAMPLES
_FINE = 3
"""The filter's output comes at three times the voice rate: 20 points a bit exactly."""
_POINTS = _FINE * VOICE_RATE_HZ // 1200
_FRAME_POINTS = _FINE * VOICE_SAMPLES
_HALF_TAPS = 7
_SYNC_SIGNS = 1 - 2 * np.unpackbits(np.frombuffer(SYNC, np.uint8)).astype(np.float32)
_SYNC_POINTS = _SYNC_SIGNS.size * _POINTS
_FOUND = 0.4
"""Share of the filter's power that agrees with the sync word: 0.83 without noise, 0.4 at 1 dB of noise above the
signal; noise alone has more than that once in 10^9 looks."""
_FLOOR = (FULL_SCALE * 10 ** (-50 / 20)) ** 2
_HISTORY = _SYNC_POINTS + _FRAME_POINTS
_BURST_POINTS = _SYNC_POINTS + 2 * BLOCK_BITS * _POINTS
_COARSE = 6
"""The sync word is looked for at every so many points first: within a seventh of a bit."""
_WORDS = np.arange(0, _FRAME_POINTS, _COARSE)[:, np.newaxis] + np.arange(_SYNC_SIGNS.size) * _POINTS + _POINTS
"""Which of the last ``_HISTORY`` points make a sync word that ends in the newest frame."""


def _taps() -> NDArray[np.float32]:
    """Columns: real parts for the three thirds of a sample, then imaginary ones."""
    columns = []
    for third in range(_FINE):
        bits = (np.arange(-_HALF_TAPS, _HALF_TAPS + 1) - third / _FINE) * 1200 / VOICE_RATE_HZ
        envelope = np.where(np.abs(bits) < 1, np.cos(np.pi / 2 * bits), 0.0)
        taps = 1j * envelope * np.exp(-2j * np.pi * 1500 / 1200 * bits)
        # Nothing of a constant offset may come through.
        columns.append((taps - envelope * taps.sum() / envelope.sum()) / envelope.sum())
    turned = np.array(columns).T
    return np.hstack([turned.real, turned.imag]).astype(np.float32)


class MdcDecoder:
    """Streams voice-band blocks of 160 samples; remembers one burst of two blocks (0.22 s)."""

    def __init__(self) -> None:
        self._taps = _taps()
        self._windows = SlidingWindows(2 * _HALF_TAPS + 1, 1, VOICE_SAMPLES)
        self._points = np.zeros((2, _HISTORY), np.float32)
        """Filter output, real and imaginary; the newest last. Long while a burst is being taken."""
        self._taken = 0
        """Points since the start."""
        self._sync_at: int | None = None
        """Point at which the sync word's first bit ends, counted since the start."""
        self._sync_share = 0.0
        self._first: Block | None = None

    @property
    def since_samples(self) -> int | None:
        """Where the leader of the burst that is being taken began, in 48 kHz samples since the start, or None."""
        return None if self._sync_at is None else max(0, self._starts_at(self._sync_at) - _LEADER_SAMPLES)

    def push(self, voice: Floats) -> list[MdcHeard]:
        """20 ms; the bursts that were whole with it."""
        parts = (self._windows.push(voice) @ self._taps).reshape(VOICE_SAMPLES, 2, _FINE)
        fresh = parts.transpose(1, 0, 2).reshape(2, -1)
        keep = _HISTORY - _FRAME_POINTS if self._sync_at is None else _BURST_POINTS
        self._points = np.concatenate([self._points[:, -keep:], fresh], axis=1)
        self._taken += _FRAME_POINTS
        if self._first is None and float(np.dot(voice, voice)) > _FLOOR * VOICE_SAMPLES:
            self._look_for_sync()
        heard = self._take_burst()
        return [] if heard is None else [heard]

    def _look_for_sync(self) -> None:
        """The best fit of the sync word among those that end in the newest frame, to a third of a sample."""
        points = self._points[:, -_HISTORY:]
        words = points[:, _WORDS]
        sums = (words.reshape(-1, _SYNC_SIGNS.size) @ _SYNC_SIGNS).reshape(2, -1)
        fits = sums[0] ** 2 + sums[1] ** 2
        words *= words
        shares = fits / (_SYNC_SIGNS.size * np.maximum(words.sum(axis=(0, 2)), 1e-9))
        coarse = int(np.argmax(shares))
        if shares[coarse] < max(_FOUND, self._sync_share):
            return
        near = range(max(0, (coarse - 1) * _COARSE), min(_FRAME_POINTS, (coarse + 1) * _COARSE + 1))
        place = max(near, key=lambda start: float(np.sum((points[:, _WORDS[0] + start] @ _SYNC_SIGNS) ** 2)))
        self._sync_share = float(shares[coarse])
        self._sync_at = self._taken - _FRAME_POINTS + place - (_SYNC_POINTS - _POINTS)

    def _take_burst(self) -> MdcHeard | None:
        if self._sync_at is None:
            return None
        size = self._points.shape[1]
        begin = size - self._taken + self._sync_at
        blocks = begin + _SYNC_POINTS
        if self._first is None:
            if size < blocks + BLOCK_BITS * _POINTS:
                return None
            self._first = decode_block(self._soft_bits(begin, blocks))
            if self._first is None:
                return self._end(None)
            if self._first.data[0] not in DOUBLE_OPS:
                return self._end(
                    MdcHeard(*self._words(self._first), None, self._first.wrong_bits, self._starts_at(self._sync_at))
                )
        if size < blocks + 2 * BLOCK_BITS * _POINTS:
            return None
        first, second = self._first, decode_block(self._soft_bits(begin, blocks + BLOCK_BITS * _POINTS))
        data = second.data if second is not None else None
        wrong = first.wrong_bits + (second.wrong_bits if second is not None else 0)
        return self._end(MdcHeard(*self._words(first), data, wrong, self._starts_at(self._sync_at)))

    def _soft_bits(self, begin: int, block: int) -> NDArray[np.float64]:
        """A block's bits, turned by the angle that the sync word has."""
        turn = self._points[:, begin : begin + _SYNC_POINTS : _POINTS] @ _SYNC_SIGNS
        bits = self._points[:, block : block + BLOCK_BITS * _POINTS : _POINTS]
        return np.asarray(turn @ bits, np.float64)

    @staticmethod
    def _words(block: Block) -> tuple[int, int, int]:
        return block.data[0], block.data[1], int.from_bytes(block.data[2:])

    @staticmethod
    def _starts_at(sync_at: int) -> int:
        samples = (sync_at // _FINE - _HALF_TAPS) * SAMPLE_RATE_HZ // VOICE_RATE_HZ
        return max(0, samples - _BIT_SAMPLES - VOICE_DELAY_SAMPLES)

    def _end(self, heard: MdcHeard | None) -> MdcHeard | None:
        self._sync_at, self._first, self._sync_share = None, None, 0.0
        self._points = self._points[:, -_HISTORY:]
        return heard


def encode_mdc(call: MdcCall, level_dbfs: float = -18.0) -> NDArray[np.int16]:
    """A burst as sound: int16, 48 kHz mono, phase-continuous."""
    bits = np.unpackbits(np.frombuffer(call.burst(), np.uint8)).astype(np.int8)
    changes = np.diff(bits, prepend=np.int8(0)) != 0
    hertz = np.repeat(np.where(changes, 1800.0, 1200.0), _BIT_SAMPLES)
    sound = FULL_SCALE * np.sqrt(2) * 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE_HZ)
    return to_pcm(sound)
