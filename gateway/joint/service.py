"""The life of all joint channels: one order of things, so that store and switchboard never disagree for long."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from tongpin.channels import joint
from tongpin.channels.effects import Effect, PatchRemoved
from tongpin.channels.errors import SwitchboardError
from tongpin.channels.ids import PatchEndCause
from tongpin.channels.joint import Due, JointChannel, JointError, JointState, Moment
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import CallerError
from tongpin.gateway.joint.nets import Nets
from tongpin.gateway.joint.records import Answer, JointStore, MemberResolver, TermsStore
from tongpin.gateway.joint.requests import Conflict, Outlook, Proposal, Wish, check_end, check_times, difference, refuse
from tongpin.gateway.joint.wire import Json, moment, record_json
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.rights import Identity, Right, may, require, require_somewhere

_log = structlog.get_logger(__name__)

MOST_STANDING = 5_000
MOST_GROUPS = 1_000
SYSTEM = "system"
Teller = Callable[[dict[str, Json]], None]
Answering = Callable[[JointChannel], Answer]


class JointChannels:
    """Implements ``EffectHandler``. Event-loop thread only; changes happen one at a time.

    Attributes:
        stirred: set whenever :meth:`due_at` may have changed.
    """

    def __init__(
        self, store: JointStore, terms: TermsStore, members: MemberResolver, nets: Nets, clock: Clock, tell: Teller
    ) -> None:
        self._store = store
        self._terms = terms
        self._members = members
        self._nets = nets
        self._clock = clock
        self._tell = tell
        self._turn = asyncio.Lock()
        self._standing: dict[str, JointChannel] = {}
        self._due: dict[str, Moment] = {}
        self._warned: set[str] = set()
        self._blocked: dict[str, datetime] = {}
        self.stirred = asyncio.Event()

    def __call__(self, effect: Effect, now: float) -> None:
        if isinstance(effect, PatchRemoved) and effect.cause is PatchEndCause.EXPIRED:
            self.stirred.set()

    @property
    def standing(self) -> Iterable[JointChannel]:
        """All that are not over, the oldest first."""
        return self._standing.values()

    async def restore(self) -> None:
        """After a start: what was active is active again; what should have ended or begun meanwhile does so now.

        Raises StoreError.
        """
        for channel in await self._store.standing():
            self._standing[channel.id] = channel
            self._reckon(channel)
        await self.tick()

    async def read(self, channel_id: str) -> JointChannel:
        """Raises CallerError 404; StoreError."""
        return await self._found(channel_id, None)

    # -- requests ------------------------------------------------------------------------------------------------

    async def foresee(self, proposal: Proposal, caller: Identity) -> Outlook:
        """What :meth:`create` would do; changes nothing. Conflicts are told, not raised."""
        require_somewhere(caller, Right.PROPOSE)
        at = self._clock.at()
        if proposal.may_take_over:
            require_somewhere(caller, Right.TAKE_OVER)
        check_times(proposal, at)
        channel = JointChannel(
            id=f"jc-{secrets.token_hex(6)}",
            name=proposal.name,
            purpose=proposal.purpose,
            members=proposal.members,
            created_by=caller.username,
            created_at=at,
            expires_at=proposal.expires_at,
            proposer=caller.agency,
            lead_agency=proposal.lead_agency,
            event=proposal.event,
            policy=proposal.policy,
            starts_at=proposal.starts_at,
            recurrence=proposal.recurrence,
            may_take_over=proposal.may_take_over,
            incident=proposal.incident,
            template=proposal.template,
        )
        channel = await self._with_members(channel, at)
        audit = [self._said("created", channel, caller, talk_groups=[*channel.talk_groups])]
        conflicts = self._conflicts(channel)
        if not proposal.is_draft:
            channel = joint.propose(channel)
            audit.append(self._said("proposed", channel, caller, awaits=[*channel.awaited]))
            audit += [
                AuditDraft(
                    "joint-channel.consented",
                    SYSTEM,
                    channel.id,
                    consent.agency,
                    {"basis": str(consent.basis or ""), "by": consent.by},
                )
                for consent in channel.consents
                if consent.basis is not None
            ]
            if self._can_start(channel, at) and not any(not conflict.is_taken for conflict in conflicts):
                channel = joint.start(channel, at)
                audit.append(self._said("activated", channel, caller, ends_at=moment(channel.ends_at)))
        return Outlook(None, channel, conflicts, audit)

    async def create(self, proposal: Proposal, caller: Identity, answering: Answering | None = None) -> JointChannel:
        """Record a joint channel, and put its groups on one floor when nothing is missing.

        Args:
            answering: the answer to keep under the caller's idempotency key, in the same transaction.
        Raises:
            CallerError: 403 no right, 404 unknown member, 409 a group is in another net (named), 422 bad times, too
                few groups, an unknown agency.
            StoreError: nothing was applied.
        """
        async with self._turn:
            if len(self._standing) >= MOST_STANDING:
                raise CallerError(409, "too-many", f"{MOST_STANDING} joint channels stand or wait; close some first")
            outlook = await self.foresee(proposal, caller)
            if self._can_start(outlook.after, self._clock.at()):
                refuse(outlook.conflicts)
            return await self._commit(outlook, answering)

    async def propose(self, channel_id: str, version: int | None, caller: Identity) -> JointChannel:
        """Ask for the consents of a draft. Raises CallerError 403, 404, 409, 412."""
        async with self._turn:
            before = await self._found(channel_id, version)
            self._may_run(caller, before)
            at = self._clock.at()
            try:
                channel = joint.propose(await self._with_members(before, at))
            except JointError as error:
                raise CallerError(409, error.code, str(error)) from error
            audit = [self._said("proposed", channel, caller, awaits=[*channel.awaited])]
            return await self._commit(await self._started(Outlook(before, channel, (), audit), caller.username, at))

    async def decide(
        self,
        channel_id: str,
        agency: str | None,
        version: int | None,
        caller: Identity,
        *,
        is_granted: bool,
        reason: str | None,
    ) -> JointChannel:
        """Consent or refuse for an agency (default: the caller's own). Raises CallerError 403, 404, 409, 412, 422."""
        agency = agency or caller.agency
        if agency is None:
            raise CallerError(422, "no-agency", "say for which agency: the command centre's consent is not asked")
        require(caller, Right.CONSENT, agency)
        async with self._turn:
            before = await self._found(channel_id, version)
            at = self._clock.at()
            try:
                channel = joint.decide(before, agency, is_granted=is_granted, by=caller.username, reason=reason, at=at)
            except JointError as error:
                raise CallerError(409, error.code, str(error)) from error
            action = "consented" if is_granted else "refused"
            detail: dict[str, Json] = {"basis": "person", "reason": reason}
            audit = [AuditDraft(f"joint-channel.{action}", caller.username, channel.id, agency, detail)]
            if channel.state is JointState.ACTIVE and len(channel.ready_groups) < 2:
                channel = joint.end(channel, caller.username, at)
                audit.append(self._said("closed", channel, caller, reason="too few talk groups are left"))
            elif channel.state is JointState.ACTIVE:
                refuse(self._conflicts(channel, before.ready_groups))
            return await self._commit(await self._started(Outlook(before, channel, (), audit), caller.username, at))

    async def foresee_change(self, channel_id: str, version: int | None, wish: Wish, caller: Identity) -> Outlook:
        """What :meth:`change` would do; changes nothing. Conflicts are told, not raised."""
        before = await self._found(channel_id, version)
        if before.is_over:
            raise CallerError(409, "already-ended", f"{before.name!r} is {before.state} already")
        self._may_run(caller, before)
        at = self._clock.at()
        if wish.expires_at is not None:
            check_end(wish.expires_at, before.starts_at, at)
        members = tuple(dict.fromkeys([*before.members, *wish.add]))
        unknown = [member.id for member in wish.remove if member not in members]
        if unknown:
            raise CallerError(404, "no-such-member", f"not a member: {', '.join(unknown)}")
        channel = replace(
            before,
            name=wish.name or before.name,
            purpose=wish.purpose or before.purpose,
            members=tuple(member for member in members if member not in wish.remove),
            lead_agency=before.lead_agency if wish.lead_agency is None else wish.lead_agency or None,
            event=before.event if wish.event is None else wish.event or None,
            policy=before.policy if wish.policy is None else wish.policy,
        )
        if wish.lead_agency is None and (wish.event is not None or wish.policy is not None):
            # Another event: the policy says who leads, not who was named for the last one.
            channel = replace(channel, lead_agency=None)
        if channel.members != before.members:
            channel = await self._with_members(channel, at)
            if channel.state is JointState.ACTIVE and len(channel.ready_groups) < 2:
                raise CallerError(422, "too-few-talk-groups", "two talk groups must be left; close it instead")
        if wish.expires_at is not None:
            channel = joint.with_times(channel, wish.expires_at, at)
        audit = [self._said("changed", channel, caller, **difference(before, channel))]
        if channel.expires_at > before.expires_at:
            audit.append(self._said("extended", channel, caller, expires_at=moment(channel.expires_at)))
        return Outlook(before, channel, self._conflicts(channel, before.ready_groups), audit)

    async def change(self, channel_id: str, version: int | None, wish: Wish, caller: Identity) -> JointChannel:
        """Extend, add, remove, lead otherwise. Raises CallerError 403, 404, 409, 412, 422; StoreError."""
        async with self._turn:
            outlook = await self.foresee_change(channel_id, version, wish, caller)
            if outlook.after.state is JointState.ACTIVE:
                refuse(outlook.conflicts)
            return await self._commit(await self._started(outlook, caller.username, self._clock.at()))

    async def close(self, channel_id: str, version: int | None, caller: Identity) -> JointChannel:
        """Take a joint channel down, or give it up before. Raises CallerError 403, 404, 409, 412; StoreError."""
        async with self._turn:
            before = await self._found(channel_id, version)
            if before.is_over:
                raise CallerError(409, "already-ended", f"{before.name!r} is {before.state} already")
            self._may_run(caller, before)
            channel = joint.end(before, caller.username, self._clock.at())
            return await self._commit(Outlook(before, channel, (), [self._said(channel.state.value, channel, caller)]))

    # -- time ----------------------------------------------------------------------------------------------------

    def due_at(self) -> datetime | None:
        """When :meth:`tick` has something to do; None if never."""
        return min((due.at for due in self._due.values()), default=None)

    async def tick(self) -> None:
        """Start, warn of and end whatever is due. Raises StoreError: the rest is due still.

        What is over is off the air even when the store is away.
        """
        async with self._turn:
            try:
                due = sorted(self._due.items(), key=lambda item: item[1].at)
                for channel_id, what in due:
                    if what.at <= self._clock.at():
                        await self._meet(self._standing[channel_id], what.what)
            finally:
                self._arrange()

    async def _meet(self, channel: JointChannel, what: Due) -> None:
        at = self._clock.at()
        match what:
            case Due.WARN:
                self._warned.add(channel.id)
                self._reckon(channel)
                left_s = round((channel.ends_at - at).total_seconds(), 3) if channel.ends_at is not None else 0.0
                said: dict[str, Json] = {"joint_channel": channel.id, "name": channel.name, "left_s": left_s}
                self._tell({"kind": "joint_channel_ending", **said})
            case Due.START:
                self._blocked.pop(channel.id, None)
                outlook = await self._started(Outlook(channel, channel), SYSTEM, at)
                if outlook.after is not channel:
                    await self._commit(outlook)
                else:
                    self._reckon(channel)
            case _:
                after = joint.run_out(channel, at)
                if after.closed_at is not None and channel.ends_at is not None:
                    after = replace(after, closed_at=min(at, channel.ends_at))
                action = "expired" if after.is_over else "paused"
                draft = AuditDraft(f"joint-channel.{action}", SYSTEM, channel.id, channel.leader or channel.proposer)
                await self._commit(Outlook(channel, after, (), [draft]))

    def _can_start(self, channel: JointChannel, at: datetime) -> bool:
        if channel.state is JointState.ACTIVE:
            return True
        occurrence = channel.occurrence(at)
        return channel.state is JointState.SCHEDULED and occurrence is not None and occurrence.start <= at

    async def _started(self, outlook: Outlook, actor: str, at: datetime) -> Outlook:
        """The same, and started if it is agreed, due and nothing is in the way; else it is blocked and says so."""
        channel = outlook.after
        occurrence = channel.occurrence(at)
        if channel.state is not JointState.SCHEDULED or occurrence is None or occurrence.start > at:
            return outlook
        owners, _ = await self._members.resolve(channel.members)
        looked_up = joint.with_members(channel, owners, await self._terms.agreements(), at)
        conflicts = [conflict for conflict in self._conflicts(looked_up) if not conflict.is_taken]
        if conflicts or len(looked_up.ready_groups) < 2:
            self._blocked[channel.id] = occurrence.end
            said: dict[str, Json] = {"joint_channel": channel.id, "name": channel.name}
            if conflicts:
                said |= {"talk_group": conflicts[0].group, "by": conflicts[0].other.id}
            self._tell({"kind": "joint_channel_blocked", **said})
            return outlook
        started = joint.start(looked_up, at)
        detail: dict[str, Json] = {"talk_groups": [*started.ready_groups], "ends_at": moment(started.ends_at)}
        agency = channel.leader or channel.proposer
        draft = AuditDraft("joint-channel.activated", actor, channel.id, agency, detail)
        return replace(outlook, after=started, audit=[*outlook.audit, draft])

    # -- inside --------------------------------------------------------------------------------------------------

    async def _commit(self, outlook: Outlook, answering: Answering | None = None) -> JointChannel:
        """Store, then apply, then tell. Nothing is applied when the store fails."""
        before = outlook.before
        after = replace(outlook.after, version=before.version + 1) if before is not None else outlook.after
        standing = {**self._standing, after.id: after}
        shifts = joint.shifts(self._standing.values(), standing.values())
        audit = [*outlook.audit]
        for shift in shifts:
            action, detail = (
                ("taken-over", {"by": shift.target}) if shift.is_taken else ("given-back", {"by": shift.source})
            )
            loser = standing[shift.source if shift.is_taken else shift.target]
            audit.append(
                AuditDraft(
                    f"joint-channel.{action}",
                    SYSTEM,
                    loser.id,
                    loser.leader or loser.proposer,
                    {**detail, "talk_groups": [*shift.groups]},
                )
            )
        answer = answering(after) if answering is not None else None
        await self._store.save([after], audit, answer)
        self._take_in(after)
        try:
            self._arrange()
        except SwitchboardError as error:
            await self._revert(before, after, answer, str(error))
            raise CallerError(409, "refused", str(error)) from error
        self._tell({"kind": "joint_channel", "joint_channel": record_json(after)})
        for shift in shifts:
            kind = "joint_channel_taken_over" if shift.is_taken else "joint_channel_given_back"
            self._tell({"kind": kind, "source": shift.source, "target": shift.target, "talk_groups": [*shift.groups]})
        return after

    def _take_in(self, channel: JointChannel) -> None:
        before = self._standing.get(channel.id)
        if channel.is_over:
            self._standing.pop(channel.id, None)
        else:
            self._standing[channel.id] = channel
        if channel.state is not JointState.ACTIVE or before is None or before.ends_at != channel.ends_at:
            self._warned.discard(channel.id)
        if before is not None and before.state is JointState.ACTIVE:
            # Groups may be free now: whoever was blocked tries again.
            blocked, self._blocked = self._blocked, {}
            for id_ in blocked:
                if id_ in self._standing:
                    self._reckon(self._standing[id_])
        self._reckon(channel)

    def _reckon(self, channel: JointChannel) -> None:
        at = self._clock.at()
        blocked_until = self._blocked.get(channel.id)
        due = joint.next_moment(channel, at, is_warned=channel.id in self._warned)
        if due is not None and blocked_until is not None and at < blocked_until and due.what is Due.START:
            due = Moment(blocked_until, Due.START)
        if due is None:
            self._due.pop(channel.id, None)
            self._blocked.pop(channel.id, None)
        else:
            self._due[channel.id] = due
        self.stirred.set()

    def _arrange(self) -> None:
        at = self._clock.at()
        self._nets.arrange(
            channel for channel in self._standing.values() if channel.ends_at is not None and channel.ends_at > at
        )

    async def _revert(
        self, before: JointChannel | None, after: JointChannel, answer: Answer | None, reason: str
    ) -> None:
        """The switchboard refused what is stored: the store must say the truth."""
        at = self._clock.at()
        truth = joint.end(after, SYSTEM, at) if before is None else before
        truth = replace(truth, version=after.version + 1)
        draft = AuditDraft(
            "joint-channel.reverted", SYSTEM, after.id, after.leader or after.proposer, {"reason": reason}
        )
        self._take_in(truth)
        _log.error("the switchboard refused a joint channel", channel=after.id, reason=reason)
        await self._store.save([truth], [draft], replace(answer, expires_at=at) if answer is not None else None)

    async def _found(self, channel_id: str, version: int | None) -> JointChannel:
        channel = self._standing.get(channel_id) or await self._store.channel(channel_id)
        if channel is None:
            raise CallerError(404, "no-such-joint-channel", f"there is no joint channel {channel_id!r}")
        if version is not None and version != channel.version:
            detail = f"{channel.name!r} was changed meanwhile; read it again"
            raise CallerError(412, "changed-meanwhile", detail)
        return channel

    async def _with_members(self, channel: JointChannel, at: datetime) -> JointChannel:
        owners, missing = await self._members.resolve(channel.members)
        if missing:
            raise CallerError(
                404, "no-such-member", f"nobody is found for {', '.join(missing[:10])}", {"missing": [*missing]}
            )
        if len(owners) < 2:
            raise CallerError(422, "too-few-talk-groups", "a joint channel needs two different talk groups or more")
        if len(owners) > MOST_GROUPS:
            raise CallerError(422, "too-many-talk-groups", f"a joint channel has at most {MOST_GROUPS} talk groups")
        return joint.with_members(channel, owners, await self._terms.agreements(), at)

    def _conflicts(self, channel: JointChannel, known: Sequence[str] = ()) -> list[Conflict]:
        """Groups that are in the net of another joint channel now; of ``known`` ones that is settled already."""
        others = (other for other in self._standing.values() if other.id != channel.id)
        claimed = joint.claims(others)
        owners = dict(channel.owners)
        return [
            Conflict(
                group,
                claimed[group],
                channel.may_take_over and (channel.proposer is None or owners[group] == channel.proposer),
            )
            for group in channel.talk_groups
            if group in claimed and group not in known
        ]

    def _may_run(self, caller: Identity, channel: JointChannel) -> None:
        """Whoever leads runs it, and whoever proposed it."""
        if not may(caller, Right.RUN, channel.proposer):
            require(caller, Right.RUN, channel.leader)

    def _said(self, action: str, channel: JointChannel, caller: Identity, **detail: Json) -> AuditDraft:
        return AuditDraft(
            f"joint-channel.{action}", caller.username, channel.id, caller.agency, {"name": channel.name, **detail}
        )
