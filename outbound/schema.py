"""The tables of outgoing mail, on the record's own metadata, so that one migration chain makes them all."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from threads.schema import UtcTime, metadata

outgoing = Table(
    "outgoing",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("idempotency_key", Text, nullable=False, unique=True),
    Column("raw", LargeBinary, nullable=False),  # signed, exactly as each attempt sends it
    Column("sha256", String(64), nullable=False, index=True),
    Column("body_sha256", String(64), index=True),  # of the body under "relaxed"; none before schema 0003
    Column("message_id", Text, nullable=False, unique=True),  # without angle brackets
    Column("kind", String(32), nullable=False),
    Column("template_version", Integer, nullable=False),
    Column("language", String(35), nullable=False),
    Column("selector", String(255), nullable=False),
    Column("thread_id", ForeignKey("threads.id"), index=True),
    Column("contact_id", ForeignKey("contacts.id")),
    Column("mail_from", Text, nullable=False),  # "" is the empty reverse path
    Column("rcpt_to", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("said", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("next_hop", Text),  # of relayed mail; empty: our own
    Column("dsn_to", Text),  # who hears of a failure of relayed mail; empty: nobody may
    Column("code_key", String(64), index=True),  # the keyed hash of the code in it; empty: it bears none
    Column("disclosure", Text),  # why it holds the details or leaves them out; empty before schema 0015
    # It holds details for whose sake it is handed over under TLS with a certificate for the server's name, or not at all.
    Column("needs_tls", Boolean, nullable=False, server_default=false()),
)

# Mail that waits for its time. Spelt out in the lease's query, too: a bound value would not match the index.
WAITING = text("state IN ('queued', 'deferred')")
ON_LEASE = text("state = 'leased'")

deliveries = Table(
    "deliveries",
    metadata,
    Column("outgoing_id", ForeignKey("outgoing.id"), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("checked_at", UtcTime),  # when our own verifier called these bytes genuine; empty: not yet
    Column("attempts", Integer, nullable=False),  # tries begun; one that never came back counts too
    Column("next_attempt_at", UtcTime),
    Column("lease_owner", Text),
    Column("lease_until", UtcTime),
    Column("last_reply", Text, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    # A try ended without our knowing how, so that the next one may have been a second copy.
    Column("maybe_twice", Boolean, nullable=False, server_default=false()),
    Index(None, "state", "next_attempt_at"),
    # The lease walks these and stops: neither mail that is done with nor mail that waits further back costs it anything.
    Index(
        "ix_deliveries_waiting",
        "next_attempt_at",
        "outgoing_id",
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    ),
    Index("ix_deliveries_leased", "lease_until", sqlite_where=ON_LEASE, postgresql_where=ON_LEASE),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("outgoing_id", ForeignKey("outgoing.id"), nullable=False, index=True),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("host", Text, nullable=False),
    Column("tls", Boolean, nullable=False),
    Column("code", Integer, nullable=False),  # 0: there was no answer
    Column("reply", Text, nullable=False),
    Column("failure", String(24)),  # empty: delivered
    Column("tls_level", String(12)),  # none, encrypted, verified; empty before schema 0011
    Column("tls_version", Text),
    Column("tls_cipher", Text),
    Column("transcript", Text),  # without the message and without secrets
)

# Addresses that get no mail of ours.
suppressed = Table(
    "suppressed",
    metadata,
    Column("address_key", Text, primary_key=True),  # lower case
    Column("address", Text, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
)

# Orders that count for the daily caps. Spelt out in a query, too: a bound value would not match the indexes.
NOT_CAPPED = text("state != 'capped'")

# Questions about codes, and the answers: spelt out in a query, too.
CODE_ANSWERS = text("kind = 'code-answer'")

automatic_orders = Table(
    "automatic_orders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("idempotency_key", Text, nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("thread_id", ForeignKey("threads.id")),
    Column("contact_id", ForeignKey("contacts.id")),
    Column("address", Text, nullable=False),
    Column("address_key", Text, nullable=False),  # lower case; the daily caps count by these two
    Column("domain_key", Text, nullable=False),
    Column("params", Text, nullable=False),  # JSON of scalars
    Column("in_reply_to", Text),
    Column("ordered_at", UtcTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", UtcTime),
    Column("outgoing_id", ForeignKey("outgoing.id")),
    Index(None, "address_key", "ordered_at", sqlite_where=NOT_CAPPED, postgresql_where=NOT_CAPPED),
    Index(None, "domain_key", "ordered_at", sqlite_where=NOT_CAPPED, postgresql_where=NOT_CAPPED),
    Index(
        "ix_automatic_orders_code_answers",
        "ordered_at",
        sqlite_where=CODE_ANSWERS,
        postgresql_where=CODE_ANSWERS,
    ),
    Index(None, "state", "id"),
)

# What machines told of mail that was sent: bounces, delays, absences, receipts, complaints.
mail_events = Table(
    "mail_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(24), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("copy_id", ForeignKey("messages.id"), nullable=False),  # the machine's mail
    Column("thread_id", ForeignKey("threads.id"), nullable=False, index=True),
    Column("contact_id", ForeignKey("contacts.id")),
    Column("outgoing_id", ForeignKey("outgoing.id"), index=True),  # empty: several mails of ours may be meant
    Column("recipient", Text),
    Column("status", String(16)),  # RFC 3463
    Column("action", String(32)),
    Column("diagnostic", Text),
    UniqueConstraint("copy_id", "thread_id"),
    Index(None, "kind", "at"),
)

# What experts were told of. Alerts are worked out from the record itself; these say how far.
alert_progress = Table(
    "alert_progress",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row
    Column("seen_to", UtcTime, nullable=False),  # everything that is older was told
)

alert_told = Table(
    "alert_told",
    metadata,
    Column("event", String(64), primary_key=True),
    Column("at", UtcTime, nullable=False, index=True),  # of the event; those before ``seen_to`` are forgotten
)

alert_turns = Table(
    "alert_turns",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("last_at", UtcTime, nullable=False),  # when mail to it was ordered last
)

# What each mail of ours is sent under: the digest of its manifest (outbound.approval), and who stands for it.
approvals = Table(
    "approvals",
    metadata,
    Column("outgoing_id", ForeignKey("outgoing.id"), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("basis", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("not_before", UtcTime, nullable=False),
    Column("not_after", UtcTime, nullable=False),
    Column("end_chosen", Boolean, nullable=False, server_default=false()),  # its writer named ``not_after``
    Column("composer", Text, nullable=False),
    Column("approver", Text),
    Column("decided_at", UtcTime),
    Column("reason", Text, nullable=False),  # for breaking the glass, or of a refusal
    Column("reviewer", Text),
    Column("reviewed_at", UtcTime),
    Column("review", Text),
    CheckConstraint(
        "basis <> 'second' OR approver IS NULL OR lower(approver) <> lower(composer)",
        name="composer_is_not_approver",
    ),
    CheckConstraint("state <> 'approved' OR approver IS NOT NULL", name="approved_by_somebody"),
    CheckConstraint(
        "reviewer IS NULL OR lower(reviewer) <> lower(composer)", name="composer_is_not_reviewer"
    ),
    Index(None, "state"),
)

# Automatic mail that was approved once: its kind, the version of its words, and the way by which it leaves.
standing_approvals = Table(
    "standing_approvals",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("template_version", Integer, primary_key=True, autoincrement=False),
    Column("route", String(64), primary_key=True),
    Column("approver", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

# Requests to send, by the key that the asker gave: the same one never sends twice, and none is taken for another.
send_requests = Table(
    "send_requests",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
)

# Threads that send nothing by themselves: imported, or opened with a time in the past.
quiet_threads = Table(
    "quiet_threads",
    metadata,
    Column("thread_id", ForeignKey("threads.id"), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
)

# Mail that was late, of which the experts were told: never a second time.
late_mails = Table(
    "late_mails",
    metadata,
    Column("outgoing_id", ForeignKey("outgoing.id"), primary_key=True),
    Column("at", UtcTime, nullable=False, index=True),
    Column("note_id", ForeignKey("timeline.id"), nullable=False, index=True),  # the experts' note
)

# Programs and channels that hear of each timeline entry: webhooks, and channels in Teams. Addresses and secrets are sealed by a
# key that is a file.
subscribers = Table(
    "subscribers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(60), nullable=False, unique=True),
    Column("host", Text, nullable=False),  # of the address, for people
    Column("address_sealed", LargeBinary, nullable=False),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("old_secret_sealed", LargeBinary),
    Column("old_secret_until", UtcTime),
    Column("all_customers", Boolean, nullable=False, server_default=false()),
    Column("tlp", String(16)),  # how far details may go there; empty: as the settings say
    Column("details_allowed_at", UtcTime),
    Column("details_allowed_by", Text),
    Column("external", Boolean, nullable=False, server_default=false()),  # people from outside the customer read it
    Column("after_entry", Integer, nullable=False),  # what is on a timeline up to this one is not told
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("paused_at", UtcTime),
    Column("paused_by", Text),
    Column("paused_why", Text),
    Column("removed_at", UtcTime),
    Column("removed_by", Text),
)

subscriber_organisations = Table(
    "subscriber_organisations",
    metadata,
    Column("subscriber_id", ForeignKey("subscribers.id"), primary_key=True),
    Column("organisation_id", ForeignKey("organisations.id"), primary_key=True, index=True),
)

UNTOLD = text("state IN ('waiting', 'leased')")

# One row for each entry that one of them hears of. Those of one thread go one after the other.
subscriber_events = Table(
    "subscriber_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subscriber_id", ForeignKey("subscribers.id"), nullable=False),
    Column("thread_id", ForeignKey("threads.id"), nullable=False, index=True),
    Column("entry_id", ForeignKey("timeline.id"), nullable=False, index=True),
    Column("event_id", String(40), nullable=False, unique=True),  # the same at each try
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", UtcTime, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", UtcTime),
    Column("made_at", UtcTime, nullable=False),
    Column("done_at", UtcTime),
    Column("last_answer", Text, nullable=False),
    UniqueConstraint("subscriber_id", "entry_id"),
    Index(
        "ix_subscriber_events_untold",
        "subscriber_id",
        "thread_id",
        "entry_id",
        sqlite_where=UNTOLD,
        postgresql_where=UNTOLD,
    ),
    Index(None, "subscriber_id", "thread_id", "entry_id"),
)

# How far timelines were looked through for what subscribers hear of.
subscriber_progress = Table(
    "subscriber_progress",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row
    Column("floor", Integer, nullable=False),  # whatever is on a timeline up to this entry was looked at
    Column("next_floor", Integer, nullable=False),  # becomes the floor when nothing before it can still be committed
    Column("next_floor_at", UtcTime, nullable=False),
)

# Which post in a Teams channel is which incident's.
teams_posts = Table(
    "teams_posts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subscriber_id", ForeignKey("subscribers.id"), nullable=False),
    Column("thread_id", ForeignKey("threads.id"), nullable=False, index=True),
    Column("post_id", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    UniqueConstraint("subscriber_id", "thread_id"),
    UniqueConstraint("subscriber_id", "post_id"),
)
