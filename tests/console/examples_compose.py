"""Composing and approving."""

from __future__ import annotations

from tests.console.examples import Example
from tests.console.examples_held import mail_number
from tests.console.place import Place
from threads.access import Role


def preview(place: Place) -> str:
    person = place.looking or place.person(Role.EXPERT)
    form = {
        "kind": "request-for-context", "incident": place.incident.reference, "to": place.alice.address,
        "w.opening": "We need your help.", "w.questions": "Was it you?", "w.expert": "Mia", "do": "preview",
    }  # fmt: skip
    page = place.ask("POST", "/compose", form, person=person).text
    return "/compose/preview/" + page.partition("/compose/preview/")[2].partition('"')[0]


def on_mail(rest: str = ""):
    return lambda place: f"/approvals/{mail_number(place)}{rest}"


EXAMPLES: tuple[Example, ...] = (
    Example("compose", lambda p: f"/compose?incident={p.incident.reference}&kind=request-for-context", "contoso"),
    Example(
        "compose-do", lambda _: "/compose", "contoso",
        lambda p: {"kind": "request-for-context", "incident": p.incident.reference, "do": "preview"},
    ),
    Example("compose-preview", preview, "all"),
    Example("approvals", lambda _: "/approvals", "all"),
    Example("approval-standing", lambda _: "/approvals/standing", "nobody", lambda _: {"kind": "acknowledgement"}),
    Example("approval", on_mail(), "contoso"),
    Example("approval-decide", on_mail("/decide"), "contoso"),
    Example("approval-break-glass", on_mail("/break-glass"), "contoso", lambda _: {"reason": "x"}),
    Example("approval-review", on_mail("/review"), "contoso", lambda _: {"reason": "x"}),
)  # fmt: skip
