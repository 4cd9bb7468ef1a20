"""The floor control of all nets: grants, cuts, queues, routes and keys, told as effects in order."""

from dataclasses import dataclass

from tongpin.channels.effects import (
    DeafnessBegan,
    DeafnessEnded,
    Effect,
    FloorDenied,
    FloorGranted,
    FloorQueued,
    FloorReleased,
    FloorRevoking,
    LegKeyed,
    LegUnkeyed,
    QueueLeft,
    RouteInstalled,
    RouteRemoved,
)
from tongpin.channels.floor import FloorEvent, Tenure
from tongpin.channels.ids import DenyCause, FloorState, GroupId, NetId, PartyId, PatchId, Priority, ReleaseCause
from tongpin.channels.records import Group, Net, Party, Patch, Waiting, audience_of, insert_by_rank, without


@dataclass(frozen=True, slots=True)
class SwitchboardSettings:
    """Times of every floor, in seconds; T1 and T2 belong to the party (``AttachParty``).

    Attributes:
        grace_s: T3, how long a revoked full-duplex holder may go on.
        inactivity_s: T4.
        hang_s: how long radios stay keyed after a talk that nobody follows.
        warn_before_s: how long before T2 the holder is warned; 0 = never.
        penalty_s: silence asked of a talker who was cut for its talk limit.
        queue_limit: longest queue of one net.
        first_talk: number of the first talk, so that numbers go on after a restart.
    """

    grace_s: float = 3.0
    inactivity_s: float = 30.0
    hang_s: float = 0.0
    warn_before_s: float = 3.0
    penalty_s: float = 3.0
    queue_limit: int = 16
    first_talk: int = 1


