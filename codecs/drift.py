"""Sound between two clocks that differ by some parts per million: by how many, and the frames of one for the other."""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongpin.codecs.frame import FRAME_SAMPLES, SAMPLE_RATE_HZ, PcmFrame, check_frame

MAX_PPM = 1_000.0
"""More than any crystal is off by; a clock that seems to be further off is not believed."""
FIRST_S = 20
"""Seconds of watching before the first answer."""
_MEMORY_S = 600
_STEP_S = 0.003
"""A second that is off by more than this is an interruption (sound lost, machine stopped), not drift."""
_SETTLE_PPM_PER_FRAME = 0.5
"""How fast the correction moves: 25 ppm a second, far below what an ear notices."""

HALF_TAPS = 16
"""Delay of the resampler in samples: a third of a millisecond."""
_TAPS = 2 * HALF_TAPS
_DEGREE = 9
_KAISER_BETA = 8.0


class ClockMeter:
    """How many ppm a sound card's clock is fast against the caller's, from when its blocks came.

    A block is never early, but it may be late. So the most punctual block of each second counts, and the slope is the
    median over pairs half of the last ten minutes apart, which a few bad seconds do not move.
    """

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque(maxlen=_MEMORY_S)
        self._second: float | None = None
        self._best: tuple[float, float] = (0.0, 0.0)
        self._shift_s = 0.0
        self._last_s: float | None = None

    def add(self, samples: int, now: float) -> None:
        """The card has counted ``samples`` so far at ``now``, in seconds; neither ever falls. Quick."""
        behind_s = now - samples / SAMPLE_RATE_HZ
        if self._second is None:
            self._second, self._best = now, (now, behind_s)
        elif now >= self._second + 1.0:
            self._close_second()
            self._second, self._best = now, (now, behind_s)
        elif behind_s < self._best[1]:
            self._best = (now, behind_s)

    def _close_second(self) -> None:
        at, behind_s = self._best
        if self._last_s is not None and abs(behind_s - self._last_s) > _STEP_S:
            self._shift_s += behind_s - self._last_s
        self._last_s = behind_s
        self._points.append((at, behind_s - self._shift_s))

    def measure(self) -> float | None:
        """How many ppm the card is fast; None until :data:`FIRST_S` seconds have been seen, and when it is absurd.

        May be called by another thread than :meth:`add`.
        """
        points = np.array(list(self._points))
        if len(points) < FIRST_S:
            return None
        half = len(points) // 2
        rise = points[half:] - points[:-half]
        ppm = -1e6 * float(np.median(rise[:, 1] / rise[:, 0]))
        return ppm if abs(ppm) <= MAX_PPM else None


def _kernel() -> NDArray[np.float32]:
    """Polynomials in the fraction of a sample for each tap of a windowed sinc; shape (degree + 1, taps).

    At fraction 0 the kernel is one single tap, so that without a correction the samples come out as they went in.
    """
    fractions = 0.5 - 0.5 * np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    taps = np.arange(1 - HALF_TAPS, HALF_TAPS + 1)
    away = taps[None, :] - fractions[:, None]
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (away / HALF_TAPS) ** 2, 0, None))) / np.i0(_KAISER_BETA)
    at_zero = (taps == 0).astype(float)
    # Fitted without the constant term, which is the kernel at fraction 0, known exactly.
    powers = fractions[:, None] ** np.arange(1, _DEGREE + 1)[None, :]
    fitted, *_ = np.linalg.lstsq(powers, np.sinc(away) * window - at_zero, rcond=None)
    return np.asarray(np.vstack((at_zero, fitted)), dtype=np.float32)


_KERNEL: Final = _kernel()
_STEPS: Final = np.arange(FRAME_SAMPLES)
_SILENCE: Final = np.zeros(FRAME_SAMPLES, np.float32)


class DriftResampler:
    """Frames of one clock in, frames of another out. Whoever pushes takes while :attr:`has_frame`; whoever pulls feeds
    until then. Nothing is ever left out or said twice; delay 16 samples and at most one frame.
    """

    def __init__(self) -> None:
        self._target = 0.0
        self._ppm = 0.0
        self._samples = np.zeros(_TAPS - 1, np.float32)
        self._position = 0.0
        self._loud = 0
        """Where in ``_samples`` the silence begins that goes on to its end."""

    @property
    def ppm(self) -> float:
        """The correction in force: by how much more samples go in than come out."""
        return self._ppm

    @property
    def held_samples(self) -> float:
        """Samples that are in and not yet out: less than two frames."""
        return self._samples.size - self._position - (HALF_TAPS - 1)

    def steer(self, ppm: float) -> None:
        """Aim at ``ppm`` more samples in than out; the correction glides there.

        Raises:
            ValueError: it is beyond :data:`MAX_PPM`; nothing is changed.
        """
        if not abs(ppm) <= MAX_PPM:
            raise ValueError(f"a clock is not {ppm} ppm off")
        self._target = ppm

    def align(self) -> None:
        """At a moment of silence: hold so much that the next slip of a whole frame comes as late as possible.

        A slow second clock takes from what is held, a fast one adds to it.
        """
        spare = FRAME_SAMPLES - 1 if self._ppm > 0 else 0
        self._samples = np.zeros(_TAPS - 1 + spare, np.float32)
        self._position = 0.0
        self._loud = 0

    @property
    def _step(self) -> float:
        return 1.0 + self._ppm * 1e-6

    @property
    def has_frame(self) -> bool:
        return int(self._position + (FRAME_SAMPLES - 1) * self._step) + _TAPS <= self._samples.size

    def feed(self, pcm: PcmFrame | None) -> None:
        """One frame of the first clock, None for silence. Raises FrameShapeError; nothing is changed."""
        if pcm is None:
            added = _SILENCE
        else:
            check_frame(pcm)
            added = pcm.astype(np.float32)
            self._loud = self._samples.size + FRAME_SAMPLES
        self._samples = np.concatenate((self._samples, added))

    def take(self) -> PcmFrame | None:
        """One frame of the second clock, None when it is all silence. Only when :attr:`has_frame`."""
        step, first = self._step, int(self._position)
        out = self._render(step, first) if self._loud > first else None
        position = self._position + FRAME_SAMPLES * step
        gone = int(position)
        self._samples = self._samples[gone:]
        self._position = position - gone
        self._loud -= gone
        far = self._target - self._ppm
        self._ppm += min(max(far, -_SETTLE_PPM_PER_FRAME), _SETTLE_PPM_PER_FRAME)
        return out

    def _render(self, step: float, first: int) -> PcmFrame:
        places = (self._position - first) + _STEPS * step
        whole = places.astype(np.intp)
        if step == 1.0 and places[0] == 0.0:
            out = self._samples[first + HALF_TAPS - 1 : first + HALF_TAPS - 1 + FRAME_SAMPLES]
        else:
            taps = np.lib.stride_tricks.sliding_window_view(self._samples[first:], int(whole[-1]) + 1)[:_TAPS]
            terms = (_KERNEL @ np.ascontiguousarray(taps))[:, whole]
            fraction = (places - whole).astype(np.float32)
            out = terms[_DEGREE]
            for power in range(_DEGREE - 1, -1, -1):
                out = out * fraction + terms[power]
        result: PcmFrame = np.clip(np.rint(out), -32_768, 32_767).astype(np.int16)
        return result
