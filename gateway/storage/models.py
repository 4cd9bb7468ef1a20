"""Tables. The migrations under ``migrations/`` make them; a test compares the two."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, Boolean, DateTime, ForeignKey, Index, Integer, String, Text, TypeDecorator, text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python; databases without time zones (SQLite) hold it naive."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    """All tables."""


class AgencyRow(Base):
    __tablename__ = "agencies"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    color: Mapped[str] = mapped_column(String(7))
    is_retired: Mapped[bool] = mapped_column(Boolean, default=False)


class UserRow(Base):
    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    username: Mapped[str] = mapped_column(String(63), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(20))
    agency: Mapped[str | None] = mapped_column(ForeignKey("agencies.id"))
    is_disabled: Mapped[bool] = mapped_column(Boolean, default=False)
    epoch: Mapped[int] = mapped_column(Integer, default=0, server_default="0")


class TalkGroupRow(Base):
    __tablename__ = "talk_groups"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    agency: Mapped[str | None] = mapped_column(ForeignKey("agencies.id"))
    is_retired: Mapped[bool] = mapped_column(Boolean, default=False)


class GridRow(Base):
    """``area`` is the JSON of the polygons' coordinates."""

    __tablename__ = "grids"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    scheme: Mapped[str] = mapped_column(String(63), index=True)
    agency: Mapped[str | None] = mapped_column(ForeignKey("agencies.id"))
    area: Mapped[str] = mapped_column(Text)
    is_retired: Mapped[bool] = mapped_column(Boolean, default=False)


class UnitRow(Base):
    __tablename__ = "units"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    agency: Mapped[str | None] = mapped_column(ForeignKey("agencies.id"), index=True)
    home_talk_group: Mapped[str | None] = mapped_column(ForeignKey("talk_groups.id"), index=True)
    is_retired: Mapped[bool] = mapped_column(Boolean, default=False)


