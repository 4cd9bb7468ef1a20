"""What the switchboard says happened: past tense, frozen, in order. Carrying them out is the shell's work."""

from dataclasses import dataclass

from tongpin.channels.ids import (
    AgencyId,
    DenyCause,
    GroupId,
    NetId,
    Origin,
    PartyId,
    PartyKind,
    PatchEndCause,
    PatchId,
    Priority,
    ReleaseCause,
)


@dataclass(frozen=True, slots=True)
class GroupDefined:
    group: GroupId
    name: str
    agency: AgencyId | None


@dataclass(frozen=True, slots=True)
class GroupRetired:
    group: GroupId


@dataclass(frozen=True, slots=True)
class PartyAttached:
    party: PartyId
    kind: PartyKind
    label: str
    agency: AgencyId | None


@dataclass(frozen=True, slots=True)
class PartyDetached:
    party: PartyId


@dataclass(frozen=True, slots=True)
class MembershipSet:
    party: PartyId
    group: GroupId
    may_listen: bool
    may_talk: bool


@dataclass(frozen=True, slots=True)
class MembershipEnded:
    party: PartyId
    group: GroupId


@dataclass(frozen=True, slots=True)
class Listener:
    """One sink of a route: who hears, and the first of its groups (by id) through which it does."""

    party: PartyId
    group: GroupId


@dataclass(frozen=True, slots=True)
class RouteInstalled:
    """From now on the source's packets go to exactly these listeners; replaces its earlier route.

    A source is never among its own listeners. ``talk`` is the same number as in FloorGranted.
    """

    source: PartyId
    net: NetId
    talk: int
    listeners: tuple[Listener, ...]


@dataclass(frozen=True, slots=True)
class RouteRemoved:
    source: PartyId
    net: NetId
    talk: int


@dataclass(frozen=True, slots=True)
class FloorGranted:
    """The party may talk now. Follows its RouteInstalled, so the first packet after the word is heard.

    Attributes:
        talk: number of this talk, unique and rising in one switchboard.
        limit_at: monotonic seconds at which T2 cuts it.
    """

    net: NetId
    party: PartyId
    group: GroupId
    priority: Priority
    origin: Origin
    talk: int
    limit_at: float


@dataclass(frozen=True, slots=True)
class TalkerNamed:
    """Who talks through a party is known, or (None) is not known any more. ``net`` is that of its first group."""

    net: NetId
    party: PartyId
    label: str | None
    unit: str | None


@dataclass(frozen=True, slots=True)
class FloorDenied:
    party: PartyId
    group: GroupId
    cause: DenyCause
    holder: PartyId | None = None


@dataclass(frozen=True, slots=True)
class FloorQueued:
    """The request waits; position counts from 1. Said again whenever the position changes."""

    net: NetId
    party: PartyId
    group: GroupId
    position: int
    priority: Priority


@dataclass(frozen=True, slots=True)
class QueueLeft:
    """A waiting request was given up without a grant."""

    net: NetId
    party: PartyId
    cause: ReleaseCause


@dataclass(frozen=True, slots=True)
class TalkLimitNear:
    """The talker will be cut in ``left_s`` seconds (T2 warning)."""

    net: NetId
    party: PartyId
    left_s: float


@dataclass(frozen=True, slots=True)
class FloorRevoking:
    """The holder was told to stop and has until ``grace_ends`` (T3); it is still heard."""

    net: NetId
    party: PartyId
    cause: ReleaseCause
    grace_ends: float


@dataclass(frozen=True, slots=True)
class FloorReleased:
    """A talk ended: its route is gone."""

    net: NetId
    party: PartyId
    talk: int
    cause: ReleaseCause


@dataclass(frozen=True, slots=True)
class DeafnessBegan:
    """A half-duplex party lost the floor but still transmits: it will not hear anyone until it releases."""

    net: NetId
    party: PartyId


@dataclass(frozen=True, slots=True)
class DeafnessEnded:
    net: NetId
    party: PartyId


@dataclass(frozen=True, slots=True)
class NetIdle:
    """T4 ended: nobody has talked on the net for a while."""

    net: NetId


@dataclass(frozen=True, slots=True)
class LegKeyed:
    """The leg's transmitter is wanted on (it is among the listeners of a talk, or in its hang time)."""

    party: PartyId
    net: NetId


@dataclass(frozen=True, slots=True)
class LegUnkeyed:
    """The leg's transmitter is wanted off, after it has played what it still holds."""

    party: PartyId
    net: NetId


@dataclass(frozen=True, slots=True)
class PatchInstalled:
    """The groups share one floor now. ``priorities``: the net's policy, as in InstallPatch."""

    patch: PatchId
    net: NetId
    name: str
    groups: tuple[GroupId, ...]
    priorities: tuple[tuple[AgencyId, Priority], ...] = ()


@dataclass(frozen=True, slots=True)
class PatchChanged:
    """A patch that stands is different: groups that are no longer named have their own floors again.

    Whoever talks or waits goes along with the group it talks through.
    """

    patch: PatchId
    net: NetId
    name: str
    groups: tuple[GroupId, ...]
    priorities: tuple[tuple[AgencyId, Priority], ...] = ()


@dataclass(frozen=True, slots=True)
class PatchRemoved:
    patch: PatchId
    net: NetId
    groups: tuple[GroupId, ...]
    cause: PatchEndCause


Effect = (
    GroupDefined
    | GroupRetired
    | PartyAttached
    | PartyDetached
    | MembershipSet
    | MembershipEnded
    | RouteInstalled
    | RouteRemoved
    | FloorGranted
    | TalkerNamed
    | FloorDenied
    | FloorQueued
    | QueueLeft
    | TalkLimitNear
    | FloorRevoking
    | FloorReleased
    | DeafnessBegan
    | DeafnessEnded
    | NetIdle
    | LegKeyed
    | LegUnkeyed
    | PatchInstalled
    | PatchChanged
    | PatchRemoved
)
