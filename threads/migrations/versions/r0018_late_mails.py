"""Keep of which mail the experts were told that it is late: it is told once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; of no mail was told before."""
    op.create_table(
        "late_mails",
        sa.Column("outgoing_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("note_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["note_id"], ["timeline.id"], name=op.f("fk_late_mails_note_id")),
        sa.ForeignKeyConstraint(["outgoing_id"], ["outgoing.id"], name=op.f("fk_late_mails_outgoing_id")),
        sa.PrimaryKeyConstraint("outgoing_id", name=op.f("pk_late_mails")),
    )
    op.create_index(op.f("ix_late_mails_at"), "late_mails", ["at"])
    op.create_index(op.f("ix_late_mails_note_id"), "late_mails", ["note_id"])


def downgrade() -> None:
    """Give it up. The older program knows no withdrawn mail and would take it for damaged: it failed, and the reason stays."""
    op.execute("UPDATE deliveries SET state = 'failed' WHERE state = 'withdrawn'")
    op.drop_table("late_mails")