class Control:
    """State and its mechanics. Methods append to ``out``; the caller has checked that what it asks is legal."""

    def __init__(self, settings: SwitchboardSettings) -> None:
        self.settings = settings
        self.groups: dict[GroupId, Group] = {}
        self.parties: dict[PartyId, Party] = {}
        self.patches: dict[PatchId, Patch] = {}
        self.nets: dict[NetId, Net] = {}
        self.out: list[Effect] = []
        self._talk = settings.first_talk - 1
        self._order = 0

    # -- asking ------------------------------------------------------------------------------------------------

    def refuse(self, party: PartyId, group: GroupId, cause: DenyCause, holder: PartyId | None = None) -> None:
        """Deny a request. A radio that asked is transmitting already, so it is deaf until it releases.

        One that holds another net's floor is heard there, so it is not deaf.
        """
        self.out.append(FloorDenied(party, group, cause, holder))
        if self.parties[party].talks_on is None:
            self.deafen(party, self.groups[group].net)

    def admit(self, net: Net, entry: Waiting, now: float) -> None:
        """Decide a request of a party that neither holds nor waits: grant, pre-empt, queue or deny."""
        tenure = net.floor.tenure
        if tenure is None:
            self._grant(net, entry, now)
            return
        if entry.priority > tenure.priority:
            if self._goes_at_once(tenure, entry.priority):
                # Not through the queue: the winner would be told that it waits, and a radio would be deaf a moment.
                self.cut(net, ReleaseCause.PREEMPTED, now)
                self._grant(net, entry, now)
                return
            self._enqueue(net, entry)
            self.preempt(net, entry.priority, now)
            return
        if not self.parties[entry.party].attached.may_queue:
            self.refuse(entry.party, entry.group, DenyCause.TAKEN, tenure.holder)
        elif len(net.queue) >= self.settings.queue_limit:
            self.refuse(entry.party, entry.group, DenyCause.QUEUE_FULL, tenure.holder)
        else:
            self._enqueue(net, entry)

    def raise_priority(self, net: Net, party: PartyId, asked: Priority, now: float) -> None:
        """A party that holds or waits asked again, perhaps more urgently."""
        tenure = net.floor.tenure
        if tenure is not None and tenure.holder == party:
            tenure.asked = max(tenure.asked, asked)
            self._count_again(net, tenure)
            return
        before = self._positions(net)
        for entry in net.queue:
            if entry.party == party:
                entry.asked = max(entry.asked, asked)
        self._rank_again(net)
        self._say_positions(net, before)
        self.prefer_head(net, now)

    def counts(self, net: Net, group: GroupId, asked: Priority) -> Priority:
        """What a request through a group counts as on this net: its policy, or as asked."""
        patch = self.patches[net.patch] if net.patch is not None else None
        return patch.counts(self.groups[group].agency, asked) if patch is not None else asked

    def policy_changed(self, net: Net, *, is_new_net: bool) -> None:
        """Count whoever talks and waits anew; on a new net every position is said."""
        before = {} if is_new_net else self._positions(net)
        if net.floor.tenure is not None:
            self._count_again(net, net.floor.tenure)
        self._rank_again(net)
        self._say_positions(net, before)

    def prefer_head(self, net: Net, now: float) -> None:
        """Nobody waits for somebody less urgent."""
        tenure = net.floor.tenure
        if tenure is not None and net.queue and net.queue[0].priority > tenure.priority:
            self.preempt(net, net.queue[0].priority, now)

    def _count_again(self, net: Net, tenure: Tenure) -> None:
        priority = self.counts(net, tenure.group, tenure.asked)
        if priority != tenure.priority:
            tenure.priority = priority
            self.out.append(self._granted(net, tenure))

    def _rank_again(self, net: Net) -> None:
        for entry in net.queue:
            entry.priority = self.counts(net, entry.group, entry.asked)
        net.queue.sort(key=lambda entry: entry.rank)

    def preempt(self, net: Net, priority: Priority, now: float) -> None:
        """Take the floor from a holder of lower priority for the head of the queue.

        A half-duplex holder cannot be asked to stop, and an emergency does not wait: both are cut at once.
        """
        tenure = net.floor.tenure
        assert tenure is not None
        if self._goes_at_once(tenure, priority):
            self.cut(net, ReleaseCause.PREEMPTED, now)
            self.settle(net, now)
        elif net.floor.state is FloorState.TAKEN:
            self.revoke(net, ReleaseCause.PREEMPTED, now)

    def _goes_at_once(self, tenure: Tenure, priority: Priority) -> bool:
        return self.parties[tenure.holder].attached.half_duplex or priority is Priority.EMERGENCY

    # -- ending ------------------------------------------------------------------------------------------------

    def revoke(self, net: Net, cause: ReleaseCause, now: float) -> None:
        """Ask the holder to stop within T3; it is still heard."""
        tenure = net.floor.tenure
        assert tenure is not None
        net.floor.move(FloorEvent.REVOKE)
        tenure.revoked_for = cause
        tenure.grace_ends = now + self.settings.grace_s
        self.out.append(FloorRevoking(net.id, tenure.holder, cause, tenure.grace_ends))

    def cut(self, net: Net, cause: ReleaseCause, now: float) -> None:
        """End the talk at once for a reason of ours; whoever talks may not have noticed."""
        self._end_talk(net, FloorEvent.CUT, cause, now, is_own=False)

    def grace_ended(self, net: Net, cause: ReleaseCause, now: float) -> None:
        """T3: a revoked holder did not stop."""
        self._end_talk(net, FloorEvent.GRACE_ENDED, cause, now, is_own=False)

    def give_back(self, net: Net, event: FloorEvent, cause: ReleaseCause, now: float) -> None:
        """The talker has stopped (or gone): nobody is left transmitting in vain."""
        self._end_talk(net, event, cause, now, is_own=True)

    def _end_talk(self, net: Net, event: FloorEvent, cause: ReleaseCause, now: float, *, is_own: bool) -> None:
        tenure = net.floor.tenure
        assert tenure is not None
        holder = self.parties[tenure.holder]
        if ReleaseCause.TALK_LIMIT in (cause, tenure.revoked_for):
            holder.is_penalised = not is_own
            holder.penalty_until = now + self.settings.penalty_s
        net.floor.move(event)
        net.floor.tenure = None
        net.floor.idle_since = now
        net.floor.hang_until = now + self.settings.hang_s if self.settings.hang_s > 0 and net.keyed else None
        net.route = ()
        holder.net = holder.talks_on = None
        self.out.append(RouteRemoved(tenure.holder, net.id, tenure.talk))
        self.out.append(FloorReleased(net.id, tenure.holder, tenure.talk, cause))
        if not is_own:
            self.deafen(tenure.holder, net.id, unsettled=net.id)
        self._heard_elsewhere_changed(holder, net.id)

    def leave_queue(self, net: Net, party: PartyId, cause: ReleaseCause) -> None:
        """Give up a waiting request."""
        before = self._positions(net)
        net.queue = [entry for entry in net.queue if entry.party != party]
        self.parties[party].net = None
        self.out.append(QueueLeft(net.id, party, cause))
        self._say_positions(net, before)

    def stop(self, party: PartyId, cause: ReleaseCause, now: float) -> Net | None:
        """The party stopped, or is gone: end whatever it holds or waits for. The net it was on, to be settled."""
        record = self.parties[party]
        if record.net is None:
            return None
        net = self.nets[record.net]
        tenure = net.floor.tenure
        if tenure is not None and tenure.holder == party:
            said = tenure.revoked_for if cause is ReleaseCause.RELEASED and tenure.revoked_for else cause
            self.give_back(net, FloorEvent.RELEASE, said, now)
        else:
            self.leave_queue(net, party, cause)
        return net

    # -- what follows --------------------------------------------------------------------------------------------

    def settle(self, net: Net, now: float) -> None:
        """After any change: give an idle floor to the head of the queue, and make route and keys fit the audience."""
        if net.floor.tenure is None and net.queue:
            before = self._positions(net)
            entry = net.queue.pop(0)
            self._say_positions(net, before)
            self._grant(net, entry, now)
            return
        self.refresh(net)

    def refresh(self, net: Net) -> None:
        """Make the route and the keyed legs fit the audience; says only what changed."""
        tenure = net.floor.tenure
        if tenure is None:
            is_hanging = net.floor.hang_until is not None
            wanted = {leg for leg in net.keyed if is_hanging and self._can_transmit(net, leg)}
            self._key(net, wanted)
            return
        route = without(audience_of(net, self.groups, self.parties), tenure.holder)
        wanted = set(net.audience_legs - {tenure.holder})
        for leg in sorted(net.keyed - wanted):
            self._unkey(net, leg)
        if route != net.route:
            net.route = route
            self.out.append(RouteInstalled(tenure.holder, net.id, tenure.talk, route))
        self._key(net, wanted)

    def deafen(self, party: PartyId, net: NetId, unsettled: NetId | None = None) -> None:
        """A half-duplex party transmits in vain: it will not hear anyone, so nobody keys it, until it releases.

        ``unsettled`` is a net that the caller will settle: refreshed here it would unkey radios that the next talker
        keys again in the same moment.
        """
        record = self.parties[party]
        if not record.attached.half_duplex or record.deaf_on is not None:
            return
        record.deaf_on = net
        self.out.append(DeafnessBegan(net, party))
        self._audience_changed(record, unsettled)

    def undeafen(self, party: PartyId, unsettled: NetId | None = None) -> None:
        """The party has released, or is heard again."""
        record = self.parties[party]
        if record.deaf_on is None:
            return
        self.out.append(DeafnessEnded(record.deaf_on, party))
        record.deaf_on = None
        self._audience_changed(record, unsettled)

    def _audience_changed(self, record: Party, unsettled: NetId | None) -> None:
        for net_id in sorted({self.groups[group].net for group in record.memberships}):
            net = self.nets[net_id]
            net.audience = None
            if net_id != unsettled:
                self.refresh(net)

    def _heard_elsewhere_changed(self, record: Party, net: NetId) -> None:
        """A leg began or ended to talk on ``net``: meanwhile no other net may key it."""
        if record.is_leg and record.deaf_on is None and len(record.memberships) > 1:
            self._audience_changed(record, net)

    # -- inside --------------------------------------------------------------------------------------------------

    def next_order(self) -> int:
        self._order += 1
        return self._order

    def _grant(self, net: Net, entry: Waiting, now: float) -> None:
        record = self.parties[entry.party]
        record.net = record.talks_on = net.id
        self._heard_elsewhere_changed(record, net.id)
        self.undeafen(entry.party, unsettled=net.id)
        self._talk += 1
        net.floor.move(FloorEvent.GRANT)
        net.floor.idle_since = net.floor.hang_until = None
        limit_at = now + record.attached.talk_limit_s
        entered = (entry.party, entry.group, entry.priority, entry.origin)
        tenure = Tenure(*entered, self._talk, now, limit_at, entry.asked)
        net.floor.tenure = tenure
        # An empty route is said too: the talk is on, even when nobody listens yet.
        net.route = without(audience_of(net, self.groups, self.parties), entry.party)
        wanted = set(net.audience_legs - {entry.party})
        for leg in sorted(net.keyed - wanted):
            self._unkey(net, leg)
        self.out.append(RouteInstalled(entry.party, net.id, self._talk, net.route))
        self._key(net, wanted)
        self.out.append(self._granted(net, tenure))

    def _granted(self, net: Net, tenure: Tenure) -> FloorGranted:
        return FloorGranted(
            *(net.id, tenure.holder, tenure.group, tenure.priority, tenure.origin, tenure.talk, tenure.limit_at)
        )

    def _enqueue(self, net: Net, entry: Waiting) -> None:
        before = self._positions(net)
        insert_by_rank(net.queue, entry)
        self.parties[entry.party].net = net.id
        self._say_positions(net, before)
        self.deafen(entry.party, net.id)

    def _positions(self, net: Net) -> dict[PartyId, tuple[int, Priority]]:
        return {entry.party: (index, entry.priority) for index, entry in enumerate(net.queue, 1)}

    def _say_positions(self, net: Net, before: dict[PartyId, tuple[int, Priority]]) -> None:
        for index, entry in enumerate(net.queue, 1):
            if before.get(entry.party) != (index, entry.priority):
                self.out.append(FloorQueued(net.id, entry.party, entry.group, index, entry.priority))

    def _can_transmit(self, net: Net, leg: PartyId) -> bool:
        return any(listener.party == leg for listener in audience_of(net, self.groups, self.parties))

    def _key(self, net: Net, wanted: set[PartyId]) -> None:
        for leg in sorted(net.keyed - wanted):
            self._unkey(net, leg)
        for leg in sorted(wanted - net.keyed):
            is_new = not self.is_keyed(leg)
            net.keyed.add(leg)
            if is_new:
                self.out.append(LegKeyed(leg, net.id))

    def _unkey(self, net: Net, leg: PartyId) -> None:
        net.keyed.discard(leg)
        if not self.is_keyed(leg):
            self.out.append(LegUnkeyed(leg, net.id))

    def is_keyed(self, leg: PartyId) -> bool:
        """Whether any net wants the leg's transmitter on."""
        return any(leg in net.keyed for net in self.nets.values())
