"""A month's figures are alike wherever they are told: command, page, paper, HTTP, and the mail that our own verifier calls genuine."""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from outbound.review_period import period_named
from outbound.schema import outgoing
from outbound.store.outbox import show_outbox
from tests.console.api_table import Desk
from tests.console.browsing import PHONE, Window
from tests.console.place import Place, make_place, now
from threads.access import Grant, Role
from threads.api_token import Scope
from threads.model import ContactKind, EntryKind, Mark, Severity, State
from threads.store.people import add_contact
from threads.store.thread import append, open_incident, set_state

PERIOD = period_named("2026-10")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """With an October of Contoso's: three incidents, one of them open at its end."""
    made = make_place(tmp_path_factory.mktemp("review"))
    with made.database.writing() as conn:
        for number, severity in enumerate((Severity.HIGH, Severity.HIGH, Severity.LOW)):
            at = PERIOD.begin + timedelta(days=number + 1)
            one = open_incident(conn, made.contoso.id, "T", at, severity=severity)
            append(
                conn,
                one.id,
                at + timedelta(minutes=90),
                EntryKind.CALL,
                actor="ana",
                mark=Mark.EXPERT,
                text="We look.",
            )
            if severity is Severity.HIGH:
                set_state(conn, one.id, State.RESOLVED, at + timedelta(days=2), actor="ana")
        for name, language in (("rita", "en"), ("yuki", "ja")):
            add_contact(
                conn,
                made.contoso.id,
                f"{name}@contoso.test",
                name.title(),
                now(),
                kind=ContactKind.SERVICE_REVIEW,
                language=language,
            )
    yield made
    made.database.close()
    made.served.stop()


def figures_of_page(text: str) -> list[str]:
    """The cells of the tables, in their order."""
    return re.findall(r'<td class="number"[^>]*>([^<]*)</td>', text)


def figures_of_mail(raw: bytes) -> tuple[list[str], list[str]]:
    """The cells in the HTML part and in the text part."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    html = mail.get_body(("html",))
    plain = mail.get_body(("plain",))
    assert html is not None
    assert plain is not None
    cells = re.findall(r'<td style="[^"]*text-align: right[^"]*">([^<]*)</td>', html.get_content())
    said = plain.get_content()
    tables = said[said.index("Figures from") : said.index("Times run")]
    in_text = [
        cell
        for line in tables.split("\n")
        for cell in re.split(r" {2,}", line.strip())[1:]
        if re.match(r"[0-9-]", cell) and "of" not in cell
    ]
    return cells, in_text


def test_the_page_shows_and_prints_what_the_mail_says(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    kim = place.person(Role.EXPERT, name="kim")
    w = window(kim, scripts=False)
    page = w.go("/reports")
    page.click("text=Service reviews")
    page.select_option("#customer", str(place.contoso.id))
    page.select_option("#period", "2026-10")
    page.click("button:text-is('Show')")
    shown = figures_of_page(page.content())
    assert shown[:9] == ["2", "2", "0", "0", "0", "0", "1", "0", "1"]
    page.fill("#text", "The figures of October.")
    assert page.is_checked("#to-rita\\@contoso\\.test")
    page.uncheck("#to-yuki\\@contoso\\.test")
    page.click("button:text-is('Send')")
    assert "on its way" in page.inner_text("[role=status]")
    with place.database.reading() as conn:
        row = conn.execute(outgoing.select().where(outgoing.c.rcpt_to == "rita@contoso.test")).one()
        entry = show_outbox(conn, row.id)
    assert entry.item.state.value in {
        "queued",
        "leased",
        "delivered",
        "deferred",
    }  # our own verifier calls it genuine
    html, text = figures_of_mail(bytes(row.raw))
    assert html == shown
    assert text == shown
    assert b"Kim" in row.raw
    page.emulate_media(media="print")
    assert not page.is_visible("form[action='/reviews']")
    assert page.is_visible("table")
    page.set_viewport_size({"width": 720, "height": 1000})  # A4 between its margins
    assert w.wider_than_the_window() == ""
    for scheme in ("dark", "light"):
        small = window(kim, size=PHONE, scheme=scheme)
        small.go(f"/reviews?customer={place.contoso.id}&period=2026-10")
        assert small.wider_than_the_window() == ""
        assert small.serious_faults(axe) == []
        small.context.close()


def test_programs_and_commands_tell_the_same(place: Place) -> None:
    program = Desk(place).program(Scope.READ_REPORTS)
    told = program.ask("GET", "/reviews?organisation=Contoso&period=2026-10").json
    shown = figures_of_page(
        place.ask(
            "GET", f"/reviews?customer={place.contoso.id}&period=2026-10", person=place.person(Role.ANALYST)
        ).text
    )
    assert told["tables"]["incidents"]["total"] == {"opened": 3, "resolved": 2, "open": 1}
    assert told["tables"]["times"]["first-answer"] == {"number": 3, "median": 5_400, "most": 5_400}
    assert (
        json.loads(place.served.run("review", "show", "--org", "Contoso", "--period", "2026-10", "--json"))
        == told
    )
    said = place.served.run("review", "show", "--org", "Contoso", "--period", "2026-10")
    assert "1 h 30 min" in said
    assert "1 h 30 min" in shown
    assert program.ask("GET", "/reviews?organisation=Contoso&period=2026-13").status == 422
    preview = place.served.run(
        "review", "send", "--org", "Contoso", "--period", "2026-Q3", "--preview", "--by", "Kim Park"
    )
    assert "Figures from 2026-07-01 to 2026-09-30 (UTC)" in preview
    assert "2026-07-01 から 2026-09-30" in preview
    assert "queued" in place.served.run(
        "review", "send", "--org", "Contoso", "--to", "rita@contoso.test", "--by", "Kim Park"
    )


def test_what_is_not_over_or_not_ones_own_is_refused(place: Place) -> None:
    kim, this_month = place.person(Role.EXPERT, name="kim"), f"{now():%Y-%m}"
    form: dict[str, str | list[str]] = {"customer": str(place.contoso.id), "period": this_month, "key": "k"}
    said = place.ask("POST", "/reviews", form, person=kim)
    assert (said.status, "not over" in said.text) == (422, True)
    said = place.ask(
        "POST", "/reviews", {**form, "customer": str(place.fabrikam.id), "period": "2026-10"}, person=kim
    )
    assert (said.status, "no contact for service reviews" in said.text) == (422, True)
    bobs = place.person(Grant(Role.EXPERT, place.fabrikam.id), name="bobs")
    assert place.ask("GET", f"/reviews?customer={place.contoso.id}", person=bobs).status == 404
    assert "Contoso" not in place.ask("GET", "/reviews", person=bobs).text
    for odd in ("2026-13", "x", "2026"):
        assert (
            place.ask("GET", f"/reviews?customer={place.contoso.id}&period={odd}", person=kim).status == 404
        )
