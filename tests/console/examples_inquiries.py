"""Questions to the experts, and service reviews."""

from __future__ import annotations

from collections.abc import Mapping

from tests.console.examples import Example
from tests.console.place import Place, now
from threads.model import AskedBy, ContactKind
from threads.store.inquiries import ask
from threads.store.people import add_contact, list_contacts


def question(place: Place, by: AskedBy = AskedBy.API) -> str:
    """A question of Contoso's."""
    with place.database.writing() as conn:
        return ask(
            conn,
            place.contoso,
            "An update",
            "Is it safe?",
            now(),
            contact=place.alice,
            asked_by=by,
            actor="portal",
        ).reference


def reviewer(place: Place) -> str:
    """The address of Contoso's contact for reviews."""
    with place.database.writing() as conn:
        for one in list_contacts(conn, place.contoso.id):
            if one.kind is ContactKind.SERVICE_REVIEW:
                return one.address
        return add_contact(
            conn, place.contoso.id, "rita@contoso.test", "Rita", now(), kind=ContactKind.SERVICE_REVIEW
        ).address


def _new(place: Place) -> Mapping[str, str | list[str]]:
    return {
        "customer": str(place.contoso.id),
        "contact": place.alice.address,
        "title": "An update",
        "text": "Is it safe?",
    }


def _review(place: Place) -> Mapping[str, str | list[str]]:
    return {
        "customer": str(place.contoso.id),
        "period": "2026-01",
        "key": "one-of-these",
        "to": [reviewer(place)],
    }


EXAMPLES: tuple[Example, ...] = (
    Example("inquiries", lambda p: f"/inquiries?customer={p.contoso.id}&for={question(p)}", "contoso"),
    Example("inquiries-table", lambda p: f"/inquiries/history.csv?customer={p.contoso.id}", "contoso"),
    Example("new-inquiry", lambda _: "/inquiries/new", "all"),
    Example("new-inquiry-open", lambda _: "/inquiries/new", "contoso", _new),
    Example("inquiry-answer", lambda p: f"/inquiries/{question(p)}/answer", "contoso"),
    Example(
        "inquiry-answer-send", lambda p: f"/inquiries/{question(p)}/answer", "contoso",
        lambda _: {"text": "It is.", "way": "chat", "key": "some-key"},
    ),
    Example("service-review", lambda p: f"/reviews?customer={p.contoso.id}&period=2026-01", "contoso"),
    Example("service-review-send", lambda _: "/reviews", "contoso", _review),
)  # fmt: skip
