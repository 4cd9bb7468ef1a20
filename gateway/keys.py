"""API keys: for programs; a role at an agency, of what it may do only some verbs, until a day."""

import secrets
from datetime import datetime, timedelta

from tongpin.gateway.clock import Clock
from tongpin.gateway.credentials import ApiKey, Keys, secret_hash
from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import AuditDraft, Role
from tongpin.gateway.revocation import Revocations
from tongpin.gateway.rights import Identity, Right, check_post, reach

PREFIX = "tpk_"
NOT_FOR_KEYS = frozenset({Right.MANAGE_USERS})
"""Who makes users and keys is a person: a key could otherwise give itself what it was not given."""


class KeyService:
    """Make, recognise, end."""

    def __init__(self, store: Keys, clock: Clock, revocations: Revocations, longest: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._revocations = revocations
        self._longest = longest

    async def make(
        self,
        caller: Identity,
        *,
        name: str,
        role: Role,
        agency: str | None,
        verbs: frozenset[Right],
        expires_at: datetime,
    ) -> tuple[ApiKey, str]:
        """A key, and what its owner sends: shown this once. Raises CallerError 422."""
        check_post(role, agency)
        now = self._clock.at()
        if not now < expires_at <= now + self._longest:
            raise CallerError(422, "bad-expiry", f"expires_at lies ahead, at most {self._longest.days} days")
        whole = Identity("", "", role, agency)
        refused = sorted(verb for verb in verbs if verb in NOT_FOR_KEYS or not reach(whole, verb))
        if refused:
            raise CallerError(422, "bad-verbs", f"a key of a {role.value} cannot have: {', '.join(refused)}")
        key = ApiKey(f"k-{secrets.token_hex(5)}", name, role, agency, verbs, caller.username, now, expires_at)
        secret = f"{PREFIX}{key.id[2:]}_{secrets.token_urlsafe(32)}"
        detail = {"name": name, "role": role.value, "verbs": sorted(verbs), "expires_at": expires_at.isoformat()}
        audit = [AuditDraft("api-key.created", caller.username, key.id, agency, detail)]
        await self._store.add_key(key, secret_hash(secret), audit)
        return key, secret

    async def identify(self, secret: str) -> Identity | None:
        """Who sends this; None when the key is unknown, over or revoked."""
        key = await self._store.key_by_hash(secret_hash(secret))
        if key is None or key.revoked_at is not None or key.expires_at <= self._clock.at():
            return None
        return Identity(key.id, f"key {key.name}", key.role, key.agency, key.verbs)

    async def revoke(self, caller: Identity, key: ApiKey) -> None:
        """It is worth nothing from now on, and what stands on it ends."""
        audit = [AuditDraft("api-key.revoked", caller.username, key.id, key.agency, {"name": key.name})]
        await self._store.revoke_key(key.id, self._clock.at(), audit)
        await self._revocations.refresh()
