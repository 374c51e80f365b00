"""Verify."""

from __future__ import annotations

from tests.console.examples import Example
from tests.console.place import Person, Place
from threads.access import Role


def answer_of(place: Place, person: Person) -> str:
    """Where an answer of that person is."""
    form = {"source": "From: a@b.test\r\nSubject: x\r\n\r\nhello\r\n"}
    return place.ask("POST", "/verify", form, person=person).headers["location"]


def of(rest: str):
    """Answers are kept for one session: the example is made by whoever looks at it."""

    def path(place: Place) -> str:
        default = Role.ANALYST if rest else Role.CUSTOMER
        return f"{answer_of(place, place.looking or place.person(default))}{rest}"

    return path


EXAMPLES: tuple[Example, ...] = (
    Example("verify", lambda _: "/verify", "all"),
    Example("verify-do", lambda _: "/verify", "all", lambda _: {"source": "From: a@b.test\r\n\r\nx\r\n"}),
    Example("verify-answer", of(""), "all"),
    Example("verify-verdict", of("/1/verdict.json"), "all"),
    Example("verify-source", of("/1/message.eml"), "all"),
    Example("verify-evidence", of("/1/evidence.json"), "all"),
)
