"""The second factor at log-in: TOTP with recovery codes. Secrets are sealed in the store under the token secret."""

import base64
import secrets
from dataclasses import replace

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tongpin.gateway import otp
from tongpin.gateway.clock import Clock
from tongpin.gateway.credentials import SecondFactor, SecondFactors, secret_hash
from tongpin.gateway.errors import CallerError
from tongpin.gateway.passwords import UNUSABLE
from tongpin.gateway.records import AuditDraft, Role, User

RECOVERY_CODES = 10


class SecondFactorService:
    """Enrol, confirm, check at log-in, take away."""

    def __init__(self, store: SecondFactors, clock: Clock, secret: bytes, required: frozenset[Role]) -> None:
        """``required``: the roles that must have one."""
        key = HKDF(SHA256(), 32, None, b"tongpin second factor").derive(secret)
        self._box = Fernet(base64.urlsafe_b64encode(key))
        self._store = store
        self._clock = clock
        self._required = required

    async def is_enrolled(self, user_id: str) -> bool:
        factor = await self._store.factor(user_id)
        return factor is not None and factor.is_confirmed

    async def is_missing(self, user: User) -> bool:
        """Whether the user must have one and has none: until then nothing else is allowed.

        Who logs in elsewhere has it there, or not at all.
        """
        is_needed = user.role in self._required and user.password_hash != UNUSABLE
        return is_needed and not await self.is_enrolled(user.id)

    async def enrol(self, user: User) -> bytes:
        """A new secret, not used until confirmed. Raises CallerError 409 when one is in use."""
        if await self.is_enrolled(user.id):
            raise CallerError(409, "totp-enrolled", "a second factor is in use; remove it first")
        secret = otp.new_secret()
        await self._store.save_factor(SecondFactor(user.id, self._box.encrypt(secret)), (), ())
        return secret

    async def confirm(self, user: User, code: str) -> list[str]:
        """Use it from now on; the recovery codes, shown this once. Raises CallerError 409 or 422."""
        factor = await self._store.factor(user.id)
        if factor is None or factor.is_confirmed:
            raise CallerError(409, "totp-not-begun", "begin with POST /auth/totp")
        step = self._step(factor, code)
        if step is None:
            raise CallerError(422, "wrong-code", "the code does not fit; is the phone's clock right?")
        codes = [base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(RECOVERY_CODES)]
        audit = [AuditDraft("auth.totp-enrolled", user.username, user.id, user.agency)]
        confirmed = replace(factor, is_confirmed=True, last_step=step)
        await self._store.save_factor(confirmed, [secret_hash(one) for one in codes], audit)
        return ["-".join(one[start : start + 4] for start in range(0, 16, 4)) for one in codes]

    async def check(self, user: User, code: str) -> bool:
        """Whether the code of now, or a recovery code, is right. Either is good once."""
        factor = await self._store.factor(user.id)
        if factor is None or not factor.is_confirmed:
            return False
        step = self._step(factor, code)
        if step is not None:
            return await self._store.use_step(user.id, step)
        audit = [AuditDraft("auth.recovery-code-used", user.username, user.id, user.agency)]
        return await self._store.use_recovery(user.id, secret_hash(code.replace("-", "").strip().upper()), audit)

    async def remove(self, user: User, actor: str) -> None:
        audit = [AuditDraft("auth.totp-removed", actor, user.id, user.agency)]
        await self._store.remove_factor(user.id, audit)

    def _step(self, factor: SecondFactor, code: str) -> int | None:
        try:
            secret = self._box.decrypt(factor.sealed)
        except InvalidToken:
            # Sealed under another token secret: only a recovery code, or an admin, helps.
            return None
        return otp.matching_step(secret, code, self._clock.at().timestamp())
