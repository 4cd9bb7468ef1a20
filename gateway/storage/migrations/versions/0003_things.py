"""Units, grids; an admin who belongs to an agency is that agency's admin."""

import sqlalchemy as sa
from alembic import op

revision = "0003_things"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "grids",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("scheme", sa.String(63), nullable=False, index=True),
        sa.Column("agency", sa.String(63), sa.ForeignKey("agencies.id")),
        sa.Column("area", sa.Text, nullable=False),
        sa.Column("is_retired", sa.Boolean, nullable=False),
    )
    op.create_table(
        "units",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("agency", sa.String(63), sa.ForeignKey("agencies.id"), index=True),
        sa.Column("home_talk_group", sa.String(63), sa.ForeignKey("talk_groups.id"), index=True),
        sa.Column("is_retired", sa.Boolean, nullable=False),
    )
    op.create_table(
        "unit_radio_ids",
        sa.Column("unit", sa.String(63), sa.ForeignKey("units.id"), primary_key=True),
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("code", sa.String(20), primary_key=True),
        sa.Column("is_retired", sa.Boolean, nullable=False),
    )
    op.create_index(
        "ix_unit_radio_ids_one_holder",
        "unit_radio_ids",
        ["kind", "code"],
        unique=True,
        sqlite_where=sa.text("NOT is_retired"),
        postgresql_where=sa.text("NOT is_retired"),
    )
    op.create_table(
        "unit_grids",
        sa.Column("unit", sa.String(63), sa.ForeignKey("units.id"), primary_key=True),
        sa.Column("grid", sa.String(63), sa.ForeignKey("grids.id"), primary_key=True, index=True),
    )
    op.execute("UPDATE users SET role = 'agency-admin' WHERE role = 'admin' AND agency IS NOT NULL")


def downgrade() -> None:
    for table in ("unit_grids", "unit_radio_ids", "units", "grids"):
        op.drop_table(table)
    op.execute("UPDATE users SET role = 'admin' WHERE role = 'agency-admin'")
    op.execute("UPDATE users SET role = 'dispatcher' WHERE role IN ('officer', 'auditor')")
