"""Radios that hear each other: what one leg transmits comes in again on another. Found by likeness of loudness.

Two legs on one frequency, or two coupled radios, send everything round in a circle. While a leg transmits, the
loudness of what it sends is laid over the loudness of what every open, unkeyed leg receives, frame by frame, at all
delays that a loop can have. Two talkers are never that alike; an echo is.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tongpin.channels.ids import PartyId
from tongpin.gateway.events.log import Json

WINDOW = 150
"""Frames that are compared: 3 s."""
_DELAYS = 60
"""Frames: 1.2 s of sound card, radio and gate."""
_EARLY = 15
"""Frames by which a status may come late: the two legs tell theirs at different moments."""
_KEPT = WINDOW + _DELAYS + _EARLY
_ALIKE = 0.8
"""Correlation coefficient. Speech of two people stays below 0.6 at the best of all delays."""
_LIVELY_DB = 3.0
"""Standard deviation of both: a hum is like any other hum."""
_RANGE_DB = 30.0
"""What is quieter than the peak by more counts as that quiet: noise floors differ."""
_NEEDED = 2
MUTE_S = 60.0

Levels = NDArray[np.float64]


def _with(levels: Levels, envelope: str) -> Levels:
    """The newest ``_KEPT`` levels, in dB above -90 dBFS."""
    fresh = np.frombuffer(envelope.encode("ascii", "replace"), np.uint8).astype(np.float64) - ord("!")
    return np.concatenate([levels, fresh])[-_KEPT:]


@dataclass(slots=True)
class _Leg:
    received: Levels = field(default_factory=lambda: np.zeros(_KEPT))
    sent: Levels = field(default_factory=lambda: np.zeros(_KEPT))
    keyed_for: int = 0
    """Frames since it was keyed."""
    open_for: int = 0
    hits: int = 0
    muted: asyncio.TimerHandle | None = None


def likeness(received: Levels, sent: Levels) -> float:
    """The best correlation of the newest 3 s received with what was sent, at any delay a loop can have.

    Args:
        received, sent: shape (225,), one level in dB for each frame of 20 ms, the newest last.
    """
    inward = received[-WINDOW - _EARLY : -_EARLY]
    windows = np.lib.stride_tricks.sliding_window_view(sent, WINDOW)
    inward = np.maximum(inward, inward.max() - _RANGE_DB)
    outward = np.maximum(windows, windows.max() - _RANGE_DB)
    inward = inward - inward.mean()
    outward = outward - outward.mean(axis=1, keepdims=True)
    spread_in = float(np.sqrt(np.mean(inward**2)))
    spread_out = np.sqrt(np.mean(outward**2, axis=1))
    usable = spread_out > _LIVELY_DB
    if spread_in <= _LIVELY_DB or not usable.any():
        return 0.0
    return float(np.max(outward[usable] @ inward / WINDOW / (spread_out[usable] * spread_in)))


class LoopGuard:
    """One for all legs. Event-loop thread only.

    Args:
        mute: receive nothing from a leg (True), or again (False).
        tell: makes an event.
    """

    def __init__(self, mute: Callable[[PartyId, bool], None], tell: Callable[[dict[str, Json]], None]) -> None:
        self._mute = mute
        self._tell = tell
        self._legs: dict[PartyId, _Leg] = {}

    def status(self, party: PartyId, is_keyed: bool, is_open: bool, received: str, sent: str) -> None:
        """Every 200 ms of every leg: levels as :class:`~tongpin.gateway.radio.messages.Status` has them."""
        leg = self._legs.setdefault(party, _Leg())
        leg.received, leg.sent = _with(leg.received, received), _with(leg.sent, sent)
        leg.keyed_for = leg.keyed_for + len(sent) if is_keyed else 0
        leg.open_for = leg.open_for + len(received) if is_open and not is_keyed else 0
        if leg.open_for < WINDOW + _EARLY:
            # Two people who begin at once are alike as long as the silence before it is in view.
            leg.hits = 0
            return
        alike, other = max(
            (
                (likeness(leg.received, sender.sent), name)
                for name, sender in self._legs.items()
                if sender.keyed_for >= WINDOW
            ),
            default=(0.0, party),
        )
        leg.hits = leg.hits + 1 if alike > _ALIKE else 0
        if leg.hits >= _NEEDED:
            self._found(party, leg, other, alike)

    def _found(self, party: PartyId, leg: _Leg, other: PartyId, alike: float) -> None:
        if leg.muted is None:
            self._mute(party, True)
            self._tell({"kind": "loop_detected", "party": party, "hears": other, "likeness": round(alike, 2)})
        else:
            leg.muted.cancel()
        leg.muted = asyncio.get_running_loop().call_later(MUTE_S, self._over, party, leg)

    def _over(self, party: PartyId, leg: _Leg) -> None:
        leg.muted = None
        self._mute(party, False)
        self._tell({"kind": "loop_ended", "party": party})

    def close(self) -> None:
        """No timer of this stays."""
        for leg in self._legs.values():
            if leg.muted is not None:
                leg.muted.cancel()
                leg.muted = None
