"""Joint channels with members, consents and times; standing agreements, templates, answers under idempotency keys."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0007_joint_channels"
down_revision = "0006_recordings"
branch_labels = None
depends_on = None

_NEW = (
    "members",
    "proposer",
    "event",
    "policy",
    "starts_at",
    "recurrence",
    "may_take_over",
    "incident",
    "template",
    "activated_at",
    "ends_at",
    "version",
)
_STATES = {"draft": "closed", "proposed": "closed", "scheduled": "closed", "refused": "closed", "cancelled": "closed"}


def _columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("members", sa.Text, nullable=False, server_default="[]"),
        sa.Column("proposer", sa.String(63), sa.ForeignKey("agencies.id", name="fk_joint_channels_proposer")),
        sa.Column("event", sa.String(63)),
        sa.Column("policy", sa.Text, nullable=False, server_default="[]"),
        sa.Column("starts_at", sa.DateTime(timezone=True)),
        sa.Column("recurrence", sa.Text),
        sa.Column("may_take_over", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("incident", sa.String(63)),
        sa.Column("template", sa.String(63)),
        sa.Column("activated_at", sa.DateTime(timezone=True)),
        sa.Column("ends_at", sa.DateTime(timezone=True)),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    )


def upgrade() -> None:
    op.execute("UPDATE joint_channels SET expires_at = created_at WHERE expires_at IS NULL")
    with op.batch_alter_table("joint_channels") as table:
        table.alter_column("expires_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        for column in _columns():
            table.add_column(column)
        table.create_index("ix_joint_channels_incident", ["incident"])
    with op.batch_alter_table("joint_channel_groups") as table:
        table.add_column(
            sa.Column("owner", sa.String(63), sa.ForeignKey("agencies.id", name="fk_joint_channel_groups_owner"))
        )
    op.create_table(
        "joint_channel_consents",
        sa.Column("joint_channel", sa.String(63), sa.ForeignKey("joint_channels.id"), primary_key=True),
        sa.Column("agency", sa.String(63), sa.ForeignKey("agencies.id"), primary_key=True),
        sa.Column("decision", sa.String(20), nullable=False),
        sa.Column("basis", sa.String(20)),
        sa.Column("decided_by", sa.String(63)),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "agreements",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("agencies", sa.Text, nullable=False),
        sa.Column("includes_centre", sa.Boolean, nullable=False),
        sa.Column("created_by", sa.String(63), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True)),
        sa.Column("valid_until", sa.DateTime(timezone=True)),
        sa.Column("document", sa.Text),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("ended_by", sa.String(63)),
    )
    op.create_table(
        "templates",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("agency", sa.String(63), sa.ForeignKey("agencies.id")),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("is_retired", sa.Boolean, nullable=False),
    )
    op.create_table(
        "idempotency_answers",
        sa.Column("caller", sa.String(63), primary_key=True),
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("body_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("location", sa.String(200), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, index=True),
    )
    _keep_what_stands()


def _keep_what_stands() -> None:
    """Joint channels from before consents were kept: whoever takes part has consented."""
    op.execute(
        "UPDATE joint_channel_groups SET owner ="
        " (SELECT agency FROM talk_groups WHERE talk_groups.id = joint_channel_groups.talk_group)"
    )
    op.execute("UPDATE joint_channels SET activated_at = created_at, ends_at = expires_at WHERE state = 'active'")
    op.execute(
        "INSERT INTO joint_channel_consents (joint_channel, agency, decision, basis, decided_by, decided_at)"
        " SELECT DISTINCT g.joint_channel, g.owner, 'granted', 'person', c.created_by, c.created_at"
        " FROM joint_channel_groups g JOIN joint_channels c ON c.id = g.joint_channel WHERE g.owner IS NOT NULL"
    )
    connection = op.get_bind()
    members: dict[str, list[object]] = {}
    for channel, group in connection.execute(sa.text("SELECT joint_channel, talk_group FROM joint_channel_groups")):
        members.setdefault(channel, []).append(["talk_group", group, None])
    for channel, found in members.items():
        change = sa.text("UPDATE joint_channels SET members = :members WHERE id = :id")
        connection.execute(change, {"members": json.dumps(found), "id": channel})


def downgrade() -> None:
    for name in ("idempotency_answers", "templates", "agreements", "joint_channel_consents"):
        op.drop_table(name)
    for new, old in _STATES.items():
        op.execute(f"UPDATE joint_channels SET state = '{old}' WHERE state = '{new}'")
    with op.batch_alter_table("joint_channel_groups") as table:
        table.drop_constraint("fk_joint_channel_groups_owner", type_="foreignkey")
        table.drop_column("owner")
    with op.batch_alter_table("joint_channels") as table:
        table.drop_index("ix_joint_channels_incident")
        table.drop_constraint("fk_joint_channels_proposer", type_="foreignkey")
        for name in reversed(_NEW):
            table.drop_column(name)
        table.alter_column("expires_at", existing_type=sa.DateTime(timezone=True), nullable=True)
