"""Held mail in the browser: released by one person or by two, put aside, and seen only by whose it is."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import update

from tests.console.browsing import PHONE, Window
from tests.console.place import Place, make_place
from threads.access import Grant, Role
from threads.model import Disposition
from threads.schema import messages
from threads.store.audit import list_audit
from threads.store.held import held_item
from threads.store.held_requests import open_request
from threads.store.people import find_contacts
from threads.store.read import list_copies


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = make_place(tmp_path_factory.mktemp("held"), '[held]\nsecond_person = "always"\n')
    yield made
    made.database.close()
    made.served.stop()


def arrived(place: Place, subject: str, to: str | None = None, name: str = "eve") -> str:
    """A stranger's message; its id."""
    to = to or place.reply_address(place.incident)
    raw = (
        f"From: Eve <{name}@stranger.test>\r\nTo: {to}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{secrets.token_hex(6)}@stranger.test>\r\n\r\nPlease read <b>this</b>.\r\n"
    )
    place.mail(raw.encode(), mail_from="eve@stranger.test", to=to)
    with place.database.reading() as conn:
        (found,) = [one for one in list_copies(conn) if one.subject == subject]
    return found.id


def acts(place: Place, subject: str) -> list[str]:
    with place.database.reading() as conn:
        return [one.act for one in list_audit(conn) if subject in (one.content or "")][::-1]  # oldest first


def request_of(place: Place, copy_id: str) -> str:
    """The number of the request that is open."""
    with place.database.reading() as conn:
        found = open_request(conn, copy_id)
    assert found is not None
    return str(found.id)


def stands_as(place: Place, copy_id: str) -> Disposition:
    with place.database.reading() as conn:
        return held_item(conn, copy_id).copy.disposition


def test_consent_is_to_what_was_shown(place: Place) -> None:
    copy_id = arrived(place, "Changed meanwhile")
    asks, other = place.person(Role.EXPERT, name="asks.twice"), place.person(Role.APPROVER, name="is.shown")
    release, consent = f"/held/{copy_id}/release", f"/held/{copy_id}/consent"
    assert place.ask("POST", release, person=asks).status == 303
    shown = {"word": "consent", "request": request_of(place, copy_id)}
    elsewhere = {"where": "thread", "to": place.other_incident.reference}
    assert place.ask("POST", release, elsewhere, person=asks).status == 303
    for form in (shown, {"word": "consent"}, {"word": "consent", "request": "0"}):
        assert place.ask("POST", consent, form, person=other).status == 409
    assert stands_as(place, copy_id) is Disposition.HELD
    page = place.ask("GET", f"/held/{copy_id}", person=other).text
    assert f"onto {place.other_incident.reference}: Mass deletion of files (Fabrikam)" in page


def test_who_approves_for_one_customer_files_nothing_on_anothers_thread(place: Place) -> None:
    copy_id = arrived(place, "Across")
    asks = place.person(Role.EXPERT, name="asks.across")
    limited = place.person(Grant(Role.APPROVER, place.contoso.id))
    elsewhere = {"where": "thread", "to": place.other_incident.reference}
    assert place.ask("POST", f"/held/{copy_id}/release", elsewhere, person=asks).status == 303
    page = place.ask("GET", f"/held/{copy_id}", person=limited).text
    assert "of a customer that you do not see" in page
    assert "Fabrikam" not in page
    form = {"word": "consent", "request": request_of(place, copy_id)}
    assert place.ask("POST", f"/held/{copy_id}/consent", form, person=limited).status == 404
    assert stands_as(place, copy_id) is Disposition.HELD


def test_nothing_is_asked_for_mail_that_does_not_wait(place: Place) -> None:
    asks, other = place.person(Role.EXPERT, name="asks.late"), place.person(Role.APPROVER, name="late")
    copy_id = arrived(place, "Put aside")
    assert place.ask("POST", f"/held/{copy_id}/release", person=asks).status == 303
    form = {"word": "consent", "request": request_of(place, copy_id)}
    assert place.ask("POST", f"/held/{copy_id}/discard", {"reason": "spam"}, person=asks).status == 303
    page = place.ask("GET", f"/held/{copy_id}", person=other).text
    assert "A release is asked for" not in page
    assert place.ask("POST", f"/held/{copy_id}/consent", form, person=other).status == 404
    assert place.ask("POST", f"/held/{copy_id}/release", person=asks).status == 409
    assert stands_as(place, copy_id) is Disposition.DISCARDED


