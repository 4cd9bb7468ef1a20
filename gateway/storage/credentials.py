"""Log-ins, API keys and second factors in the database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import CursorResult, Delete, Update, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tongpin.gateway.credentials import ApiKey, Login, Revoked, Rotated, Rotation, SecondFactor
from tongpin.gateway.records import AuditDraft, Role
from tongpin.gateway.rights import Right
from tongpin.gateway.storage.audit import append
from tongpin.gateway.storage.credentials_rows import (
    ApiKeyRow,
    LoginRow,
    RecoveryCodeRow,
    RefreshTokenRow,
    RevocationRow,
    SecondFactorRow,
    revoke,
)
from tongpin.gateway.storage.models import AgencyRow, UserRow
from tongpin.gateway.storage.part import SqlPart, check_alive
from tongpin.gateway.storage.people import user_of

REUSE_GRACE = timedelta(seconds=5)
"""A refresh token that comes again so soon is a race of two tabs, or an answer that was lost."""
REREAD = 100
"""Numbers that are read again: transactions may commit in another order than they took their numbers."""
KEPT = timedelta(days=1)


class SqlLogins(SqlPart):
    """Implements :class:`tongpin.gateway.credentials.Logins`."""

    async def open_login(
        self, login: Login, token_hash: str, token_expires_at: datetime, audit: Sequence[AuditDraft]
    ) -> None:
        row = LoginRow(id=login.id, user=login.user, opened_at=login.opened_at, expires_at=login.expires_at)
        async with self._change(audit) as session:
            over = select(LoginRow.id).where(LoginRow.expires_at < login.opened_at - KEPT)
            await session.execute(delete(RefreshTokenRow).where(RefreshTokenRow.login.in_(over)))
            await session.execute(delete(LoginRow).where(LoginRow.expires_at < login.opened_at - KEPT))
            session.add(row)
            await session.flush()
            session.add(RefreshTokenRow(hash=token_hash, login=login.id, expires_at=token_expires_at))

    async def rotate(self, token_hash: str, next_hash: str, now: datetime, next_expires_at: datetime) -> Rotated:
        async with self._store.transaction() as session:
            token = await session.get(RefreshTokenRow, token_hash, with_for_update=True)
            if token is None:
                return Rotated(Rotation.UNKNOWN)
            login = await session.get_one(LoginRow, token.login, with_for_update=True)
            row = await session.get_one(UserRow, login.user)
            if login.ended_at is not None or row.is_disabled or min(login.expires_at, token.expires_at) <= now:
                return Rotated(Rotation.OVER)
            if token.used_at is not None:
                if now - token.used_at < REUSE_GRACE:
                    return Rotated(Rotation.RACED)
                login.ended_at = now
                await revoke(session, login.id, 1, now)
                draft = AuditDraft("auth.refresh-reused", row.username, login.id, row.agency)
                await append(session, [draft], now)
                return Rotated(Rotation.REUSED, login.id, user_of(row))
            token.used_at = now
            expires_at = min(next_expires_at, login.expires_at)
            session.add(RefreshTokenRow(hash=next_hash, login=login.id, expires_at=expires_at))
            return Rotated(Rotation.DONE, login.id, user_of(row))

    async def end_login(self, login_id: str, audit: Sequence[AuditDraft]) -> None:
        now = self._clock.at()
        async with self._change(audit) as session:
            login = await session.get(LoginRow, login_id)
            if login is not None and login.ended_at is None:
                login.ended_at = now
                await revoke(session, login_id, 1, now)

    async def login_of(self, token_hash: str) -> Login | None:
        query = select(LoginRow).join(RefreshTokenRow, RefreshTokenRow.login == LoginRow.id)
        async with self._store.reading() as session:
            row = await session.scalar(query.where(RefreshTokenRow.hash == token_hash))
        return Login(row.id, row.user, row.opened_at, row.expires_at) if row is not None else None

    async def revoked_since(self, number: int) -> Sequence[Revoked]:
        query = select(RevocationRow).where(RevocationRow.number > number - REREAD).order_by(RevocationRow.number)
        async with self._store.reading() as session:
            rows = (await session.scalars(query)).all()
        return [Revoked(row.number, row.subject, row.epoch) for row in rows]

    async def note(self, audit: Sequence[AuditDraft]) -> None:
        async with self._change(audit):
            pass


class SqlKeys(SqlPart):
    """Implements :class:`tongpin.gateway.credentials.Keys`."""

    async def keys(self) -> Sequence[ApiKey]:
        async with self._store.reading() as session:
            rows = (await session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.id))).all()
        return [_key(row) for row in rows]

    async def key(self, key_id: str) -> ApiKey | None:
        async with self._store.reading() as session:
            row = await session.get(ApiKeyRow, key_id)
        return _key(row) if row is not None else None

    async def key_by_hash(self, hash_: str) -> ApiKey | None:
        async with self._store.reading() as session:
            row = await session.scalar(select(ApiKeyRow).where(ApiKeyRow.hash == hash_))
        return _key(row) if row is not None else None

    async def add_key(self, key: ApiKey, hash_: str, audit: Sequence[AuditDraft]) -> None:
        async with self._change(audit) as session:
            await check_alive(session, AgencyRow, [key.agency])
            session.add(
                ApiKeyRow(
                    id=key.id,
                    name=key.name,
                    hash=hash_,
                    role=key.role.value,
                    agency=key.agency,
                    verbs=" ".join(sorted(key.verbs)),
                    created_by=key.created_by,
                    created_at=key.created_at,
                    expires_at=key.expires_at,
                )
            )

    async def revoke_key(self, key_id: str, at: datetime, audit: Sequence[AuditDraft]) -> None:
        async with self._change(audit) as session:
            (await session.get_one(ApiKeyRow, key_id)).revoked_at = at
            await revoke(session, key_id, 1, at)


class SqlSecondFactors(SqlPart):
    """Implements :class:`tongpin.gateway.credentials.SecondFactors`."""

    async def factor(self, user: str) -> SecondFactor | None:
        async with self._store.reading() as session:
            row = await session.get(SecondFactorRow, user)
        return SecondFactor(row.user, row.sealed, row.is_confirmed, row.last_step) if row is not None else None

    async def save_factor(self, factor: SecondFactor, recovery: Sequence[str], audit: Sequence[AuditDraft]) -> None:
        row = SecondFactorRow(
            user=factor.user, sealed=factor.sealed, is_confirmed=factor.is_confirmed, last_step=factor.last_step
        )
        async with self._change(audit) as session:
            await session.merge(row)
            await session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user == factor.user))
            session.add_all(RecoveryCodeRow(user=factor.user, hash=hash_) for hash_ in recovery)

    async def use_step(self, user: str, step: int) -> bool:
        later = update(SecondFactorRow).where(SecondFactorRow.user == user, SecondFactorRow.last_step < step)
        async with self._store.transaction() as session:
            return await _hits(session, later.values(last_step=step))

    async def use_recovery(self, user: str, hash_: str, audit: Sequence[AuditDraft]) -> bool:
        gone = delete(RecoveryCodeRow).where(RecoveryCodeRow.user == user, RecoveryCodeRow.hash == hash_)
        async with self._store.transaction() as session:
            is_used = await _hits(session, gone)
            if is_used:
                await append(session, audit, self._clock.at())
            return is_used

    async def remove_factor(self, user: str, audit: Sequence[AuditDraft]) -> None:
        async with self._change(audit) as session:
            await session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user == user))
            await session.execute(delete(SecondFactorRow).where(SecondFactorRow.user == user))


async def _hits(session: AsyncSession, statement: Update | Delete) -> bool:
    return cast("CursorResult[tuple[()]]", await session.execute(statement)).rowcount > 0


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        agency=row.agency,
        verbs=frozenset(map(Right, row.verbs.split())),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
