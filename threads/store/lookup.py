"""What the record knows of a message's thread keys and of its author: all that is asked before a message is decided on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Integer, Select, bindparam, func, literal_column, select, type_coerce

from threads.mailbox_name import other_forms
from threads.model import Candidates, Direction, KnownMessage, Thread, ThreadKeys
from threads.schema import contacts, message_ids, organisation_domains, organisations, threads
from threads.signals import BY_WORTH
from threads.store.people import contact_of
from threads.store.prepared import Prepared
from threads.store.thread import thread_of
from threads.store.values import MAX_LINE, address_key, domains_above, storable

AT_ONCE: Final = 16
"""Rows that SQLite is asked for one by one by a prepared statement, which is faster until it is several dozens."""

MAX_NAMED: Final = 20
"""Threads looked at for one Message-ID: a mail stands on one or two, and anybody may put one Message-ID on any number of his."""

# What a Message-ID proves comes before what any sender can write, and then the oldest: no number of mails hides another one.
# Written out, since a prepared statement would hand over each word and number anew.
_WORTH: Final = " ".join(f"WHEN '{word.value}' THEN {number}" for number, word in enumerate(BY_WORTH))
_BEST_FIRST: Final = (
    literal_column(f"CASE message_ids.direction {_WORTH} ELSE {len(BY_WORTH)} END", Integer),
    message_ids.c.thread_id,
)
_PLACE: Final = func.row_number().over(partition_by=message_ids.c.message_id, order_by=_BEST_FIRST)
_PLACED: Final = (
    select(message_ids, _PLACE.label("place"))
    .where(message_ids.c.message_id.in_(bindparam("keys", expanding=True)))
    .subquery()
)
# Each by one key, prepared, and by several in one question.
_KNOWN = (
    Prepared(
        select(message_ids)
        .where(message_ids.c.message_id == bindparam("key"))
        .order_by(*_BEST_FIRST)
        .limit(literal_column(str(MAX_NAMED), Integer))
    ),
    select(_PLACED).where(_PLACED.c.place <= MAX_NAMED),
)
# Whether an organisation's mail is trusted comes with what is asked anyway. As an integer: it needs no conversion.
_UNTRUSTED = type_coerce(organisations.c.untrusted_at.is_not(None), Integer).label("untrusted")
# On PostgreSQL who merges a thread waits until what is filed on it meanwhile is committed, and the other way round.
_THREADS = (
    select(threads, _UNTRUSTED)
    .join(organisations, organisations.c.id == threads.c.organisation_id)
    .with_for_update(read=True, key_share=True, of=threads)
)
_NAMED = (
    Prepared(_THREADS.where(threads.c.id == bindparam("key"))),
    _THREADS.where(threads.c.id.in_(bindparam("keys", expanding=True))),
)
_TAGGED = (
    Prepared(_THREADS.where(threads.c.reference == bindparam("key"))),
    _THREADS.where(threads.c.reference.in_(bindparam("keys", expanding=True))),
)
_CONTACTS = Prepared(
    select(contacts, _UNTRUSTED)
    .join(organisations, organisations.c.id == contacts.c.organisation_id)
    .where(contacts.c.address_key == bindparam("key"), contacts.c.left_at.is_(None))
    .order_by(contacts.c.id)
)
_DOMAIN = Prepared(
    select(organisation_domains.c.organisation_id, _UNTRUSTED)
    .join(organisations, organisations.c.id == organisation_domains.c.organisation_id)
    .where(organisation_domains.c.domain == bindparam("domain"), organisation_domains.c.verified.is_(True))
)


def candidates(conn: Connection, keys: ThreadKeys, author: str | None) -> Candidates:
    """What the record knows of a message's thread keys and of its author (an address, or None)."""
    known: dict[str, list[KnownMessage]] = {}
    if keys.message_ids:
        for row in _rows(conn, _KNOWN, keys.message_ids):
            known.setdefault(row.message_id, []).append(KnownMessage(row.thread_id, Direction(row.direction)))
    named = {hit.thread_id for hits in known.values() for hit in hits}
    if keys.reply is not None:
        named.add(keys.reply.thread_id)
    found: dict[int, Thread] = {}
    tagged: dict[str, int] = {}
    untrusted: set[int] = set()
    if named:
        found = _threads(_rows(conn, _NAMED, sorted(named)), untrusted)
    if keys.tags:
        by_tag = _threads(_rows(conn, _TAGGED, keys.tags), untrusted)
        found |= by_tag
        tagged = {one.reference: number for number, one in by_tag.items()}
    merged = {one.merged_into for one in found.values() if one.merged_into is not None}
    if merged:
        survivors = _threads(_rows(conn, _NAMED, sorted(merged)), untrusted)
        found = {
            number: one if one.merged_into is None else survivors.get(one.merged_into, one)
            for number, one in found.items()
        } | survivors
    by_address: list[Any] = []
    by_mailbox: list[Any] = []
    by_domain: list[Any] = []
    above: list[Any] = []
    if author is not None:
        key = storable(address_key(author), MAX_LINE)
        by_address = _CONTACTS.rows(conn, {"key": key})
        domain = key.rpartition("@")[2]
        by_domain = _DOMAIN.rows(conn, {"domain": domain})
        above = [] if by_domain else _above(conn, domain)
        if not by_address:
            by_mailbox = [row for form in other_forms(key) for row in _CONTACTS.rows(conn, {"key": form})]
    untrusted.update(
        row.organisation_id for row in (*by_address, *by_mailbox, *by_domain, *above) if row.untrusted
    )
    return Candidates(
        threads=found,
        known={message_id: tuple(hits) for message_id, hits in known.items()},
        tagged=tagged,
        contacts=tuple(map(contact_of, by_address)),
        domain_organisations=tuple(row.organisation_id for row in by_domain),
        above_organisations=tuple(row.organisation_id for row in above),
        mailbox_contacts=tuple(map(contact_of, by_mailbox)),
        untrusted=frozenset(untrusted),
    )


def _above(conn: Connection, domain: str) -> list[Any]:
    """Who has the nearest domain above verified."""
    for parent in domains_above(domain):
        found = _DOMAIN.rows(conn, {"domain": parent})
        if found:
            return found
    return []


def _threads(rows: Iterable[Any], untrusted: set[int]) -> dict[int, Thread]:
    """Threads by their numbers; the organisations among theirs whose mail is marked are added to ``untrusted``."""
    found: dict[int, Thread] = {}
    for row in rows:
        found[row.id] = thread_of(row)
        if row.untrusted:
            untrusted.add(row.organisation_id)
    return found


def _rows(
    conn: Connection, asked: tuple[Prepared, Select[Any]], keys: Sequence[str] | Sequence[int]
) -> Iterable[Any]:
    """The rows of some keys, in one turn to a server and in few steps from a file."""
    one, several = asked
    if len(keys) == 1 or (len(keys) <= AT_ONCE and conn.dialect.name == "sqlite"):
        return [row for key in keys for row in one.rows(conn, {"key": key})]
    return conn.execute(several, {"keys": list(keys)})
