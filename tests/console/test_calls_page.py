"""Break-glass in the browser: begun, called by the sheet, recorded once, ended; and who may see and do it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from expertmail.call_sheets import tel
from outbound.call_sheet import Outcome
from outbound.store.calls import (
    begin_break_glass,
    record_call,
)
from tests.console.browsing import PHONE, Window
from tests.console.place import Place, now
from threads.access import Grant, Role
from threads.model import EntryKind, Severity, Thread
from threads.store.audit import list_audit
from threads.store.people import add_contact, change_contact, contact
from threads.store.thread import open_incident, timeline_of


@pytest.fixture
def thread(place: Place) -> Thread:
    """A severe incident of Contoso, where Alice and Bo can be called."""
    with place.database.writing() as conn:
        change_contact(
            conn,
            contact(conn, place.alice.id),
            phone="+1 (555) 010-0",
            time_zone="Europe/Madrid",
            call_order=1,
        )
        if "bo" not in place.made:
            made = add_contact(
                conn,
                place.contoso.id,
                "bo@contoso.test",
                'Bo "<b>x</b>" \u202eevil',
                now(),
                phone="<i>1</i> 555 0101",
                call_order=2,
            )
            place.made["bo"] = str(made.id)
        return open_incident(conn, place.contoso.id, "Ransomware", now(), severity=Severity.HIGH)


def calls_on(place: Place, thread: Thread) -> list[str]:
    with place.database.reading() as conn:
        return [one.text for one in timeline_of(conn, thread.id) if one.kind is EntryKind.CALL]


def test_an_expert_begins_it_calls_by_the_sheet_and_reaches_somebody(
    place: Place, thread: Thread, window: Callable[..., Window], axe: str
) -> None:
    opened = window(place.person(Role.EXPERT, name="caller"))
    page = opened.go(f"/incidents/{thread.reference}")
    page.get_by_text("Begin break-glass").first.click()
    page.get_by_label("Why the customer has to be telephoned").fill("Encryption is running")
    page.get_by_role("button", name="Begin break-glass").click()
    assert "has begun" in page.get_by_role("status").inner_text()
    sheet = page.locator("#calls")
    assert "Encryption is running" in sheet.inner_text()
    assert "Europe/Madrid" in sheet.inner_text()
    assert "zone unknown" in sheet.inner_text()
    assert sheet.get_by_role("link", name="+1 (555) 010-0").get_attribute("href") == "tel:+15550100"
    assert sheet.locator("b, i").count() == 0, "names and numbers are text"
    assert opened.serious_faults(axe) == []
    page.get_by_label("What became of it").select_option("no answer")
    page.get_by_role("button", name="Record the call").click()
    assert "Call Bo" in page.locator("#calls").inner_text()
    page.goto(place.url + "/calls")
    row = page.get_by_role("row", name=re.compile(thread.reference))
    assert "Contoso" in row.inner_text()
    assert opened.serious_faults(axe) == []
    row.get_by_role("link", name=thread.reference).click()
    page.get_by_label("What became of it").select_option("reached")
    page.get_by_label("What was said to or by them, in short").fill("He pulls the plug.")
    page.get_by_role("button", name="Record the call").click()
    assert "somebody was reached" in page.locator("#calls").inner_text()
    assert thread.reference not in opened.go("/calls").locator("main").inner_text()
    texts = calls_on(place, thread)
    assert texts[0] == "Called Alice Adams <alice@contoso.test>: no answer."
    assert texts[1].endswith("reached.\nHe pulls the plug.")
    with place.database.reading() as conn:
        acts = [one.act for one in list_audit(conn) if '"caller"' in (one.content or "")]
    assert sorted(acts) == ["break-glass-began", "call-recorded", "call-recorded"]
    opened.nothing_went_wrong()


def test_on_a_telephone_in_the_dark_and_without_scripts(
    place: Place, thread: Thread, window: Callable[..., Window]
) -> None:
    with place.database.writing() as conn:
        begin_break_glass(conn, thread, "x" * 200, now(), by="eva")
    opened = window(place.person(Role.EXPERT), size=PHONE, scheme="dark", scripts=False)
    opened.go("/calls")
    assert opened.wider_than_the_window() == ""
    page = opened.go(f"/incidents/{thread.reference}")
    assert opened.wider_than_the_window() == ""
    page.get_by_role("button", name="End break-glass").click()
    assert "has ended" in page.get_by_role("status").inner_text()


def version(place: Place, thread: Thread, person: object) -> str:
    text = place.ask("GET", f"/incidents/{thread.reference}", person=person).text  # type: ignore[arg-type]
    found = re.search(r'/called">.*?name="was" value="([0-9a-f]+)"', text, re.DOTALL)
    assert found is not None
    return found[1]


def test_a_form_that_is_sent_twice_records_one_call_and_what_was_typed_stays(
    place: Place, thread: Thread
) -> None:
    with place.database.writing() as conn:
        begin_break_glass(conn, thread, "x", now(), by="eva")
    person, path = place.person(Role.EXPERT), f"/incidents/{thread.reference}/called"
    was = version(place, thread, person)
    form = {"was": was, "contact": str(place.alice.id), "outcome": "voicemail", "text": "kept word"}
    assert place.ask("POST", path, {**form, "outcome": ""}, person=person).status == 409
    assert place.ask("POST", path, {**form, "outcome": "asleep"}, person=person).status == 422
    assert place.ask("POST", path, {**form, "contact": "x"}, person=person).status == 404
    assert place.ask("POST", path, form, person=person).status == 303
    late = place.ask("POST", path, form, person=person)
    assert late.status == 409
    assert "meanwhile" in late.text
    assert "kept word" in late.text
    assert len(calls_on(place, thread)) == 1
    with place.database.writing() as conn:
        change_contact(conn, contact(conn, place.alice.id), phone="+1 555 0199")
    stale = {**form, "was": was}
    assert place.ask("POST", path, stale, person=person).status == 409, "the number is another one"


def test_who_sees_other_customers_sees_none_of_it_and_who_only_reads_does_nothing(
    place: Place, thread: Thread
) -> None:
    with place.database.writing() as conn:
        begin_break_glass(conn, thread, "x", now(), by="eva")
        record_call(conn, thread, contact(conn, place.alice.id), Outcome.BUSY, "", now(), by="eva")
    stranger = place.person(Grant(Role.EXPERT, place.fabrikam.id))
    assert thread.reference not in place.ask("GET", "/calls", person=stranger).text
    theirs = place.person(Grant(Role.EXPERT, place.contoso.id))
    assert thread.reference in place.ask("GET", "/calls", person=theirs).text
    reader = place.person(Role.ANALYST)
    shown = place.ask("GET", f"/incidents/{thread.reference}", person=reader)
    assert "Record the call" not in shown.text
    answer = place.ask("POST", f"/incidents/{thread.reference}/break-glass", {"do": "end"}, person=reader)
    assert answer.status == 403


@pytest.mark.parametrize(
    ("number", "link"),
    [
        ("+1 (555) 010-0", "tel:+15550100"),
        ("0049 89 1234", "tel:0049891234"),
        ("112", "tel:112"),
        ("javascript:alert(1)", ""),
        ("ask the desk", ""),
        ("٣٤٥٦", ""),
    ],
)
def test_a_number_is_a_link_of_its_digits(number: str, link: str) -> None:
    assert tel(number) == link
