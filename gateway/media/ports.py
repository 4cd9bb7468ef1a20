"""What the hub needs of a sink, and what a sink is told."""

from dataclasses import dataclass
from typing import Protocol

from tongpin.channels.ids import GroupId, PartyId
from tongpin.gateway.media.packet import Packet


@dataclass(frozen=True, slots=True)
class Talk:
    """One transmission as a sink sees it.

    Attributes:
        number: unique in this process and rising (the switchboard's ``talk``).
        source: who talks.
        group: the group through which this sink hears it.
    """

    number: int
    source: PartyId
    group: GroupId


class Batch(Protocol):
    """Sends one packet to all sinks of its kind in one call."""

    def send(self, talk: int, packet: Packet) -> None:
        """One packet to every sink of this batch that :meth:`Sink.begin` gave the talk to. Must not block."""


class Sink(Protocol):
    """Takes packets of talks for one party. All calls come from the event loop's thread and must not block."""

    def begin(self, talk: Talk) -> None:
        """A talk starts for this sink; its packets follow."""

    def send(self, talk: int, packet: Packet) -> None:
        """One packet of the talk with that number. Bounded: drops its oldest and counts rather than wait."""

    def end(self, talk: int) -> None:
        """The talk is over for this sink."""


class BatchSink(Sink, Protocol):
    """A sink that is served through a batch: the hub calls the batch once, not ``send`` of each."""

    @property
    def batch(self) -> Batch: ...
