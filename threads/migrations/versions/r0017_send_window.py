"""Keep whether a mail's writer chose the end of its send window: a late approval must not put that off."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nobody could choose before."""
    op.add_column(
        "approvals", sa.Column("end_chosen", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """Give it up. The windows themselves stay, and the older program goes by them."""
    op.drop_column("approvals", "end_chosen")
