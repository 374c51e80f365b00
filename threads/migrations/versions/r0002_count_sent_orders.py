"""Let the indexes that the daily caps count by hold only the orders that count, however many were capped."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLE = "automatic_orders"
_INDEXES = {
    "ix_automatic_orders_address_key_ordered_at": ["address_key", "ordered_at"],
    "ix_automatic_orders_domain_key_ordered_at": ["domain_key", "ordered_at"],
}


def upgrade() -> None:
    """Make the two indexes anew, without capped orders."""
    counted = sa.text("state != 'capped'")
    for name, columns in _INDEXES.items():
        op.drop_index(op.f(name), table_name=_TABLE)
        op.create_index(op.f(name), _TABLE, columns, sqlite_where=counted, postgresql_where=counted)


def downgrade() -> None:
    """Let the indexes hold all orders again."""
    for name, columns in _INDEXES.items():
        op.drop_index(op.f(name), table_name=_TABLE)
        op.create_index(op.f(name), _TABLE, columns)
