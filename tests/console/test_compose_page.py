"""Writing to customers in the browser: from the form to the mail that was delivered, and by two people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.console.browsing import PHONE, Window
from tests.console.place import Place, make_place, now
from threads.access import Grant, Role
from threads.store import add_contact
from threads.store.audit import list_audit
from threads.store.people import remove_contact

HOSTILE = '<script>alert(1)</script> </textarea> " onfocus="alert(1) {{7*7}}'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = make_place(tmp_path_factory.mktemp("compose"), '[sending]\nsecond_person = ["managed-response"]\n')
    yield made
    made.database.close()
    made.served.stop()


def delivered(place: Place, word: str) -> str:
    """The mail in the outbox's folder that holds a word."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for path in place.served.outbox.glob("*.eml"):
            text = path.read_text("utf-8", "replace")
            if word in text:
                return text
        time.sleep(0.1)
    raise AssertionError(f"no mail with {word!r} was delivered")


def mails(place: Place) -> int:
    return len(place.served.json("outbox", "list"))


def form(place: Place, **more: str | list[str]) -> dict[str, str | list[str]]:
    return {
        "kind": "request-for-context", "incident": place.incident.reference, "to": place.alice.address,
        "w.title": "Odd sign-ins", "w.opening": "We need your help.", "w.questions": ["Was it you?"],
        "w.expert": "Mia", "do": "send", **more,
    }  # fmt: skip


def test_from_the_incident_to_a_delivered_mail(place: Place, window: Callable[..., Window], axe: str) -> None:
    expert = window(place.person(Role.EXPERT, name="mia.writes"))
    page = expert.go(f"/incidents/{place.incident.reference}")
    page.get_by_role("link", name="Write to the customer").click()
    page.get_by_label("Request for context").check()
    page.get_by_role("button", name="Go on").click()
    assert expert.serious_faults(axe) == []
    page.get_by_label("Alice Adams").check()
    page.get_by_label("Opening").fill("We look at a sign-in that may not be yours.")
    page.get_by_label("Questions 1").fill("Was the sign-in at 03:12 yours?")
    page.get_by_label("Questions 2").fill(f"Who is {HOSTILE}?")
    page.get_by_role("button", name="More places").click()
    page.get_by_label("Questions 3").fill("Anything else?")
    page.get_by_role("button", name="Preview").click()
    assert page.get_by_label("Questions 3").input_value() == "Anything else?", "what was typed stays"
    assert page.get_by_label("Alice Adams").is_checked()
    frame = page.frame_locator("iframe.light-frame").first
    assert "Was the sign-in at 03:12 yours?" in frame.locator("body").inner_text()
    assert "<script>alert(1)</script>" in frame.locator("body").inner_text(), "it is text there"
    assert expert.serious_faults(axe) == []
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Send", exact=True).click()
    assert "on its way" in page.get_by_role("status").inner_text()
    assert "03:12" in page.inner_text("#timeline")
    delivered(place, "Odd sign-ins from Lagos")


def test_a_test_goes_to_ourselves_and_to_no_timeline(place: Place, window: Callable[..., Window]) -> None:
    page = window(place.person(Role.EXPERT, name="tests"), size=PHONE, scheme="dark", scripts=False).go(
        f"/compose?incident={place.incident.reference}&kind=reply"
    )
    page.get_by_label("Alice Adams").check()
    page.get_by_label("Text").fill("Only a try, 4711.")
    page.get_by_text("Send a test first").click()
    page.get_by_label("To an address of ours").fill("me@experts.test")
    page.get_by_role("button", name="Send a test").click()
    assert "A test goes to me@experts.test" in page.get_by_role("status").inner_text()
    assert (
        "4711"
        not in place.ask("GET", f"/incidents/{place.incident.reference}", person=place.people["tests"]).text
    )
    delivered(place, "4711")
    assert place.served.json("outbox", "list")[0]["rcpt_to"] == "me@experts.test"


def test_what_is_sent_twice_goes_once(place: Place) -> None:
    person, before = place.person(Role.EXPERT), mails(place)
    sent = form(place, key="the-same-key")
    assert place.ask("POST", "/compose", sent, person=person).status == 303
    assert place.ask("POST", "/compose", sent, person=person).status == 303
    assert mails(place) == before + 1
    changed = place.ask("POST", "/compose", {**sent, "w.opening": "Another text."}, person=person)
    assert changed.status == 422
    assert "Another text." in changed.text, "what was typed is not lost"
    assert mails(place) == before + 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"to": []}, "Choose at least one recipient"),
        ({"w.questions": []}, "needs"),
        ({"w.questions": ["x" * 5_000]}, "longer"),
        ({"to": "nobody@elsewhere.test"}, "contact"),
        ({"to": "bob@fabrikam.test"}, "contact"),
        ({"outside_to": "x@elsewhere.test"}, "contact"),
        ({"send_after": "soon"}, "time"),
        ({"w.opening": "http://evil.test/ see"}, ""),
        ({"w.title": "a\r\nBcc: x@evil.test"}, ""),
    ],
)
def test_what_cannot_be_sent_is_told_and_nothing_is_lost(
    place: Place, more: dict[str, str | list[str]], said: str
) -> None:
    before = mails(place)
    answer = place.ask("POST", "/compose", form(place, **more), person=place.person(Role.EXPERT))
    if answer.status == 303:
        assert not said
        return
    assert answer.status == 422
    assert said in answer.text
    assert "Was it you?" in answer.text or more.get("w.questions") is not None
    assert mails(place) == before


