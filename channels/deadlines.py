"""When something will be due, and what."""

from collections.abc import Iterator
from dataclasses import dataclass

from tongpin.channels.ids import FloorState, NetId, PartyId, PatchId, Timer
from tongpin.channels.records import Net, Party, Patch


@dataclass(frozen=True, slots=True)
class Deadline:
    """Attributes: when: monotonic seconds; party: the holder, for the timers of a talk; net and patch: whose it is."""

    when: float
    why: Timer
    party: PartyId | None = None
    net: NetId | None = None
    patch: PatchId | None = None


def of_net(net: Net, parties: dict[PartyId, Party], inactivity_s: float, warn_before_s: float) -> Iterator[Deadline]:
    """Everything that one net waits for."""
    floor = net.floor
    tenure = floor.tenure
    if tenure is not None:
        holder = tenure.holder
        end_of_media_s = parties[holder].attached.end_of_media_s
        yield Deadline(tenure.last_media + end_of_media_s, Timer.T1_END_OF_MEDIA, holder, net.id)
        if floor.state is FloorState.PENDING_REVOKE:
            yield Deadline(tenure.grace_ends, Timer.T3_GRACE, holder, net.id)
        else:
            yield Deadline(tenure.limit_at, Timer.T2_TALK_LIMIT, holder, net.id)
            if not tenure.is_warned and warn_before_s > 0:
                yield Deadline(tenure.limit_at - warn_before_s, Timer.T2_WARNING, holder, net.id)
        return
    if floor.hang_until is not None:
        yield Deadline(floor.hang_until, Timer.HANG, net=net.id)
    if floor.idle_since is not None:
        yield Deadline(floor.idle_since + inactivity_s, Timer.T4_INACTIVITY, net=net.id)


def of_patches(patches: dict[PatchId, Patch]) -> Iterator[Deadline]:
    """The ends of time boxes."""
    for patch, record in patches.items():
        if record.ends is not None:
            yield Deadline(record.ends, Timer.PATCH_END, patch=patch)
