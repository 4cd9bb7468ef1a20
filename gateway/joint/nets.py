"""What the active joint channels want of the switchboard, and the one command that brings it there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tongpin.channels.commands import ArrangePatches, InstallPatch
from tongpin.channels.effects import Effect, GroupDefined, GroupRetired, PatchChanged, PatchInstalled, PatchRemoved
from tongpin.channels.ids import AgencyId, GroupId, PatchId, Priority
from tongpin.channels.joint import JointChannel, claims
from tongpin.gateway.clock import Clock
from tongpin.gateway.ports import Dispatcher


@dataclass(frozen=True, slots=True)
class _Patch:
    """What is installed, as far as we care. ``ends_at`` None: we do not know, so it is said again."""

    name: str
    groups: tuple[GroupId, ...]
    priorities: tuple[tuple[AgencyId, Priority], ...]
    ends_at: datetime | None


class Nets:
    """Implements ``EffectHandler``: knows talk groups and patches from effects, so a change costs no view.

    Attributes:
        groups: every talk group with its agency.
    """

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._installed: dict[PatchId, _Patch] = {}
        self.groups: dict[str, str | None] = {}

    def __call__(self, effect: Effect, now: float) -> None:
        match effect:
            case GroupDefined():
                self.groups[effect.group] = effect.agency
            case GroupRetired():
                self.groups.pop(effect.group, None)
            case PatchInstalled() | PatchChanged():
                self._installed[effect.patch] = _Patch(effect.name, effect.groups, effect.priorities, None)
            case PatchRemoved():
                self._installed.pop(effect.patch, None)
            case _:
                pass

    def wanted(self, active: Iterable[JointChannel]) -> dict[PatchId, _Patch]:
        """The patches that these channels make: each with the groups that are its own now, if two or more are left."""
        groups: dict[str, list[GroupId]] = {}
        channels: dict[str, JointChannel] = {}
        for group, channel in sorted(claims(active).items()):
            if group in self.groups:
                channels[channel.id] = channel
                groups.setdefault(channel.id, []).append(GroupId(group))
        return {
            PatchId(id_): _Patch(channels[id_].name, tuple(own), channels[id_].priorities, channels[id_].ends_at)
            for id_, own in groups.items()
            if len(own) > 1
        }

    def arrange(self, active: Iterable[JointChannel]) -> None:
        """Bring the switchboard to what these channels want; says nothing when it is there.

        Raises:
            SwitchboardError: it refused; nothing changed.
        """
        wanted = self.wanted(active)
        now, at = self._clock.now(), self._clock.at()
        plans = tuple(
            InstallPatch(
                patch,
                plan.name,
                plan.groups,
                now + (plan.ends_at - at).total_seconds() if plan.ends_at is not None else None,
                plan.priorities,
            )
            for patch, plan in wanted.items()
            if self._installed.get(patch) != plan
        )
        removed = tuple(patch for patch in self._installed if patch not in wanted)
        if plans or removed:
            self._dispatcher.apply(ArrangePatches(plans, removed))
            self._installed = wanted
