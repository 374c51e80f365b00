"""Make an index to search in; the server fills it afterwards, also with what was stored before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables. ``search_words`` is each database's own and not among the declared tables."""
    op.create_table(
        "search_documents",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("copy_id", sa.String(length=40), nullable=False),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["copy_id"], ["messages.id"], name=op.f("fk_search_documents_copy_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_search_documents")),
        sa.UniqueConstraint("copy_id", name=op.f("uq_search_documents_copy_id")),
    )
    op.create_table(
        "search_progress",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("done_to", sa.BigInteger(), nullable=False),
        sa.Column("next_to", sa.BigInteger(), nullable=False),
        sa.Column("next_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_progress")),
    )
    op.execute("INSERT INTO search_progress (id, done_to, next_to, next_after) VALUES (1, 0, 0, 0)")
    if op.get_bind().dialect.name == "postgresql":
        _on_postgresql()
    else:
        _on_sqlite()


def _on_postgresql() -> None:
    op.create_table(
        "search_words",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("words", TSVECTOR(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["search_documents.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_search_words_words", "search_words", ["words"], postgresql_using="gin")


def _on_sqlite() -> None:
    # The words come as they are compared (threads.search_words), with blanks between: ``ascii`` takes every other
    # character as a letter. The two shortest beginnings have indexes of their own.
    op.execute(
        "CREATE VIRTUAL TABLE search_words"
        " USING fts5(subject, people, files, words, facts, tokenize = 'ascii', prefix = '2 3')"
    )
    # What is removed leaves the index in the same transaction, whoever removes it.
    op.execute(
        "CREATE TRIGGER search_documents_gone AFTER DELETE ON search_documents"
        " BEGIN DELETE FROM search_words WHERE rowid = old.number; END"
    )
    # SQLite gives the number of a last row that was removed to the next one: it must not be taken for one that is done.
    op.execute(
        "CREATE TRIGGER evidence_gone AFTER DELETE ON evidence BEGIN UPDATE search_progress"
        " SET done_to = min(done_to, (SELECT coalesce(max(id), 0) FROM evidence)); END"
    )


def downgrade() -> None:
    """Give the index up; nothing is in it that is not in the messages."""
    if op.get_bind().dialect.name != "postgresql":
        op.execute("DROP TRIGGER evidence_gone")
        op.execute("DROP TRIGGER search_documents_gone")
    op.drop_table("search_words")
    op.drop_table("search_progress")
    op.drop_table("search_documents")
