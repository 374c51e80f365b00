"""Keep what each try to deliver said and under which TLS, what may have arrived twice, and who gets nothing any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_LEASED = sa.text("state = 'leased'")
_WAITING = sa.text("state IN ('queued', 'deferred')")


def upgrade() -> None:
    """Add the columns, the list, and the indexes that the lease walks."""
    op.add_column(
        "deliveries", sa.Column("maybe_twice", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index(
        op.f("ix_deliveries_waiting"),
        "deliveries",
        ["next_attempt_at", "outgoing_id"],
        unique=False,
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index(
        op.f("ix_deliveries_leased"),
        "deliveries",
        ["lease_until"],
        unique=False,
        sqlite_where=_LEASED,
        postgresql_where=_LEASED,
    )
    op.add_column("attempts", sa.Column("tls_level", sa.String(length=12)))
    for name in ("tls_version", "tls_cipher", "transcript"):
        op.add_column("attempts", sa.Column(name, sa.Text()))
    op.create_table(
        "suppressed",
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("address_key", name=op.f("pk_suppressed")),
    )


def downgrade() -> None:
    """Give them up. What was not delivered is called failed, which is the older program's only word for it."""
    op.execute("UPDATE deliveries SET state = 'failed' WHERE state IN ('expired', 'bounced', 'suppressed')")
    op.drop_table("suppressed")
    for name in ("transcript", "tls_cipher", "tls_version", "tls_level"):
        op.drop_column("attempts", name)
    op.drop_index(op.f("ix_deliveries_leased"), "deliveries")
    op.drop_index(op.f("ix_deliveries_waiting"), "deliveries")
    op.drop_column("deliveries", "maybe_twice")
