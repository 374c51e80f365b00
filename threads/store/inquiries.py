"""Questions to the experts on record: asked by programs and experts, and looked back at with their answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, select

from threads.inquiry import Inquiry, Question, Words, question_of
from threads.model import AskedBy, Contact, EntryKind, Mark, Organisation, State, Thread, ThreadKind
from threads.schema import carried_mails, organisations, threads, timeline
from threads.store.calls import reached_nobody
from threads.store.errors import RefusedRecord
from threads.store.people import list_contacts, organisation
from threads.store.thread import append, open_inquiry, thread_by_id
from threads.store.thread_changes import change_thread

SHORT: Final = 300
"""Characters of a text in a list; the export has all of it."""
AT_ONCE: Final = 500
"""Rows that are fetched at a time."""
_SPOKEN: Final = (
    EntryKind.MAIL_IN.value,
    EntryKind.MAIL_OUT.value,
    EntryKind.CHAT.value,
    EntryKind.CALL.value,
)


def ask(
    conn: Connection,
    customer: Organisation,
    title: str,
    text: str,
    at: datetime,
    *,
    contact: Contact,
    asked_by: AskedBy,
    actor: str,
    about: Thread | None = None,
) -> Thread:
    """Open a question of a contact that did not come by mail, with its words; ``actor`` is who brought it here.

    RefusedRecord for a contact or an incident of another customer, and from a program while an intruder may speak for the
    customer: who can read its mail may have its password to the portal, too.
    """
    if contact.organisation_id != customer.id:
        raise RefusedRecord(f"{contact.address} is no contact of {customer.name}.")
    if asked_by is AskedBy.API and organisation(conn, customer.id).untrusted is not None:
        raise RefusedRecord(
            f"{customer.name} is in compromised-customer mode: what is said in its name is not taken; it has to call."
        )
    made = open_inquiry(conn, customer.id, title, at, actor=actor, mark=Mark.EXPERT, asked_by=asked_by)
    if about is not None:
        made = change_thread(conn, made, at, actor=actor, about=about)
    mark = Mark.PORTAL if asked_by is AskedBy.API else Mark.REPORTED
    append(conn, made.id, at, EntryKind.CHAT, actor=contact.address, mark=mark, text=text)
    return thread_by_id(conn, made.id)


def contact_named(conn: Connection, customer: Organisation, address: str) -> Contact:
    """The customer's contact with that address, case aside; RefusedRecord for one that is none."""
    wanted = address.strip().lower()
    for one in list_contacts(conn, customer.id):
        if one.address.lower() == wanted:
            return one
    raise RefusedRecord(f"{address.strip()[:80]} is no contact of {customer.name}; add it first.")


def question_on(conn: Connection, thread: Thread) -> Question | None:
    """What an inquiry asks and what was answered, whole; None where no customer's words stand on it."""
    query = _query(short=None).where(threads.c.id == thread.id)
    return next(_questions(conn, query), None)


def history(
    conn: Connection,
    since: datetime,
    before: datetime,
    organisations_: Collection[int] | None,
    *,
    short: int | None = SHORT,
    answered_before: datetime | None = None,
) -> Iterator[Question]:
    """Questions that were asked from ``since`` on and before ``before``, in no order of time, as they are read.

    ``organisations_``: the ids of the only customers; None: all. Texts are cut to ``short`` characters and one more. Answers
    count that came before ``answered_before``. A question that another thread goes on for is told with that one; of an erased
    customer none is.
    """
    query = _query(short).where(threads.c.updated_at >= since, threads.c.opened_at < before)
    if answered_before is not None:
        query = query.where((timeline.c.at < answered_before) | timeline.c.at.is_(None))
    if organisations_ is not None:
        query = query.where(threads.c.organisation_id.in_(sorted(organisations_)))
    for one in _questions(conn, query):
        if since <= one.asked_at < before:
            yield one


def _query(short: int | None) -> Select[Any]:
    about = threads.alias("incident")
    text = timeline.c.text if short is None else func.substr(timeline.c.text, 1, short + 1)
    here = (timeline.c.thread_id == threads.c.id) & timeline.c.kind.in_(_SPOKEN)
    spoken = here & ~reached_nobody(timeline)
    return (
        select(
            threads,
            organisations.c.name.label("customer"),
            about.c.reference.label("incident"),
            timeline.c.at.label("said_at"),
            timeline.c.kind.label("entry_kind"),
            timeline.c.actor,
            timeline.c.mark,
            text.label("said"),
            carried_mails.c.entry_id.label("carries"),
        )
        .join(organisations, organisations.c.id == threads.c.organisation_id)
        .outerjoin(about, about.c.id == threads.c.about_id)
        .outerjoin(timeline, spoken)
        .outerjoin(carried_mails, carried_mails.c.message_id == timeline.c.message_id)
        .where(
            threads.c.kind == ThreadKind.INQUIRY.value,
            threads.c.merged_into.is_(None),
            organisations.c.erased_at.is_(None),
        )
        .order_by(threads.c.id, timeline.c.id)
    )


def _questions(conn: Connection, query: Select[Any]) -> Iterator[Question]:
    rows = conn.execute(query.execution_options(yield_per=AT_ONCE))
    for _, entries in groupby(rows, key=lambda row: row.id):
        of_one = list(entries)
        found = question_of(_inquiry(of_one[0]), _words(of_one))
        if found is not None:
            yield found


def _words(rows: Iterable[Row[Any]]) -> Iterator[Words]:
    for row in rows:
        if row.entry_kind is not None:
            yield Words(
                row.said_at,
                EntryKind(row.entry_kind),
                row.actor,
                Mark(row.mark),
                row.said,
                copy=row.carries is not None,
            )


def _inquiry(row: Row[Any]) -> Inquiry:
    return Inquiry(
        row.reference,
        row.customer,
        row.title,
        State(row.state),
        row.opened_at,
        None if row.asked_by is None else AskedBy(row.asked_by),
        row.incident,
        row.emptied_at is not None,
    )
