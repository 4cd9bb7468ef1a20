"""From the gateway's packets to the frames that the card plays: a jitter buffer per talk, one talk after the other."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

import numpy as np

from tongpin.codecs.errors import OpusError
from tongpin.codecs.jitter import JitterBuffer, JitterKind
from tongpin.codecs.opus import OpusDecoder
from tongpin.codecs.shaper import SpeechShaper
from tongpin.config.models import LegConfig
from tongpin.gateway.media.packet import PACKET_SAMPLES, Packet
from tongpin.gateway.radio.level import Meter
from tongpin.gateway.radio.ring import Frame

_FRAME_MS = 20
_TALKS = 3
"""One that is played out, one that is spoken, one that was just begun; more are not kept."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of all talks since the worker's start, but for ``depth``: packets waiting now."""

    depth: int
    received: int
    lost: int
    concealed: int
    recovered: int
    late: int
    dropped: int


class _Reception:
    """One talk: its packets in order, and the decoder that remembers what came before."""

    def __init__(self, talk: int) -> None:
        self.talk: Final = talk
        self.jitter = JitterBuffer()
        self.decoder = OpusDecoder()
        self.has_ended = False
        self.refused = 0
        """Packets that libopus would not have."""

    def end(self) -> None:
        self.has_ended = True
        self.jitter.end()

    def next_frame(self) -> Frame | None:
        """20 ms of the talk, or None when it is silent. A packet that is not Opus sounds like a lost one."""
        item = self.jitter.pop()
        try:
            match item.kind:
                case JitterKind.PACKET:
                    return self.decoder.decode(item.payload)
                case JitterKind.FEC:
                    return self.decoder.decode_fec(item.payload)
                case JitterKind.CONCEAL:
                    return self.decoder.conceal()
                case JitterKind.SILENCE:
                    return None
        except OpusError:
            self.refused += 1
            return self.decoder.conceal()


class Transmitter:
    """What the radio is to say. Not thread-safe; counts frames, never looks at a clock but to note when it played.

    Speech waits until the transmitter is keyed and its lead-in has passed, and then is played whole.
    """

    def __init__(self, config: LegConfig) -> None:
        self._lead_frames: Final = ceil(config.tx_delay_ms / _FRAME_MS)
        self._shaper = SpeechShaper(config.tx_gain_db, config.tx_pre_emphasis, config.tx_limit_dbfs)
        self._can_key: Final = config.keyer.kind != "none"
        self._talks: deque[_Reception] = deque()
        self._is_keyed = False
        self._lead_left = 0
        self._silence = np.zeros(PACKET_SAMPLES, np.int16)
        self._meter = Meter()
        self._played_at: float | None = None
        self._homeless = 0
        """Packets of talks that are not known here."""
        self._done = Counts(0, 0, 0, 0, 0, 0, 0)

    @property
    def is_idle(self) -> bool:
        """Nothing is held and nothing more is announced."""
        return not self._talks

    def begin(self, talk: int) -> None:
        if not self._can_key or any(known.talk == talk for known in self._talks):
            return
        if len(self._talks) == _TALKS:
            self._forget(self._talks.popleft())
        self._talks.append(_Reception(talk))

    def push(self, talk: int, packet: Packet) -> None:
        for known in self._talks:
            if known.talk == talk:
                known.jitter.push(packet.sequence, packet.payload)
                return
        self._homeless += 1

    def end(self, talk: int, will_be_keyed: bool) -> None:
        """No more packets of this talk. What is held of it is kept only for a transmitter that is or will be on."""
        for known in list(self._talks):
            if known.talk == talk:
                known.end()
                if not will_be_keyed:
                    self._talks.remove(known)
                    self._forget(known)

    def end_all(self) -> None:
        """No more packets of any talk: play what is held."""
        for known in self._talks:
            known.end()

    def keyed(self, frames_ahead: int) -> None:
        """The transmitter is on. ``frames_ahead`` frames of silence lie before the next one: they count as lead-in."""
        self._is_keyed = True
        self._lead_left = max(0, self._lead_frames - frames_ahead)

    def on_air(self) -> None:
        """The transmitter says that it is on the air: the lead-in is over, sooner than ``tx_delay_ms`` at most."""
        if self._is_keyed:
            self._lead_left = 0

    def unkeyed(self) -> None:
        """The transmitter is off: what was held for it is thrown away. Talks that go on may be keyed again."""
        self._is_keyed = False
        self._lead_left = 0
        going_on = [known.talk for known in self._talks if not known.has_ended]
        while self._talks:
            self._forget(self._talks.popleft())
        self._talks.extend(_Reception(talk) for talk in going_on)

    def next_frame(self, now: float, test: Frame | None = None) -> Frame:
        """The next 20 ms for the card: int16, shape (960,); silence when there is nothing to say.

        Args: test: what a leg test says in place of any talk.
        """
        frame = self._next_speech() if test is None else test
        if frame is None:
            frame = self._silence
        else:
            self._played_at = now
            frame = self._shaper.push(frame)
        self._meter.add(frame)
        return frame

    def _next_speech(self) -> Frame | None:
        if self._lead_left > 0:
            self._lead_left -= 1
        elif self._is_keyed:
            while self._talks and self._talks[0].jitter.is_drained:
                self._forget(self._talks.popleft())
            for waiting in list(self._talks)[1:]:
                waiting.jitter.wait()
            return self._talks[0].next_frame() if self._talks else None
        for held in self._talks:
            held.jitter.wait()
        return None

    def _forget(self, reception: _Reception) -> None:
        """Add what a finished talk has counted to the totals."""
        self._done = self._sum((reception,))

    def _sum(self, talks: Iterable[_Reception]) -> Counts:
        total = self._done
        for known in talks:
            jitter = known.jitter
            total = Counts(
                depth=0,
                received=total.received + jitter.received,
                lost=total.lost + jitter.lost,
                concealed=total.concealed + jitter.concealed,
                recovered=total.recovered + jitter.recovered,
                late=total.late + jitter.late,
                dropped=total.dropped + jitter.dropped + known.refused,
            )
        return total

    def counts(self) -> Counts:
        total = self._sum(self._talks)
        return replace(
            total, depth=sum(known.jitter.depth for known in self._talks), dropped=total.dropped + self._homeless
        )

    def take_level_dbfs(self) -> float:
        """Mean level since it was taken last."""
        return self._meter.take_dbfs()

    def played_s_ago(self, now: float) -> float | None:
        """Seconds since the last frame of a talk, or None before the first."""
        return None if self._played_at is None else now - self._played_at
