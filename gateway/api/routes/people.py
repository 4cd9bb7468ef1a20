"""Agencies and users."""

import secrets
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from tongpin.gateway.api.deps import Manager, Services, Viewer, With
from tongpin.gateway.api.schemas import (
    AgencyChange,
    AgencyIn,
    AgencyOut,
    PasswordIn,
    UserChange,
    UserIn,
    UserOut,
    UserPage,
)
from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.changes import changed, made
from tongpin.gateway.errors import CallerError
from tongpin.gateway.passwords import check_password
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
    for agency in await services.people.agencies():
        if agency.id == agency_id:
            return agency
    raise CallerError(404, "no-such-agency", f"there is no agency {agency_id!r}")


async def _user(services: ApiServices, user_id: str) -> User:
    """By id, or by name."""
    user = await services.people.user(user_id) or await services.people.user_by_name(user_id)
    if user is None:
        raise CallerError(404, "no-such-user", f"there is no user {user_id!r}")
    return user


@router.get("/agencies")
async def agencies(caller: Viewer, services: Services) -> list[AgencyOut]:
    return [_agency_out(agency) for agency in await services.people.agencies()]


@router.post("/agencies", status_code=201)
async def create_agency(body: AgencyIn, caller: Founder, services: Services) -> AgencyOut:
    agency = Agency(body.id, body.name, body.color)
    await services.people.save_agency(agency, is_new=True, audit=made(caller.username, "agency", agency))
    return _agency_out(agency)


@router.get("/agencies/{agency_id}")
async def read_agency(agency_id: str, caller: Viewer, services: Services) -> AgencyOut:
    return _agency_out(await _agency(services, agency_id))


@router.patch("/agencies/{agency_id}")
async def change_agency(agency_id: str, body: AgencyChange, caller: Manager, services: Services) -> AgencyOut:
    agency = await _agency(services, agency_id)
    require(caller, Right.MANAGE, agency.id)
    after = replace(agency, name=body.name or agency.name, color=body.color or agency.color)
    await services.people.save_agency(after, is_new=False, audit=changed(caller.username, "agency", agency, after))
    return _agency_out(after)


@router.delete("/agencies/{agency_id}", status_code=204)
async def retire_agency(agency_id: str, caller: Founder, services: Services) -> None:
    """Retire an agency without talk groups, units, grids and users; 409 names those left. Its records stay."""
    agency = await _agency(services, agency_id)
    after = replace(agency, is_retired=True)
    await services.people.save_agency(
        after, is_new=False, audit=changed(caller.username, "agency", agency, after, "retired")
    )


@router.get("/users")
async def users(
    caller: UserViewer,
    services: Services,
    after: Annotated[str, Query(max_length=63)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> UserPage:
    """Users by name, those that the caller may see."""
    seen = [
        user
        for user in await services.people.users()
        if user.username > after and may(caller, Right.SEE_USERS, user.agency)
    ]
    following = seen[limit - 1].username if len(seen) > limit else None
    return UserPage(items=[_user_out(user) for user in seen[:limit]], next=following)


@router.post("/users", status_code=201)
async def create_user(body: UserIn, caller: UserManager, services: Services) -> UserOut:
    require(caller, Right.MANAGE_USERS, body.agency)
    check_post(body.role, body.agency)
    check_password(body.password, body.username)
    password_hash = await services.passwords.hash(body.password)
    user = User(f"u-{secrets.token_hex(6)}", body.username, password_hash, body.role, body.agency)
    await services.people.save_user(user, is_new=True, audit=made(caller.username, "user", user))
    return _user_out(user)


@router.get("/users/{user_id}")
async def read_user(user_id: str, caller: UserViewer, services: Services) -> UserOut:
    """A user by id or by name."""
    user = await _user(services, user_id)
    require(caller, Right.SEE_USERS, user.agency)
    return _user_out(user)


@router.patch("/users/{user_id}")
async def change_user(user_id: str, body: UserChange, caller: UserManager, services: Services) -> UserOut:
    """Another role, another agency, disabled or not. Not your own: somebody must be left who can undo it."""
    user = await _changeable(services, caller, user_id)
    agency = body.agency if "agency" in body.model_fields_set else user.agency
    require(caller, Right.MANAGE_USERS, agency)
    is_disabled = body.is_disabled if body.is_disabled is not None else user.is_disabled
    after = replace(user, role=body.role or user.role, agency=agency, is_disabled=is_disabled)
    check_post(after.role, after.agency)
    await services.people.save_user(after, is_new=False, audit=changed(caller.username, "user", user, after))
    await services.revocations.refresh()
    return _user_out(after)


@router.delete("/users/{user_id}", status_code=204)
async def retire_user(user_id: str, caller: UserManager, services: Services) -> None:
    """The user can no longer log in; what was done by them keeps their name."""
    await disable_user(user_id, caller, services)


@router.post("/users/{user_id}/disable")
async def disable_user(user_id: str, caller: UserManager, services: Services) -> UserOut:
    """As DELETE, and answers the user."""
    user = await _changeable(services, caller, user_id)
    after = replace(user, is_disabled=True)
    await services.people.save_user(
        after, is_new=False, audit=changed(caller.username, "user", user, after, "disabled")
    )
    await services.revocations.refresh()
    return _user_out(after)


@router.put("/users/{user_id}/password", status_code=204)
async def set_password(user_id: str, body: PasswordIn, caller: UserManager, services: Services) -> None:
    """Give somebody another password; everything they are logged in with ends."""
    user = await _changeable(services, caller, user_id)
    check_password(body.password, user.username)
    after = replace(user, password_hash=await services.passwords.hash(body.password))
    await services.people.save_user(after, is_new=False, audit=changed(caller.username, "user", user, after))
    await services.revocations.refresh()


@router.delete("/users/{user_id}/totp", status_code=204)
async def remove_totp(user_id: str, caller: UserManager, services: Services) -> None:
    """Take somebody's second factor away: the phone is lost, and the recovery codes too."""
    user = await _changeable(services, caller, user_id)
    await services.second_factor.remove(user, caller.username)


async def _changeable(services: ApiServices, caller: Identity, user_id: str) -> User:
    user = await _user(services, user_id)
    require(caller, Right.MANAGE_USERS, user.agency)
    if user.id == caller.user:
        raise CallerError(409, "yourself", "somebody else must do this to you")
    return user
