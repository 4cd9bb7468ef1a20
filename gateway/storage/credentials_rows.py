"""Tables of log-ins, keys and second factors, and how a revocation is written."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Boolean, ForeignKey, Integer, LargeBinary, String, Text, delete, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tongpin.gateway.storage.models import Base, UtcDateTime

KEPT = timedelta(days=1)
"""Revocations are kept for many lives of an access token, then they have nothing to end."""


class LoginRow(Base):
    __tablename__ = "logins"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RefreshTokenRow(Base):
    __tablename__ = "refresh_tokens"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    login: Mapped[str] = mapped_column(ForeignKey("logins.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RevocationRow(Base):
    """``subject`` is a user, a log-in or a key."""

    __tablename__ = "revocations"

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    subject: Mapped[str] = mapped_column(String(63))
    epoch: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    __table_args__ = ({"sqlite_autoincrement": True},)


class ApiKeyRow(Base):
    """``verbs`` stand with spaces between."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    agency: Mapped[str | None] = mapped_column(ForeignKey("agencies.id"))
    verbs: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(63))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SecondFactorRow(Base):
    __tablename__ = "second_factors"

    user: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    is_confirmed: Mapped[bool] = mapped_column(Boolean)
    last_step: Mapped[int] = mapped_column(BigInteger)


class RecoveryCodeRow(Base):
    __tablename__ = "recovery_codes"

    user: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)


async def revoke(session: AsyncSession, subject: str, epoch: int, at: datetime) -> None:
    """Tell every node that credentials of the subject before this epoch are worth nothing."""
    await session.execute(delete(RevocationRow).where(RevocationRow.at < at - KEPT))
    session.add(RevocationRow(subject=subject, epoch=epoch, at=at))


async def end_logins(session: AsyncSession, user: str, epoch: int, at: datetime) -> None:
    """End all log-ins of a user, whose epoch is this one now."""
    standing = update(LoginRow).where(LoginRow.user == user, LoginRow.ended_at.is_(None))
    await session.execute(standing.values(ended_at=at))
    await revoke(session, user, epoch, at)
