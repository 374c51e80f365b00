"""Mark threads that were imported or opened with a time in the past: they send nothing by themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; no thread of before was imported."""
    op.create_table(
        "quiet_threads",
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name=op.f("fk_quiet_threads_thread_id")),
        sa.PrimaryKeyConstraint("thread_id", name=op.f("pk_quiet_threads")),
    )


def downgrade() -> None:
    """Give it up. Automatic mail about these threads that waits is refused: the older program would send it."""
    op.execute(
        "UPDATE automatic_orders SET state = 'refused', reason = 'its incident was imported'"
        " WHERE state = 'ordered' AND thread_id IN (SELECT thread_id FROM quiet_threads)"
    )
    op.drop_table("quiet_threads")
