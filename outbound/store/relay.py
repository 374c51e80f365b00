"""Relayed mail in the queue: somebody else's, for one recipient, sent as it stands to its next hop.

It takes the same leases, tries and waits as our own mail. It is not judged by our verifier before it is sent (it was
at receipt), is on no thread, and the send ledger does not know it. When it fails for good, the sender is told
by a notification that is ordered in the transaction that records the failure, under the caps of all automatic mail.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from outbound import header
from outbound.model import Attempt, AutomaticCaps, MailKind, Queued, RelayedMail
from outbound.orders import delivery_status
from outbound.schema import outgoing
from outbound.store.orders import order_automatic
from outbound.store.rows import put_in_queue, queued_before
from threads.store.values import MAX_LINE, MAX_PATH, storable
from verifier.message import read_message

ACTOR = "relay"


def queue_relayed(conn: Connection, mail: RelayedMail, now: datetime) -> Queued:
    """Queue a copy for its next hop, once for each key; it is due at once."""
    key = storable(f"relayed:{mail.key}", MAX_LINE)
    before = queued_before(conn, key)
    if before is not None:
        return before
    values = {
        "idempotency_key": key,
        "raw": mail.raw,
        "sha256": hashlib.sha256(mail.raw).hexdigest(),
        "body_sha256": None,
        "message_id": key,  # its own may come twice: each recipient's copy has it
        "kind": MailKind.RELAYED.value,
        "template_version": 0,
        "language": "",
        "selector": "",
        "thread_id": None,
        "contact_id": None,
        "mail_from": storable(mail.mail_from, MAX_PATH),
        "rcpt_to": storable(mail.rcpt_to, MAX_PATH),
        "subject": "",
        "said": "",
        "actor": ACTOR,
        "created_at": now,
        "next_hop": mail.next_hop,
        "dsn_to": None if mail.dsn_to is None else storable(mail.dsn_to, MAX_PATH),
    }
    made = put_in_queue(conn, values, now, checked_at=now)
    return Queued(made, duplicate=False)


def forget_bytes(conn: Connection, mail: Row[Any]) -> None:
    """Keep no copy of relayed mail that its next hop has taken."""
    if mail.next_hop is not None:
        conn.execute(update(outgoing).where(outgoing.c.id == mail.id).values(raw=b""))


def tell_sender(conn: Connection, mail: Row[Any], attempt: Attempt, caps: AutomaticCaps) -> None:
    """Order the notification that relayed mail has failed, where its return path may have one (RFC 3464)."""
    if mail.dsn_to is None or mail.next_hop is None:
        return
    raw = conn.execute(select(outgoing.c.raw).where(outgoing.c.id == mail.id)).scalar_one()
    order_automatic(
        conn,
        delivery_status(
            address=mail.dsn_to,
            recipient=mail.rcpt_to,
            attempt=attempt,
            arrived=mail.created_at,
            idempotency_key=f"delivery-status:{mail.id}",
            in_reply_to=_message_id(bytes(raw)),
        ),
        caps,
    )


def _message_id(raw: bytes) -> str | None:
    """The only Message-ID, without its brackets, if it is a plain one."""
    fields = read_message(raw).named(b"message-id")
    if len(fields) != 1:
        return None
    text = fields[0].value.decode("ascii", "replace").strip().removeprefix("<").removesuffix(">")
    return text if header.plain_message_id(text) else None
