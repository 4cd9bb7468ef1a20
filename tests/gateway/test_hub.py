"""The hub: who gets a packet, in every change of a route."""

from dataclasses import dataclass, field

from tongpin.channels.effects import Listener
from tongpin.channels.ids import GroupId, PartyId
from tongpin.gateway.media.hub import Hub
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Talk

A, B, C = PartyId("leg:a"), PartyId("leg:b"), PartyId("session:c")
GROUP = GroupId("g")


@dataclass
class Ear:
    """A sink that remembers what it was told."""

    begun: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    heard: list[tuple[int, bytes]] = field(default_factory=list)

    def begin(self, talk: Talk) -> None:
        self.begun.append(talk.number)

    def send(self, talk: int, packet: Packet) -> None:
        self.heard.append((talk, packet.payload))

    def end(self, talk: int) -> None:
        self.ended.append(talk)


def hub_with(*parties: PartyId) -> tuple[Hub, dict[PartyId, Ear]]:
    hub = Hub()
    ears = {party: Ear() for party in parties}
    for party, ear in ears.items():
        hub.add_source(party)
        hub.add_sink(party, ear)
    return hub, ears


def test_without_a_route_nothing_is_heard_and_it_is_counted() -> None:
    hub, ears = hub_with(A, B)
    assert hub.push(A, Packet(b"x", 0, 0)) is False
    assert hub.push(PartyId("leg:nobody"), Packet(b"x", 0, 0)) is False
    assert ears[B].heard == []
    assert hub.counters(A) == (0, 1)
    assert hub.counters(PartyId("leg:nobody")) == (0, 0)


def test_a_route_carries_packets_to_its_listeners_only() -> None:
    hub, ears = hub_with(A, B, C)
    hub.install_route(A, 7, [Listener(B, GROUP)])
    assert hub.push(A, Packet(b"one", 0, 0))
    hub.install_route(A, 7, [Listener(B, GROUP), Listener(C, GROUP)])
    assert hub.push(A, Packet(b"two", 1, 960))
    hub.install_route(A, 7, [Listener(C, GROUP)])
    assert hub.push(A, Packet(b"three", 2, 1920))
    hub.remove_route(A)
    assert not hub.push(A, Packet(b"four", 3, 2880))
    assert ears[B].heard == [(7, b"one"), (7, b"two")]
    assert ears[C].heard == [(7, b"two"), (7, b"three")]
    assert (ears[B].begun, ears[B].ended) == ([7], [7])
    assert (ears[C].begun, ears[C].ended) == ([7], [7])
    assert ears[A].heard == []
    assert hub.counters(A) == (3, 1)
    assert hub.route_count == 0


def test_a_new_talk_of_the_same_source_ends_the_old_one_first() -> None:
    hub, ears = hub_with(A, B)
    hub.install_route(A, 1, [Listener(B, GROUP)])
    hub.install_route(A, 2, [Listener(B, GROUP)])
    assert (ears[B].begun, ears[B].ended) == ([1, 2], [1])


def test_a_sink_that_goes_leaves_its_routes_and_is_told() -> None:
    hub, ears = hub_with(A, B, C)
    hub.install_route(A, 1, [Listener(B, GROUP), Listener(C, GROUP)])
    hub.remove_sink(B)
    hub.remove_sink(B)
    hub.push(A, Packet(b"x", 0, 0))
    assert ears[B].ended == [1] and ears[B].heard == []
    assert ears[C].heard == [(1, b"x")]


def test_a_sink_that_comes_late_joins_the_talk_that_is_on() -> None:
    hub, _ = hub_with(A)
    hub.install_route(A, 1, [Listener(B, GROUP)])
    late = Ear()
    hub.add_sink(B, late)
    hub.push(A, Packet(b"x", 0, 0))
    assert late.begun == [1]
    assert late.heard == [(1, b"x")]


def test_a_sink_that_is_replaced_ends_for_the_old_and_begins_for_the_new() -> None:
    hub, ears = hub_with(A, B)
    hub.install_route(A, 1, [Listener(B, GROUP)])
    fresh = Ear()
    hub.add_sink(B, fresh)
    hub.push(A, Packet(b"x", 0, 0))
    assert ears[B].ended == [1] and ears[B].heard == []
    assert fresh.begun == [1] and fresh.heard == [(1, b"x")]


def test_a_source_that_goes_takes_its_route_along() -> None:
    hub, ears = hub_with(A, B)
    hub.install_route(A, 1, [Listener(B, GROUP)])
    hub.remove_source(A)
    assert ears[B].ended == [1]
    assert hub.last_media_at(A) == float("-inf")
    assert hub.route_count == 0


def test_the_time_of_the_last_packet_is_kept_with_or_without_a_route() -> None:
    hub, _ = hub_with(A)
    assert hub.last_media_at(A) == float("-inf")
    hub.push(A, Packet(b"x", 0, 0))
    assert hub.last_media_at(A) > 0
