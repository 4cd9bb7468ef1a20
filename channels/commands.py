"""What may be asked of the switchboard: imperative, frozen, serialisable."""

from dataclasses import dataclass

from tongpin.channels.ids import AgencyId, GroupId, Origin, PartyId, PartyKind, PatchId, Priority, ReleaseCause


@dataclass(frozen=True, slots=True)
class DefineGroup:
    """Make a talk group, or rename one that exists."""

    group: GroupId
    name: str
    agency: AgencyId | None = None


@dataclass(frozen=True, slots=True)
class RetireGroup:
    """Forget a talk group; refused (GroupInPatchError) while a patch holds it."""

    group: GroupId


@dataclass(frozen=True, slots=True)
class AttachParty:
    """Bring a party on line. Attaching one that is on line changes its label only.

    Attributes:
        half_duplex: its transmitter's audio cannot be stopped by us (a radio): when it loses the floor its
            route goes at once, there is no grace, and it is listed as deaf until it releases.
        talk_limit_s: T2. 30 s for people, 60 s for a leg.
        end_of_media_s: T1. 4 s; 0.4 s on legs with COS.
        may_queue: a refused request waits instead, when the floor is taken.
    """

    party: PartyId
    kind: PartyKind
    label: str
    agency: AgencyId | None = None
    half_duplex: bool = False
    talk_limit_s: float = 30.0
    end_of_media_s: float = 4.0
    may_queue: bool = True


@dataclass(frozen=True, slots=True)
class DetachParty:
    """Take a party off line: its floor, its place in queues, its memberships and routes go with it."""

    party: PartyId
    cause: ReleaseCause = ReleaseCause.PARTY_GONE


@dataclass(frozen=True, slots=True)
class SetMembership:
    """Give a party its rights in one group; replaces what it had there."""

    party: PartyId
    group: GroupId
    may_listen: bool = True
    may_talk: bool = True
    max_priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class EndMembership:
    """Take a party out of one group."""

    party: PartyId
    group: GroupId


@dataclass(frozen=True, slots=True)
class RequestFloor:
    """Ask to talk on the net that a group is in. Priority is lowered to what the membership allows."""

    party: PartyId
    group: GroupId
    priority: Priority = Priority.NORMAL
    origin: Origin = Origin.PTT


@dataclass(frozen=True, slots=True)
class ReleaseFloor:
    """Stop talking, or leave the queue; also ends a penalty and the deafness of a half-duplex party. Never refused."""

    party: PartyId
    cause: ReleaseCause = ReleaseCause.RELEASED


@dataclass(frozen=True, slots=True)
class NameTalker:
    """A radio has said who talks through a leg. Forgotten when the party releases.

    Attributes:
        label: what people see.
        unit: the unit's id, or None when the radio's number belongs to none.
    """

    party: PartyId
    label: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class OverrideFloor:
    """A dispatcher takes the floor away from whoever holds the group's net. Nothing happens if it is idle."""

    group: GroupId
    by: PartyId


@dataclass(frozen=True, slots=True)
class MediaSeen:
    """The party's last packet came at ``at`` (monotonic seconds). Sent only when T1 is about to end, not per packet."""

    party: PartyId
    at: float


@dataclass(frozen=True, slots=True)
class InstallPatch:
    """Put two or more groups on one floor. Raises GroupInOtherNetError (naming the other) if one is already patched.

    Attributes:
        ends: monotonic seconds at which the patch takes itself down, or None.
        priorities: the policy of this net: what normal and high talk through a group of an agency counts as. Agencies
            that are not named count as normal. Low stays low and an emergency stays an emergency. Empty = no policy:
            everything counts as asked.
    """

    patch: PatchId
    name: str
    groups: tuple[GroupId, ...]
    ends: float | None = None
    priorities: tuple[tuple[AgencyId, Priority], ...] = ()


@dataclass(frozen=True, slots=True)
class ArrangePatches:
    """Take some patches down, change others and install new ones, as one: done whole, or refused whole.

    This is how groups go over from one patch to another: no group is without its floor in between.

    Attributes:
        plans: what these patches shall be; one that stands already is changed into it.
        removed: patches to take down.
    """

    plans: tuple[InstallPatch, ...] = ()
    removed: tuple[PatchId, ...] = ()


@dataclass(frozen=True, slots=True)
class RemovePatch:
    """Take a patch down: every group has its own floor again; a talker keeps the floor of the group it talks in."""

    patch: PatchId


@dataclass(frozen=True, slots=True)
class Advance:
    """Let time pass: everything that is due at ``now`` happens. Nothing due: nothing happens."""


Command = (
    DefineGroup
    | RetireGroup
    | AttachParty
    | DetachParty
    | SetMembership
    | EndMembership
    | RequestFloor
    | ReleaseFloor
    | NameTalker
    | OverrideFloor
    | MediaSeen
    | InstallPatch
    | ArrangePatches
    | RemovePatch
    | Advance
)
