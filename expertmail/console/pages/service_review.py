"""A service review: the figures of a customer's month or quarter as the mail tells them, for the screen, for paper, and to send."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, number_of
from expertmail.console.posting import post
from expertmail.service_reviews import review_letter, review_to_send, reviewers
from outbound.figure_text import figure
from outbound.model import DeliveryState
from outbound.review_period import Period, last_month, period_named
from outbound.service_review import Review
from outbound.store.service_review import review
from outbound.template_files import load_templates
from threads.access import Permission
from threads.model import Contact, Organisation
from threads.store import Connection
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import find_organisation, organisation

MONTHS: Final = 12
"""Months that are offered; others are typed into the address."""
_KEY_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Found:
    """What the page shows."""

    customer: Organisation
    told: Review
    people: tuple[Contact, ...]


async def show(visit: Visit) -> Response:
    """Choose a customer and a period; then the figures."""
    return await _page(visit, visit.query("customer"), visit.query("period"))


async def send(visit: Visit) -> Response:
    """Write them to the contacts for service reviews."""
    customer, period = visit.form.one("customer"), visit.form.one("period")
    wanted, key, text = _period(period, visit.now), visit.form.one("key"), visit.form.text("text").strip()
    outgoing = visit.parts.api.outgoing

    def work(conn: Connection) -> tuple[Review, tuple[str, ...]]:
        whose = _customer(conn, visit, customer, Permission.COMPOSE)
        if not wanted.over(visit.now):
            raise RefusedRecord(f"{wanted.name} is not over: its figures would change.")
        return review_to_send(conn, whose, wanted, visit.form.all("to"))

    if not 0 < len(key) <= 2 * _KEY_BYTES:
        raise HTTPException(422, "Send the whole form.")
    try:
        told, to = await looked_up(visit, work)
        letter = review_letter(
            told,
            to,
            manager=visit.signed_in.account.display_name,
            actor=visit.actor,
            text=text,
            key=key,
            customers=visit.signed_in.account.reach(Permission.COMPOSE),
        )
        posted = await post(
            visit.places,
            visit.parts.api.database,
            letter,
            visit.now,
            world=outgoing.world,
            check=outgoing.check,
        )
    except HTTPException as error:
        if error.status_code not in {409, 422}:
            raise
        return await _page(visit, customer, period, trouble=error.detail)
    if not posted.known:
        outgoing.queued()
    if any(one.withheld for one in posted.mails) and not posted.known:
        reason = next(one.reason for one in posted.mails if one.withheld)
        return await _page(
            visit, customer, period,
            trouble=f"Our own verifier does not call the mail genuine, so it is not sent: {reason}.",
        )  # fmt: skip
    if any(one.state is DeliveryState.AWAITING_APPROVAL for one in posted.mails):
        return visit.go("/approvals", "The review waits for the approval of another person.")
    said = "That was sent before, and nothing more now." if posted.known else "The review is on its way."
    return visit.go(f"/reviews?customer={number_of(customer)}&period={wanted.name}", said)


async def _page(visit: Visit, customer: str, period: str, *, trouble: str = "") -> Response:
    wanted = _period(period, visit.now)

    def work(conn: Connection) -> tuple[dict[int, str], Found | None]:
        names = dict(names_of(conn, visit))
        if not customer:
            return names, None
        whose = _customer(conn, visit, customer, Permission.READ)
        return names, Found(whose, review(conn, whose, wanted), reviewers(conn, whose))

    names, found = await looked_up(visit, work)
    words = load_templates().figure_words()
    return await visit.page(
        "service_review.html",
        status=422 if trouble else 200,
        trouble=trouble,
        names=names,
        customer=customer,
        period=wanted,
        periods=_offered(visit.now, wanted),
        over=wanted.over(visit.now),
        found=found,
        tables=() if found is None else _tables(found.told, words),
        note=words["note"],
        typed=visit.form,
        chosen=set(visit.form.all("to")) or {one.address for one in (found.people if found else ())},
        key=visit.form.one("key") or secrets.token_hex(_KEY_BYTES),
        may_send=found is not None and visit.signed_in.may(Permission.COMPOSE, found.customer.id),
    )


def _tables(told: Review, words: Mapping[str, str]) -> tuple[dict[str, object], ...]:
    """The same cells as in the mail."""
    return tuple(
        {
            "title": words[table.name],
            "columns": [words[f"{table.name}.{name}"] for name, _ in table.columns],
            "rows": [
                (
                    words[f"{table.name}.{row.name}"],
                    [
                        figure(cell, unit, words)
                        for cell, (_, unit) in zip(row.cells, table.columns, strict=True)
                    ],
                )
                for row in table.rows
            ],
        }
        for table in told.tables
    )


def _customer(conn: Connection, visit: Visit, customer: str, permission: Permission) -> Organisation:
    number = number_of(customer or "0")
    visit.require(permission, number)
    whose = find_organisation(conn, organisation(conn, number).name)
    if whose is None:  # erased: a shell is left of it
        raise UnknownRecord("There is no such customer.")
    return whose


def _period(name: str, now: datetime) -> Period:
    if not name:
        return last_month(now)
    try:
        return period_named(name)
    except ValueError:
        raise HTTPException(404) from None


def _offered(now: datetime, wanted: Period) -> list[tuple[str, str]]:
    """The last months and their quarters, and the one that is shown."""
    names: list[str] = []
    month = last_month(now)
    for _ in range(MONTHS):
        names.append(month.name)
        month = last_month(month.begin)
    quarters = dict.fromkeys(f"{one[:4]}-Q{(int(one[5:]) + 2) // 3}" for one in names)
    names += [one for one in quarters if period_named(one).over(now)]
    return [(one, one) for one in dict.fromkeys([*names, wanted.name])]


PAGES: Final = (
    Page("GET", "/reviews", "service-review", Permission.READ, show),
    Page("POST", "/reviews", "service-review-send", Permission.COMPOSE, send),
)
