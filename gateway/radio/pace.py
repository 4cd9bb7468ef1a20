"""A card's frames at our own pace: what its clock is fast or slow by is taken out of the sound, both ways."""

from collections.abc import Callable
from typing import Final

from tongpin.codecs.drift import DriftResampler
from tongpin.codecs.frame import SAMPLE_RATE_HZ
from tongpin.gateway.media.packet import PACKET_SAMPLES
from tongpin.gateway.radio.card import Card
from tongpin.gateway.radio.ring import Frame, new_frame

FRAMES_AHEAD = 2
"""Frames kept in the playout ring: what the worker may be late by before the card plays silence."""


class PacedCard:
    """The worker's side of a card's two rings. Not thread-safe."""

    def __init__(self, card: Card) -> None:
        self._card: Final = card
        self._from_card = DriftResampler()
        self._to_card = DriftResampler()
        self._frame = new_frame()
        self._silence = new_frame()
        self._mark = 0

    def steer(self) -> None:
        """Follow what the card has found out about its clocks."""
        state = self._card.state
        if state.capture_ppm is not None:
            self._from_card.steer(state.capture_ppm)
        if state.playout_ppm is not None:
            self._to_card.steer(-state.playout_ppm)

    def capture(self) -> tuple[Frame, int] | None:
        """The next frame heard and its mark, or None when there is none yet."""
        while not self._from_card.has_frame:
            mark = self._card.capture.read_into(self._frame)
            if mark is None:
                return None
            self._mark = mark
            self._from_card.feed(self._frame)
        heard = self._from_card.take()
        return (self._silence if heard is None else heard), self._mark

    def fill(self, next_frame: Callable[[], Frame]) -> None:
        """Keep the card a constant two frames ahead: more would be delay, fewer would be gaps."""
        while self._card.playout.depth < FRAMES_AHEAD:
            while not self._to_card.has_frame:
                frame = next_frame()
                self._to_card.feed(frame if frame.any() else None)
            frame_or_none = self._to_card.take()
            self._card.playout.write(self._silence if frame_or_none is None else frame_or_none)

    def align(self) -> None:
        """Between two transmissions: put the next slip of a frame as far away as can be."""
        self._to_card.align()

    @property
    def frames_ahead(self) -> int:
        return self._card.playout.depth

    @property
    def waiting_s(self) -> float:
        """How long what was given last still needs to the plug."""
        held_s = max(0.0, self._to_card.held_samples) / SAMPLE_RATE_HZ
        ahead_s = self._card.playout.depth * PACKET_SAMPLES / SAMPLE_RATE_HZ
        return held_s + ahead_s + self._card.state.playout_delay_s
