"""Let each contact say how far details may go to it by mail, and each mail under what its details were written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Contacts of before are as the settings say; mail that was queued before goes as it was written."""
    op.add_column("contacts", sa.Column("tlp", sa.String(length=16)))
    op.add_column("contacts", sa.Column("details_allowed_at", UtcTime()))
    op.add_column("contacts", sa.Column("details_allowed_by", sa.Text()))
    op.add_column("outgoing", sa.Column("disclosure", sa.Text()))
    op.add_column("outgoing", sa.Column("needs_tls", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    """Give them up. What may go under checked TLS only is called failed: the older program would send it in the clear."""
    op.execute(
        "UPDATE deliveries SET state = 'failed' WHERE state IN ('queued', 'leased', 'deferred', 'unapproved', 'withheld')"
        " AND outgoing_id IN (SELECT id FROM outgoing WHERE needs_tls)"
    )
    for name in ("needs_tls", "disclosure"):
        op.drop_column("outgoing", name)
    for name in ("details_allowed_by", "details_allowed_at", "tlp"):
        op.drop_column("contacts", name)
