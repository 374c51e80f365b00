"""Releasing a held message to its next hop: an expert's decision, by way of the queue. A verdict is never upgraded."""

from __future__ import annotations

import json
from datetime import datetime

from outbound.model import Queued, RelayedMail
from outbound.store import queue_relayed
from smtp_gateway.next_hop import NextHop
from smtp_gateway.next_hop_session import is_clean
from smtp_gateway.relay_fields import Border, OnRecord, UnfitError, released
from smtp_gateway.status_path import status_path
from threads.store import Connection, held_item, judgements, raw_message
from threads.store.errors import RefusedRecord, undecodable
from threads.store.held import relay_held
from verifier.message import read_message
from verifier.report import AuthResult


def release_to_next_hop(
    conn: Connection, copy_id: str, hop: NextHop, border: Border, at: datetime, *, by: str
) -> Queued:
    """Queue a waiting copy for its next hop, in the caller's transaction.

    Raises UnknownRecord and RefusedRecord for a copy that is not there, does not wait or cannot be read, and
    UnfitError for one that no next hop may be given.
    """
    copy = held_item(conn, copy_id).copy
    relay_held(conn, copy.id, at, by=by)
    message = read_message(raw_message(conn, copy.id))
    codes, passed = _judged(conn, copy.id)
    record = OnRecord(copy.id, copy.verdict, codes, copy.trace.encode())
    raw = released(message, record, border, at)
    if not is_clean(raw):
        raise UnfitError("it holds a bare LF")  # which BDAT may have brought
    return queue_relayed(
        conn,
        RelayedMail(
            key=copy.id,
            raw=raw,
            mail_from=copy.mail_from,
            rcpt_to=copy.rcpt_to,
            next_hop=hop.written,
            dsn_to=status_path(message, copy.kind, copy.mail_from, spf_passed=passed),
        ),
        at,
    )


def _judged(conn: Connection, copy_id: str) -> tuple[tuple[str, ...], bool]:
    """The codes of the verdict's reasons, and whether SPF passed the return path. RefusedRecord when neither is readable."""
    try:
        report = json.loads(judgements(conn, copy_id)[-1].report)
        spf = report["spf"]
        passed = spf["result"] == AuthResult.PASS.value and spf["scope"] == "mailfrom"
        return tuple(str(reason["code"]) for reason in report["reasons"]), passed
    except Exception as error:
        if not undecodable(error):
            raise
        raise RefusedRecord(
            f"The verdict of message {copy_id} cannot be read, and no next hop gets a message without it: restore a "
            "backup, or put the message aside."
        ) from error
