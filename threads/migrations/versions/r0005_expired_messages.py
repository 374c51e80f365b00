"""Keep the trace of mail whose content was removed because its time was over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "expired_messages",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("mail_from", sa.Text(), nullable=False),
        sa.Column("rcpt_to", sa.Text(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.Column("client_ip", sa.String(length=45), nullable=False),
        sa.Column("helo", sa.Text(), nullable=False),
        sa.Column("tls", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("verdict", sa.String(length=24), nullable=False),
        sa.Column("disposition", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=True),
        sa.Column("standing_reason", sa.Text(), nullable=False),
        sa.Column("released_at", UtcTime(), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.Column("discarded_at", UtcTime(), nullable=True),
        sa.Column("discarded_by", sa.Text(), nullable=True),
        sa.Column("expired_at", UtcTime(), nullable=False),
        sa.Column("expired_by", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("evaluator", sa.Text(), nullable=True),
        sa.Column("settings_hash", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name=op.f("fk_expired_messages_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_expired_messages")),
    )
    op.create_index(op.f("ix_expired_messages_sha256"), "expired_messages", ["sha256"], unique=False)
    op.create_index(op.f("ix_expired_messages_expired_at"), "expired_messages", ["expired_at"], unique=False)


def downgrade() -> None:
    """Forget the traces."""
    op.drop_table("expired_messages")
