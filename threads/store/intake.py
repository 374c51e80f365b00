"""Storing what arrives: once for each copy, with the thread's timeline, in the caller's transaction.

A copy's key is (SHA-256 of DATA, MAIL FROM, recipient). The same copy again changes nothing, for a client
that lost our 250 sends again. But when it comes again with a better standing, that arrival decides:
nobody can suppress a message by sending its bytes first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select, update

from threads.model import (
    Arrival,
    Direction,
    Disposition,
    EntryKind,
    Filing,
    Mark,
    MatchRule,
    MessageKind,
    Outcome,
    Signal,
    StandingKind,
    StoredCopy,
    ThreadMatch,
)
from threads.schema import (
    evidence,
    message_ids,
    messages,
    raw_messages,
    timeline,
)
from threads.store.errors import RefusedRecord
from threads.store.prepared import Prepared
from threads.store.statements import insert_or_keep, insert_or_keep_each, insert_row
from threads.store.thread import append, know_message_id
from threads.store.values import MAX_ID, MAX_LINE, MAX_PATH, storable

MAX_ANCESTORS: Final = 10
"""Unknown ancestors of one message that are kept: a conversation has one root, and each mail in it names its parents."""

MAX_SIGNALS: Final = 100
"""Signals of one message that are kept, those that were followed before others: more than a person looks through."""

_RANK = {
    StandingKind.UNAUTHENTICATED: 0,
    StandingKind.UNKNOWN: 1,
    StandingKind.LISTED_DOMAIN: 2,
    StandingKind.CONTACT: 3,
}

# Built once: what is executed for every message is compiled and cached by these very objects.
_FIND = Prepared(
    select(messages).where(
        messages.c.sha256 == bindparam("sha256"),
        messages.c.mail_from == bindparam("mail_from"),
        messages.c.rcpt_to == bindparam("rcpt_to"),
    )
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing did: the id of the copy on record (of the first arrival), and its new timeline entry, if any."""

    id: str
    outcome: Outcome
    entry_id: int | None = None


def copy_of(row: Row[Any]) -> StoredCopy:
    """A row of the messages table as a value."""
    return StoredCopy(
        id=row.id,
        sha256=row.sha256,
        mail_from=row.mail_from,
        rcpt_to=row.rcpt_to,
        received_at=row.received_at,
        client_ip=row.client_ip,
        helo=row.helo,
        tls=row.tls,
        message_id=row.message_id,
        subject=row.subject,
        author=row.author,
        kind=MessageKind(row.kind),
        verdict=row.verdict,
        disposition=Disposition(row.disposition),
        reason=row.reason,
        thread_id=row.thread_id,
        rule=MatchRule(row.rule),
        match_reason=row.match_reason,
        standing=StandingKind(row.standing),
        standing_reason=row.standing_reason,
        contact_id=row.contact_id,
        released_at=row.released_at,
        released_by=row.released_by,
        discarded_at=row.discarded_at,
        discarded_by=row.discarded_by,
        trace=row.trace,
    )


def find_copy(conn: Connection, sha256: str, mail_from: str, rcpt_to: str) -> StoredCopy | None:
    """The copy with that key, if it is on record."""
    row = _FIND.first(
        conn,
        {
            "sha256": sha256,
            "mail_from": storable(mail_from, MAX_PATH),
            "rcpt_to": storable(rcpt_to, MAX_PATH),
        },
    )
    return None if row is None else copy_of(row)


def supersedes(standing: StandingKind, earlier: StoredCopy) -> bool:
    """Whether an arrival with that standing decides over the earlier arrival of the same copy."""
    return _RANK[standing] > _RANK[earlier.standing]


def store_message(conn: Connection, arrival: Arrival, filing: Filing) -> Stored:
    """Store an arrival and file, hold or triage it; the same copy again changes nothing unless it stands better.

    Runs in the caller's transaction. RefusedRecord when it is to be filed on no thread.
    """
    earlier = find_copy(conn, arrival.sha256, arrival.mail_from, arrival.rcpt_to)
    return store_copy(conn, arrival, filing, earlier)


def store_copy(conn: Connection, arrival: Arrival, filing: Filing, earlier: StoredCopy | None) -> Stored:
    """The same for who has looked for the copy in this very transaction: ``earlier`` is what ``find_copy`` gave."""
    if filing.disposition is Disposition.FILED and filing.thread_id is None:
        raise RefusedRecord("A message can only be filed on a thread.")
    if earlier is not None and not supersedes(filing.standing.kind, earlier):
        return Stored(earlier.id, Outcome.DUPLICATE)
    values = _decision(arrival, filing)
    if earlier is None:
        copy_id, outcome = arrival.id, Outcome.STORED
        insert_or_keep(
            conn, raw_messages, {"sha256": arrival.sha256, "size": len(arrival.raw), "raw": arrival.raw}
        )
        insert_row(conn, messages, {"id": copy_id, **_identity(arrival), **values})
    else:
        copy_id, outcome = earlier.id, Outcome.REFILED
        conn.execute(
            update(messages)
            .where(messages.c.id == copy_id)
            .values(**values, discarded_at=None, discarded_by=None)
        )
    insert_row(conn, evidence, _judgement(copy_id, arrival))
    if filing.disposition is not Disposition.FILED or filing.thread_id is None:
        return Stored(copy_id, outcome)
    return Stored(
        copy_id, outcome, _file(conn, copy_id, arrival, filing, thread_id=filing.thread_id, earlier=earlier)
    )


