"""Opening and closing joint channels: one order of things, so that store and switchboard never disagree for long."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from tongpin.channels.commands import InstallPatch, RemovePatch
from tongpin.channels.effects import Effect, PatchRemoved
from tongpin.channels.errors import (
    GroupInOtherNetError,
    PatchTooSmallError,
    SwitchboardError,
    UnknownGroupError,
    UnknownPatchError,
)
from tongpin.channels.ids import GroupId, PatchEndCause, PatchId
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import CallerError, StoreError
from tongpin.gateway.ports import Dispatcher
from tongpin.gateway.records import JointChannel, JointChannelState, Repository

_log = structlog.get_logger(__name__)

RETRY_S = 2.0
API_PATH = "/api/v1/joint-channels"


class JointChannels:
    """Implements ``EffectHandler`` for expiry. Event-loop thread only; changes happen one at a time."""

    def __init__(
        self,
        repository: Repository,
        dispatcher: Dispatcher,
        clock: Clock,
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        """``spawn`` runs a task in the composition root's care."""
        self._repository = repository
        self._dispatcher = dispatcher
        self._clock = clock
        self._spawn = spawn
        self._turn = asyncio.Lock()

    def __call__(self, effect: Effect, now: float) -> None:
        if isinstance(effect, PatchRemoved) and effect.cause is PatchEndCause.EXPIRED:
            self._spawn(self._record_expiry(effect.patch))

    async def restore(self) -> None:
        """After a start: what was active is active again; what should have ended meanwhile ends now."""
        now = self._clock.at()
        for channel in await self._repository.joint_channels(state=JointChannelState.ACTIVE):
            if channel.expires_at is not None and channel.expires_at <= now:
                await self._repository.save_joint_channel(
                    replace(channel, state=JointChannelState.EXPIRED, closed_at=channel.expires_at), is_new=False
                )
                continue
            try:
                self._dispatcher.apply(self._patch(channel))
            except SwitchboardError as error:
                _log.error("a joint channel cannot be restored", channel=channel.id, reason=str(error))

    async def open(
        self,
        *,
        name: str,
        purpose: str,
        talk_groups: Sequence[str],
        expires_at: datetime | None,
        lead_agency: str | None,
        created_by: str,
    ) -> JointChannel:
        """Record a joint channel and put its groups on one floor.

        Raises:
            CallerError: 404 unknown group, 409 a group is in another net (named), 422 too few groups.
            StoreError: nothing was applied.
        """
        channel = JointChannel(
            id=f"jc-{secrets.token_hex(6)}",
            name=name,
            purpose=purpose,
            talk_groups=tuple(sorted(set(talk_groups))),
            lead_agency=lead_agency,
            created_by=created_by,
            created_at=self._clock.at(),
            expires_at=expires_at,
        )
        async with self._turn:
            patch = self._patch(channel)
            try:
                self._dispatcher.check(patch)
            except SwitchboardError as error:
                raise _as_caller_error(error) from error
            await self._repository.save_joint_channel(channel, is_new=True)
            try:
                self._dispatcher.apply(patch)
            except SwitchboardError as error:
                closed = replace(channel, state=JointChannelState.CLOSED, closed_at=self._clock.at(), closed_by="-")
                await self._repository.save_joint_channel(closed, is_new=False)
                raise _as_caller_error(error) from error
        return channel

    async def close(self, channel_id: str, closed_by: str) -> JointChannel:
        """Take a joint channel down. Raises CallerError 404, or 409 when it has ended already."""
        async with self._turn:
            channel = await self._repository.joint_channel(channel_id)
            if channel is None:
                raise CallerError(404, "no-such-joint-channel", f"there is no joint channel {channel_id!r}")
            if channel.state is not JointChannelState.ACTIVE:
                raise CallerError(409, "already-ended", f"{channel.name!r} is {channel.state} already")
            closed = replace(channel, state=JointChannelState.CLOSED, closed_at=self._clock.at(), closed_by=closed_by)
            await self._repository.save_joint_channel(closed, is_new=False)
            try:
                self._dispatcher.apply(RemovePatch(PatchId(channel_id)))
            except UnknownPatchError:
                _log.warning("a joint channel was active in the store only", channel=channel_id)
        return closed

    def _patch(self, channel: JointChannel) -> InstallPatch:
        ends: float | None = None
        if channel.expires_at is not None:
            ends = self._clock.now() + (channel.expires_at - self._clock.at()).total_seconds()
        return InstallPatch(
            PatchId(channel.id), channel.name, tuple(GroupId(group) for group in channel.talk_groups), ends
        )

    async def _record_expiry(self, patch: PatchId) -> None:
        """The switchboard has let go already; the store follows, however long it is away."""
        while True:
            try:
                async with self._turn:
                    channel = await self._repository.joint_channel(patch)
                    if channel is not None and channel.state is JointChannelState.ACTIVE:
                        expired = replace(channel, state=JointChannelState.EXPIRED, closed_at=self._clock.at())
                        await self._repository.save_joint_channel(expired, is_new=False)
                return
            except StoreError as error:
                _log.error("an expiry is not recorded yet", channel=patch, reason=str(error))
                await asyncio.sleep(RETRY_S)


def _as_caller_error(error: SwitchboardError) -> CallerError:
    match error:
        case GroupInOtherNetError():
            extra: dict[str, str | list[str]] = {
                "talk_group": error.group,
                "joint_channel": error.patch,
                "joint_channel_name": error.patch_name,
                "path": f"{API_PATH}/{error.patch}",
            }
            detail = (
                f"talk group {error.group!r} is in the joint channel {error.patch_name!r} already; close that first"
            )
            return CallerError(409, "group-in-other-net", detail, extra)
        case UnknownGroupError():
            return CallerError(404, "no-such-talk-group", str(error))
        case PatchTooSmallError():
            return CallerError(422, "too-few-talk-groups", str(error))
        case _:
            return CallerError(409, "refused", str(error))
