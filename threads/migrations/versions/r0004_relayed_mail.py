"""Remember what was relayed, and let relayed mail wait in the queue of outgoing mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the columns; mail that is queued already is our own."""
    op.create_table(
        "relayed_messages",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("mail_from", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.Column("client_ip", sa.String(length=45), nullable=False),
        sa.Column("helo", sa.Text(), nullable=False),
        sa.Column("tls", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("verdict", sa.String(length=24), nullable=False),
        sa.Column("marked", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("next_hop", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("evaluator", sa.Text(), nullable=False),
        sa.Column("settings_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relayed_messages")),
    )
    op.create_index(op.f("ix_relayed_messages_sha256"), "relayed_messages", ["sha256"], unique=False)
    op.create_index(
        op.f("ix_relayed_messages_received_at"), "relayed_messages", ["received_at"], unique=False
    )
    op.add_column("outgoing", sa.Column("next_hop", sa.Text()))
    op.add_column("outgoing", sa.Column("dsn_to", sa.Text()))


def downgrade() -> None:
    """Forget what was relayed. Relayed mail that waits is given up: the older program would take it for our own."""
    relayed = "(SELECT id FROM outgoing WHERE next_hop IS NOT NULL)"
    for table in ("attempts", "deliveries"):
        op.execute(f"DELETE FROM {table} WHERE outgoing_id IN {relayed}")
    op.execute("DELETE FROM outgoing WHERE next_hop IS NOT NULL")
    op.drop_column("outgoing", "dsn_to")
    op.drop_column("outgoing", "next_hop")
    op.drop_table("relayed_messages")
