"""Which signatures came in and which keys were seen published, for the verifier to ask about later."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from threads.schema import archived_keys, seen_signatures
from threads.store.prepared import Prepared
from threads.store.statements import insert_or_keep
from threads.store.values import MAX_PATH, storable
from verifier.own_records import SEEN_AGAIN_AFTER, ArchivedKey, SeenSignature

MAX_SEEN: Final = 100  # recipients of one message that are told; more change nothing
MAX_KEYS: Final = 20  # records of the names asked for, newest first: a name has a new one a few times a year
MAX_KEY_RECORD: Final = 4_096  # characters of a record that is kept; RSA-4096 takes under 800

_SEEN = Prepared(
    select(seen_signatures)
    .where(seen_signatures.c.signature == bindparam("signature"))
    .order_by(seen_signatures.c.first_seen)
    .limit(MAX_SEEN)
)
_KEYS = (
    select(archived_keys)
    .where(archived_keys.c.name.in_(bindparam("names", expanding=True)))
    .order_by(archived_keys.c.last_seen.desc())
    .limit(MAX_KEYS)
)
_LAST_SEEN = Prepared(
    select(archived_keys.c.last_seen).where(
        archived_keys.c.name == bindparam("name"), archived_keys.c.record_sha256 == bindparam("record_sha256")
    )
)
_SEEN_AGAIN = (
    update(archived_keys)
    .where(
        archived_keys.c.name == bindparam("of_name"),
        archived_keys.c.record_sha256 == bindparam("of_record"),
        archived_keys.c.last_seen < bindparam("before"),
    )
)


def remember_signatures(conn: Connection, signatures: Iterable[str], rcpt_to: str, at: datetime) -> None:
    """Record that these signatures (hashes) came in for a recipient; the first time stays."""
    for signature in signatures:
        insert_or_keep(
            conn,
            seen_signatures,
            {"signature": signature, "rcpt_to": storable(rcpt_to, MAX_PATH), "first_seen": at},
        )


def seen(conn: Connection, signatures: Sequence[str]) -> tuple[SeenSignature, ...]:
    """When and for whom these signatures came in, first ones first."""
    rows = [row for signature in signatures for row in _SEEN.rows(conn, {"signature": signature})]
    if len(signatures) > 1:
        rows = sorted(rows, key=lambda row: row.first_seen)[:MAX_SEEN]
    return tuple(SeenSignature(row.signature, row.rcpt_to, row.first_seen) for row in rows)


def archive_keys(conn: Connection, keys: Iterable[tuple[str, str]], at: datetime) -> None:
    """Record that these key records (by name, without final dot) are published at ``at``."""
    for name, record in keys:
        if len(record) > MAX_KEY_RECORD or storable(record) != record:
            continue
        digest = hashlib.sha256(record.encode()).hexdigest()
        known = _LAST_SEEN.first(conn, {"name": name, "record_sha256": digest})
        if known is not None and known.last_seen >= at - SEEN_AGAIN_AFTER:
            continue  # nearly every message: its key is one that was seen within the last hours
        moved = conn.execute(
            _SEEN_AGAIN.values(last_seen=at),
            {"of_name": name, "of_record": digest, "before": at - SEEN_AGAIN_AFTER},
        )
        if not moved.rowcount:
            values = {
                "name": name,
                "record_sha256": digest,
                "record": record,
                "first_seen": at,
                "last_seen": at,
            }
            insert_or_keep(conn, archived_keys, values)


def archived(conn: Connection, names: Sequence[str]) -> tuple[ArchivedKey, ...]:
    """The key records that were seen at these names, newest first."""
    if not names:
        return ()
    rows = conn.execute(_KEYS, {"names": list(names)})
    return tuple(ArchivedKey(row.name, row.record, row.first_seen, row.last_seen) for row in rows)
