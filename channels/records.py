"""What the switchboard remembers: groups, parties, patches, nets and who waits. Mutable, seen by nobody outside."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from tongpin.channels.commands import AttachParty, SetMembership
from tongpin.channels.effects import Listener
from tongpin.channels.floor import Floor
from tongpin.channels.ids import AgencyId, GroupId, NetId, Origin, PartyId, PartyKind, PatchId, Priority


@dataclass(slots=True)
class Waiting:
    """A request in a net's queue.

    Attributes:
        priority: what the net's policy makes of ``asked``.
        order: number of the request, so that equals keep their turn.
    """

    party: PartyId
    group: GroupId
    asked: Priority
    priority: Priority
    origin: Origin
    order: int

    @property
    def rank(self) -> tuple[int, int]:
        return (-int(self.priority), self.order)


@dataclass(slots=True)
class Party:
    """Someone on line.

    Attributes:
        net: the net it holds or waits for, or None.
        talks_on: the net whose floor it holds, or None.
        deaf_on: the net it transmits into without being heard (half-duplex only), or None.
        is_penalised: cut for talking too long and has not released since.
        talker: label and unit of who talks through it now, once its radio has said so.
        penalty_until: monotonic seconds up to which its requests are refused.
    """

    attached: AttachParty
    memberships: dict[GroupId, SetMembership] = field(default_factory=dict)
    net: NetId | None = None
    talks_on: NetId | None = None
    deaf_on: NetId | None = None
    is_penalised: bool = False
    penalty_until: float = float("-inf")
    talker: tuple[str, str | None] | None = None

    @property
    def is_leg(self) -> bool:
        return self.attached.kind is PartyKind.LEG

    def can_hear(self, net: NetId) -> bool:
        """False for a radio that transmits: one that is deaf, or one that talks on another net."""
        if self.talks_on is None:
            return self.deaf_on is None
        if self.deaf_on is not None:
            return False
        is_radio = self.is_leg or self.attached.half_duplex
        return not is_radio or self.talks_on == net


@dataclass(slots=True)
class Group:
    """A talk group and its members."""

    name: str
    agency: AgencyId | None
    net: NetId
    members: dict[PartyId, SetMembership] = field(default_factory=dict)


@dataclass(slots=True)
class Patch:
    """An active joint channel."""

    name: str
    groups: tuple[GroupId, ...]
    ends: float | None
    priorities: tuple[tuple[AgencyId, Priority], ...]

    def counts(self, agency: AgencyId | None, asked: Priority) -> Priority:
        """What talk through a group of this agency counts as on this net."""
        if not self.priorities or asked in (Priority.LOW, Priority.EMERGENCY):
            return asked
        return dict(self.priorities).get(agency, Priority.NORMAL) if agency is not None else Priority.NORMAL


@dataclass(slots=True)
class Net:
    """Groups that share one floor.

    Attributes:
        keyed: legs whose transmitters are wanted on.
        route: who hears the present talk; empty when idle.
        audience: cache of everybody who may listen now, by id; None when stale.
        audience_legs: the legs among them, as fresh as ``audience``.
    """

    id: NetId
    groups: tuple[GroupId, ...]
    patch: PatchId | None = None
    floor: Floor = field(default_factory=Floor)
    queue: list[Waiting] = field(default_factory=list)
    keyed: set[PartyId] = field(default_factory=set)
    route: tuple[Listener, ...] = ()
    audience: tuple[Listener, ...] | None = None
    audience_legs: frozenset[PartyId] = frozenset()


_listener = lru_cache(maxsize=16_384)(Listener)
"""Thousands of listeners stay the same from one change to the next: making them anew was most of what a join cost."""


def audience_of(net: Net, groups: dict[GroupId, Group], parties: dict[PartyId, Party]) -> tuple[Listener, ...]:
    """Everybody who may listen on the net and can, each once with the smallest of its groups, sorted by id. Cached."""
    if net.audience is None:
        first: dict[PartyId, GroupId] = {}
        for group in sorted(net.groups):
            for party, membership in groups[group].members.items():
                if membership.may_listen and parties[party].can_hear(net.id):
                    first.setdefault(party, group)
        net.audience = tuple([_listener(party, first[party]) for party in sorted(first)])
        net.audience_legs = frozenset([party for party in first if parties[party].attached.kind is PartyKind.LEG])
    return net.audience


def without(audience: tuple[Listener, ...], source: PartyId) -> tuple[Listener, ...]:
    """The audience of a talker: everybody but itself."""
    index = bisect_left(audience, source, key=lambda listener: listener.party)
    if index == len(audience) or audience[index].party != source:
        return audience
    return audience[:index] + audience[index + 1 :]


def insert_by_rank(queue: list[Waiting], entry: Waiting) -> None:
    """Put a request in its place: priority first, then order."""
    index = len(queue)
    while index and queue[index - 1].rank > entry.rank:
        index -= 1
    queue.insert(index, entry)


def merged(queues: Iterable[list[Waiting]]) -> list[Waiting]:
    """Several queues as one, by rank."""
    return sorted((entry for queue in queues for entry in queue), key=lambda entry: entry.rank)
