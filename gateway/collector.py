"""Garbage collection in small portions: with thousands of peers one full collection stops the sound for 100 ms.

What has lived through a collection is frozen (left out of later ones), so each looks at what is new only. Everything of
ours that goes away does so by its reference count; for cycles of others that die after they were frozen, everything is
looked through again now and then, when nobody talks.
"""

import asyncio
import gc
from collections.abc import Callable
from time import monotonic

EVERY_S = 0.5
YOUNG = 2
"""Collections of the middle generation after which a full one is worth while: some 14,000 new objects."""
THOROUGH_EVERY_S = 600.0
NEVER = 1_000_000_000


class Collector:
    """``is_quiet`` says whether nobody talks."""

    def __init__(self, is_quiet: Callable[[], bool]) -> None:
        self._is_quiet = is_quiet

    async def run(self) -> None:
        """Take the collector over until cancelled."""
        first, second, third = gc.get_threshold()
        gc.collect()
        gc.freeze()
        gc.set_threshold(first, second, NEVER)
        thorough_at = monotonic()
        try:
            while True:
                await asyncio.sleep(EVERY_S)
                if monotonic() - thorough_at > THOROUGH_EVERY_S and self._is_quiet():
                    thorough_at = monotonic()
                    gc.unfreeze()
                elif gc.get_count()[2] < YOUNG:
                    continue
                gc.collect()
                gc.freeze()
        finally:
            gc.set_threshold(first, second, third)
            gc.unfreeze()
