"""What a try has come to: its record, the mail's next state, and who has to hear of it."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, update

from outbound.hard_bounce import no_mailbox
from outbound.model import Attempt, AutomaticCaps, DeliveryState
from outbound.renamed_id import renamed_id
from outbound.retry import Decision
from outbound.schema import attempts, deliveries
from outbound.store.orders import CAPS
from outbound.store.relay import forget_bytes, tell_sender
from outbound.store.rows import note, outgoing_row
from outbound.store.suppression import AUTOMATION, suppress
from threads.model import Direction
from threads.store.prepared import Prepared
from threads.store.statements import insert_row
from threads.store.thread import know_message_id
from threads.store.values import MAX_LINE, storable


def record_attempt(
    conn: Connection,
    outgoing_id: int,
    owner: str,
    attempt: Attempt,
    decision: Decision,
    *,
    caps: AutomaticCaps = CAPS,
) -> bool:
    """Record a try and what follows from it; returns whether this owner's lease still held.

    ``caps`` hold for the notification that a sender of relayed mail may get.

    When it did not, another worker has the mail: the try is recorded, and only a delivery changes the state,
    for it is a fact whoever made it.
    """
    mail = outgoing_row(conn, outgoing_id)
    insert_row(
        conn,
        attempts,
        {
            "outgoing_id": outgoing_id,
            "started_at": attempt.started,
            "finished_at": attempt.finished,
            "host": storable(attempt.host, MAX_LINE),
            "tls": attempt.tls,
            "code": attempt.reply.code,
            "reply": storable(attempt.reply.text, MAX_LINE),
            "failure": None if attempt.failure is None else attempt.failure.value,
            "tls_level": attempt.protection.level.value,
            "tls_version": storable(attempt.protection.version, MAX_LINE),
            "tls_cipher": storable(attempt.protection.cipher, MAX_LINE),
            "transcript": storable(attempt.transcript),
        },
    )
    values: dict[str, Any] = {
        "state": decision.state.value,
        "next_attempt_at": decision.next_attempt_at,
        "lease_owner": None,
        "lease_until": None,
        "last_reply": storable(decision.reason, MAX_LINE),
        "updated_at": attempt.finished,
    }
    if attempt.in_doubt:
        values["maybe_twice"] = True
    delivered = decision.state is DeliveryState.DELIVERED
    whose = {"mail": outgoing_id} if delivered else {"mail": outgoing_id, "owner": owner}
    changed = _changing(tuple(values), leased=not delivered).first(conn, {**values, **whose})
    if changed is None:
        return False
    if delivered:
        _delivered(conn, mail, attempt, twice=changed.maybe_twice)
    elif decision.state.final:
        _given_up(conn, mail, attempt, decision, maybe=changed.maybe_twice, caps=caps)
    return True


@cache
def _changing(columns: tuple[str, ...], *, leased: bool) -> Prepared:
    """Change a delivery that is not delivered yet; ``leased``: only while the owner has it."""
    where = [
        deliveries.c.outgoing_id == bindparam("mail"),
        deliveries.c.state != DeliveryState.DELIVERED.value,
    ]
    if leased:
        where += [
            deliveries.c.state == DeliveryState.LEASED.value,
            deliveries.c.lease_owner == bindparam("owner"),
        ]
    return Prepared(update(deliveries).where(*where).returning(deliveries.c.maybe_twice), columns)


def _delivered(conn: Connection, mail: Row[Any], attempt: Attempt, *, twice: bool) -> None:
    forget_bytes(conn, mail)
    if twice:
        text = "an earlier try ended without an answer, and the same mail was sent again"
        note(conn, mail, attempt.finished, f"Possibly delivered twice to {mail.rcpt_to}: {text}.")
    renamed = renamed_id(attempt.host, attempt.reply.text)
    if renamed is not None and mail.thread_id is not None:
        know_message_id(conn, renamed, mail.thread_id, Direction.HOP)


def _given_up(
    conn: Connection,
    mail: Row[Any],
    attempt: Attempt,
    decision: Decision,
    *,
    maybe: bool,
    caps: AutomaticCaps,
) -> None:
    doubt = " An earlier try may have arrived all the same." if maybe else ""
    note(
        conn,
        mail,
        attempt.finished,
        f"Could not be delivered to {mail.rcpt_to}: {decision.reason}{doubt}",
    )
    tell_sender(conn, mail, attempt, caps)
    if mail.next_hop is None and attempt.reply.permanent and no_mailbox(attempt.reply.text):
        suppress(conn, mail.rcpt_to, f"{attempt.host}: {decision.reason}", attempt.finished, actor=AUTOMATION)
