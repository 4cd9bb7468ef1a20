"""An immutable picture of the switchboard, for REST, the console and clients that come back."""

from dataclasses import dataclass

from tongpin.channels.effects import Listener
from tongpin.channels.ids import AgencyId, FloorState, GroupId, NetId, PartyId, PartyKind, PatchId, Priority


@dataclass(frozen=True, slots=True)
class QueueEntry:
    party: PartyId
    group: GroupId
    priority: Priority


@dataclass(frozen=True, slots=True)
class FloorView:
    """One net's floor. ``holder``, ``group``, ``priority``, ``talk`` and ``limit_at`` are None when idle."""

    state: FloorState
    holder: PartyId | None
    group: GroupId | None
    priority: Priority | None
    talk: int | None
    limit_at: float | None
    queue: tuple[QueueEntry, ...]


@dataclass(frozen=True, slots=True)
class NetView:
    net: NetId
    groups: tuple[GroupId, ...]
    patch: PatchId | None
    patch_name: str | None
    priorities: tuple[tuple[AgencyId, Priority], ...]
    floor: FloorView


@dataclass(frozen=True, slots=True)
class GroupView:
    group: GroupId
    name: str
    agency: AgencyId | None
    net: NetId
    listeners: tuple[PartyId, ...]
    talkers: tuple[PartyId, ...]


@dataclass(frozen=True, slots=True)
class PartyView:
    party: PartyId
    kind: PartyKind
    label: str
    agency: AgencyId | None
    is_deaf: bool
    is_keyed: bool
    talker: str | None = None
    talker_unit: str | None = None


@dataclass(frozen=True, slots=True)
class RouteView:
    source: PartyId
    talk: int
    listeners: tuple[Listener, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Everything, sorted by id."""

    groups: tuple[GroupView, ...]
    parties: tuple[PartyView, ...]
    nets: tuple[NetView, ...]
    routes: tuple[RouteView, ...]
