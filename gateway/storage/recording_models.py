"""Tables of the recordings' catalogue."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tongpin.gateway.storage.models import Base, UtcDateTime


class TransmissionRow(Base):
    """``talk_groups`` and ``agencies`` are ``,a,b,`` so that LIKE finds one of them; ``peaks`` are numbers with commas."""

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