class UnitRadioIdRow(Base):
    """``is_retired`` follows the unit's: the ids of retired units are kept, and free for others."""

    __tablename__ = "unit_radio_ids"
    __table_args__ = (
        Index(
            "ix_unit_radio_ids_one_holder",
            "kind",
            "code",
            unique=True,
            sqlite_where=text("NOT is_retired"),
            postgresql_where=text("NOT is_retired"),
        ),
    )

    unit: Mapped[str] = mapped_column(ForeignKey("units.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    code: Mapped[str] = mapped_column(String(20), primary_key=True)
    is_retired: Mapped[bool] = mapped_column(Boolean, default=False)


class UnitGridRow(Base):
    __tablename__ = "unit_grids"

    unit: Mapped[str] = mapped_column(ForeignKey("units.id"), primary_key=True)
    grid: Mapped[str] = mapped_column(ForeignKey("grids.id"), primary_key=True, index=True)


class JointChannelRow(Base):
    __tablename__ = "joint_channels"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(Text)
    lead_agency: Mapped[str | None] = mapped_column(ForeignKey("agencies.id"))
    created_by: Mapped[str] = mapped_column(String(63))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(20), index=True)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by: Mapped[str | None] = mapped_column(String(63))
    members: Mapped[str] = mapped_column(Text)
    proposer: Mapped[str | None] = mapped_column(ForeignKey("agencies.id"))
    event: Mapped[str | None] = mapped_column(String(63))
    policy: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    recurrence: Mapped[str | None] = mapped_column(Text)
    may_take_over: Mapped[bool] = mapped_column(Boolean)
    incident: Mapped[str | None] = mapped_column(String(63), index=True)
    template: Mapped[str | None] = mapped_column(String(63))
    activated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(Integer)


class JointChannelGroupRow(Base):
    """``owner`` is the talk group's agency when it was last looked up: whose consent it needs."""

    __tablename__ = "joint_channel_groups"

    joint_channel: Mapped[str] = mapped_column(ForeignKey("joint_channels.id"), primary_key=True)
    talk_group: Mapped[str] = mapped_column(ForeignKey("talk_groups.id"), primary_key=True)
    owner: Mapped[str | None] = mapped_column(ForeignKey("agencies.id"))


class ConsentRow(Base):
    __tablename__ = "joint_channel_consents"

    joint_channel: Mapped[str] = mapped_column(ForeignKey("joint_channels.id"), primary_key=True)
    agency: Mapped[str] = mapped_column(ForeignKey("agencies.id"), primary_key=True)
    decision: Mapped[str] = mapped_column(String(20))
    basis: Mapped[str | None] = mapped_column(String(20))
    decided_by: Mapped[str | None] = mapped_column(String(63))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(Text)


class AgreementRow(Base):
    __tablename__ = "agreements"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    agencies: Mapped[str] = mapped_column(Text)
    includes_centre: Mapped[bool] = mapped_column(Boolean)
    created_by: Mapped[str] = mapped_column(String(63))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    valid_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    document: Mapped[str | None] = mapped_column(Text)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_by: Mapped[str | None] = mapped_column(String(63))


class TemplateRow(Base):
    """``content`` is JSON: what is only read and written whole."""

    __tablename__ = "templates"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    agency: Mapped[str | None] = mapped_column(ForeignKey("agencies.id"))
    content: Mapped[str] = mapped_column(Text)
    is_retired: Mapped[bool] = mapped_column(Boolean)


class AnswerRow(Base):
    __tablename__ = "idempotency_answers"

    caller: Mapped[str] = mapped_column(String(63), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    body_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column(Integer)
    location: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class AuditRow(Base):
    """``detail`` is canonical JSON as text, so that the bytes that were hashed are the bytes that are kept."""

    __tablename__ = "audit"

    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    action: Mapped[str] = mapped_column(String(63), index=True)
    actor: Mapped[str] = mapped_column(String(100))
    agency: Mapped[str | None] = mapped_column(String(63))
    subject: Mapped[str] = mapped_column(String(200))
    detail: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)


class WebhookRow(Base):
    """``kinds`` with spaces between; the secret is computed from ``salt`` and the installation's."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    url: Mapped[str] = mapped_column(String(2000))
    agency: Mapped[str | None] = mapped_column(ForeignKey("agencies.id"))
    kinds: Mapped[str] = mapped_column(Text)
    salt: Mapped[str] = mapped_column(String(64))
    created_by: Mapped[str] = mapped_column(String(63))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    is_active: Mapped[bool] = mapped_column(Boolean)
    is_retired: Mapped[bool] = mapped_column(Boolean)


class DeliveryRow(Base):
    """The outbox: what waits for a webhook, in the order of ``number``, and what was given up."""

    __tablename__ = "webhook_deliveries"

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    id: Mapped[str] = mapped_column(String(63), unique=True)
    webhook: Mapped[str] = mapped_column(ForeignKey("webhooks.id"))
    kind: Mapped[str] = mapped_column(String(63))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20))
    status: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("ix_webhook_deliveries_turn", "webhook", "state", "number"),)


class AuditCheckpointRow(Base):
    """Where the chain stood at some moment: the start of the next check."""

    __tablename__ = "audit_checkpoints"

    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    key: Mapped[str] = mapped_column(String(16))
    mac: Mapped[str] = mapped_column(String(64))


class TransmissionRow(Base):
    """``talk_groups`` and ``agencies`` are ``,a,b,`` so that LIKE finds one; ``peaks`` are numbers with commas."""

    __tablename__ = "transmissions"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    talk: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    talker: Mapped[str] = mapped_column(String(100), index=True)
    label: Mapped[str] = mapped_column(String(200))
    agency: Mapped[str | None] = mapped_column(String(63), index=True)
    unit: Mapped[str | None] = mapped_column(String(63), index=True)
    leg: Mapped[str | None] = mapped_column(String(63))
    net: Mapped[str] = mapped_column(String(63))
    talk_group: Mapped[str] = mapped_column(String(63))
    talk_groups: Mapped[str] = mapped_column(Text)
    agencies: Mapped[str] = mapped_column(Text)
    joint_channel: Mapped[str | None] = mapped_column(String(63), index=True)
    priority: Mapped[str] = mapped_column(String(20))
    origin: Mapped[str] = mapped_column(String(20))
    cause: Mapped[str | None] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(20), index=True)
    file: Mapped[str] = mapped_column(String(200))
    duration_ms: Mapped[int] = mapped_column(Integer)
    lost_ms: Mapped[int] = mapped_column(Integer)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    peak_dbfs: Mapped[int | None] = mapped_column(Integer)
    peaks: Mapped[str] = mapped_column(Text)


class NoteRow(Base):
    __tablename__ = "transmission_notes"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    transmission: Mapped[str] = mapped_column(ForeignKey("transmissions.id"), index=True)
    author: Mapped[str] = mapped_column(String(63))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    at_ms: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text)
