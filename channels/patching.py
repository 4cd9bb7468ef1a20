"""How groups come together on one floor and part again."""

from collections.abc import Mapping, Sequence

from tongpin.channels.commands import InstallPatch
from tongpin.channels.control import Control
from tongpin.channels.effects import PatchChanged, PatchInstalled, PatchRemoved
from tongpin.channels.errors import (
    GroupInOtherNetError,
    PatchExistsError,
    PatchTooSmallError,
    UnknownGroupError,
    UnknownPatchError,
)
from tongpin.channels.floor import Floor
from tongpin.channels.ids import GroupId, NetId, PatchEndCause, PatchId, ReleaseCause
from tongpin.channels.records import Net, Patch, Waiting, merged


def arrange(
    control: Control, plans: Sequence[InstallPatch], removed: Mapping[PatchId, PatchEndCause], now: float
) -> None:
    """Take ``removed`` down and make every planned patch what its plan says, as one.

    Raises:
        SwitchboardError: something is unknown, too small or in another net; nothing changed.
    """
    wanted = {plan.patch: tuple(sorted(set(plan.groups))) for plan in plans}
    _check(control, plans, wanted, removed)
    touched: list[Net] = []
    for patch, cause in removed.items():
        touched += _part(control, patch, (), cause, now)
    for patch, groups in wanted.items():
        standing = control.patches.get(patch)
        if standing is not None and not set(standing.groups) <= set(groups):
            stays = tuple(group for group in standing.groups if group in groups)
            touched += _part(control, patch, stays, PatchEndCause.REPLACED, now)
    # First everything that goes, then what comes: at no moment is anybody heard where they no longer belong.
    for net in touched:
        control.refresh(net)
    for plan in plans:
        before = control.nets.get(NetId(plan.patch))
        net = _join(control, plan, wanted[plan.patch], now)
        if net is not before:
            touched.append(net)
        elif all(net is not other for other in touched):
            control.policy_changed(net, is_new_net=False)
            control.prefer_head(net, now)
    for net in touched:
        if control.nets.get(net.id) is net:
            control.policy_changed(net, is_new_net=True)
            control.settle(net, now)
            control.prefer_head(net, now)


def _check(
    control: Control,
    plans: Sequence[InstallPatch],
    wanted: Mapping[PatchId, tuple[GroupId, ...]],
    removed: Mapping[PatchId, PatchEndCause],
) -> None:
    for patch in removed:
        if patch not in control.patches:
            raise UnknownPatchError(patch)
        if patch in wanted:
            raise PatchExistsError(patch)
    taken: dict[GroupId, InstallPatch] = {}
    for plan in plans:
        for group in wanted[plan.patch]:
            if group not in control.groups:
                raise UnknownGroupError(group)
            other = control.nets[control.groups[group].net].patch
            if other is not None and other not in removed and group in wanted.get(other, (group,)):
                if other != plan.patch:
                    raise GroupInOtherNetError(group, other, control.patches[other].name)
            elif group in taken:
                raise GroupInOtherNetError(group, taken[group].patch, taken[group].name)
            taken[group] = plan
        if len(wanted[plan.patch]) < 2:
            raise PatchTooSmallError


def _part(control: Control, patch: PatchId, stays: tuple[GroupId, ...], cause: PatchEndCause, now: float) -> list[Net]:
    """Give every group that does not stay a net of its own. The nets that there are now; they are not settled."""
    record, old = control.patches[patch], control.nets[NetId(patch)]
    floor, route, queue, keyed, tenure = old.floor, old.route, old.queue, old.keyed, old.floor.tenure
    parts = [Net(NetId(group), (group,)) for group in record.groups if group not in stays]
    for net in parts:
        control.groups[net.groups[0]].net = net.id
        control.nets[net.id] = net
    if stays:
        old.groups = record.groups = stays
        old.floor, old.route, old.audience = Floor(), (), None
        control.out.append(PatchChanged(patch, old.id, record.name, stays, record.priorities))
        parts.append(old)
    else:
        del control.patches[patch], control.nets[old.id]
        control.out.append(PatchRemoved(patch, old.id, record.groups, cause))
    for net in parts:
        net.queue = [entry for entry in queue if entry.group in net.groups]
        net.keyed = {leg for leg in keyed if not control.parties[leg].memberships.keys().isdisjoint(net.groups)}
        if tenure is not None and tenure.group in net.groups:
            net.floor, net.route = floor, route
        else:
            net.floor.idle_since, net.floor.hang_until = now, floor.hang_until
        _move_parties(control, net)
    return parts


def _join(control: Control, plan: InstallPatch, groups: tuple[GroupId, ...], now: float) -> Net:
    """Put the plan's groups on one net; those that are on it already stay. The net; it is not settled."""
    net_id, is_new = NetId(plan.patch), plan.patch not in control.patches
    before = control.patches.get(plan.patch)
    control.patches[plan.patch] = patch = Patch(plan.name, groups, plan.ends, plan.priorities)
    if before is not None and before.groups == groups:
        if (before.name, before.priorities) != (patch.name, patch.priorities):
            control.out.append(PatchChanged(plan.patch, net_id, plan.name, groups, plan.priorities))
        return control.nets[net_id]
    old = [control.nets[net] for net in sorted({control.groups[group].net for group in groups})]
    talks = [(net.floor.tenure, net) for net in old if net.floor.tenure is not None]
    talks.sort(key=lambda talk: (-patch.counts(control.groups[talk[0].group].agency, talk[0].asked), talk[0].talk))
    still_talking: list[Waiting] = []
    for tenure, net in talks[1:]:
        control.cut(net, ReleaseCause.NET_CHANGED, now)
        if control.parties[tenure.holder].attached.half_duplex:
            entry = (tenure.holder, tenure.group, tenure.asked, tenure.priority, tenure.origin, control.next_order())
            still_talking.append(Waiting(*entry))
    new = Net(net_id, groups, plan.patch)
    if talks:
        new.floor, new.route = talks[0][1].floor, talks[0][1].route
    else:
        hangs = [net.floor.hang_until for net in old if net.floor.hang_until is not None]
        new.floor.hang_until = max(hangs, default=None)
        new.floor.idle_since = now
    new.queue = merged([*(net.queue for net in old), still_talking])
    new.keyed = set().union(*(net.keyed for net in old))
    for net in old:
        del control.nets[net.id]
    for group in groups:
        control.groups[group].net = net_id
    control.nets[net_id] = new
    _move_parties(control, new)
    said = PatchInstalled if is_new else PatchChanged
    control.out.append(said(plan.patch, net_id, plan.name, groups, plan.priorities))
    return new


def _move_parties(control: Control, net: Net) -> None:
    """Holder and waiting parties are now on this net; so is the deafness of its members."""
    parties = control.parties
    if net.floor.tenure is not None:
        holder = parties[net.floor.tenure.holder]
        holder.net = holder.talks_on = net.id
    for entry in net.queue:
        parties[entry.party].net = net.id
    members = {party for group in net.groups for party in control.groups[group].members}
    for party in sorted(members):
        record = parties[party]
        if record.deaf_on is not None and record.deaf_on not in {
            control.groups[group].net for group in record.memberships
        }:
            record.deaf_on = net.id
