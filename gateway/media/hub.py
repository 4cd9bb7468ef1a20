"""The switch: ``routes[source]`` to sinks. No await, no lock and no log line below :meth:`Hub.push`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

from tongpin.channels.effects import Listener
from tongpin.channels.ids import GroupId, PartyId
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Batch, Sink, Talk

_RECORDER = PartyId("recorder")
_NO_GROUP = GroupId("")


@dataclass(slots=True)
class SourceState:
    """What the hub knows of one source. ``route`` is empty when the source does not hold a floor."""

    talk: int = 0
    route: tuple[Sink | Batch, ...] = ()
    has_route: bool = False
    last_at: float = float("-inf")
    routed: int = 0
    dropped: int = 0


@dataclass(slots=True)
class _Route:
    """Who hears a source, who should (some have no sink yet), and how many sinks each batch serves."""

    talk: int
    sinks: dict[PartyId, Sink] = field(default_factory=dict)
    wanted: dict[PartyId, Listener] = field(default_factory=dict)
    batches: dict[int, tuple[Batch, int]] = field(default_factory=dict)
    singles: dict[PartyId, Sink] = field(default_factory=dict)
    taps: set[PartyId] = field(default_factory=set)

    @property
    def targets(self) -> tuple[Sink | Batch, ...]:
        """Each batch once, and the sinks that are in none."""
        return (*(batch for batch, _ in self.batches.values()), *self.singles.values())

    def add(self, party: PartyId, sink: Sink) -> None:
        self.sinks[party] = sink
        batch = _batch_of(sink)
        if batch is None:
            self.singles[party] = sink
        else:
            self.batches[id(batch)] = batch, self.batches.get(id(batch), (batch, 0))[1] + 1

    def remove(self, party: PartyId) -> None:
        batch = _batch_of(self.sinks.pop(party))
        if batch is None:
            del self.singles[party]
            return
        count = self.batches[id(batch)][1] - 1
        if count:
            self.batches[id(batch)] = batch, count
        else:
            del self.batches[id(batch)]


def _batch_of(sink: Sink) -> Batch | None:
    batch: Batch | None = getattr(sink, "batch", None)
    return batch


class Hub:
    """Sources push packets in, sinks get them; the switchboard's route effects say who hears whom.

    A packet of a source without a route is dropped and counted: no floor, no sound. There is no other gate. Sinks that
    share a batch (:class:`tongpin.gateway.media.ports.BatchSink`) cost one call together.
    """

    def __init__(self) -> None:
        self._recorder: Sink | None = None
        self._sources: dict[PartyId, SourceState] = {}
        self._sinks: dict[PartyId, Sink] = {}
        self._routes: dict[PartyId, _Route] = {}

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
        for source, route in list(self._routes.items()):
            listener = route.wanted.get(party)
            if listener is not None:
                route.add(party, sink)
                sink.begin(Talk(route.talk, source, listener.group))
                self._sources[source].route = route.targets

    def remove_sink(self, party: PartyId) -> None:
        """Forget a sink. Routes that hold it lose it at once."""
        gone = self._sinks.pop(party, None)
        if gone is None:
            return
        for source, route in self._routes.items():
            if party in route.sinks:
                route.remove(party)
                gone.end(route.talk)
                self._sources[source].route = route.targets

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
        for target in state.route:
            target.send(talk, packet)
        return True

    def install_route(self, source: PartyId, talk: int, listeners: Sequence[Listener]) -> None:
        """Set who hears the source. Sinks that stay go on without a gap; the others begin or end."""
        state = self._sources.setdefault(source, SourceState())
        route = self._routes.get(source)
        if route is None or route.talk != talk:
            self.remove_route(source)
            route = self._routes[source] = _Route(talk)
            if self._recorder is not None:
                route.add(_RECORDER, self._recorder)
                route.taps.add(_RECORDER)
                self._recorder.begin(Talk(talk, source, listeners[0].group if listeners else _NO_GROUP))
        route.wanted = wanted = {listener.party: listener for listener in listeners}
        for party in route.sinks.keys() - wanted.keys() - route.taps:
            sink = route.sinks[party]
            route.remove(party)
            sink.end(talk)
        sinks = self._sinks
        # Set arithmetic first: of thousands who stay nothing is asked one by one.
        for party in sorted(wanted.keys() - route.sinks.keys()):
            if (fresh := sinks.get(party)) is not None:
                route.add(party, fresh)
                fresh.begin(Talk(talk, source, wanted[party].group))
        state.talk = talk
        state.route = route.targets
        state.has_route = True

    def remove_route(self, source: PartyId) -> None:
        """Nobody hears the source any more. Does nothing if nobody did."""
        route = self._routes.pop(source, None)
        if route is None:
            return
        state = self._sources[source]
        state.route = ()
        state.has_route = False
        for sink in route.sinks.values():
            sink.end(route.talk)

    def tap(self, source: PartyId, party: PartyId, sink: Sink) -> None:
        """Let a sink hear a source's present talk although its party is none of the listeners; until the talk ends."""
        route = self._routes.get(source)
        key = PartyId(f"{party} aside")
        if route is None or key in route.sinks:
            return
        route.add(key, sink)
        route.taps.add(key)
        sink.begin(Talk(route.talk, source, next((one.group for one in route.wanted.values()), _NO_GROUP)))
        self._sources[source].route = route.targets

    def untap(self, party: PartyId) -> None:
        """Take back :meth:`tap`. Does nothing when the talk has ended."""
        key = PartyId(f"{party} aside")
        for source, route in self._routes.items():
            if key in route.sinks:
                sink = route.sinks[key]
                route.remove(key)
                route.taps.discard(key)
                sink.end(route.talk)
                self._sources[source].route = route.targets

    def last_media_at(self, source: PartyId) -> float:
        """Monotonic seconds of the source's last packet, or minus infinity."""
        state = self._sources.get(source)
        return state.last_at if state is not None else float("-inf")

    def counters(self, source: PartyId) -> tuple[int, int]:
        """Packets routed and packets dropped for want of a route."""
        state = self._sources.get(source)
        return (state.routed, state.dropped) if state is not None else (0, 0)

    def has_route(self, source: PartyId) -> bool:
        """Whether the source is being heard: it holds a floor."""
        return source in self._routes

    @property
    def route_count(self) -> int:
        return len(self._routes)
