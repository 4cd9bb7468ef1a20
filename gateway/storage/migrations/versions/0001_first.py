"""The first schema: agencies, users, talk groups, joint channels."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agencies",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("color", sa.String(7), nullable=False),
        sa.Column("is_retired", sa.Boolean, nullable=False),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("username", sa.String(63), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("agency", sa.String(63), sa.ForeignKey("agencies.id")),
        sa.Column("is_disabled", sa.Boolean, nullable=False),
    )
    op.create_table(
        "talk_groups",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("agency", sa.String(63), sa.ForeignKey("agencies.id")),
        sa.Column("is_retired", sa.Boolean, nullable=False),
    )
    op.create_table(
        "joint_channels",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("lead_agency", sa.String(63), sa.ForeignKey("agencies.id")),
        sa.Column("created_by", sa.String(63), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("state", sa.String(20), nullable=False, index=True),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("closed_by", sa.String(63)),
    )
    op.create_table(
        "joint_channel_groups",
        sa.Column("joint_channel", sa.String(63), sa.ForeignKey("joint_channels.id"), primary_key=True),
        sa.Column("talk_group", sa.String(63), sa.ForeignKey("talk_groups.id"), primary_key=True),
    )


def downgrade() -> None:
    for table in ("joint_channel_groups", "joint_channels", "talk_groups", "users", "agencies"):
        op.drop_table(table)
