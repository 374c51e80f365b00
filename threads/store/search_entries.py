"""Copies as they go into the search index: read some at a time, whatever their size, and whatever stands in one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, select

from threads.schema import messages, raw_messages
from threads.search_document import Document, document
from threads.store.errors import undecodable
from threads.store.row_reading import well_typed

OCTETS_AT_ONCE: Final = 16 * 1024 * 1024  # of messages, in memory
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FIELDS: Final = (
    messages.c.id,
    messages.c.sha256,
    messages.c.received_at,
    messages.c.mail_from,
    messages.c.rcpt_to,
    messages.c.subject,
    messages.c.author,
    messages.c.verdict,
    messages.c.new_text,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One copy: the judgement as of which it is read, when it came, what we say of it, and its words."""

    copy_id: str
    judged: int
    received_at: datetime
    verdict: str
    document: Document


def entries_of(conn: Connection, wanted: Sequence[Any]) -> Iterable[Entry]:
    """The copies of these judgements (rows with ``id`` and ``message_id``), some of the first where their messages are large.

    One that is gone meanwhile is left out.
    """
    judged = {row.message_id: row.id for row in wanted}  # the last one of each
    sizes = {
        row[0]: row[1]
        for row in conn.execute(
            select(messages.c.id, raw_messages.c.size)
            .join(raw_messages, raw_messages.c.sha256 == messages.c.sha256)
            .where(messages.c.id.in_(judged))
        )
    }
    octets = 0
    for some in _in_parts(list(judged), sizes):
        octets += sum(sizes.get(copy_id, 0) for copy_id in some)
        for copy_id, row in _rows(conn, some):
            if row is None:
                # It cannot be read: it stands in the index without a word, so that it is not tried for ever.
                yield Entry(copy_id, judged[copy_id], EPOCH, "", Document())
            else:
                yield _entry(row, judged[copy_id])
        if octets >= OCTETS_AT_ONCE:
            return


def _in_parts(ids: list[str], sizes: dict[str, int]) -> Iterable[list[str]]:
    """Parts whose messages fit into memory together."""
    part: list[str] = []
    room = OCTETS_AT_ONCE // 4
    for copy_id in ids:
        part.append(copy_id)
        room -= sizes.get(copy_id, 0)
        if room <= 0:
            yield part
            part, room = [], OCTETS_AT_ONCE // 4
    if part:
        yield part


def _rows(conn: Connection, ids: list[str]) -> Iterable[tuple[str, Row[Any] | None]]:
    """The copies with these ids and their bytes; None for one that cannot be read; one that is gone is left out."""
    query = (
        select(*_FIELDS, raw_messages.c.raw)
        .outerjoin(raw_messages, raw_messages.c.sha256 == messages.c.sha256)
        .select_from(messages)
    )
    try:
        found = [(row.id, row) for row in _sound(conn, query.where(messages.c.id.in_(ids)))]
    except Exception as error:
        if not undecodable(error):
            raise
        if len(ids) == 1:
            return [(ids[0], None)]
        return [one for copy_id in ids for one in _rows(conn, [copy_id])]
    places = {copy_id: place for place, copy_id in enumerate(ids)}
    return sorted(found, key=lambda one: places[one[0]])


def _sound(conn: Connection, query: Select[Any]) -> Sequence[Row[Any]]:
    if conn.dialect.name == "postgresql":
        query = query.with_for_update(read=True, key_share=True, of=messages)  # nobody removes one meanwhile
    rows = conn.execute(query).all()
    for row in rows:
        well_typed(row, _FIELDS)
    return rows


def _entry(row: Row[Any], judged: int) -> Entry:
    envelope = (row.author or "", row.mail_from, row.rcpt_to)
    made = document(
        subject=row.subject, envelope=envelope, text=row.new_text, raw=b"" if row.raw is None else row.raw
    )
    return Entry(row.id, judged, row.received_at, row.verdict, made)
