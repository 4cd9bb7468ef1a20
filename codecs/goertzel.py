"""How much of a sound lies at a few given frequencies: Goertzel's question, asked of a whole bank at once.

One matrix product answers for every tone and window together, which numpy does faster than the recursion.
"""

from collections.abc import Sequence

import numpy as np

from tongpin.codecs.windows import Floats, SlidingWindows


class ToneBank:
    """Correlators for ``tones_hz`` over windows of ``samples`` (rectangular: a line is 1/duration wide).

    Args:
        hop: distance of two windows; divides ``block``.
        block: length of what is pushed.
    """

    def __init__(self, tones_hz: Sequence[float], samples: int, rate_hz: int, hop: int, block: int) -> None:
        phases = 2j * np.pi / rate_hz * np.outer(np.arange(samples), tones_hz)
        # Real and imaginary columns side by side: a real product is twice as fast as a complex one.
        turned = np.exp(-phases) / samples
        self._matrix = np.hstack([turned.real, turned.imag]).astype(np.float32)
        self._count = len(tones_hz)
        self._samples = samples
        self._windows = SlidingWindows(samples, hop, block)

    def push(self, block: Floats) -> tuple[Floats, Floats]:
        """The windows that end in this block, oldest first.

        Returns:
            Mean square of every tone, shape (block / hop, tones): a tone of amplitude A gives A²/2; and of
            everything, (block / hop,).
        """
        windows = self._windows.push(block)
        parts = windows @ self._matrix
        parts *= parts
        powers = 2 * (parts[:, : self._count] + parts[:, self._count :])
        return powers, np.einsum("ij,ij->i", windows, windows) / np.float32(self._samples)
