"""Service reviews: the figures of a customer's period, to whom they go, and the letter that tells them."""

from __future__ import annotations

from collections.abc import Sequence

from expertmail.letter_values import Letter
from outbound.model import MailKind, Value
from outbound.review_period import Period
from outbound.service_review import Review
from outbound.store.service_review import review
from threads.model import Contact, ContactKind, Organisation
from threads.store import Connection
from threads.store.errors import RefusedRecord
from threads.store.people import list_contacts

OCCASION = "operations"
"""What a review with figures is about (``outbound/templates/service-review``)."""


def reviewers(conn: Connection, customer: Organisation) -> tuple[Contact, ...]:
    """The customer's contacts for service reviews."""
    return tuple(one for one in list_contacts(conn, customer.id) if one.kind is ContactKind.SERVICE_REVIEW)


def review_to_send(
    conn: Connection, customer: Organisation, period: Period, to: Sequence[str]
) -> tuple[Review, tuple[str, ...]]:
    """The figures, and the addresses they go to: ``to``, or all contacts for reviews. RefusedRecord where there are none."""
    addresses = tuple(to) or tuple(one.address for one in reviewers(conn, customer))
    if not addresses:
        raise RefusedRecord(
            f"{customer.name} has no contact for service reviews; add one (--kind service-review)."
        )
    return review(conn, customer, period), addresses


def review_letter(
    told: Review,
    to: Sequence[str],
    *,
    manager: str,
    actor: str,
    text: str = "",
    reference: str = "",
    key: str | None = None,
    customers: frozenset[int] | None = None,
) -> Letter:
    """The letter of a review; on a service thread where ``reference`` names one, else on none."""
    return Letter(
        MailKind.SERVICE_REVIEW,
        reference,
        tuple(to),
        review_words(told, manager, text),
        actor=actor,
        key=key,
        organisation="" if reference else told.organisation,
        customers=customers,
    )


def review_words(told: Review, manager: str, text: str = "") -> dict[str, Value]:
    """The words of a review's mail, in any language."""
    words: dict[str, Value] = {
        "title": told.period.name,
        "occasion": OCCASION,
        "first_day": told.period.first_day.isoformat(),
        "last_day": told.period.last_day.isoformat(),
        "figures": told.tables,
        "manager": manager,
    }
    return {**words, "text": text} if text.strip() else words


def review_json(told: Review) -> dict[str, object]:
    """The figures for programs: each table with its rows, each row with its columns; times in seconds, null where there are none."""
    return {
        "organisation": told.organisation,
        "period": told.period.name,
        "begin": told.period.begin.isoformat(),
        "end": told.period.end.isoformat(),
        "tables": {
            table.name: {
                row.name: {name: cell for (name, _), cell in zip(table.columns, row.cells, strict=True)}
                for row in table.rows
            }
            for table in told.tables
        },
    }
