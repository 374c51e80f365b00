"""Incidents in the browser: the list, the timeline as mail comes in, and what experts do there."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.console.browsing import PHONE, Window
from tests.console.place import Place, now
from threads import store
from threads.access import Grant, Role
from threads.model import Mark, State, Thread
from threads.store.audit import list_audit
from threads.store.read import list_copies
from threads.store.thread import thread_by_id, timeline_of


def opened_incident(place: Place, title: str = "An incident of its own") -> Thread:
    with place.database.writing() as conn:
        return store.open_incident(conn, place.contoso.id, title, now())


def on_record(place: Place, thread: Thread) -> list[str]:
    with place.database.reading() as conn:
        return [one.text for one in timeline_of(conn, thread.id)]


def answer_with_id(place: Place, thread: Thread, text: str, refers_to: str = "") -> str:
    """A contact's mail; its Message-ID without brackets."""
    name = f"{secrets.token_hex(8)}@contoso.test"
    to = place.reply_address(thread, place.alice)
    references = f"In-Reply-To: <{refers_to}>\r\nReferences: <{refers_to}>\r\n" if refers_to else ""
    raw = (
        f"From: Alice Adams <alice@contoso.test>\r\nTo: <{to}>\r\nSubject: Re: {text}\r\nMessage-ID: <{name}>\r\n"
        f"{references}Date: {now():%a, %d %b %Y %H:%M:%S +0000}\r\n\r\n{text}\r\n"
    )
    place.mail(raw.encode(), mail_from="alice@contoso.test", to=to)
    return name