def test_a_contact_who_left_meanwhile_gets_nothing(place: Place) -> None:
    with place.database.writing() as conn:
        gone = add_contact(conn, place.contoso.id, "gone@contoso.test", "Gone", now())
        remove_contact(conn, gone, now())
    before = mails(place)
    answer = place.ask(
        "POST", "/compose", form(place, to="gone@contoso.test"), person=place.person(Role.EXPERT)
    )
    assert answer.status == 422
    assert mails(place) == before


def test_another_person_approves_what_was_written(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    writer = place.person(Role.EXPERT, Role.APPROVER, name="writes.and.approves")
    sent = {
        "kind": "managed-response", "incident": place.incident.reference, "to": place.alice.address,
        "w.title": "Odd sign-ins", "w.summary": "Account 0815 was taken over.", "w.severity": "High",
        "w.pending": ["Reset it"], "do": "send",
    }  # fmt: skip
    answer = place.ask("POST", "/compose", sent, person=writer)
    assert answer.headers["location"] == "/approvals"
    number = place.served.json("outbox", "list")[0]["outgoing_id"]
    own = place.ask("GET", f"/approvals/{number}", person=writer).text
    assert "another person has to approve it" in own
    digest = own.partition("<dt>Digest</dt><dd><code>")[2].partition("<")[0]
    decide = f"/approvals/{number}/decide"
    refused = place.ask("POST", decide, {"word": "approve", "digest": digest}, person=writer)
    assert refused.status == 409
    other = place.person(Grant(Role.APPROVER, place.fabrikam.id))
    assert place.ask("POST", decide, {"word": "approve", "digest": digest}, person=other).status == 404
    approver = window(place.person(Role.APPROVER, name="approves"))
    page = approver.go("/approvals")
    assert approver.serious_faults(axe) == []
    page.get_by_role("link", name=str(number), exact=True).click()
    assert approver.serious_faults(axe) == []
    assert "0815" in page.inner_text("main")
    stale = place.ask(
        "POST", decide, {"word": "approve", "digest": "0" * 64}, person=place.people["approves"]
    )
    assert stale.status == 409, "what is approved is what was shown"
    page.get_by_role("button", name="Approve").click()
    assert "is approved" in page.get_by_role("status").inner_text()
    delivered(place, "0815")
    with place.database.reading() as conn:
        (row,) = [one for one in list_audit(conn) if one.act == "mail-approved"]
    assert '"approves"' in (row.content or "")


def test_break_glass_sends_at_once_and_asks_for_a_review(place: Place) -> None:
    writer = place.person(Role.EXPERT, name="in.a.hurry")
    sent = {
        "kind": "managed-response", "incident": place.incident.reference, "to": place.alice.address,
        "w.title": "Odd", "w.summary": "Nuclear 1234.", "w.severity": "High", "w.pending": ["Reset it"],
        "break_glass": "They are in the vault now", "do": "send",
    }  # fmt: skip
    assert place.ask("POST", "/compose", sent, person=writer).status == 303
    delivered(place, "Nuclear 1234")
    number = place.served.json("outbox", "list")[0]["outgoing_id"]
    page = place.ask("GET", "/approvals", person=writer).text
    assert "They are in the vault now" in page
    path, words = f"/approvals/{number}/review", {"reason": "It was right."}
    assert place.ask("POST", path, words, person=writer).status == 403
    reviewer = place.person(Role.APPROVER, name="reviews")
    assert place.ask("POST", path, {"reason": ""}, person=reviewer).status == 422
    assert place.ask("POST", path, words, person=reviewer).status == 303
    assert "They are in the vault now" not in place.ask("GET", "/approvals", person=writer).text


def test_to_a_compromised_customer_goes_only_a_word_about_the_portal(place: Place) -> None:
    person = place.person(Role.EXPERT)
    path = f"/customers/{place.contoso.id}/mode"
    assert place.ask("POST", path, {"mode": "untrusted", "reason": ""}, person=person).status == 409
    assert (
        place.ask("POST", path, {"mode": "untrusted", "reason": "an intruder reads"}, person=person).status
        == 303
    )
    incident = place.ask("GET", f"/incidents/{place.incident.reference}", person=person).text
    assert "an intruder reads" in incident
    refused = place.ask("POST", "/compose", form(place), person=person)
    assert refused.status == 422
    assert "untrusted" in refused.text
    assert place.ask("POST", path, {"mode": "trusted", "reason": "they called"}, person=person).status == 303
