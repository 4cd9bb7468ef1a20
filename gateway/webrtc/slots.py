"""Receive slots: the m-lines of a peer that carry one talk after another, each as one continuous RTP stream."""

from dataclasses import dataclass, field

from tongpin.gateway.media.fanout import Stream
from tongpin.gateway.media.ports import Talk


@dataclass(slots=True, eq=False)
class Slot:
    """One m-line that we send on. ``freed_at`` is the RTP clock (48 kHz).

    Attributes:
        fraction_lost, jitter: from the peer's last receiver report; fraction 0–1, jitter in samples.
    """

    number: int
    stream: Stream
    payload_type: int
    talk: Talk | None = None
    freed_at: int = 0
    fraction_lost: float = 0.0
    lost: int = 0
    jitter: int = 0


@dataclass(slots=True)
class SlotPool:
    """The fixed pool of one peer. A talk takes the slot that has been free longest; with none free it is not heard.

    A talk that is being heard is never pushed out by a new one: a dispatcher must not lose a sentence half-way. With
    ``newest_wins`` (a pool of one, for simple players) the new talk replaces the old.
    """

    slots: list[Slot]
    newest_wins: bool = False
    refused: int = 0
    _by_talk: dict[int, Slot] = field(default_factory=dict)

    def begin(self, talk: Talk, now: int) -> tuple[Slot | None, Talk | None]:
        """The slot that takes the talk, and the talk that had to give way to it."""
        replaced: Talk | None = None
        free = [slot for slot in self.slots if slot.talk is None]
        if not free and self.newest_wins and self.slots:
            replaced = self.slots[0].talk
            assert replaced is not None
            self.end(replaced.number, now)
            free = self.slots[:1]
        if not free:
            self.refused += 1
            return None, None
        slot = free[0] if len(free) == 1 else min(free, key=lambda candidate: (candidate.freed_at, candidate.number))
        slot.talk = talk
        self._by_talk[talk.number] = slot
        return slot, replaced

    def of(self, talk: int) -> Slot | None:
        return self._by_talk.get(talk)

    def end(self, talk: int, now: int) -> Slot | None:
        slot = self._by_talk.pop(talk, None)
        if slot is not None:
            slot.talk = None
            slot.freed_at = now
        return slot
