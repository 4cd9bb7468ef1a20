"""Who the members of a joint channel are, as talk groups, at this moment."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from tongpin.channels.joint import Member, MemberKind
from tongpin.gateway.errors import CallerError


class LiveMembers:
    """Implements :class:`tongpin.gateway.joint.records.MemberResolver`.

    Args:
        groups: every talk group that there is now, with its agency.
        leg_group: the talk group of a leg, by the leg's name.
        grid_groups: home talk groups of the units that serve a grid, of one agency or of all; CallerError 404.
    """

    def __init__(
        self,
        groups: Mapping[str, str | None],
        leg_group: Callable[[str], str | None],
        grid_groups: Callable[[str, str | None], Awaitable[Sequence[str]]],
    ) -> None:
        self._groups = groups
        self._leg_group = leg_group
        self._grid_groups = grid_groups

    async def resolve(self, members: Sequence[Member]) -> tuple[Mapping[str, str | None], Sequence[str]]:
        owners: dict[str, str | None] = {}
        missing: list[str] = []
        for member in members:
            found = await self._groups_of(member)
            if not found:
                missing.append(f"{member.kind.value} {member.id!r}")
            owners |= {group: self._groups[group] for group in found}
        return owners, missing

    async def _groups_of(self, member: Member) -> list[str]:
        found: Sequence[str] = (member.id,)
        if member.kind is MemberKind.LEG:
            found = [group for group in (self._leg_group(member.id),) if group is not None]
        elif member.kind is MemberKind.GRID:
            try:
                found = await self._grid_groups(member.id, member.agency)
            except CallerError:
                found = ()
        return [group for group in found if group in self._groups]
