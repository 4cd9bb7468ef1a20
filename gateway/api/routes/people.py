"""Agencies and users."""

import secrets
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends

from tongpin.gateway.api.deps import Manager, Services, Viewer, With
from tongpin.gateway.api.schemas import AgencyChange, AgencyIn, AgencyOut, UserIn, UserOut
from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import Agency, User
from tongpin.gateway.rights import Identity, Right, check_post, may, require

router = APIRouter(tags=["people"])

Founder = Annotated[Identity, Depends(With(Right.MANAGE_AGENCIES))]
UserViewer = Annotated[Identity, Depends(With(Right.SEE_USERS))]
UserManager = Annotated[Identity, Depends(With(Right.MANAGE_USERS))]


def _agency_out(agency: Agency) -> AgencyOut:
    return AgencyOut(id=agency.id, name=agency.name, color=agency.color)


def _user_out(user: User) -> UserOut:
    return UserOut(id=user.id, name=user.username, role=user.role, agency=user.agency, is_disabled=user.is_disabled)


async def _agency(services: ApiServices, agency_id: str) -> Agency:
    for agency in await services.repository.agencies():
        if agency.id == agency_id:
            return agency
    raise CallerError(404, "no-such-agency", f"there is no agency {agency_id!r}")


@router.get("/agencies")
async def agencies(caller: Viewer, services: Services) -> list[AgencyOut]:
    return [_agency_out(agency) for agency in await services.repository.agencies()]


@router.post("/agencies", status_code=201)
async def create_agency(body: AgencyIn, caller: Founder, services: Services) -> AgencyOut:
    agency = Agency(body.id, body.name, body.color)
    await services.repository.save_agency(agency, is_new=True)
    return _agency_out(agency)


@router.get("/agencies/{agency_id}")
async def read_agency(agency_id: str, caller: Viewer, services: Services) -> AgencyOut:
    return _agency_out(await _agency(services, agency_id))


@router.patch("/agencies/{agency_id}")
async def change_agency(agency_id: str, body: AgencyChange, caller: Manager, services: Services) -> AgencyOut:
    agency = await _agency(services, agency_id)
    require(caller, Right.MANAGE, agency.id)
    changed = replace(agency, name=body.name or agency.name, color=body.color or agency.color)
    await services.repository.save_agency(changed, is_new=False)
    return _agency_out(changed)


@router.delete("/agencies/{agency_id}", status_code=204)
async def retire_agency(agency_id: str, caller: Founder, services: Services) -> None:
    """Retire an agency that has no talk groups any more; what is recorded of it stays."""
    agency = await _agency(services, agency_id)
    groups = [group.id for group in await services.repository.talk_groups() if group.agency == agency_id]
    if groups:
        raise CallerError(409, "agency-has-talk-groups", "retire its talk groups first", {"talk_groups": groups})
    await services.repository.save_agency(replace(agency, is_retired=True), is_new=False)


@router.get("/users")
async def users(caller: UserViewer, services: Services) -> list[UserOut]:
    return [_user_out(user) for user in await services.repository.users() if may(caller, Right.SEE_USERS, user.agency)]


@router.post("/users", status_code=201)
async def create_user(body: UserIn, caller: UserManager, services: Services) -> UserOut:
    require(caller, Right.MANAGE_USERS, body.agency)
    check_post(body.role, body.agency)
    if body.agency is not None:
        await _agency(services, body.agency)
    password_hash = await services.passwords.hash(body.password)
    user = User(f"u-{secrets.token_hex(6)}", body.username, password_hash, body.role, body.agency)
    await services.repository.save_user(user, is_new=True)
    return _user_out(user)


@router.post("/users/{username}/disable")
async def disable_user(username: str, caller: UserManager, services: Services) -> UserOut:
    """The user can no longer log in. Yourself you cannot disable: somebody must be left."""
    user = await services.repository.user_by_name(username)
    if user is None:
        raise CallerError(404, "no-such-user", f"there is no user {username!r}")
    require(caller, Right.MANAGE_USERS, user.agency)
    if user.id == caller.user:
        raise CallerError(409, "yourself", "you cannot disable yourself")
    disabled = replace(user, is_disabled=True)
    await services.repository.save_user(disabled, is_new=False)
    return _user_out(disabled)
