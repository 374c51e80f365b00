"""What was done by commands only: threads of the past, mail to another customer's thread, standing approvals, what was verified."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from expertmail.console.pages.same_message import MAX_TAKEN_OFF, digests_of
from outbound.schema import quiet_threads
from outbound.store.standing_approvals import list_standing
from tests.console.browsing import PHONE, Window
from tests.console.place import Place, now
from tests.console.test_verify_page import multipart
from threads import store
from threads.access import Grant, Role
from threads.model import Classification, Mark, State
from threads.store.audit import list_audit
from threads.store.read import list_copies, raw_message
from threads.store.thread import list_threads, thread_by_id, timeline_of


def acts(place: Place, by: str) -> list[str]:
    with place.database.reading() as conn:
        return [one.act for one in list_audit(conn) if f'"{by}"' in (one.content or "")]


def newest(place: Place, title: str):
    with place.database.reading() as conn:
        (found,) = [one for one in list_threads(conn) if one.title == title]
        quiet = conn.execute(
            select(quiet_threads.c.reason).where(quiet_threads.c.thread_id == found.id)
        ).scalar()
    return found, quiet


def test_a_thread_of_the_past_is_opened_on_a_telephone_and_sends_nothing(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    opened = window(place.person(Role.EXPERT, name="imports"), size=PHONE, scripts=False)
    page = opened.go("/incidents/new")
    page.get_by_label("Customer").select_option("Contoso")
    page.get_by_label("What it is about").fill("Long ago")
    page.get_by_text("It is of the past").click()
    page.get_by_label("When it was opened elsewhere").fill("2025-03-01T10:30")
    assert opened.wider_than_the_window() == ""
    page.get_by_role("button", name="Open", exact=True).click()
    assert "sends nothing by itself" in page.get_by_role("status").inner_text()
    thread, quiet = newest(place, "Long ago")
    assert thread.opened_at.isoformat() == "2025-03-01T10:30:00+00:00"
    assert quiet is not None
    looked = window(place.person(Role.EXPERT, name="imports"))
    looked.go("/incidents/new")
    assert looked.serious_faults(axe) == []


def test_an_imported_one_and_an_inquiry_about_an_incident(place: Place) -> None:
    person = place.person(Role.EXPERT, name="opens")
    form = {"customer": str(place.contoso.id), "title": "From elsewhere", "imported": "yes"}
    assert place.ask("POST", "/incidents/new", form, person=person).status == 303
    assert newest(place, "From elsewhere")[1] is not None
    form = {"customer": str(place.contoso.id), "title": "A question", "kind": "inquiry"}
    about = {**form, "about": place.incident.reference}
    assert place.ask("POST", "/incidents/new", about, person=person).status == 303
    thread, quiet = newest(place, "A question")
    assert (thread.about_id, quiet) == (place.incident.id, None)
    for wrong in (
        {"about": place.other_incident.reference},
        {"about": "INC-999999"},
        {"opened": "yesterday"},
        {"opened": (now() + timedelta(days=1)).isoformat()},
        {"opened": "0001-01-01T00:00:00+14:00"},
        {"opened": "9" * 5_000},
        {"kind": "incident", "about": place.incident.reference},
    ):
        answer = place.ask("POST", "/incidents/new", {**form, "title": "Refused", **wrong}, person=person)
        assert answer.status == 422, wrong
        assert "Refused" in answer.text
    with place.database.reading() as conn:
        assert not [one for one in list_threads(conn) if one.title == "Refused"]


def test_a_mail_goes_to_another_customers_thread_by_who_may_work_on_both(place: Place) -> None:
    place.answer(place.incident, place.alice, "meant for the others", subject="Astray")
    with place.database.reading() as conn:
        copy = next(one for one in list_copies(conn) if one.subject == "Astray")
    path = f"/incidents/{place.incident.reference}/move"
    both, one = place.person(Role.EXPERT, name="moves"), place.person(Grant(Role.EXPERT, place.contoso.id))
    form = {"mail": copy.id, "to": place.other_incident.reference}
    refused = place.ask("POST", path, form, person=both)
    assert (refused.status, "another customer" in refused.text) == (422, True)
    sees = place.person(Grant(Role.EXPERT, place.contoso.id), Grant(Role.ANALYST, place.fabrikam.id))
    for person in (one, sees):
        assert place.ask("POST", path, {**form, "across": "yes"}, person=person).status == 422
    assert place.ask("POST", path, {**form, "across": "yes"}, person=both).status == 303
    with place.database.reading() as conn:
        there = [e for e in timeline_of(conn, place.other_incident.id) if e.copy_id == copy.id]
    assert [entry.mark for entry in there] == [Mark.UNVERIFIED]
    assert "mail-moved" in acts(place, "moves")


def test_automatic_mail_is_approved_once_for_all_and_no_longer(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    opened = window(place.person(Role.APPROVER, name="stands"), size=PHONE, scheme="dark", scripts=False)
    page = opened.go("/approvals")
    page.get_by_label("Approve automatic mail of a kind").select_option("acknowledgement")
    page.get_by_role("button", name="Approve the kind").click()
    assert "is approved while delivery is by" in page.get_by_role("status").inner_text()
    assert opened.wider_than_the_window() == ""
    with place.database.reading() as conn:
        assert [(one.kind, one.approver) for one in list_standing(conn)] == [("acknowledgement", "stands")]
    looked = window(place.person(Role.APPROVER, name="stands"))
    looked.go("/approvals")
    assert looked.serious_faults(axe) == []
    form = {"kind": "acknowledgement", "word": "give"}
    person = place.person(Role.APPROVER, name="stands")
    again = place.ask("POST", "/approvals/standing", form, person=person)
    assert (again.status, "approved already" in again.text) == (409, True)
    for wrong in ({"kind": "reply"}, {"kind": ""}, {"kind": "x"}, {"word": "x"}):
        answer = place.ask("POST", "/approvals/standing", {**form, **wrong}, person=person)
        assert answer.status in (409, 422), wrong
    some = place.person(Grant(Role.APPROVER, place.contoso.id))
    assert "Approve the kind" not in place.ask("GET", "/approvals", person=some).text
    assert place.ask("POST", "/approvals/standing", {**form, "word": "withdraw"}, person=some).status == 404
    page.get_by_role("button", name="Withdraw").click()
    assert "no standing approval any more" in page.get_by_role("status").inner_text()
    with place.database.reading() as conn:
        assert list_standing(conn) == ()
    assert {"standing-approval", "standing-withdrawn"} <= set(acts(place, "stands"))


def test_who_resolves_an_incident_says_what_it_turned_out_to_be(place: Place) -> None:
    person = place.person(Role.EXPERT)
    for said, kept in (("not known", None), ("True positive", Classification.TRUE_POSITIVE)):
        with place.database.writing() as conn:
            thread = store.open_incident(conn, place.contoso.id, "To be resolved", now())
        was = f"Active|Medium||Defender Experts|{thread.title}"
        form = {"was": was, "state": "Resolved", "severity": "Medium", "assigned": "Defender Experts"}
        path = f"/incidents/{thread.reference}/stands"
        refused = place.ask("POST", path, {**form, "classification": ""}, person=person)
        assert refused.status == 409
        assert "turned out to be" in refused.text
        assert place.ask("POST", path, {**form, "classification": said}, person=person).status == 303
        with place.database.reading() as conn:
            after = thread_by_id(conn, thread.id)
        assert (after.state, after.classification) == (State.RESOLVED, kept)
    with place.database.writing() as conn:
        inquiry = store.open_inquiry(conn, place.contoso.id, "A question to close", now())
    was = f"{inquiry.state}|||{inquiry.assigned_to}|{inquiry.title}"
    form = {"was": was, "state": "Resolved", "assigned": inquiry.assigned_to.value}
    assert place.ask("POST", f"/incidents/{inquiry.reference}/stands", form, person=person).status == 303


def verified(place: Place, raw: bytes) -> tuple[str, str]:
    person = place.person(Role.ANALYST)
    body, kind = multipart(("x.eml", raw), token=person.token)
    answer = place.ask("POST", "/verify", body, person=person, headers={"Content-Type": kind})
    where = answer.headers["location"]
    return where, place.ask("GET", where, person=person).text


def test_the_verdict_at_receipt_is_found_below_what_servers_put_on_top_and_below_nothing_else(
    place: Place,
) -> None:
    place.answer(place.incident, place.alice, "It was me, again.", subject="Saved elsewhere")
    with place.database.reading() as conn:
        copy = next(one for one in list_copies(conn) if one.subject == "Saved elsewhere")
        raw = raw_message(conn, copy.id)
    trace = b"Delivered-To: a@b.test\r\nReceived: from x\r\n\tby y; z\r\n"
    for saved, seen in (
        (trace + raw, True),
        (raw.rstrip(b"\r\n"), True),
        (raw.replace(b"\r\n", b"\n"), True),  # as another program saves it
        (b"From: boss@contoso.test\r\n" + raw, False),
        (trace + b"Subject: x\r\n" + raw, False),
        (raw + b"more\r\n", False),
    ):
        where, text = verified(place, saved)
        assert ("When it came in" in text) is seen, saved[:60]
        assert ("put 2 trace fields on top" in text) is saved.startswith(trace + raw[:20])
        person = place.person(Role.ANALYST)
        source = place.ask("GET", f"{where}/1/message.eml", person=person)
        assert source.body.replace(b"\r\n", b"\n") == saved.replace(b"\r\n", b"\n")
        assert source.headers["content-disposition"] == 'attachment; filename="message.eml"'
        assert source.headers["content-type"] == "application/octet-stream"
    customer = place.person(Grant(Role.CUSTOMER, place.contoso.id))
    assert place.ask("GET", f"{where}/1/message.eml", person=customer).status == 403
    other = place.person(Role.ANALYST, name="did-not-ask")
    assert place.ask("GET", f"{where}/1/message.eml", person=other).status == 410


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n", b"Received: x", b"x" * 100, b"Received: x\r\n" * 100, b"\n\n\n"]
)
def test_any_octets_have_few_digests_and_their_own_first(raw: bytes) -> None:
    found = list(digests_of(raw))
    assert found[0] == (hashlib.sha256(raw).hexdigest(), 0)
    assert len(found) <= 3 * (MAX_TAKEN_OFF + 1)
    assert len({digest for digest, _ in found}) == len(found)
