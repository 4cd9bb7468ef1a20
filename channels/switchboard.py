"""Who may talk, who hears whom: one object, no clock, no I/O. Commands in, effects out."""

from copy import deepcopy

from tongpin.channels import commands as c
from tongpin.channels import deadlines
from tongpin.channels.control import Control, SwitchboardSettings
from tongpin.channels.deadlines import Deadline
from tongpin.channels.effects import (
    Effect,
    GroupDefined,
    GroupRetired,
    MembershipEnded,
    MembershipSet,
    NetIdle,
    PartyAttached,
    PartyDetached,
    TalkerNamed,
    TalkLimitNear,
)
from tongpin.channels.errors import (
    GroupInPatchError,
    PatchExistsError,
    UnknownGroupError,
    UnknownPartyError,
)
from tongpin.channels.floor import FloorEvent
from tongpin.channels.ids import AgencyId, DenyCause, GroupId, NetId, PartyId, PatchEndCause, ReleaseCause, Timer
from tongpin.channels.patching import arrange
from tongpin.channels.picture import picture
from tongpin.channels.records import Group, Net, Party, Waiting
from tongpin.channels.view import View

__all__ = ["Deadline", "Switchboard", "SwitchboardSettings"]


class Switchboard:
    """The core. :meth:`apply` is the only way to change anything.

    ``now`` is monotonic seconds; a moment before the last one counts as the last one.
    """

    def __init__(self, settings: SwitchboardSettings | None = None) -> None:
        self._control = Control(settings or SwitchboardSettings())
        self._now = float("-inf")

    def apply(self, command: c.Command, now: float) -> list[Effect]:
        """Carry a command out and say, in order, what happened.

        Raises:
            SwitchboardError: the command was illegal; nothing changed.
        """
        now = max(now, self._now)
        out: list[Effect] = []
        self._control.out = out
        self._dispatch(command, now)
        self._now = now
        return out

    def check(self, command: c.Command, now: float) -> list[Effect]:
        """What :meth:`apply` would answer, or raise; changes nothing. Costs a copy of the state."""
        return deepcopy(self).apply(command, now)

    def next_deadline(self) -> Deadline | None:
        """When :class:`~tongpin.channels.commands.Advance` has something to do, and what; None if never."""
        control, settings = self._control, self._control.settings
        soonest: Deadline | None = None
        for net in control.nets.values():
            for due in deadlines.of_net(net, control.parties, settings.inactivity_s, settings.warn_before_s):
                if soonest is None or due.when < soonest.when:
                    soonest = due
        for due in deadlines.of_patches(control.patches):
            if soonest is None or due.when < soonest.when:
                soonest = due
        return soonest

    def view(self) -> View:
        """An immutable picture of everything."""
        return picture(self._control)

    def agency_of(self, group: GroupId) -> AgencyId | None:
        """Whose talk group it is. Costs nothing, unlike a view. Raises UnknownGroupError."""
        return self._group(group).agency

    def net_of(self, group: GroupId) -> NetId:
        """The net a group is in now. Raises UnknownGroupError."""
        return self._group(group).net

    def holder_of(self, net: NetId) -> PartyId | None:
        """Who holds a net's floor; None when idle or when there is no such net."""
        record = self._control.nets.get(net)
        return record.floor.tenure.holder if record is not None and record.floor.tenure is not None else None

    # -- commands ------------------------------------------------------------------------------------------------

    def _dispatch(self, command: c.Command, now: float) -> None:
        match command:
            case c.RequestFloor():
                self._request(command, now)
            case c.ReleaseFloor():
                self._release(command, now)
            case c.MediaSeen():
                self._media_seen(command)
            case c.Advance():
                self._advance(now)
            case c.NameTalker():
                self._name_talker(command)
            case c.OverrideFloor():
                self._override(command, now)
            case c.SetMembership():
                self._set_membership(command, now)
            case c.EndMembership():
                self._end_membership(command, now)
            case c.AttachParty():
                self._attach(command)
            case c.DetachParty():
                self._detach(command, now)
            case c.DefineGroup():
                self._define(command, now)
            case c.RetireGroup():
                self._retire(command, now)
            case c.InstallPatch():
                if command.patch in self._control.patches:
                    raise PatchExistsError(command.patch)
                arrange(self._control, (command,), {}, now)
            case c.ArrangePatches():
                arrange(self._control, command.plans, dict.fromkeys(command.removed, PatchEndCause.CLOSED), now)
            case _:
                arrange(self._control, (), {command.patch: PatchEndCause.CLOSED}, now)

    def _group(self, group: GroupId) -> Group:
        record = self._control.groups.get(group)
        if record is None:
            raise UnknownGroupError(group)
        return record

    def _party(self, party: PartyId) -> Party:
        record = self._control.parties.get(party)
        if record is None:
            raise UnknownPartyError(party)
        return record

    def _define(self, command: c.DefineGroup, now: float) -> None:
        control = self._control
        old = control.groups.get(command.group)
        if old is None:
            net = NetId(command.group)
            control.groups[command.group] = Group(command.name, command.agency, net)
            control.nets[net] = Net(net, (command.group,))
            control.out.append(GroupDefined(command.group, command.name, command.agency))
        elif (old.name, old.agency) != (command.name, command.agency):
            has_moved = old.agency != command.agency
            old.name, old.agency = command.name, command.agency
            control.out.append(GroupDefined(command.group, command.name, command.agency))
            if has_moved:
                control.policy_changed(control.nets[old.net], is_new_net=False)
                control.prefer_head(control.nets[old.net], now)

    def _retire(self, command: c.RetireGroup, now: float) -> None:
        control = self._control
        group = self._group(command.group)
        net = control.nets[group.net]
        if net.patch is not None:
            raise GroupInPatchError(command.group, net.patch, control.patches[net.patch].name)
        # The queue first: otherwise each talker cut would hand a dying floor to the next.
        for entry in tuple(net.queue):
            control.leave_queue(net, entry.party, ReleaseCause.RIGHT_LOST)
        for party in sorted(group.members):
            self._drop_membership(party, command.group, now)
        del control.nets[group.net]
        del control.groups[command.group]
        control.out.append(GroupRetired(command.group))

    def _attach(self, command: c.AttachParty) -> None:
        control = self._control
        old = control.parties.get(command.party)
        if old is None:
            control.parties[command.party] = Party(command)
        elif old.attached.label == command.label:
            return
        else:
            was = old.attached
            old.attached = c.AttachParty(
                *(was.party, was.kind, command.label, was.agency),
                *(was.half_duplex, was.talk_limit_s, was.end_of_media_s, was.may_queue),
            )
        attached = control.parties[command.party].attached
        control.out.append(PartyAttached(attached.party, attached.kind, attached.label, attached.agency))

    def _detach(self, command: c.DetachParty, now: float) -> None:
        control = self._control
        record = self._party(command.party)
        # Out of every audience first, so that what follows cannot key a leg that is going.
        for group in sorted(record.memberships):
            self._forget_member(command.party, group)
        net = control.stop(command.party, command.cause, now)
        unsettled = net.id if net is not None else None
        control.undeafen(command.party, unsettled)
        for net_id in sorted({control.groups[group].net for group in record.memberships}):
            if net_id != unsettled:
                control.refresh(control.nets[net_id])
        del control.parties[command.party]
        control.out.append(PartyDetached(command.party))
        if net is not None:
            control.settle(net, now)

    def _forget_member(self, party: PartyId, group: GroupId) -> None:
        record = self._control.groups[group]
        del record.members[party]
        self._control.nets[record.net].audience = None

    def _set_membership(self, command: c.SetMembership, now: float) -> None:
        control = self._control
        party, group = self._party(command.party), self._group(command.group)
        if party.memberships.get(command.group) == command:
            return
        if not command.may_talk:
            self._lose_right(command.party, command.group, now)
        party.memberships[command.group] = group.members[command.party] = command
        control.out.append(MembershipSet(command.party, command.group, command.may_listen, command.may_talk))
        net = control.nets[group.net]
        net.audience = None
        control.settle(net, now)

    def _end_membership(self, command: c.EndMembership, now: float) -> None:
        party, _ = self._party(command.party), self._group(command.group)
        if command.group not in party.memberships:
            return
        self._drop_membership(command.party, command.group, now)

    def _drop_membership(self, party: PartyId, group: GroupId, now: float) -> None:
        control = self._control
        self._lose_right(party, group, now)
        self._forget_member(party, group)
        del control.parties[party].memberships[group]
        control.out.append(MembershipEnded(party, group))
        control.settle(control.nets[control.groups[group].net], now)

    def _lose_right(self, party: PartyId, group: GroupId, now: float) -> None:
        """End a talk, or a wait, that hangs on this group. The caller settles the net."""
        control = self._control
        net = control.nets[control.groups[group].net]
        tenure = net.floor.tenure
        if tenure is not None and tenure.holder == party and tenure.group == group:
            control.cut(net, ReleaseCause.RIGHT_LOST, now)
        elif any(entry.party == party and entry.group == group for entry in net.queue):
            control.leave_queue(net, party, ReleaseCause.RIGHT_LOST)

    def _request(self, command: c.RequestFloor, now: float) -> None:
        control = self._control
        party, group = self._party(command.party), self._group(command.group)
        membership = party.memberships.get(command.group)
        if membership is None:
            control.refuse(command.party, command.group, DenyCause.NOT_A_MEMBER)
            return
        if not membership.may_talk:
            control.refuse(command.party, command.group, DenyCause.NO_RIGHT_TO_TALK)
            return
        if party.is_penalised or now < party.penalty_until:
            control.refuse(command.party, command.group, DenyCause.PENALTY)
            return
        asked = min(command.priority, membership.max_priority)
        net = control.nets[group.net]
        if party.net == net.id:
            control.raise_priority(net, command.party, asked, now)
        elif party.net is not None:
            control.refuse(command.party, command.group, DenyCause.ALREADY_HOLDS_ANOTHER)
        else:
            counted, order = control.counts(net, command.group, asked), control.next_order()
            control.admit(net, Waiting(command.party, command.group, asked, counted, command.origin, order), now)

    def _release(self, command: c.ReleaseFloor, now: float) -> None:
        control = self._control
        party = self._party(command.party)
        if party.is_penalised:
            party.is_penalised = False
            party.penalty_until = now + control.settings.penalty_s
        net = control.stop(command.party, command.cause, now)
        control.undeafen(command.party, net.id if net is not None else None)
        if net is not None:
            control.settle(net, now)
        if party.talker is not None:
            party.talker = None
            net_id = self._first_net(party, command.party)
            control.out.append(TalkerNamed(net_id, command.party, None, None))

    def _name_talker(self, command: c.NameTalker) -> None:
        party = self._party(command.party)
        if party.talker != (command.label, command.unit):
            party.talker = (command.label, command.unit)
            net = self._first_net(party, command.party)
            self._control.out.append(TalkerNamed(net, command.party, command.label, command.unit))

    def _first_net(self, party: Party, id_: PartyId) -> NetId:
        """Of its groups; a party without any has nobody to tell but the command centre, by a net that is none."""
        return self._control.groups[min(party.memberships)].net if party.memberships else NetId(id_)

    def _override(self, command: c.OverrideFloor, now: float) -> None:
        control = self._control
        net = control.nets[self._group(command.group).net]
        if net.floor.tenure is not None:
            control.cut(net, ReleaseCause.OVERRIDDEN, now)
            control.settle(net, now)

    def _media_seen(self, command: c.MediaSeen) -> None:
        party = self._party(command.party)
        tenure = self._control.nets[party.net].floor.tenure if party.net is not None else None
        if tenure is not None and tenure.holder == command.party:
            tenure.last_media = max(tenure.last_media, command.at)

    # -- time ------------------------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        while (due := self.next_deadline()) is not None and due.when <= now:
            self._meet(due, now)

    def _meet(self, due: Deadline, now: float) -> None:
        control = self._control
        if due.patch is not None:
            arrange(control, (), {due.patch: PatchEndCause.EXPIRED}, now)
            return
        assert due.net is not None
        net = control.nets[due.net]
        tenure = net.floor.tenure
        match due.why:
            case Timer.HANG:
                net.floor.hang_until = None
                control.refresh(net)
            case Timer.T4_INACTIVITY:
                net.floor.idle_since = None
                control.out.append(NetIdle(net.id))
            case Timer.T2_WARNING:
                assert tenure is not None
                tenure.is_warned = True
                control.out.append(TalkLimitNear(net.id, tenure.holder, max(0.0, tenure.limit_at - now)))
            case Timer.T1_END_OF_MEDIA:
                control.give_back(net, FloorEvent.END_OF_MEDIA, ReleaseCause.END_OF_MEDIA, now)
                control.settle(net, now)
            case Timer.T2_TALK_LIMIT:
                assert tenure is not None
                if control.parties[tenure.holder].attached.half_duplex:
                    control.cut(net, ReleaseCause.TALK_LIMIT, now)
                    control.settle(net, now)
                else:
                    control.revoke(net, ReleaseCause.TALK_LIMIT, now)
            case _:
                assert tenure is not None
                assert tenure.revoked_for is not None
                control.grace_ended(net, tenure.revoked_for, now)
                control.settle(net, now)
