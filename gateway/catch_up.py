"""What a radio missed while it transmitted in vain, kept and played to it when it is free. Event-loop thread only.

A half-duplex radio that has lost the floor goes on transmitting and hears nothing. Meanwhile the winner's packets are
kept for it. When it is silent again they are played to it at their own pace, and whatever is said then comes after
them, until there is nothing left to make up for; then it hears as everybody does.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic

from tongpin.channels.effects import DeafnessBegan, DeafnessEnded, Effect, PartyDetached, RouteInstalled, RouteRemoved
from tongpin.channels.ids import NetId, PartyId
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Sink, Talk
from tongpin.gateway.wiring import Transmitter

PACKET_S = 0.02
START_S = 0.3
"""From the radio's last word to the first of what it missed: its squelch has closed, and its user let go of the key."""


@dataclass(slots=True)
class _Held:
    """One talk as it is kept, or what of it has not been played yet."""

    talk: Talk
    packets: deque[Packet] = field(default_factory=deque)
    has_begun: bool = False
    has_ended: bool = False


class CatchUp:
    """One leg: the hub's sink for it and what keys it, with a store between. Passes everything through when empty.

    Args:
        limit_s: longest time that is kept; the oldest goes first.
        moved: told when playing begins (with its seconds) and when it is over (with 0).
    """

    def __init__(self, sink: Sink, transmitter: Transmitter, limit_s: float, moved: Callable[[float], None]) -> None:
        self._sink = sink
        self._transmitter = transmitter
        self._limit = round(limit_s / PACKET_S)
        self._moved = moved
        self._held: deque[_Held] = deque()
        self._count = 0
        self._is_key_wanted = False
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0
        self.is_deaf = False

    @property
    def is_limited_to_nothing(self) -> bool:
        return self._limit == 0

    @property
    def _is_holding(self) -> bool:
        return bool(self._held)

    # What the switchboard wants of the transmitter.

    def key(self) -> None:
        self._is_key_wanted = True
        self._transmitter.key()

    def unkey(self, drain: bool = True) -> None:
        self._is_key_wanted = False
        if self._timer is None:
            self._transmitter.unkey(drain)

    # The hub's sink, and, while the leg is deaf, the tap on what it does not hear.

    def begin(self, talk: Talk) -> None:
        if self.is_deaf or self._is_holding:
            known = next((held for held in self._held if held.talk.number == talk.number), None)
            if known is not None:
                known.has_ended = False  # It was heard on the side, and is now heard live.
            else:
                self._held.append(_Held(talk))
        else:
            self._sink.begin(talk)

    def send(self, talk: int, packet: Packet) -> None:
        for held in self._held:
            if held.talk.number == talk:
                held.packets.append(packet)
                self._count += 1
                self._keep_within_limit()
                return
        self._sink.send(talk, packet)

    def end(self, talk: int) -> None:
        for held in self._held:
            if held.talk.number == talk:
                held.has_ended = True
                return
        self._sink.end(talk)

    def _keep_within_limit(self) -> None:
        if self._count > self._limit:
            oldest = next(held for held in self._held if held.packets)
            oldest.packets.popleft()
            self._count -= 1

    # Deaf, free again, gone.

    def deafen(self) -> None:
        """The radio transmits in vain. What was being played stops; what is left of it stays."""
        self.is_deaf = True
        self._stop_playing()

    def undeafen(self) -> None:
        """The radio is free: play what it missed, if there is anything."""
        self.is_deaf = False
        if self._count == 0:
            self._held.clear()
            return
        self._moved(self._count * PACKET_S)
        self._transmitter.key()
        self._next_at = monotonic() + START_S
        self._arm()

    def clear(self) -> None:
        """Forget everything: the leg is gone, or what it missed was its own echo."""
        self._stop_playing()
        for held in self._held:
            if held.has_begun and not held.has_ended:
                self._sink.end(held.talk.number)
        self._held.clear()
        self._count = 0

    def _stop_playing(self) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._moved(0.0)
        if not self._is_key_wanted:
            self._transmitter.unkey()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(max(0.0, self._next_at - monotonic()), self._play)

    def _play(self) -> None:
        """The next 20 ms; all that are due when the loop was late."""
        while self._next_at <= monotonic() and self._held:
            self._next_at += PACKET_S
            self._play_one()
        if self._held:
            self._arm()
            return
        self._timer = None
        self._moved(0.0)
        if not self._is_key_wanted:
            self._transmitter.unkey()

    def _play_one(self) -> None:
        held = self._held[0]
        if not held.has_begun:
            held.has_begun = True
            self._sink.begin(held.talk)
        if held.packets:
            self._count -= 1
            self._sink.send(held.talk.number, held.packets.popleft())
        if held.packets:
            return
        # Nothing of this talk waits any more: it is over, or it goes on live.
        self._held.popleft()
        if held.has_ended:
            self._sink.end(held.talk.number)


class CatchUps:
    """All legs. An effect handler, to stand after the one that installs routes: it taps what deaf legs miss.

    Args:
        tap, untap: let a sink hear a source's present talk beside its route, and no more (:class:`Hub`).
    """

    def __init__(
        self,
        legs: Mapping[PartyId, CatchUp],
        tap: Callable[[PartyId, PartyId, Sink], None],
        untap: Callable[[PartyId], None],
    ) -> None:
        self._legs = legs
        self._tap = tap
        self._untap = untap
        self._talkers: dict[NetId, PartyId] = {}
        self._deaf: dict[PartyId, NetId] = {}

    def __call__(self, effect: Effect, now: float) -> None:
        match effect:
            case RouteInstalled(source, net, _, _):
                self._talkers[net] = source
                for party in [party for party, where in self._deaf.items() if where == net]:
                    self._listen(party, net)
            case RouteRemoved(_, net, _):
                self._talkers.pop(net, None)
            case DeafnessBegan(net, party) if party in self._legs and not self._legs[party].is_limited_to_nothing:
                self._deaf[party] = net
                self._legs[party].deafen()
                self._listen(party, net)
            case DeafnessEnded(_, party) if party in self._deaf:
                self._forget(party)
                self._legs[party].undeafen()
            case PartyDetached(party) if party in self._legs:
                self._forget(party)
                self._legs[party].is_deaf = False
                self._legs[party].clear()
            case _:
                pass

    def _listen(self, party: PartyId, net: NetId) -> None:
        source = self._talkers.get(net)
        if source is not None and source != party:
            self._tap(source, party, self._legs[party])

    def _forget(self, party: PartyId) -> None:
        if self._deaf.pop(party, None) is not None:
            self._untap(party)