def test_two_people_release_a_message_and_make_its_author_a_contact(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    copy_id = arrived(place, "May I speak?")
    expert = window(place.person(Role.EXPERT, Role.APPROVER, name="asks"), size=PHONE)
    page = expert.go("/held")
    assert expert.serious_faults(axe) == []
    assert expert.wider_than_the_window() == ""
    page.get_by_role("link", name="May I speak?").click()
    assert expert.serious_faults(axe) == []
    page.get_by_label("Make its author a contact").check()
    page.get_by_label("Name of the contact").fill("Eve Evans")
    page.get_by_role("button", name="Ask for its release").click()
    assert "another person" in page.get_by_role("status").inner_text()
    assert not page.get_by_role("button", name="Consent").count(), "nobody consents to what he asked for"
    own = place.people["asks"]
    mine = {"word": "consent", "request": request_of(place, copy_id)}
    assert place.ask("POST", f"/held/{copy_id}/consent", mine, person=own).status == 409
    with place.database.reading() as conn:
        assert held_item(conn, copy_id).copy.disposition is Disposition.HELD

    other = window(place.person(Role.APPROVER, name="consents"), scheme="dark", scripts=False).go("/held")
    assert "release asked for" in other.get_by_role("row", name="May I speak?").inner_text()
    other.get_by_role("link", name="May I speak?").click()
    other.get_by_role("button", name="Consent").click()
    assert "Filed on INC-000001 as unverified" in other.get_by_role("status").inner_text()
    with place.database.reading() as conn:
        assert held_item(conn, copy_id).copy.disposition is Disposition.FILED
        assert find_contacts(conn, "eve@stranger.test")[0].name == "Eve Evans"
    assert acts(place, copy_id) == ["release-asked", "mail-released"]

    page = expert.go(f"/incidents/{place.incident.reference}")
    entry = page.locator(".entry.outside")
    assert "nobody has proven who wrote this" in entry.inner_text()
    assert "Please read" not in entry.inner_text(), "it is folded"


def test_a_request_that_is_refused_leaves_the_message_waiting(place: Place) -> None:
    copy_id = arrived(place, "Refused")
    asks, other = place.person(Role.EXPERT, name="asks-again"), place.person(Role.APPROVER, name="refuses")
    assert place.ask("POST", f"/held/{copy_id}/release", person=asks).status == 303
    assert place.ask("POST", f"/held/{copy_id}/release", person=asks).status == 409, "twice is once"
    shown = {"request": request_of(place, copy_id)}
    for word in ("", "no", "Consent"):
        answer = place.ask("POST", f"/held/{copy_id}/consent", {**shown, "word": word}, person=other)
        assert answer.status == 409, "no other word decides"
    for word, status in (("refuse", 303), ("consent", 404)):
        answer = place.ask("POST", f"/held/{copy_id}/consent", {**shown, "word": word}, person=other)
        assert answer.status == status
    with place.database.reading() as conn:
        assert held_item(conn, copy_id).copy.disposition is Disposition.HELD
    assert acts(place, copy_id) == ["release-asked", "release-refused"]


def test_the_command_asks_for_a_second_person_as_well(place: Place) -> None:
    copy_id = arrived(place, "By command")
    assert "another person" in place.served.run("held", "release", copy_id, "--as", "ana")
    place.served.run("held", "consent", copy_id, "--as", "ana", expect=None)
    with place.database.reading() as conn:
        assert held_item(conn, copy_id).copy.disposition is Disposition.HELD
    assert "Filed on INC-000001" in place.served.run("held", "consent", copy_id, "--as", "ben")


def test_what_is_asked_for_lies_within_what_the_asker_may_do(place: Place) -> None:
    copy_id = arrived(place, "Not there")
    limited = place.person(Grant(Role.EXPERT, place.contoso.id))
    for form in (
        {"where": "thread", "to": place.other_incident.reference},
        {"where": "thread", "to": "INC-999999"},
        {"where": "inquiry", "customer": str(place.fabrikam.id)},
        {"where": "inquiry", "customer": "99999999999999999999"},
        {"where": "inquiry", "customer": "٣"},
        {"where": "thread", "to": "\x00'"},
        {"add": "yes", "contact": ""},
    ):
        assert place.ask("POST", f"/held/{copy_id}/release", form, person=limited).status in (404, 409), form
    assert acts(place, copy_id) == []


def test_strangers_mail_is_for_who_sees_all(place: Place) -> None:
    copy_id = arrived(place, "A question of nobody", to="query@experts.test", name="ned")
    limited = place.person(Grant(Role.EXPERT, place.contoso.id))
    assert place.ask("GET", f"/held/{copy_id}", person=limited).status == 404
    assert "A question of nobody" not in place.ask("GET", "/held?tab=triage", person=limited).text
    assert place.ask("GET", "/held?tab=expired", person=limited).status == 404
    everybody = place.person(Role.EXPERT)
    assert "A question of nobody" in place.ask("GET", "/held?tab=triage", person=everybody).text
    assert place.ask("POST", f"/held/{copy_id}/discard", {"reason": "spam"}, person=everybody).status == 303
    assert acts(place, copy_id) == ["mail-discarded"]


def test_several_are_put_aside_together_or_none(place: Place) -> None:
    mine = [arrived(place, f"Together {number}") for number in range(3)]
    theirs = arrived(place, "Of Fabrikam", to=place.reply_address(place.other_incident))
    limited = place.person(Grant(Role.EXPERT, place.contoso.id))
    assert place.ask("POST", "/held/discard", {"id": [*mine, theirs]}, person=limited).status == 404
    with place.database.reading() as conn:
        assert all(held_item(conn, one).copy.disposition is Disposition.HELD for one in (*mine, theirs))
    assert place.ask("POST", "/held/discard", {"id": mine}, person=limited).status == 303
    with place.database.reading() as conn:
        assert all(held_item(conn, one).copy.disposition is Disposition.DISCARDED for one in mine)


@pytest.mark.parametrize("query", ["after=x'", "after=%00", "tab=x", "after=" + "0" * 500])
def test_addresses_that_nobody_made_are_no_fault_of_ours(place: Place, query: str) -> None:
    assert place.ask("GET", f"/held?{query}", person=place.person(Role.EXPERT)).status in (200, 404, 409)


def test_a_row_whose_disposition_is_damaged_is_shown_as_that(place: Place) -> None:
    copy_id = arrived(place, "Damaged in place")
    with place.database.writing() as conn:
        conn.execute(update(messages).where(messages.c.id == copy_id).values(disposition="hel"))
    for person in (place.person(Role.EXPERT), place.person(Grant(Role.ANALYST, place.contoso.id))):
        shown = place.ask("GET", "/held", person=person).text
        assert f"Message {copy_id} cannot be read (disposition)" in shown
    other = place.person(Grant(Role.ANALYST, place.fabrikam.id))
    assert copy_id not in place.ask("GET", "/held", person=other).text
    with place.database.writing() as conn:
        conn.execute(update(messages).where(messages.c.id == copy_id).values(disposition="held"))
