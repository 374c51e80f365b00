"""Remember which signatures came in and which keys were seen, and find sent mail by its body."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; mail that was sent before is found by its octets and its Message-ID only."""
    op.create_table(
        "seen_signatures",
        sa.Column("signature", sa.String(length=64), nullable=False),
        sa.Column("rcpt_to", sa.Text(), nullable=False),
        sa.Column("first_seen", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("signature", "rcpt_to", name=op.f("pk_seen_signatures")),
    )
    op.create_table(
        "archived_keys",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("record_sha256", sa.String(length=64), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("first_seen", UtcTime(), nullable=False),
        sa.Column("last_seen", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", "record_sha256", name=op.f("pk_archived_keys")),
    )
    op.add_column("outgoing", sa.Column("body_sha256", sa.String(length=64)))
    op.create_index(op.f("ix_outgoing_body_sha256"), "outgoing", ["body_sha256"])


def downgrade() -> None:
    """Forget signatures and keys that were seen, and the digests of sent bodies."""
    op.drop_index(op.f("ix_outgoing_body_sha256"), table_name="outgoing")
    op.drop_column("outgoing", "body_sha256")
    op.drop_table("archived_keys")
    op.drop_table("seen_signatures")
