"""Talk groups and radio legs."""

from dataclasses import asdict, replace
from typing import Annotated

from fastapi import APIRouter, Depends

from tongpin.channels.commands import DefineGroup, RetireGroup
from tongpin.channels.errors import GroupInPatchError, SwitchboardError
from tongpin.channels.ids import AgencyId, GroupId
from tongpin.channels.view import GroupView, PartyView, View
from tongpin.gateway.api.deps import Manager, Services, Viewer, With
from tongpin.gateway.api.schemas import LegOut, MemberOut, TalkGroupChange, TalkGroupIn, TalkGroupOut
from tongpin.gateway.api.services import ApiServices, LegState
from tongpin.gateway.changes import changed, made
from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import AuditDraft, TalkGroup
from tongpin.gateway.rights import Identity, Right, require

router = APIRouter(tags=["talk groups"])


def _member(party: PartyView) -> MemberOut:
    return MemberOut(id=party.party, name=party.label, kind=party.kind, agency=party.agency, is_deaf=party.is_deaf)


def _group_out(group: GroupView, view: View) -> TalkGroupOut:
    net = next(net for net in view.nets if net.net == group.net)
    parties = {party.party: party for party in view.parties}
    return TalkGroupOut(
        id=group.group,
        name=group.name,
        agency=group.agency,
        net=net.net,
        joint_channel=net.patch,
        holder=_member(parties[net.floor.holder]) if net.floor.holder is not None else None,
        members=[_member(parties[party]) for party in sorted({*group.listeners, *group.talkers})],
    )


def _view_of(services: ApiServices, group_id: str) -> TalkGroupOut:
    view = services.dispatcher.view()
    for group in view.groups:
        if group.group == group_id:
            return _group_out(group, view)
    raise CallerError(404, "no-such-talk-group", f"there is no talk group {group_id!r}")


async def _record(services: ApiServices, group_id: str) -> TalkGroup:
    for group in await services.talk_groups.talk_groups():
        if group.id == group_id:
            return group
    raise CallerError(404, "no-such-talk-group", f"there is no talk group {group_id!r}")


@router.get("/talk-groups")
async def talk_groups(caller: Viewer, services: Services) -> list[TalkGroupOut]:
    view = services.dispatcher.view()
    return [_group_out(group, view) for group in view.groups]


@router.post("/talk-groups", status_code=201)
async def create_talk_group(body: TalkGroupIn, caller: Manager, services: Services) -> TalkGroupOut:
    require(caller, Right.MANAGE, body.agency)
    group = TalkGroup(body.id, body.name, body.agency)
    await services.talk_groups.save_talk_group(group, is_new=True, audit=made(caller.username, "talk-group", group))
    agency = AgencyId(body.agency) if body.agency else None
    services.dispatcher.apply(DefineGroup(GroupId(body.id), body.name, agency))
    return _view_of(services, body.id)


@router.get("/talk-groups/{group_id}")
async def read_talk_group(group_id: str, caller: Viewer, services: Services) -> TalkGroupOut:
    return _view_of(services, group_id)


@router.patch("/talk-groups/{group_id}")
async def change_talk_group(group_id: str, body: TalkGroupChange, caller: Manager, services: Services) -> TalkGroupOut:
    before = await _record(services, group_id)
    require(caller, Right.MANAGE, before.agency)
    group = replace(before, name=body.name)
    audit = changed(caller.username, "talk-group", before, group)
    await services.talk_groups.save_talk_group(group, is_new=False, audit=audit)
    agency = AgencyId(group.agency) if group.agency else None
    services.dispatcher.apply(DefineGroup(GroupId(group.id), group.name, agency))
    return _view_of(services, group_id)


@router.delete("/talk-groups/{group_id}", status_code=204)
async def retire_talk_group(group_id: str, caller: Manager, services: Services) -> None:
    """Retire a talk group that is in no joint channel now, no leg's and no unit's home; 409 names what uses it."""
    group = await _record(services, group_id)
    require(caller, Right.MANAGE, group.agency)
    command = RetireGroup(GroupId(group_id))
    try:
        services.dispatcher.check(command)
    except GroupInPatchError as error:
        extra: dict[str, str | list[str]] = {"joint_channel": error.patch, "joint_channel_name": error.patch_name}
        raise CallerError(409, "group-in-joint-channel", str(error), extra) from error
    except SwitchboardError as error:
        raise CallerError(404, "no-such-talk-group", str(error)) from error
    if legs := [leg.name for leg in services.legs() if leg.talk_group == group_id]:
        raise CallerError(409, "in-use", f"talk group {group_id!r} has radio legs in the configuration", {"legs": legs})
    after = replace(group, is_retired=True)
    audit = changed(caller.username, "talk-group", group, after, "retired")
    await services.talk_groups.save_talk_group(after, is_new=False, audit=audit)
    services.dispatcher.apply(command)


def _leg_out(leg: LegState) -> LegOut:
    return LegOut(id=leg.name, **asdict(leg))


@router.get("/legs")
async def legs(caller: Viewer, services: Services) -> list[LegOut]:
    return [_leg_out(leg) for leg in services.legs()]


@router.get("/legs/{name}")
async def read_leg(name: str, caller: Viewer, services: Services) -> LegOut:
    return _leg_out(_leg(services, name))


@router.delete("/legs/{name}/emergency", status_code=204)
async def clear_emergency(
    name: str, caller: Annotated[Identity, Depends(With(Right.OVERRIDE))], services: Services
) -> None:
    """Say that an emergency raised by radio is in hand. 404 when there is none."""
    agency = _leg(services, name).agency
    require(caller, Right.OVERRIDE, agency)
    services.clear_emergency(name, caller.username)
    services.audit.record(AuditDraft("emergency.cleared", caller.username, name, agency))


def _leg(services: ApiServices, name: str) -> LegState:
    for leg in services.legs():
        if leg.name == name:
            return leg
    raise CallerError(404, "no-such-leg", f"there is no leg {name!r}")
