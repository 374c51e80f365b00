"""What ``expertmail held list`` prints: page by page, so that neither memory nor the record is held by a long list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from expertmail.faults import ExitCode, FaultError
from expertmail.tables import moment, plain, say, show_json_list, show_table
from threads.model import DamagedCopy, Disposition, ExpiredMessage, HeldItem
from threads.retention import Retention
from threads.store import Connection
from threads.store.engine import Database
from threads.store.expiry import expired_items, expired_keys
from threads.store.held import held_items, held_keys
from threads.store.row_reading import AT_ONCE, Key

TABLE_ROWS: Final = 1_000
"""Rows of one table: its columns' widths are worked out over all of them. Also what is listed unless more is asked for."""
NAMED: Final = 5
"""Damaged messages that the last sentence names."""

KEPT: Final = "kept (legal hold)"
"""Stands for the day on which a message expires, where it never does."""

T = TypeVar("T")


def list_held(
    database: Database,
    dispositions: tuple[Disposition, ...],
    retention: Retention,
    *,
    limit: int | None,
    as_json: bool,
) -> None:
    """Print what waits. Raises FaultError at the end when rows could not be read."""
    with database.reading() as conn:
        keys = held_keys(conn, dispositions)
    damaged: list[DamagedCopy] = []
    items = _noting(_paged(database, keys, limit, held_items, as_json=as_json), damaged)
    if as_json:
        show_json_list(
            damaged_json(i) if isinstance(i, DamagedCopy) else held_json(i, retention) for i in items
        )
    else:
        columns = ("ID", "WAITS AS", "RECEIVED", "EXPIRES", "AUTHOR", "VERDICT", "THREAD", "SUBJECT", "WHY")
        show_pages(columns, (_held_row(item, retention) for item in items), "Nothing waits.")
        _tell_rest(len(keys), limit, "wait")
    _refuse_damaged(damaged)


def list_expired(database: Database, *, limit: int | None, as_json: bool) -> None:
    """Print what is kept of mail whose content was removed. Raises FaultError as above."""
    with database.reading() as conn:
        keys = expired_keys(conn)
    damaged: list[DamagedCopy] = []
    items = _noting(_paged(database, keys, limit, expired_items, as_json=as_json), damaged)
    if as_json:
        show_json_list(_lost_json(i) if isinstance(i, DamagedCopy) else expired_json(i) for i in items)
    else:
        columns = ("ID", "WAS", "RECEIVED", "EXPIRED", "BY", "AUTHOR", "VERDICT", "SUBJECT", "WHY")
        show_pages(columns, map(_expired_row, items), "Nothing has expired.")
        _tell_rest(len(keys), limit, "have expired")
    _refuse_damaged(damaged)


def held_json(item: HeldItem, retention: Retention) -> dict[str, Any]:
    """The copy's own fields beside its circumstances."""
    return {
        **plain(item.copy),
        "thread": item.thread_reference,
        "organisation": item.organisation,
        "text": item.text,
        "size": item.size,
        "expires_at": None if item.legal_hold else plain(retention.expires(item.copy)),
        "legal_hold": item.legal_hold,
    }


def expired_json(one: ExpiredMessage) -> dict[str, Any]:
    """What is kept, but for report and evidence, which `held show` gives."""
    return {name: value for name, value in plain(one).items() if name not in {"report", "evidence"}}


def _paged(
    database: Database,
    keys: Sequence[Key],
    limit: int | None,
    read: Callable[[Connection, Sequence[Key]], Iterable[T]],
    *,
    as_json: bool,
) -> Iterator[T]:
    """The rows of the keys, some at a time, each page read in a moment of its own: a reader that pauses holds nothing up."""
    shown = keys[: limit if limit is not None or as_json else TABLE_ROWS]
    for start in range(0, len(shown), AT_ONCE):
        with database.reading() as conn:
            page = tuple(read(conn, shown[start : start + AT_ONCE]))
        yield from page


def _noting(items: Iterable[T | DamagedCopy], damaged: list[DamagedCopy]) -> Iterator[T | DamagedCopy]:
    for item in items:
        if isinstance(item, DamagedCopy):
            damaged.append(item)
        yield item


def show_pages(columns: Sequence[str], rows: Iterator[Sequence[str]], nothing: str) -> int:
    """Print rows as they come, in tables of ``TABLE_ROWS``, or the sentence ``nothing``; returns how many there were."""
    page = list(islice(rows, TABLE_ROWS))
    number = len(page)
    show_table(columns, page, nothing)
    while page := list(islice(rows, TABLE_ROWS)):
        number += len(page)
        show_table(columns, page, nothing)
    return number


def _tell_rest(number: int, limit: int | None, do_what: str) -> None:
    rest = number - (TABLE_ROWS if limit is None else limit)
    if rest > 0:
        say(f"{rest} more {do_what}; --limit {number} lists all of them.")


def _held_row(item: HeldItem | DamagedCopy, retention: Retention) -> Sequence[str]:
    if isinstance(item, DamagedCopy):
        return (item.id, "damaged", "", "", "", "", "", "", item.sentence)
    copy = item.copy
    return (
        copy.id,
        copy.disposition.value,
        moment(copy.received_at),
        KEPT if item.legal_hold else moment(retention.expires(copy))[:10],  # the day
        copy.author or "(unreadable)",
        copy.verdict,
        item.thread_reference or "",
        copy.subject,
        copy.reason,
    )


def _expired_row(one: ExpiredMessage | DamagedCopy) -> Sequence[str]:
    if isinstance(one, DamagedCopy):
        return (one.id, "damaged", "", "", "", "", "", "", _lost(one))
    return (
        one.id,
        one.disposition.value,
        moment(one.received_at),
        moment(one.expired_at),
        one.expired_by,
        one.author or "(unreadable)",
        one.verdict,
        one.subject,
        one.reason,
    )


def damaged_json(one: DamagedCopy) -> dict[str, Any]:
    """What can be said of a copy that cannot be read."""
    return {"id": one.id, "damaged": list(one.columns), "what_to_do": one.sentence}


def _lost(one: DamagedCopy) -> str:
    return f"What is kept of message {one.id} cannot be read ({', '.join(one.columns)}): restore a backup"


def _lost_json(one: DamagedCopy) -> dict[str, Any]:
    return {"id": one.id, "damaged": list(one.columns), "what_to_do": _lost(one)}


def _refuse_damaged(damaged: Sequence[DamagedCopy]) -> None:
    if not damaged:
        return
    named = ", ".join(one.id for one in damaged[:NAMED]) + (", …" if len(damaged) > NAMED else "")
    number = "1 message" if len(damaged) == 1 else f"{len(damaged)} messages"
    raise FaultError(f"{number} cannot be read: {named}; the list says what to do.", ExitCode.DATA)
