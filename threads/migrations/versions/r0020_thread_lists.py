"""Index threads by their latest news: lists of them go down it, however many there are."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indexes."""
    op.create_index(op.f("ix_threads_updated_at_id"), "threads", ["updated_at", "id"])
    op.create_index(
        op.f("ix_threads_organisation_id_updated_at_id"), "threads", ["organisation_id", "updated_at", "id"]
    )


def downgrade() -> None:
    """Give them up."""
    op.drop_index(op.f("ix_threads_organisation_id_updated_at_id"), "threads")
    op.drop_index(op.f("ix_threads_updated_at_id"), "threads")
