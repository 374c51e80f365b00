"""Keep the list of attached files, and what experts were told of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. Lists of mail that is stored already are made from its bytes where they are asked for."""
    op.create_table(
        "attachments",
        sa.Column("raw_sha256", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("declared", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["raw_sha256"],
            ["raw_messages.sha256"],
            name=op.f("fk_attachments_raw_sha256"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("raw_sha256", "number", name=op.f("pk_attachments")),
    )
    op.create_index(op.f("ix_attachments_sha256"), "attachments", ["sha256"], unique=False)
    op.create_table(
        "alert_progress",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seen_to", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_progress")),
    )
    op.create_table(
        "alert_told",
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("event", name=op.f("pk_alert_told")),
    )
    op.create_index(op.f("ix_alert_told_at"), "alert_told", ["at"], unique=False)
    op.create_table(
        "alert_turns",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("last_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_alert_turns")),
    )


def downgrade() -> None:
    """Give the tables up; the files themselves stay in their messages."""
    for table in ("alert_turns", "alert_told", "alert_progress", "attachments"):
        op.drop_table(table)
