"""The switch: ``routes[source]`` to sinks. No await, no lock and no log line below :meth:`Hub.push`."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from tongpin.channels.effects import Listener
from tongpin.channels.ids import GroupId, PartyId
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Sink, Talk

_RECORDER = PartyId("recorder")
_NO_GROUP = GroupId("")


@dataclass(slots=True)
class SourceState:
    """What the hub knows of one source. ``route`` is empty when the source does not hold a floor."""

    talk: int = 0
    route: tuple[Sink, ...] = ()
    has_route: bool = False
    last_at: float = float("-inf")
    routed: int = 0
    dropped: int = 0


class Hub:
    """Sources push packets in, sinks get them; the switchboard's route effects say who hears whom.

    A packet of a source without a route is dropped and counted: no floor, no sound. There is no other gate.
    """

    def __init__(self) -> None:
        self._recorder: Sink | None = None
        self._sources: dict[PartyId, SourceState] = {}
        self._sinks: dict[PartyId, Sink] = {}
        self._installed: dict[PartyId, tuple[int, dict[PartyId, Sink]]] = {}
        self._wanted: dict[PartyId, dict[PartyId, Listener]] = {}

    def record_to(self, recorder: Sink) -> None:
        """Give every talk from now on one more sink, whoever listens: the recorder. Say it before the first talk."""
        self._recorder = recorder

    def add_source(self, source: PartyId) -> None:
        self._sources.setdefault(source, SourceState())

    def remove_source(self, source: PartyId) -> None:
        """Forget a source; its route, if any, is removed first."""
        self.remove_route(source)
        self._sources.pop(source, None)

    def add_sink(self, party: PartyId, sink: Sink) -> None:
        """Give a party its ear. Talks that are on for the party begin at once; an earlier sink of it ends."""
        self.remove_sink(party)
        self._sinks[party] = sink
        for source, wanted in list(self._wanted.items()):
            if party in wanted:
                talk, _ = self._installed[source]
                self.install_route(source, talk, tuple(wanted.values()))

    def remove_sink(self, party: PartyId) -> None:
        """Forget a sink. Routes that hold it lose it at once."""
        gone = self._sinks.pop(party, None)
        if gone is None:
            return
        for source, (talk, sinks) in self._installed.items():
            if sinks.pop(party, None) is not None:
                gone.end(talk)
                self._sources[source].route = tuple(sinks.values())

    def push(self, source: PartyId, packet: Packet) -> bool:
        """Hand one packet to every sink of the source's route.

        Returns:
            Whether the source has a route; False means the packet was dropped.
        """
        state = self._sources.get(source)
        if state is None:
            return False
        state.last_at = monotonic()
        if not state.has_route:
            state.dropped += 1
            return False
        state.routed += 1
        talk = state.talk
        for sink in state.route:
            sink.send(talk, packet)
        return True

    def install_route(self, source: PartyId, talk: int, listeners: Sequence[Listener]) -> None:
        """Set who hears the source. Sinks that stay go on without a gap; the others begin or end."""
        state = self._sources.setdefault(source, SourceState())
        old_talk, old = self._installed.get(source, (talk, {}))
        if old_talk != talk:
            self.remove_route(source)
            old = {}
        new: dict[PartyId, Sink] = {}
        for listener in listeners:
            sink = self._sinks.get(listener.party)
            if sink is not None:
                new[listener.party] = sink
        if self._recorder is not None:
            new[_RECORDER] = self._recorder
        for party, sink in old.items():
            if new.get(party) is not sink:
                sink.end(talk)
        if self._recorder is not None and _RECORDER not in old:
            self._recorder.begin(Talk(talk, source, listeners[0].group if listeners else _NO_GROUP))
        for listener in listeners:
            sink = new.get(listener.party)
            if sink is not None and old.get(listener.party) is not sink:
                sink.begin(Talk(talk, source, listener.group))
        self._installed[source] = (talk, new)
        self._wanted[source] = {listener.party: listener for listener in listeners}
        state.talk = talk
        state.route = tuple(new.values())
        state.has_route = True

    def remove_route(self, source: PartyId) -> None:
        """Nobody hears the source any more. Does nothing if nobody did."""
        installed = self._installed.pop(source, None)
        self._wanted.pop(source, None)
        if installed is None:
            return
        state = self._sources[source]
        state.route = ()
        state.has_route = False
        talk, sinks = installed
        for sink in sinks.values():
            sink.end(talk)

    def last_media_at(self, source: PartyId) -> float:
        """Monotonic seconds of the source's last packet, or minus infinity."""
        state = self._sources.get(source)
        return state.last_at if state is not None else float("-inf")

    def counters(self, source: PartyId) -> tuple[int, int]:
        """Packets routed and packets dropped for want of a route."""
        state = self._sources.get(source)
        return (state.routed, state.dropped) if state is not None else (0, 0)

    @property
    def route_count(self) -> int:
        return len(self._installed)
