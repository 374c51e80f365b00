"""Keep chats, calls, and the programs and channels that hear of each timeline entry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "subscriber_progress",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("floor", sa.Integer(), nullable=False),
        sa.Column("next_floor", sa.Integer(), nullable=False),
        sa.Column("next_floor_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriber_progress")),
    )
    op.create_table(
        "subscribers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("address_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("old_secret_until", UtcTime(), nullable=True),
        sa.Column("all_customers", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("tlp", sa.String(length=16), nullable=True),
        sa.Column("details_allowed_at", UtcTime(), nullable=True),
        sa.Column("details_allowed_by", sa.Text(), nullable=True),
        sa.Column("external", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("after_entry", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("paused_at", UtcTime(), nullable=True),
        sa.Column("paused_by", sa.Text(), nullable=True),
        sa.Column("paused_why", sa.Text(), nullable=True),
        sa.Column("removed_at", UtcTime(), nullable=True),
        sa.Column("removed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscribers")),
        sa.UniqueConstraint("name", name=op.f("uq_subscribers_name")),
    )
    op.create_table(
        "subscriber_organisations",
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_subscriber_organisations_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_subscriber_organisations_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "organisation_id", name=op.f("pk_subscriber_organisations")),
    )
    op.create_index(
        op.f("ix_subscriber_organisations_organisation_id"),
        "subscriber_organisations",
        ["organisation_id"],
        unique=False,
    )
    op.create_table(
        "break_glass",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name=op.f("fk_break_glass_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_break_glass")),
    )
    op.create_index(op.f("ix_break_glass_thread_id"), "break_glass", ["thread_id"], unique=False)
    op.create_table(
        "teams_posts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.String(length=200), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_teams_posts_subscriber_id")
        ),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name=op.f("fk_teams_posts_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams_posts")),
        sa.UniqueConstraint("subscriber_id", "post_id", name=op.f("uq_teams_posts_subscriber_id_post_id")),
        sa.UniqueConstraint(
            "subscriber_id", "thread_id", name=op.f("uq_teams_posts_subscriber_id_thread_id")
        ),
    )
    op.create_index(op.f("ix_teams_posts_thread_id"), "teams_posts", ["thread_id"], unique=False)
    op.create_table(
        "calls",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=True),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("outcome", sa.String(length=24), nullable=False),
        sa.Column("wrong_number", sa.String(length=16), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_calls_contact_id")),
        sa.ForeignKeyConstraint(["entry_id"], ["timeline.id"], name=op.f("fk_calls_entry_id")),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name=op.f("fk_calls_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_calls_entry_id")),
    )
    op.create_index(op.f("ix_calls_contact_id"), "calls", ["contact_id"], unique=False)
    op.create_index(op.f("ix_calls_thread_id"), "calls", ["thread_id"], unique=False)
    op.create_table(
        "carried_mails",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["timeline.id"], name=op.f("fk_carried_mails_entry_id")),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_carried_mails")),
    )
    op.create_index(op.f("ix_carried_mails_entry_id"), "carried_mails", ["entry_id"], unique=False)
    op.create_table(
        "chat_messages",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["timeline.id"], name=op.f("fk_chat_messages_entry_id")),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_chat_messages")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_chat_messages_source_external_id")),
    )
    op.create_table(
        "subscriber_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcTime(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.Column("made_at", UtcTime(), nullable=False),
        sa.Column("done_at", UtcTime(), nullable=True),
        sa.Column("last_answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["timeline.id"], name=op.f("fk_subscriber_events_entry_id")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_subscriber_events_subscriber_id")
        ),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name=op.f("fk_subscriber_events_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriber_events")),
        sa.UniqueConstraint("event_id", name=op.f("uq_subscriber_events_event_id")),
        sa.UniqueConstraint(
            "subscriber_id", "entry_id", name=op.f("uq_subscriber_events_subscriber_id_entry_id")
        ),
    )
    op.create_index(op.f("ix_subscriber_events_entry_id"), "subscriber_events", ["entry_id"], unique=False)
    op.create_index(
        op.f("ix_subscriber_events_subscriber_id_thread_id_entry_id"),
        "subscriber_events",
        ["subscriber_id", "thread_id", "entry_id"],
        unique=False,
    )
    op.create_index(op.f("ix_subscriber_events_thread_id"), "subscriber_events", ["thread_id"], unique=False)
    op.create_index(
        "ix_subscriber_events_untold",
        "subscriber_events",
        ["subscriber_id", "thread_id", "entry_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'leased')"),
        postgresql_where=sa.text("state IN ('waiting', 'leased')"),
    )
    op.add_column("contacts", sa.Column("call_order", sa.Integer(), nullable=True))
    op.add_column("contacts", sa.Column("time_zone", sa.String(length=64), nullable=True))
    op.add_column(
        "contacts", sa.Column("reads_chat", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("threads", sa.Column("asked_by", sa.String(length=16), nullable=True))


def downgrade() -> None:
    """Give them up; what waits for a subscriber is not told."""
    op.drop_column("threads", "asked_by")
    op.drop_column("contacts", "reads_chat")
    op.drop_column("contacts", "time_zone")
    op.drop_column("contacts", "call_order")
    op.drop_index(
        "ix_subscriber_events_untold",
        table_name="subscriber_events",
        sqlite_where=sa.text("state IN ('waiting', 'leased')"),
        postgresql_where=sa.text("state IN ('waiting', 'leased')"),
    )
    op.drop_index(op.f("ix_subscriber_events_thread_id"), table_name="subscriber_events")
    op.drop_index(
        op.f("ix_subscriber_events_subscriber_id_thread_id_entry_id"), table_name="subscriber_events"
    )
    op.drop_index(op.f("ix_subscriber_events_entry_id"), table_name="subscriber_events")
    op.drop_table("subscriber_events")
    op.drop_table("chat_messages")
    op.drop_index(op.f("ix_carried_mails_entry_id"), table_name="carried_mails")
    op.drop_table("carried_mails")
    op.drop_index(op.f("ix_calls_thread_id"), table_name="calls")
    op.drop_index(op.f("ix_calls_contact_id"), table_name="calls")
    op.drop_table("calls")
    op.drop_index(op.f("ix_teams_posts_thread_id"), table_name="teams_posts")
    op.drop_table("teams_posts")
    op.drop_index(op.f("ix_break_glass_thread_id"), table_name="break_glass")
    op.drop_table("break_glass")
    op.drop_index(op.f("ix_subscriber_organisations_organisation_id"), table_name="subscriber_organisations")
    op.drop_table("subscriber_organisations")
    op.drop_table("subscribers")
    op.drop_table("subscriber_progress")
