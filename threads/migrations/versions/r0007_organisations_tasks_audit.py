"""Tell more of organisations, contacts and threads; keep tasks, and a trail of what was done that only grows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COLUMNS = {
    "organisations": (
        ("untrusted_at", UtcTime()),
        ("untrusted_by", sa.Text()),
        ("untrusted_reason", sa.Text()),
        ("hold_at", UtcTime()),
        ("hold_by", sa.Text()),
        ("hold_reason", sa.Text()),
        ("retention_days", sa.Integer()),
        ("erased_at", UtcTime()),
    ),
    "organisation_domains": (("verified_by", sa.Text()), ("verified_at", UtcTime())),
    "contacts": (("left_at", UtcTime()),),
    "threads": (
        ("classification", sa.String(length=40)),
        ("about_id", sa.Integer()),
        ("emptied_at", UtcTime()),
    ),
}

# Only what is erased may change: salt and content together, from something to nothing, and nothing beside them.
_SQLITE = (
    """
    CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END
    """,
    """
    CREATE TRIGGER audit_only_erases BEFORE UPDATE ON audit
    WHEN NEW.salt IS NOT NULL OR NEW.content IS NOT NULL OR NEW.number IS NOT OLD.number OR NEW.at IS NOT OLD.at
      OR NEW.act IS NOT OLD.act OR NEW.organisation_id IS NOT OLD.organisation_id
      OR NEW.previous IS NOT OLD.previous OR NEW.seal IS NOT OLD.seal OR NEW.digest IS NOT OLD.digest
    BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END
    """,
)
_POSTGRESQL = (
    """
    CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the audit trail only grows' USING ERRCODE = 'integrity_constraint_violation'; END $$
    """,
    "CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuses()",
    """
    CREATE TRIGGER audit_keeps_all BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()
    """,
    """
    CREATE TRIGGER audit_only_erases BEFORE UPDATE ON audit FOR EACH ROW
    WHEN (NEW.salt IS NOT NULL OR NEW.content IS NOT NULL OR NEW.number IS DISTINCT FROM OLD.number
      OR NEW.at IS DISTINCT FROM OLD.at OR NEW.act IS DISTINCT FROM OLD.act
      OR NEW.organisation_id IS DISTINCT FROM OLD.organisation_id OR NEW.previous IS DISTINCT FROM OLD.previous
      OR NEW.seal IS DISTINCT FROM OLD.seal OR NEW.digest IS DISTINCT FROM OLD.digest)
    EXECUTE FUNCTION audit_refuses()
    """,
)


def upgrade() -> None:
    """Make columns and tables. Who verified a domain before is not known; all contacts are taken for persons inside."""
    for table, columns in _COLUMNS.items():
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind))
    op.add_column(
        "contacts", sa.Column("form", sa.String(length=16), nullable=False, server_default="person")
    )
    op.add_column("contacts", sa.Column("external", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name=op.f("fk_tasks_thread_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("thread_id", "number", name=op.f("uq_tasks_thread_id_number")),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("act", sa.String(length=48), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=True),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=True),
        sa.Column("content", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
        sa.UniqueConstraint("previous", name=op.f("uq_audit_previous")),
    )
    op.create_index(op.f("ix_audit_organisation_id"), "audit", ["organisation_id"], unique=False)
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)


def downgrade() -> None:
    """Give the tables and the columns up, with what stands in them."""
    op.drop_table("audit")  # its triggers go with it
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_refuses()")
    op.drop_table("tasks")
    op.drop_column("contacts", "external")
    op.drop_column("contacts", "form")
    for table, columns in _COLUMNS.items():
        for name, _kind in columns:
            op.drop_column(table, name)
