"""Joint channels: several agencies' talk groups on the same frequency, for a purpose and a time."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from tongpin.gateway.api.deps import Services, Viewer, With
from tongpin.gateway.api.schemas import JointChannelIn, JointChannelOut
from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import JointChannel, JointChannelState
from tongpin.gateway.rights import Identity, Right, require

router = APIRouter(tags=["joint channels"])

Proposer = Annotated[Identity, Depends(With(Right.PROPOSE))]
Runner = Annotated[Identity, Depends(With(Right.RUN))]


def _out(channel: JointChannel) -> JointChannelOut:
    return JointChannelOut(
        id=channel.id,
        name=channel.name,
        purpose=channel.purpose,
        talk_groups=list(channel.talk_groups),
        lead_agency=channel.lead_agency,
        state=channel.state,
        created_by=channel.created_by,
        created_at=channel.created_at,
        expires_at=channel.expires_at,
        closed_at=channel.closed_at,
        closed_by=channel.closed_by,
    )


@router.get("/joint-channels")
async def joint_channels(
    caller: Viewer, services: Services, state: JointChannelState | None = None
) -> list[JointChannelOut]:
    """All joint channels, the oldest first; ``state=active`` for those that stand now."""
    return [_out(channel) for channel in await services.repository.joint_channels(state=state)]


@router.post("/joint-channels", status_code=201)
async def open_joint_channel(
    body: JointChannelIn, caller: Proposer, services: Services, response: Response
) -> JointChannelOut:
    """Put the talk groups on one floor, at once. 409 names the joint channel that a group is in already."""
    if body.expires_at <= services.clock.at():
        raise CallerError(422, "expired-already", "expires_at lies in the past")
    if body.lead_agency is not None:
        known = {agency.id for agency in await services.people.agencies()}
        if body.lead_agency not in known:
            raise CallerError(404, "no-such-agency", f"there is no agency {body.lead_agency!r}")
    channel = await services.joint_channels.open(
        name=body.name,
        purpose=body.purpose,
        talk_groups=body.talk_groups,
        expires_at=body.expires_at,
        lead_agency=body.lead_agency or caller.agency,
        created_by=caller.username,
    )
    response.headers["Location"] = f"/api/v1/joint-channels/{channel.id}"
    return _out(channel)


@router.get("/joint-channels/{channel_id}")
async def read_joint_channel(channel_id: str, caller: Viewer, services: Services) -> JointChannelOut:
    channel = await services.repository.joint_channel(channel_id)
    if channel is None:
        raise CallerError(404, "no-such-joint-channel", f"there is no joint channel {channel_id!r}")
    return _out(channel)


@router.post("/joint-channels/{channel_id}/close")
async def close_joint_channel(channel_id: str, caller: Runner, services: Services) -> JointChannelOut:
    """Take it down: every talk group has its own floor again."""
    channel = await services.repository.joint_channel(channel_id)
    if channel is not None:
        require(caller, Right.RUN, channel.lead_agency)
    return _out(await services.joint_channels.close(channel_id, caller.username))
