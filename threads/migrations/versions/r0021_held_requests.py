"""Keep who asked for the release of held mail, where a second person has to consent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "held_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("copy_id", sa.String(length=40), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=True),
        sa.Column("organisation_id", sa.Integer(), nullable=True),
        sa.Column("contact_name", sa.Text(), nullable=True),
        sa.Column("asked_at", UtcTime(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("decided_at", UtcTime(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decision", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["copy_id"], ["messages.id"], name=op.f("fk_held_requests_copy_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_held_requests_organisation_id")
        ),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name=op.f("fk_held_requests_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_held_requests")),
    )
    op.create_index(op.f("ix_held_requests_copy_id"), "held_requests", ["copy_id"], unique=False)
    op.create_index(
        op.f("ix_held_requests_organisation_id"), "held_requests", ["organisation_id"], unique=False
    )
    op.create_index(op.f("ix_held_requests_thread_id"), "held_requests", ["thread_id"], unique=False)


def downgrade() -> None:
    """Give it up; what was asked and not decided has to be asked again."""
    op.drop_index(op.f("ix_held_requests_thread_id"), table_name="held_requests")
    op.drop_index(op.f("ix_held_requests_organisation_id"), table_name="held_requests")
    op.drop_index(op.f("ix_held_requests_copy_id"), table_name="held_requests")
    op.drop_table("held_requests")