def _file(
    conn: Connection,
    copy_id: str,
    arrival: Arrival,
    filing: Filing,
    *,
    thread_id: int,
    earlier: StoredCopy | None,
) -> int:
    """Put the copy on the thread's timeline, or raise the mark of the entry that it has there already."""
    message_id = stored_message_id(arrival.message_id)
    if message_id is not None:
        know_message_id(conn, message_id, thread_id, Direction.IN)
    if filing.own_ids or filing.ancestors:
        _know_relatives(conn, filing, thread_id)
    if earlier is not None:
        there = conn.execute(
            select(timeline.c.id).where(timeline.c.copy_id == copy_id, timeline.c.thread_id == thread_id)
        ).scalar()
        if there is not None and filing.event is not None:
            return int(there)
        if there is not None:
            conn.execute(
                update(timeline).where(timeline.c.id == there).values(mark=filing.standing.mark.value)
            )
            return int(there)
    if filing.event is not None:
        return append(
            conn,
            thread_id,
            arrival.received_at,
            EntryKind.EVENT,
            actor=arrival.author or arrival.mail_from or "unknown",
            mark=Mark.AUTOMATION,
            text=filing.event,
            # Who may not speak here gets no words onto the thread by calling his mail a machine's.
            quoted=filing.text if filing.standing.may_speak else "",
            message_id=message_id,
            copy_id=copy_id,
        )
    return append(
        conn,
        thread_id,
        arrival.received_at,
        EntryKind.MAIL_IN,
        actor=arrival.author or arrival.mail_from or "unknown",
        mark=filing.standing.mark if filing.standing.may_speak else Mark.UNVERIFIED,
        text=filing.text,
        quoted=filing.quoted,
        message_id=message_id,
        copy_id=copy_id,
    )


def _know_relatives(conn: Connection, filing: Filing, thread_id: int) -> None:
    """Let mail that refers to the same find the thread. Of many ancestors the oldest and the nearest ones say most."""
    ancestors = filing.ancestors
    if len(ancestors) > MAX_ANCESTORS:
        ancestors = (*ancestors[:1], *ancestors[1 - MAX_ANCESTORS :])
    rows = [(message_id, Direction.IN) for message_id in filing.own_ids]
    rows += [(message_id, Direction.REF) for message_id in ancestors]
    insert_or_keep_each(
        conn,
        message_ids,
        [
            {"message_id": storable(message_id), "thread_id": thread_id, "direction": direction.value}
            for message_id, direction in sorted(rows)
        ],
    )


def stored_message_id(message_id: str | None) -> str | None:
    """A header Message-ID fit to be looked up later: without angle brackets, and None when it is too long."""
    if message_id is None:
        return None
    message_id = storable(message_id.strip().removeprefix("<").removesuffix(">"))
    return message_id if message_id and len(message_id.encode()) <= MAX_ID else None


def _identity(arrival: Arrival) -> dict[str, object]:
    return {
        "sha256": arrival.sha256,
        "mail_from": storable(arrival.mail_from, MAX_PATH),
        "rcpt_to": storable(arrival.rcpt_to, MAX_PATH),
        "received_at": arrival.received_at,
        "message_id": stored_message_id(arrival.message_id),
        "subject": storable(arrival.subject, MAX_LINE),
        "author": None if arrival.author is None else storable(arrival.author, MAX_LINE),
    }


def _decision(arrival: Arrival, filing: Filing) -> dict[str, object]:
    """The columns that an arrival with a better standing replaces."""
    return {
        "client_ip": arrival.client_ip,
        "helo": storable(arrival.helo, MAX_LINE),
        "tls": None if arrival.tls is None else storable(arrival.tls, MAX_LINE),
        "trace": storable(arrival.trace),
        "kind": arrival.kind.value,
        "verdict": arrival.verdict,
        "disposition": filing.disposition.value,
        "reason": storable(filing.reason, MAX_LINE),
        "thread_id": filing.thread_id,
        "rule": filing.match.rule.value,
        "match_reason": storable(filing.match.reason, MAX_LINE),
        "signals": _signals(filing.match),
        "standing": filing.standing.kind.value,
        "standing_reason": storable(filing.standing.reason, MAX_LINE),
        "contact_id": filing.standing.contact_id,
        "new_text": storable(filing.text),
        "quoted_text": storable(filing.quoted),
    }


def _signals(match: ThreadMatch) -> str:
    signals = match.signals
    if not signals:
        return "[]"
    if len(signals) > MAX_SIGNALS:
        signals = tuple(sorted(signals, key=_not_followed)[:MAX_SIGNALS])
    return json.dumps(
        [
            {
                "rule": s.rule,
                "key": s.key,
                "thread": s.thread_id,
                "direction": s.direction,
                "strength": s.strength,
                "followed": s.followed,
                "note": s.note,
            }
            for s in signals
        ]
    )


def _not_followed(signal: Signal) -> bool:
    return not signal.followed


def _judgement(copy_id: str, arrival: Arrival) -> dict[str, object]:
    return {
        "message_id": copy_id,
        "at": arrival.received_at,
        "verdict": arrival.verdict,
        "report": arrival.report,
        "body": arrival.evidence,
        "evaluator": arrival.evaluator,
        "settings_hash": arrival.settings_hash,
        "client_ip": arrival.client_ip,
        "helo": storable(arrival.helo, MAX_LINE),
    }
