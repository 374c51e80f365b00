"""Let each mail of ours be found by the code in it, and let the answers to questions about codes be counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ANSWERS = sa.text("kind = 'code-answer'")


def upgrade() -> None:
    """Add the column; mail that went before has no code."""
    op.add_column("outgoing", sa.Column("code_key", sa.String(length=64)))
    op.create_index(op.f("ix_outgoing_code_key"), "outgoing", ["code_key"], unique=False)
    op.create_index(
        op.f("ix_automatic_orders_code_answers"),
        "automatic_orders",
        ["ordered_at"],
        unique=False,
        sqlite_where=_ANSWERS,
        postgresql_where=_ANSWERS,
    )


def downgrade() -> None:
    """Give them up: codes in mail that went are found no more. Orders of a kind that the older program does not know go."""
    op.execute("DELETE FROM automatic_orders WHERE kind = 'code-answer'")
    op.drop_index(op.f("ix_automatic_orders_code_answers"), "automatic_orders")
    op.drop_index(op.f("ix_outgoing_code_key"), "outgoing")
    op.drop_column("outgoing", "code_key")
