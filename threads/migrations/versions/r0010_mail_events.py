"""Keep what machines tell of mail that was sent: bounces, delays, absences, receipts, complaints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. What came before stays where it was filed or held."""
    op.create_table(
        "mail_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("copy_id", sa.String(length=40), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=True),
        sa.Column("outgoing_id", sa.Integer(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=True),
        sa.Column("action", sa.String(length=32), nullable=True),
        sa.Column("diagnostic", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["copy_id"], ["messages.id"], name=op.f("fk_mail_events_copy_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name=op.f("fk_mail_events_thread_id")),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_mail_events_contact_id")),
        sa.ForeignKeyConstraint(["outgoing_id"], ["outgoing.id"], name=op.f("fk_mail_events_outgoing_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_events")),
        sa.UniqueConstraint("copy_id", "thread_id", name=op.f("uq_mail_events_copy_id_thread_id")),
    )
    op.create_index(op.f("ix_mail_events_thread_id"), "mail_events", ["thread_id"], unique=False)
    op.create_index(op.f("ix_mail_events_outgoing_id"), "mail_events", ["outgoing_id"], unique=False)
    op.create_index(op.f("ix_mail_events_kind_at"), "mail_events", ["kind", "at"], unique=False)


def downgrade() -> None:
    """Give the table up; the machines' mails stay as they were stored."""
    op.drop_table("mail_events")