def test_a_reply_appears_on_a_timeline_that_somebody_looks_at(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    thread = opened_incident(place, "Somebody looks at it")
    opened = window(place.person(Role.EXPERT))
    page = opened.go(f"/incidents/{thread.reference}")
    assert opened.serious_faults(axe) == []
    place.answer(thread, place.alice, "It was me, from the hotel.\n\n> Was it you?\n")
    page.wait_for_selector("text=from the hotel", timeout=20_000)
    entry = page.locator(".entry", has_text="from the hotel")
    assert "verified" in entry.inner_text()
    assert "Was it you?" not in entry.inner_text(), "quoted text is folded"
    assert "new on the timeline" in page.locator("#live-news").inner_text()
    entry.get_by_role("link", name="Message").click()
    assert opened.serious_faults(axe) == []
    assert "reply address" in page.inner_text("#why")
    page.get_by_role("link", name="Source").click()
    assert "Message-ID:" in page.inner_text("pre")


def test_an_expert_works_on_an_incident_without_scripts_on_a_telephone(
    place: Place, window: Callable[..., Window]
) -> None:
    thread = opened_incident(place, "Worked on")
    opened = window(place.person(Role.EXPERT, name="works"), size=PHONE, scheme="dark", scripts=False)
    page = opened.go(f"/incidents/{thread.reference}")

    def said() -> str:
        return page.get_by_role("status").inner_text()

    page.get_by_text("State, severity, next move").click()
    page.get_by_label("State", exact=True).select_option("In progress")
    page.get_by_label("Severity").select_option("High")
    page.get_by_role("button", name="Change", exact=True).click()
    assert said() == "It is changed."
    page.get_by_text("Note for experts").click()
    page.get_by_label("Note", exact=True).fill("Seen before, in March.")
    page.get_by_role("button", name="Add note").click()
    assert "note is on the timeline" in said()
    page.get_by_text("Record a call").click()
    page.get_by_label("What was said, in short").fill("He is on holidays.")
    page.get_by_label("Whose words these are").fill("Bob's deputy")
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Add a task").click()
    page.get_by_label("What is to be done").fill("Reset the password")
    page.get_by_role("button", name="Add", exact=True).click()
    assert said() == "Task 1 is added."
    page.get_by_label("Task 1 is").select_option("completed")
    page.get_by_role("button", name="Set", exact=True).click()
    assert "completed" in said()
    with place.database.reading() as conn:
        after = thread_by_id(conn, thread.id)
        entries = timeline_of(conn, thread.id)
        acts = {one.act for one in list_audit(conn) if '"works"' in (one.content or "")}
    assert (after.state, after.severity and after.severity.value) == (State.IN_PROGRESS, "High")
    assert any(one.mark is Mark.REPORTED and one.actor == "Bob's deputy" for one in entries)
    assert acts == {"thread-changed", "state-set", "note-added", "call-recorded", "task-added", "task-set"}


def test_a_form_for_what_is_no_longer_so_changes_nothing(place: Place) -> None:
    thread = opened_incident(place, "Two at once")
    person, path = place.person(Role.EXPERT), f"/incidents/{thread.reference}/stands"
    was = f"Active|Medium||Defender Experts|{thread.title}"
    first = {"was": was, "state": "In progress", "severity": "Medium", "assigned": "Defender Experts"}
    assert place.ask("POST", path, first, person=person).status == 303
    late = place.ask("POST", path, {**first, "state": "Resolved"}, person=person)
    assert late.status == 409
    assert "meanwhile" in late.text
    with place.database.reading() as conn:
        assert thread_by_id(conn, thread.id).state is State.IN_PROGRESS
    tasks = f"/incidents/{thread.reference}/tasks"
    assert place.ask("POST", tasks, {"title": "Look"}, person=person).status == 303
    done = {"was": "open", "status": "completed"}
    assert place.ask("POST", f"{tasks}/1", done, person=person).status == 303
    late = place.ask("POST", f"{tasks}/1", {"was": "open", "status": "inProgress"}, person=person)
    assert late.status == 409
    assert "meanwhile" in late.text


@pytest.mark.parametrize("mode", ["", "junk", "Trusted"])
def test_no_other_word_ends_the_mode_of_a_compromised_customer(place: Place, mode: str) -> None:
    person, path = place.person(Role.EXPERT), f"/customers/{place.fabrikam.id}/mode"
    place.ask("POST", path, {"mode": "untrusted", "reason": "an intruder"}, person=person)
    assert place.ask("POST", path, {"mode": mode, "reason": "x"}, person=person).status == 422
    assert "untrusted since" in place.ask("GET", path, person=person).text
    assert place.ask("POST", path, {"mode": "trusted", "reason": "x"}, person=person).status == 303


def test_what_is_typed_into_a_note_that_is_too_long_is_not_lost(place: Place) -> None:
    thread, text = opened_incident(place, "Long note"), "kept word " + "x" * 20_000
    path = f"/incidents/{thread.reference}/notes"
    answer = place.ask("POST", path, {"text": text}, person=place.person(Role.EXPERT))
    assert answer.status == 422
    assert "kept word" in answer.text


def test_the_move_page_has_the_mail_it_was_asked_for_however_old(place: Place) -> None:
    thread = opened_incident(place, "Busy")
    answer_with_id(place, thread, "the very first mail")
    with place.database.writing() as conn:
        (copy,) = list_copies(conn, thread_id=thread.id)
        for number in range(205):
            store.add_note(conn, thread.id, f"note {number}", now(), actor="test")
    person = place.person(Role.EXPERT)
    assert (
        "the very first mail"
        in place.ask("GET", f"/incidents/{thread.reference}/move?mail={copy.id}", person=person).text
    )
    told = place.ask(
        "GET", f"/incidents/{thread.reference}/merge?into={opened_incident(place).reference}", person=person
    )
    assert "1 mail and" in told.text
    for into in (place.other_incident.reference, thread.reference):
        refused = place.ask("GET", f"/incidents/{thread.reference}/merge?into={into}", person=person)
        assert refused.status == 422
        assert "goes on for it" not in refused.text


@pytest.mark.parametrize(
    ("rest", "form"),
    [
        ("/stands", {"was": "x"}),
        ("/stands", {"state": "Nonsense"}),
        ("/notes", {"text": ""}),
        ("/notes", {"text": "x" * 20_001}),
        ("/calls", {"text": "\x00"}),
        ("/tasks", {"title": " "}),
        ("/tasks", {"title": "x", "source": "nobody"}),
        ("/tasks/9", {"status": "completed"}),
        ("/tasks/99999999999", {"status": "completed"}),
        ("/tasks/x", {"status": "completed"}),
        ("/move", {"mail": "none", "to": "INC-000002"}),
        ("/move", {"mail": "none"}),
        ("/move", {"to": "INC-999999", "mail": "x"}),
        ("/merge", {"into": "INC-000002"}),
        ("/merge", {"into": "nothing"}),
        ("/merge", {}),
    ],
)
def test_what_cannot_be_done_is_told_and_is_no_fault_of_ours(
    place: Place, rest: str, form: dict[str, str]
) -> None:
    before = on_record(place, place.incident)
    answer = place.ask(
        "POST", f"/incidents/{place.incident.reference}{rest}", form, person=place.person(Role.EXPERT)
    )
    if rest == "/calls":  # a control character is stored as what a database takes
        assert answer.status in (303, 422)
        return
    assert answer.status in (404, 409, 422), answer.status
    assert on_record(place, place.incident) == before


def test_a_moved_mail_takes_its_later_answers_along(place: Place, window: Callable[..., Window]) -> None:
    here, there = opened_incident(place, "Where it came"), opened_incident(place, "Where it belongs")
    name = answer_with_id(place, here, "about something else")
    opened = window(place.person(Role.EXPERT))
    page = opened.go(f"/incidents/{here.reference}")
    page.locator(".entry", has_text="about something else").get_by_role("link", name="Move").click()
    assert page.get_by_role("checkbox").first.is_checked()
    page.get_by_label("To the thread").fill(there.reference)
    page.get_by_role("button", name="Move").click()
    assert "1 mail moved here" in page.get_by_role("status").inner_text()
    answer_with_id(place, here, "and one thing more", refers_to=name)
    texts = on_record(place, there)
    assert any("about something else" in one for one in texts)
    assert any("and one thing more" in one for one in texts)
    assert not any("and one thing more" in one for one in on_record(place, here))


def test_a_part_is_split_off_and_a_thread_is_merged(place: Place) -> None:
    source = opened_incident(place, "Two matters in one")
    answer_with_id(place, source, "the other matter")
    person = place.person(Role.EXPERT)
    with place.database.reading() as conn:
        (copy,) = list_copies(conn, thread_id=source.id)
    path = f"/incidents/{source.reference}"
    made = place.ask("POST", f"{path}/move", {"mail": copy.id, "title": "The other matter"}, person=person)
    assert made.status == 303
    new = made.headers["location"].rpartition("/")[2]
    told = place.ask("GET", f"/incidents/{new}/merge?into={source.reference}", person=person).text
    assert "cannot be undone" in told
    merged = place.ask("POST", f"/incidents/{new}/merge", {"into": source.reference}, person=person)
    assert merged.headers["location"] == path
    shell = place.ask("GET", f"/incidents/{new}", person=person).text
    assert "goes on for it" in shell
    assert f'action="/incidents/{new}/notes"' not in shell
    assert place.ask("POST", f"/incidents/{new}/notes", {"text": "x"}, person=person).status == 409


def test_the_list_is_filtered_paged_and_limited_to_whose_it_is(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    with place.database.writing() as conn:
        for number in range(60):
            at = now() - timedelta(hours=number + 1)
            store.open_incident(conn, place.contoso.id, f"Numbered {number} 100%_x", at)
    opened = window(place.person(Role.ANALYST))
    page = opened.go("/incidents?words=numbered")
    assert opened.serious_faults(axe) == []
    seen = page.locator("tbody tr").count()
    assert seen == 50
    with page.expect_navigation():
        page.get_by_role("link", name="More").click()
    assert page.locator("tbody tr").count() == 10
    person = place.person(Role.ANALYST)
    assert "Numbered 7 " in place.ask("GET", "/incidents?words=100%25_x", person=person).text
    assert "Numbered" not in place.ask("GET", "/incidents?words=100__x", person=person).text
    assert "Numbered" not in place.ask("GET", "/incidents?state=Resolved", person=person).text
    other = place.person(Grant(Role.ANALYST, place.fabrikam.id))
    listed = place.ask("GET", "/incidents", person=other).text
    assert place.other_incident.reference in listed
    assert "Numbered" not in listed
    assert "Contoso" not in listed
    only = place.ask("GET", f"/incidents?customer={place.contoso.id}", person=other).text
    assert "Numbered" not in only


@pytest.mark.parametrize(
    "query",
    ["state=x", "kind=x", "severity=x", "assigned=x", "customer=x", "customer=-1", "after=x", "after=9.9", "words=%00%ff",
     "after=99999999999999999.1", "customer=" + "9" * 400],
)  # fmt: skip
def test_a_list_that_nobody_could_ask_for_is_no_fault_of_ours(place: Place, query: str) -> None:
    assert place.ask("GET", f"/incidents?{query}", person=place.person(Role.ANALYST)).status < 500


def test_mail_is_searched_by_who_sees_it(place: Place) -> None:
    thread = opened_incident(place, "Searched")
    answer_with_id(place, thread, "the zebra is in the vault")
    all_of_it, some = place.person(Role.ANALYST), place.person(Grant(Role.ANALYST, place.fabrikam.id))
    found = place.ask("GET", "/search?words=zebra", person=all_of_it).text
    assert re.search(r"<mark><bdi>zebra</bdi></mark>", found)
    assert "Nothing is found" in place.ask("GET", "/search?words=zebra", person=some).text
    own = place.ask("GET", "/search?words=zebra", person=place.person(Grant(Role.ANALYST, place.contoso.id)))
    assert thread.reference in own.text
    assert "zebra</bdi></mark>" in own.text
    for path in (f"/search?words=zebra&thread={thread.reference}", "/search?words=zebra&thread=INC-999999"):
        answer = place.ask("GET", path, person=some)
        assert answer.status == 422
        assert "There is no such incident" in answer.text
    for odd in ('"', "-", "*", "a" * 5_000, "\x00", "verdict:", "(" * 50):
        from urllib.parse import quote

        assert place.ask("GET", f"/search?words={quote(odd)}", person=all_of_it).status in (200, 422)
