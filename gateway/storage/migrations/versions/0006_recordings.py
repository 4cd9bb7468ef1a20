"""The recordings' catalogue."""

import sqlalchemy as sa
from alembic import op

revision = "0006_recordings"
down_revision = "0004_audit_guard"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "transmissions",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("talk", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("talker", sa.String(100), nullable=False, index=True),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("agency", sa.String(63), index=True),
        sa.Column("unit", sa.String(63), index=True),
        sa.Column("leg", sa.String(63)),
        sa.Column("net", sa.String(63), nullable=False),
        sa.Column("talk_group", sa.String(63), nullable=False),
        sa.Column("talk_groups", sa.Text, nullable=False),
        sa.Column("agencies", sa.Text, nullable=False),
        sa.Column("joint_channel", sa.String(63), index=True),
        sa.Column("priority", sa.String(20), nullable=False),
        sa.Column("origin", sa.String(20), nullable=False),
        sa.Column("cause", sa.String(40)),
        sa.Column("state", sa.String(20), nullable=False, index=True),
        sa.Column("file", sa.String(200), nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("lost_ms", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("peak_dbfs", sa.Integer),
        sa.Column("peaks", sa.Text, nullable=False),
    )
    op.create_table(
        "transmission_notes",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("transmission", sa.String(63), sa.ForeignKey("transmissions.id"), nullable=False, index=True),
        sa.Column("author", sa.String(63), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at_ms", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("transmission_notes")
    op.drop_table("transmissions")
