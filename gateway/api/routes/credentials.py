"""One's own password and second factor, and API keys for programs."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from tongpin.gateway import otp
from tongpin.gateway.api.deps import Person, Services, With
from tongpin.gateway.api.routes.auth import address_of
from tongpin.gateway.api.schemas import (
    KeyIn,
    KeyOut,
    NewKeyOut,
    PasswordChangeIn,
    PasswordIn,
    RecoveryOut,
    TotpCodeIn,
    TotpOut,
    TotpStateOut,
)
from tongpin.gateway.api.services import ApiServices
from tongpin.gateway.changes import changed
from tongpin.gateway.credentials import ApiKey
from tongpin.gateway.errors import CallerError
from tongpin.gateway.passwords import check_password
from tongpin.gateway.rights import Identity, Right, may, require

router = APIRouter(tags=["auth"])

KeyViewer = Annotated[Identity, Depends(With(Right.SEE_USERS))]
KeyManager = Annotated[Identity, Depends(With(Right.MANAGE_USERS))]


@router.put("/me/password", status_code=204)
async def change_password(body: PasswordChangeIn, request: Request, user: Person, services: Services) -> None:
    """Change one's own password. Everything one is logged in with ends, here too: log in again."""
    await services.logins.check_password(user, body.old, address_of(request))
    check_password(body.password, user.username)
    after = replace(user, password_hash=await services.passwords.hash(body.password))
    await services.people.save_user(after, is_new=False, audit=changed(user.username, "user", user, after))
    await services.revocations.refresh()


@router.get("/auth/totp")
async def totp_state(user: Person, services: Services) -> TotpStateOut:
    """Whether one's second factor is in use."""
    return TotpStateOut(is_enrolled=await services.second_factor.is_enrolled(user.id))


@router.post("/auth/totp")
async def enrol_totp(body: PasswordIn, request: Request, user: Person, services: Services) -> TotpOut:
    """Begin: a secret for the authenticator app, used once its first code is confirmed."""
    await services.logins.check_password(user, body.password, address_of(request))
    secret = await services.second_factor.enrol(user)
    return TotpOut(secret=otp.base32(secret), uri=otp.uri(secret, user.username))


@router.post("/auth/totp/confirm")
async def confirm_totp(body: TotpCodeIn, user: Person, services: Services) -> RecoveryOut:
    """From now on a code is needed at every log-in. The recovery codes are shown this once; each is good once."""
    return RecoveryOut(recovery_codes=await services.second_factor.confirm(user, body.code))


@router.post("/auth/totp/remove", status_code=204)
async def remove_totp(body: PasswordIn, request: Request, user: Person, services: Services) -> None:
    """Take one's second factor away."""
    await services.logins.check_password(user, body.password, address_of(request))
    await services.second_factor.remove(user, user.username)


def _key_out(key: ApiKey) -> KeyOut:
    return KeyOut(
        id=key.id,
        name=key.name,
        role=key.role,
        agency=key.agency,
        verbs=sorted(key.verbs),
        created_by=key.created_by,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )


async def _key(services: ApiServices, key_id: str) -> ApiKey:
    key = await services.keys.key(key_id)
    if key is None:
        raise CallerError(404, "no-such-api-key", f"there is no API key {key_id!r}")
    return key


@router.get("/api-keys")
async def api_keys(caller: KeyViewer, services: Services) -> list[KeyOut]:
    """Keys, those that the caller may see, without their secrets: nobody has those but their owners."""
    return [_key_out(key) for key in await services.keys.keys() if may(caller, Right.SEE_USERS, key.agency)]


@router.post("/api-keys", status_code=201)
async def create_api_key(body: KeyIn, caller: KeyManager, services: Services) -> NewKeyOut:
    """A key for a program: send ``secret`` as the bearer token. It is shown this once."""
    require(caller, Right.MANAGE_USERS, body.agency)
    key, secret = await services.key_service.make(
        caller,
        name=body.name,
        role=body.role,
        agency=body.agency,
        verbs=frozenset(body.verbs),
        expires_at=body.expires_at,
    )
    return NewKeyOut(**_key_out(key).model_dump(), secret=secret)


@router.get("/api-keys/{key_id}")
async def read_api_key(key_id: str, caller: KeyViewer, services: Services) -> KeyOut:
    key = await _key(services, key_id)
    require(caller, Right.SEE_USERS, key.agency)
    return _key_out(key)


@router.delete("/api-keys/{key_id}", status_code=204)
async def revoke_api_key(key_id: str, caller: KeyManager, services: Services) -> None:
    """The key is worth nothing from now on; what stands on it ends."""
    key = await _key(services, key_id)
    require(caller, Right.MANAGE_USERS, key.agency)
    if key.revoked_at is not None:
        raise CallerError(409, "revoked-already", f"API key {key_id!r} was revoked before")
    await services.key_service.revoke(caller, key)
