"""The jitter buffer towards a radio: packets in as they come, one decision out per 20 ms of playout.

It adapts: its depth follows the spread of arrival over the last packets, and shrinks again when the network has calmed
down. Time is counted in frames of playout (calls of :meth:`JitterBuffer.pop` and :meth:`JitterBuffer.wait`).
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

START_TARGET = 3
"""Packets, and the least it ever aims at: one that is played, one in hand, and one for the slip of a whole frame that
comes when the clocks of two sound cards slide past each other (``codecs.drift``)."""
SLACK = 1
"""Packets above the target that are no reason to leave one out: the other side of the same slip."""
MAX_TARGET = 10
CAPACITY = 64
"""Packets held at most (1.28 s: the longest lead-in of 800 ms and a jitter of 200 ms lie well inside)."""
MAX_CONCEALED = 5
"""Frames concealed in a row; after that, silence until packets come again."""
WINDOW = 100
"""Packets whose arrival is remembered: the depth comes back 2 s after a burst of jitter."""
SHRINK_AFTER = 25
"""Frames for which the buffer must have been too deep before one packet is left out."""
_RESTART_GAP = 1_000


class JitterKind(StrEnum):
    PACKET = "packet"
    FEC = "fec"
    """The packet is lost, but the payload is the following one, which may carry a copy of it."""
    CONCEAL = "conceal"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class JitterItem:
    """What to play for 20 ms. ``payload`` is empty for CONCEAL and SILENCE."""

    kind: JitterKind
    payload: bytes = b""


_CONCEAL = JitterItem(JitterKind.CONCEAL)
_SILENCE = JitterItem(JitterKind.SILENCE)


class JitterBuffer:
    """One talk's packets, from its first to :meth:`end`.

    Attributes:
        received: packets accepted.
        lost: frames whose packet was missing at its time of playout.
        recovered: of these, with a following packet at hand to recover from.
        concealed: frames concealed: lost ones without a following packet, and gaps in the stream.
        late: packets that came after their time.
        duplicate: packets that were there already.
        dropped: packets that found the buffer full (the oldest goes).
        shrunk: packets left out to come back to the target depth.
        target: depth aimed at, in packets.
    """

    def __init__(self) -> None:
        self.received = self.lost = self.recovered = self.concealed = 0
        self.late = self.duplicate = self.dropped = self.shrunk = 0
        self.target = START_TARGET
        self._packets: dict[int, bytes] = {}
        self._highest: int | None = None
        self._next = 0
        self._tick = 0
        self._first_tick = 0
        self._transits: deque[int] = deque(maxlen=WINDOW)
        self._is_playing = False
        self._has_ended = False
        self._backlog = 0
        self._deep_for = 0
        self._concealed_run = 0

    @property
    def depth(self) -> int:
        """Packets held."""
        return len(self._packets)

    @property
    def is_drained(self) -> bool:
        """The talk has ended and all of it has been played."""
        return self._has_ended and not self._packets

    def push(self, sequence: int, payload: bytes) -> None:
        """A packet came in; ``sequence`` is 0–65535 and wraps."""
        if self._highest is None:
            number = sequence
            self._begin(number)
        else:
            number = self._highest + ((sequence - self._highest + 0x8000) & 0xFFFF) - 0x8000
            if abs(number - self._highest) > _RESTART_GAP:
                # Not reordering but another stream of the same talker: what is held has no place in it.
                self.dropped += len(self._packets)
                self._packets.clear()
                number = sequence
                self._begin(number)
        assert self._highest is not None
        if not self._is_playing and not self._packets:
            self._first_tick = self._tick
        if number < self._next:
            self.late += 1
            self._note(number)
            return
        if number in self._packets:
            self.duplicate += 1
            return
        self.received += 1
        self._packets[number] = payload
        self._highest = max(self._highest, number)
        self._note(number)
        if len(self._packets) > CAPACITY:
            oldest = min(self._packets)
            del self._packets[oldest]
            self._next = max(self._next, oldest + 1)
            self.dropped += 1

    def end(self) -> None:
        """No more packets will come: what is held is played to the last, without waiting for more."""
        self._has_ended = True

    def wait(self) -> None:
        """20 ms pass without playout: the transmitter's lead-in. What gathers meanwhile is played whole."""
        self._tick += 1

    def pop(self) -> JitterItem:
        """What to play for the next 20 ms."""
        self._tick += 1
        if not self._is_playing and not self._start():
            return _SILENCE
        self._shrink()
        payload = self._packets.pop(self._next, None)
        if payload is not None:
            self._next += 1
            self._concealed_run = 0
            return JitterItem(JitterKind.PACKET, payload)
        if self._packets:
            return self._missing()
        if self._has_ended:
            self._is_playing = False
            return _SILENCE
        return self._gap()

    def _begin(self, number: int) -> None:
        self._highest = number
        self._next = number - _RESTART_GAP
        self._transits.clear()
        self._is_playing = False

    def _note(self, number: int) -> None:
        self._transits.append(self._tick - number)
        spread = max(self._transits) - min(self._transits)
        self.target = min(MAX_TARGET, max(START_TARGET, 1 + spread))

    def _start(self) -> bool:
        """Playout begins when the target depth is there, or has been waited for."""
        if not self._packets:
            return False
        waited = self._tick - self._first_tick
        if len(self._packets) < START_TARGET and waited < START_TARGET and not self._has_ended:
            return False
        self._is_playing = True
        self._concealed_run = 0
        self._next = min(self._packets)
        # What a lead-in has gathered is owed to the listener; it does not count as too deep.
        self._backlog = max(0, len(self._packets) - self.target)
        self._transits.clear()
        self._deep_for = 0
        return True

    def _missing(self) -> JitterItem:
        """Its time has come and it is not there, though later ones are: lost."""
        self.lost += 1
        self._next += 1
        following = self._packets.get(self._next)
        if following is not None:
            self.recovered += 1
            self._concealed_run = 0
            return JitterItem(JitterKind.FEC, following)
        if min(self._packets) - self._next >= MAX_CONCEALED:
            # A long gap that the talker has left: go on with what is there.
            self._next = min(self._packets)
        return self._conceal()

    def _gap(self) -> JitterItem:
        """Nothing is there at all. The place is kept: what comes late is played, and the delay has grown by as much."""
        if self._concealed_run >= MAX_CONCEALED:
            self._is_playing = False
            return _SILENCE
        return self._conceal()

    def _conceal(self) -> JitterItem:
        self._concealed_run += 1
        if self._concealed_run > MAX_CONCEALED:
            return _SILENCE
        self.concealed += 1
        return _CONCEAL

    def _shrink(self) -> None:
        """Leave one packet out when the buffer has been deeper than it needs to be for a while; a quiet one at best."""
        if len(self._packets) <= self.target + SLACK + self._backlog:
            self._deep_for = 0
            return
        self._deep_for += 1
        if self._deep_for < SHRINK_AFTER:
            return
        payload = self._packets.get(self._next)
        sizes = sorted(len(held) for held in self._packets.values())
        is_quiet = payload is not None and len(payload) <= sizes[len(sizes) // 2]
        if payload is not None and (is_quiet or self._deep_for >= 2 * SHRINK_AFTER):
            del self._packets[self._next]
            self._next += 1
            self.shrunk += 1
            self._deep_for = 0
