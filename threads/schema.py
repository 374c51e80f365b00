"""The tables of the record. Other rooms put theirs on the same ``metadata``; one migration chain makes them all.

No secret is stored here: reply keys and DKIM keys are files, and of a token of the HTTP interface there is a digest.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    # Named constraints, so that a later migration can change one on either database.
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime in UTC on both databases; SQLite itself keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        """The same text as SQLAlchemy makes for SQLite, without the detours: several are written with every message."""
        if dialect.name != "sqlite":
            return super().bind_processor(dialect)

        def process(value: datetime | None) -> str | None:
            value = self.process_bind_param(value, dialect)
            return None if value is None else value.isoformat(" ", "microseconds")

        return process

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time: which zone it meant cannot be known."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        del dialect  # both give UTC, PostgreSQL with its zone
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# 26 characters are used; room for a suffix where one transaction has several recipients.
COPY_ID = String(40)

organisations = Table(
    "organisations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),  # lower case
    Column("created_at", UtcTime, nullable=False),
    # An intruder may read and write its mail, as somebody decided; empty: nobody did.
    Column("untrusted_at", UtcTime),
    Column("untrusted_by", Text),
    Column("untrusted_reason", Text),
    # Nothing of it may be erased, as somebody decided; empty: nobody did.
    Column("hold_at", UtcTime),
    Column("hold_by", Text),
    Column("hold_reason", Text),
    Column("retention_days", Integer),  # of resolved threads' content; empty: no end
    Column("erased_at", UtcTime),  # a shell is left, so that no number of its is ever given to somebody else
)

organisation_domains = Table(
    "organisation_domains",
    metadata,
    Column("domain", String(255), primary_key=True),  # lower case, A-labels; belongs to one organisation
    Column("organisation_id", ForeignKey("organisations.id"), nullable=False, index=True),
    Column("verified", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("verified_by", Text),
    Column("verified_at", UtcTime),
)

contacts = Table(
    "contacts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", ForeignKey("organisations.id"), nullable=False),
    Column("address", Text, nullable=False),
    Column("address_key", Text, nullable=False, index=True),  # lower case as a whole
    Column("name", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("language", String(35), nullable=False),  # RFC 5646 4.4.1: 35 characters hold every sensible tag
    Column("phone", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("form", String(16), nullable=False, server_default="person"),
    Column("external", Boolean, nullable=False, server_default=false()),
    Column("left_at", UtcTime),  # speaks for nobody since; what was said stays tied to the row
    Column("tlp", String(16)),  # how far details may go; empty: as the settings say
    Column("details_allowed_at", UtcTime),  # it agreed to get details by mail whatever the way
    Column("details_allowed_by", Text),
    Column("call_order", Integer),  # whom to telephone first: the lowest; empty: after those who have one
    Column("time_zone", String(64)),  # an IANA name; empty: unknown
    # It reads the portal's chat, and so gets no mail of what is said there.
    Column("reads_chat", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("organisation_id", "address_key", "kind"),
)

reference_numbers = Table(
    "reference_numbers",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("last", Integer, nullable=False),
)

threads = Table(
    "threads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("reference", String(24), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("severity", String(16)),
    Column("assigned_to", String(32), nullable=False),
    Column("organisation_id", ForeignKey("organisations.id"), nullable=False, index=True),
    Column("opened_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("merged_into", Integer),  # the id of the thread that goes on for this one
    Column("classification", String(40)),
    Column("about_id", Integer),  # the incident that an inquiry is about
    Column("emptied_at", UtcTime),  # when its content was removed
    Column(
        "asked_by", String(16)
    ),  # an inquiry: the channel that the question came by; empty: before that was recorded
    Index(None, "updated_at", "id"),
    Index(None, "organisation_id", "updated_at", "id"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("thread_id", ForeignKey("threads.id"), nullable=False),
    Column("number", Integer, nullable=False),  # on its thread, from 1
    Column("title", Text, nullable=False),
    Column("source", String(40), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("updated_by", Text, nullable=False),
    UniqueConstraint("thread_id", "number"),
)

# Rows are added and, once, erased (salt and content); triggers of its migration refuse every other change. A later
# migration that has SQLite copy this table has to make the triggers anew.
audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("act", String(48), nullable=False),
    Column("organisation_id", Integer, index=True),  # no foreign key: the trail outlives what it tells of
    Column("previous", String(64), nullable=False, unique=True),  # two rows after one would be a fork
    Column("seal", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("salt", String(64)),
    Column("content", Text),  # JSON
)

raw_messages = Table(
    "raw_messages",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("size", Integer, nullable=False),
    Column("raw", LargeBinary, nullable=False),  # DATA exactly as it was received
)

attachments = Table(
    "attachments",
    metadata,
    Column("raw_sha256", ForeignKey("raw_messages.sha256", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 1, in the order of the message
    Column("part", Integer, nullable=False),  # the MIME part that holds it: the octets are kept nowhere else
    Column("name", Text, nullable=False),  # safe to write under
    Column("declared", String(255), nullable=False),
    Column("type", String(255), nullable=False),  # by content
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False, index=True),  # of the decoded file
    Column("flags", Text, nullable=False),  # words with blanks between
)

messages = Table(
    "messages",
    metadata,
    Column("id", COPY_ID, primary_key=True),
    Column("sha256", ForeignKey("raw_messages.sha256"), nullable=False),
    Column("mail_from", Text, nullable=False),
    Column("rcpt_to", Text, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("client_ip", String(45), nullable=False),
    Column("helo", Text, nullable=False),
    Column("tls", Text),
    Column("trace", Text, nullable=False, server_default=""),  # our Received and Authentication-Results
    Column("message_id", Text),
    Column("subject", Text, nullable=False),
    Column("author", Text),
    Column("kind", String(24), nullable=False),
    Column("verdict", String(24), nullable=False),
    Column("disposition", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("thread_id", ForeignKey("threads.id"), index=True),
    Column("rule", String(24), nullable=False),
    Column("match_reason", Text, nullable=False),
    Column("signals", Text, nullable=False),  # JSON
    Column("standing", String(24), nullable=False),
    Column("standing_reason", Text, nullable=False),
    Column("contact_id", ForeignKey("contacts.id")),
    Column("new_text", Text, nullable=False),  # kept for the timeline, should the copy be released
    Column("quoted_text", Text, nullable=False),
    Column("released_at", UtcTime),
    Column("released_by", Text),
    Column("discarded_at", UtcTime),
    Column("discarded_by", Text),
    UniqueConstraint("sha256", "mail_from", "rcpt_to"),
    Index(None, "disposition", "received_at"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", Integer, primary_key=True),  # one row for each time that the copy was judged
    Column("message_id", ForeignKey("messages.id"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("verdict", String(24), nullable=False),
    Column("report", Text, nullable=False),  # JSON
    Column("body", Text, nullable=False),  # JSON
    Column("evaluator", Text, nullable=False),
    Column("settings_hash", String(64), nullable=False),
    Column("client_ip", String(45), nullable=False),
    Column("helo", Text, nullable=False),
)

expired_messages = Table(
    "expired_messages",
    metadata,
    Column("id", COPY_ID, primary_key=True),
    Column("sha256", String(64), nullable=False, index=True),  # of DATA as received; the bytes are gone
    Column("size", Integer, nullable=False),
    Column("mail_from", Text, nullable=False),
    Column("rcpt_to", Text, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("client_ip", String(45), nullable=False),
    Column("helo", Text, nullable=False),
    Column("tls", Text),
    Column("message_id", Text),
    Column("subject", Text, nullable=False),
    Column("author", Text),
    Column("kind", String(24), nullable=False),
    Column("verdict", String(24), nullable=False),
    Column("disposition", String(16), nullable=False),  # until then
    Column("reason", Text, nullable=False),
    Column("thread_id", ForeignKey("threads.id")),
    Column("standing_reason", Text, nullable=False),
    Column("released_at", UtcTime),
    Column("released_by", Text),
    Column("discarded_at", UtcTime),
    Column("discarded_by", Text),
    Column("expired_at", UtcTime, nullable=False, index=True),
    Column("expired_by", Text, nullable=False),
    Column("report", Text),  # JSON; of the last judgement, as are the following
    Column("evidence", Text),  # JSON
    Column("evaluator", Text),
    Column("settings_hash", String(64)),
)

seen_signatures = Table(
    "seen_signatures",
    metadata,
    Column("signature", String(64), primary_key=True),  # SHA-256 of the value of b=
    Column("rcpt_to", Text, primary_key=True),
    Column("first_seen", UtcTime, nullable=False),
)

archived_keys = Table(
    "archived_keys",
    metadata,
    Column("name", Text, primary_key=True),  # lower case, without its final dot
    Column("record_sha256", String(64), primary_key=True),
    Column("record", Text, nullable=False),  # a public key
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
)

relayed_messages = Table(
    "relayed_messages",
    metadata,
    Column("id", COPY_ID, primary_key=True),
    Column("sha256", String(64), nullable=False, index=True),  # of DATA as received; the bytes are not kept
    Column("size", Integer, nullable=False),
    Column("mail_from", Text, nullable=False),
    Column("recipients", Text, nullable=False),  # JSON
    Column("received_at", UtcTime, nullable=False, index=True),
    Column("client_ip", String(45), nullable=False),
    Column("helo", Text, nullable=False),
    Column("tls", Text),
    Column("message_id", Text),
    Column("author", Text),
    Column("verdict", String(24), nullable=False),
    Column("marked", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("next_hop", Text, nullable=False),
    Column("answer", Text, nullable=False),  # the next hop's own
    Column("report", Text, nullable=False),  # JSON
    Column("evidence", Text),  # JSON; of messages that claim something
    Column("evaluator", Text, nullable=False),
    Column("settings_hash", String(64), nullable=False),
)

message_ids = Table(
    "message_ids",
    metadata,
    Column("message_id", Text, primary_key=True),  # header Message-ID without angle brackets
    Column("thread_id", ForeignKey("threads.id"), primary_key=True),
    Column("direction", String(3), primary_key=True),  # threads.model.Direction
)

timeline = Table(
    "timeline",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("thread_id", ForeignKey("threads.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("actor", Text, nullable=False),
    Column("mark", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("quoted", Text, nullable=False),
    Column("message_id", Text),
    Column("copy_id", ForeignKey("messages.id"), index=True),
    Index(None, "thread_id", "id"),
)

search_documents = Table(
    "search_documents",
    metadata,
    # When it was received, in microseconds since 1970: by this number what was found is in the order of time.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("copy_id", ForeignKey("messages.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("judged", Integer, nullable=False),  # the judgement (evidence) as of which it stands in the index
)

search_progress = Table(
    "search_progress",
    metadata,
    Column("id", Integer, primary_key=True),  # one row
    Column("done_to", BigInteger, nullable=False),  # all judgements up to this one are in the index
    # PostgreSQL only: up to this one, too, once every transaction before ``next_after`` has ended.
    Column("next_to", BigInteger, nullable=False),
    Column("next_after", BigInteger, nullable=False),
)
# The words themselves are in ``search_words``: FTS5 on SQLite, a tsvector on PostgreSQL; made by the migration.

# Tokens of the HTTP interface (``threads.api_token``).
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("public_id", String(16), nullable=False, unique=True),
    Column("digest", String(64), nullable=False),  # SHA-256 of the token
    Column("name", String(60), nullable=False, unique=True),
    Column("scopes", Text, nullable=False),  # words with spaces between them
    Column("restricted", Boolean, nullable=False),  # to the customers in the next table, and be there none
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("revoked_by", Text),
    Column("last_used_at", UtcTime),
)

api_token_organisations = Table(
    "api_token_organisations",
    metadata,
    Column("token_id", ForeignKey("api_tokens.id"), primary_key=True),
    Column("organisation_id", ForeignKey("organisations.id"), primary_key=True),
)

# What requests of programs have made, so that a repetition makes nothing more.
api_requests = Table(
    "api_requests",
    metadata,
    Column("key", String(64), primary_key=True),  # SHA-256 over the token's id and the request's own key
    Column("digest", String(64), nullable=False),  # of what it asked for
    Column("thread_id", ForeignKey("threads.id"), nullable=False, index=True),
    Column("task", Integer),  # the number of the task that it made
    Column("at", UtcTime, nullable=False),
)

# Who signs in to the console (``threads.access``). Nothing here lets anybody in: passwords are hashed (argon2), the second
# factor's secret is sealed by a key that is a file, and of sessions and links there are digests.
accounts = Table(
    "accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(60), nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("address", Text),
    Column("password_hash", Text),
    Column("password_set_at", UtcTime),
    Column("totp_sealed", LargeBinary),
    Column("totp_step", BigInteger),  # the last one that was used: each counts once (RFC 6238 5.2)
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("disabled_at", UtcTime),
    Column("disabled_by", Text),
)

account_grants = Table(
    "account_grants",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("role", String(20), nullable=False),
    Column("organisation_id", ForeignKey("organisations.id"), index=True),  # NULL: for all
    Column("granted_at", UtcTime, nullable=False),
    Column("granted_by", Text, nullable=False),
)

# Who an account is to somebody else who signs people in (OpenID Connect Core 2: only both together name a person).
account_subjects = Table(
    "account_subjects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("issuer", String(512), nullable=False),
    Column("subject", String(255), nullable=False),
    UniqueConstraint("issuer", "subject"),
)

account_sessions = Table(
    "account_sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the cookie
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("began_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False, index=True),
    Column("ended_at", UtcTime),
    Column("ended_by", Text),
    Column("way", String(20), nullable=False),  # how it was begun: password, password-totp, oidc, link
    Column("client_ip", String(45), nullable=False),
    Column("user_agent", Text, nullable=False),
)

# Links that are good once: to set a password at the first start, for a new account, or after it was lost.
account_links = Table(
    "account_links",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("account_id", ForeignKey("accounts.id"), index=True),  # NULL: makes the first account
    Column("made_at", UtcTime, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
)

# Each stands in for the second factor once.
account_recovery_codes = Table(
    "account_recovery_codes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("digest", String(64), nullable=False),
    Column("used_at", UtcTime),
)

# Releases of held mail that a second person is asked about.
held_requests = Table(
    "held_requests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("copy_id", ForeignKey("messages.id"), nullable=False, index=True),
    Column("thread_id", ForeignKey("threads.id"), index=True),  # where it is to be filed
    Column("organisation_id", ForeignKey("organisations.id"), index=True),  # on a new inquiry of theirs
    Column("contact_name", Text),  # its author is to be a contact of that name
    Column("asked_at", UtcTime, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("decided_at", UtcTime),
    Column("decided_by", Text),
    Column("decision", String(20)),  # consented, refused, replaced
)

# What came by a chat: by which number its sender knows it, so that it is put on the timeline once.
chat_messages = Table(
    "chat_messages",
    metadata,
    Column("entry_id", ForeignKey("timeline.id"), primary_key=True),
    Column("source", String(80), nullable=False),  # who numbered it: a token, a Teams channel
    Column("external_id", String(200), nullable=False),
    Column(
        "digest", String(64), nullable=False
    ),  # of what was said: other words under the same number are refused
    UniqueConstraint("source", "external_id"),
)

# Mails of ours that carry what is on the timeline already, so that nobody is shown it twice.
carried_mails = Table(
    "carried_mails",
    metadata,
    Column("message_id", Text, primary_key=True),  # without angle brackets
    Column("entry_id", ForeignKey("timeline.id"), nullable=False, index=True),
)

# Incidents that cannot wait for an answer by mail: somebody is telephoned until one was reached.
break_glass = Table(
    "break_glass",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("thread_id", ForeignKey("threads.id"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ended_at", UtcTime),
    Column("ended_by", Text),
)

calls = Table(
    "calls",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("entry_id", ForeignKey("timeline.id"), nullable=False, unique=True),
    Column("thread_id", ForeignKey("threads.id"), nullable=False, index=True),
    Column("contact_id", ForeignKey("contacts.id"), index=True),
    Column("at", UtcTime, nullable=False),
    Column("outcome", String(24), nullable=False),
    Column("wrong_number", String(16)),  # a digest of the number that was called, where it was a wrong one
    Column("by", Text, nullable=False),
)
