"""Let a thread go on in another one: what names it finds the one it was merged into."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no thread was ever merged before."""
    op.add_column("threads", sa.Column("merged_into", sa.Integer()))


def downgrade() -> None:
    """Forget which thread goes on for a merged one: mail for it lands on the merged one again."""
    op.drop_column("threads", "merged_into")
