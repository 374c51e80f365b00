"""Bind each mail of ours to what was approved of it, keep standing approvals, and remember requests by their keys."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from typing import Any

import sqlalchemy as sa
from alembic import op

from threads.schema import UtcTime
from threads.store.errors import undecodable

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_FROM = re.compile(rb"^From:((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
_WINDOW = timedelta(days=7)
_OUTGOING = sa.table(
    "outgoing",
    sa.column("id", sa.Integer()),
    sa.column("raw", sa.LargeBinary()),
    sa.column("mail_from", sa.Text()),
    sa.column("rcpt_to", sa.Text()),
    sa.column("actor", sa.Text()),
    sa.column("created_at", UtcTime()),
    sa.column("next_hop", sa.Text()),
)
_DELIVERIES = sa.table("deliveries", sa.column("outgoing_id", sa.Integer()), sa.column("state", sa.String()))


def upgrade() -> None:
    """Make the tables. Mail that was queued before goes out on the word of whoever queued it, as it stands now."""
    approvals = op.create_table(
        "approvals",
        sa.Column("outgoing_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("basis", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("not_before", UtcTime(), nullable=False),
        sa.Column("not_after", UtcTime(), nullable=False),
        sa.Column("composer", sa.Text(), nullable=False),
        sa.Column("approver", sa.Text()),
        sa.Column("decided_at", UtcTime()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text()),
        sa.Column("reviewed_at", UtcTime()),
        sa.Column("review", sa.Text()),
        sa.CheckConstraint(
            "basis <> 'second' OR approver IS NULL OR lower(approver) <> lower(composer)",
            name=op.f("ck_approvals_composer_is_not_approver"),
        ),
        sa.CheckConstraint(
            "state <> 'approved' OR approver IS NOT NULL", name=op.f("ck_approvals_approved_by_somebody")
        ),
        sa.CheckConstraint(
            "reviewer IS NULL OR lower(reviewer) <> lower(composer)",
            name=op.f("ck_approvals_composer_is_not_reviewer"),
        ),
        sa.ForeignKeyConstraint(["outgoing_id"], ["outgoing.id"], name=op.f("fk_approvals_outgoing_id")),
        sa.PrimaryKeyConstraint("outgoing_id", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_state"), "approvals", ["state"], unique=False)
    op.create_table(
        "standing_approvals",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("template_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("route", sa.String(length=64), nullable=False),
        sa.Column("approver", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "template_version", "route", name=op.f("pk_standing_approvals")),
    )
    op.create_table(
        "send_requests",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_send_requests")),
    )
    conn = op.get_bind()
    # One at a time: all bytes of a long queue are more than a small machine holds.
    numbers = (
        sa.select(_OUTGOING.c.id)
        .select_from(_OUTGOING.join(_DELIVERIES, _DELIVERIES.c.outgoing_id == _OUTGOING.c.id))
        .where(_OUTGOING.c.next_hop.is_(None), _DELIVERIES.c.state != "delivered")
    )
    for number in conn.execute(numbers).scalars().all():
        values = _approved(conn, number)
        if values is not None:
            conn.execute(approvals.insert().values(**values))


def _approved(conn: sa.Connection, number: int) -> dict[str, object] | None:
    """The approval of one mail; None for a damaged row, which is set aside when its turn comes and kept from nobody else."""
    try:
        row = conn.execute(sa.select(_OUTGOING).where(_OUTGOING.c.id == number)).one()
        _well_typed(row)
        return {
            "outgoing_id": number,
            "state": "approved",
            "basis": "composer",
            "digest": _digest(row.raw, row.mail_from, row.rcpt_to, row.created_at),
            "not_before": row.created_at,
            "not_after": row.created_at + _WINDOW,
            "composer": row.actor,
            "approver": row.actor,
            "decided_at": row.created_at,
            "reason": "",
        }
    except Exception as error:
        if not undecodable(error):
            raise
        return None


def _well_typed(row: sa.Row[Any]) -> None:
    """Raise TypeError where SQLite gave another type than the column's."""
    if not isinstance(row.raw, bytes) or not all(
        isinstance(one, str) for one in (row.mail_from, row.rcpt_to, row.actor)
    ):
        raise TypeError("a column holds another type")


def _digest(raw: bytes, mail_from: str, rcpt_to: str, at: datetime) -> str:
    """The digest of a manifest as this revision writes it; the program's own may change later."""
    named = _FROM.search(raw.partition(b"\r\n\r\n")[0])
    identity = "" if named is None else parseaddr(named[1].decode("ascii", "replace").replace("\r\n", ""))[1]
    times = [one.astimezone(UTC).isoformat(timespec="microseconds") for one in (at, at + _WINDOW)]
    whole = hashlib.sha256()
    for part in (mail_from, rcpt_to, hashlib.sha256(raw).hexdigest(), identity, *times):
        octets = part.encode("utf-8", "surrogateescape")
        whole.update(len(octets).to_bytes(8, "big") + octets)
    return whole.hexdigest()


def downgrade() -> None:
    """Give them up. What waits for approval is called failed: the older program would send it."""
    op.execute("UPDATE deliveries SET state = 'failed' WHERE state = 'unapproved'")
    for name in ("send_requests", "standing_approvals", "approvals"):
        op.drop_table(name)
