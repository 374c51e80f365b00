"""A question goes one way round: asked by mail, by a program or told to an expert, and answered by the same way."""

from __future__ import annotations

import csv
import io
import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.console.api_table import Desk
from tests.console.browsing import PHONE, Window
from tests.console.examples_inquiries import question
from tests.console.place import Place, now
from tests.expertmail.api_client import Portal
from threads.access import Grant, Role
from threads.api_token import Scope
from threads.model import AskedBy, EntryKind, Mark, Thread, ThreadKind, TimelineEntry
from threads.schema import contacts
from threads.store.circumstances import distrust, trust
from threads.store.moving import merge_threads
from threads.store.people import organisation
from threads.store.thread import list_threads, thread_by_reference, timeline_of

SECONDS = 40


@pytest.fixture
def portal(place: Place) -> Portal:
    return Desk(place).program(Scope.READ_INQUIRIES, Scope.WRITE_INQUIRIES)


def key() -> str:
    return secrets.token_hex(8)


def asked(portal: Portal, **more: object) -> Any:
    form = {
        "organisation": "Contoso",
        "title": "An update",
        "text": "Is it safe?",
        "asked_by_contact": "ALICE@contoso.test",
    }
    said = portal.ask("POST", "/inquiries", {**form, **more}, key=key())
    assert said.status == 201, said.body
    return said.json


def entries(place: Place, reference: str) -> tuple[TimelineEntry, ...]:
    with place.database.reading() as conn:
        return timeline_of(conn, thread_by_reference(conn, reference).id)


def kinds(place: Place, reference: str) -> list[tuple[str, str]]:
    return [(one.kind.value, one.mark.value) for one in entries(place, reference)]


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not so():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.2)


def reads(place: Place, chat: bool) -> None:
    with place.database.writing() as conn:
        conn.execute(contacts.update().where(contacts.c.id == place.alice.id).values(reads_chat=chat))


def test_a_program_asks_and_reads_the_answer_where_it_asked(place: Place, portal: Portal) -> None:
    reads(place, chat=True)
    made = asked(portal, about=place.incident.reference)
    assert (made["channel"], made["about"], made["asked_by"], made["answers"]) == (
        "api", place.incident.reference, "alice@contoso.test", [],
    )  # fmt: skip
    path = f"/inquiries/{made['reference']}"
    same = key()
    for again in (False, True):
        said = portal.ask("POST", f"{path}/answers", {"text": "It is.", "expert": "Kim Park"}, key=same)
        assert said.status == 201, said.body
        assert said.json["mails"] == []
        assert ("idempotent-replayed" in said.headers) == again
    assert portal.ask("POST", f"{path}/answers", {"text": "It is not."}, key=same).status == 409
    told = portal.ask("GET", path).json
    assert [(one["by"], one["channel"], one["text"]) for one in told["answers"]] == [
        ("Kim Park", "chat", "It is.")
    ]
    assert told["seconds_to_first_answer"] >= 0
    time.sleep(3)  # longer than mail of chats waits
    assert ("mail-out", "expert") not in kinds(place, made["reference"])  # alice reads it in the portal


def test_a_contact_who_reads_mail_only_gets_the_answer_by_mail_once_too(place: Place, portal: Portal) -> None:
    reads(place, chat=False)
    made = asked(portal)
    said = portal.ask("POST", f"/inquiries/{made['reference']}/answers", {"text": "It is."}, key=key())
    assert said.status == 201
    until(lambda: ("mail-out", "expert") in kinds(place, made["reference"]))
    time.sleep(2.5)
    assert kinds(place, made["reference"]).count(("mail-out", "expert")) == 1
    told = portal.ask("GET", f"/inquiries/{made['reference']}").json
    assert [one["channel"] for one in told["answers"]] == ["chat"]  # the mail carries the same answer


def test_what_came_by_mail_is_answered_by_mail(place: Place, portal: Portal) -> None:
    raw = (
        "From: Alice <alice@contoso.test>\r\nTo: Experts <{to}>\r\nSubject: Is this yours?\r\n"
        f"Message-ID: <{key()}@contoso.test>\r\nDate: {now():%a, %d %b %Y %H:%M:%S +0000}\r\n\r\nIs this update yours?\r\n"
    )
    to = place.world.settings.mail.query_address
    place.mail(raw.format(to=to).encode(), mail_from="alice@contoso.test", to=to)

    def mailed() -> list[Thread]:
        with place.database.reading() as conn:
            some = list_threads(conn, kind=ThreadKind.INQUIRY, organisation_id=place.contoso.id)
        return [one for one in some if one.title == "Is this yours?"]

    until(lambda: bool(mailed()))
    (thread,) = mailed()
    assert thread.asked_by is AskedBy.MAIL
    said = portal.ask(
        "POST", f"/inquiries/{thread.reference}/answers", {"text": "It is.", "expert": "Kim"}, key=key()
    )
    assert said.status == 201, said.body
    assert [one["to"] for one in said.json["mails"]] == ["alice@contoso.test"]
    assert [one["channel"] for one in said.json["answers"]] == ["mail"]
    assert ("chat", "expert") not in kinds(place, thread.reference)
    # Another way is possible, and the timeline says so.
    said = portal.ask(
        "POST", f"/inquiries/{thread.reference}/answers", {"text": "Once more.", "by": "chat"}, key=key()
    )
    assert said.status == 201
    assert "Answered on the timeline; the question came by mail" in [
        one.text for one in entries(place, thread.reference) if one.kind is EntryKind.STATE
    ]


def test_who_may_not_ask_hears_why(place: Place, portal: Portal) -> None:
    form = {"organisation": "Contoso", "title": "T", "text": "Why?", "asked_by_contact": "alice@contoso.test"}
    for wrong, status in (
        ({"asked_by_contact": "bob@fabrikam.test"}, 409),
        ({"organisation": "Nobody"}, 404),
        ({"about": place.other_incident.reference}, 409),
        ({"about": "INC-999999"}, 404),
        ({"text": " "}, 422),
    ):
        said = portal.ask("POST", "/inquiries", {**form, **wrong}, key=key())
        assert said.status == status, (wrong, said.body)
    assert portal.ask("POST", "/inquiries", form).status == 400
    assert portal.ask("GET", f"/inquiries/{place.incident.reference}").status == 404
    with place.database.writing() as conn:
        distrust(conn, place.contoso, "a stolen session", now(), by="ana")
    said = portal.ask("POST", "/inquiries", form, key=key())
    assert (said.status, "has to call" in said.json["error"]) == (409, True)
    with place.database.writing() as conn:
        trust(conn, organisation(conn, place.contoso.id))


def test_a_question_that_goes_on_elsewhere_says_where(place: Place, portal: Portal) -> None:
    made = asked(portal)["reference"]
    with place.database.writing() as conn:
        merge_threads(conn, thread_by_reference(conn, made), place.incident, now(), by="ana")
    for said in (
        portal.ask("GET", f"/inquiries/{made}"),
        portal.ask("POST", f"/inquiries/{made}/answers", {"text": "It is."}, key=key()),
    ):
        assert (said.status, place.incident.reference in said.json["error"]) == (409, True)
    assert made not in [one["reference"] for one in portal.ask("GET", "/inquiries/history").json["questions"]]


def test_requests_with_one_key_at_one_time_ask_and_answer_once(place: Place, portal: Portal) -> None:
    form = {
        "organisation": "Contoso",
        "title": "T",
        "text": "At once?",
        "asked_by_contact": "alice@contoso.test",
    }
    same = key()

    def four(path: str, body: object) -> list[Any]:
        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda _: portal.ask("POST", path, body, key=same), range(4)))
        assert {one.status for one in said} == {201}, [one.body for one in said]
        return [one.json for one in said]

    (reference,) = {one["reference"] for one in four("/inquiries", form)}
    four(f"/inquiries/{reference}/answers", {"text": "Once."})
    assert kinds(place, reference).count(("chat", "expert")) == 1
    by_mail = question(place, AskedBy.CONSOLE)
    told = four(f"/inquiries/{by_mail}/answers", {"text": "Once."})
    assert len({one["mails"][0]["number"] for one in told}) == 1
    assert kinds(place, by_mail).count(("mail-out", "expert")) == 1


def test_an_expert_writes_a_question_down_and_answers_it_by_mail(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    kim = place.person(Role.EXPERT, name="kim")
    w = window(kim, scripts=False)
    page = w.go("/inquiries")
    page.click("text=Write a question down")
    page.select_option("#customer", str(place.contoso.id))
    page.fill("#contact", "nobody@contoso.test")
    page.fill("#title", "A =hostile title")
    page.fill("#text", "<b>Is it safe?</b>\nAnd when?")
    page.click("button:text-is('Open')")
    assert "no contact of Contoso" in page.inner_text("[role=alert]")
    assert page.input_value("#title") == "A =hostile title"
    page.fill("#contact", "alice@contoso.test")
    page.click("button:text-is('Open')")
    reference = page.url.rpartition("/")[2]
    assert "<b>Is it safe?</b>" in page.inner_text("main")
    assert kinds(place, reference)[-1] == ("chat", "reported")
    page.click("text=Answer the question")
    assert page.input_value("#way") == "mail"
    page.fill("#text", "It is safe.")
    page.click("main button:text-is('Answer')")
    assert "on its way" in page.inner_text("[role=status]")
    assert kinds(place, reference)[-1] == ("mail-out", "expert")
    page = w.go("/inquiries")
    row = page.inner_text(f"tr:has-text('{reference}')")
    assert "by kim" in row
    assert "an expert's note" in row
    for path in ("/inquiries", "/inquiries/new", f"/inquiries/{reference}/answer"):
        small = window(kim, size=PHONE, scheme="dark")
        small.go(path)
        assert small.wider_than_the_window() == "", path
        assert small.serious_faults(axe) == [], path
        small.context.close()


def test_the_history_is_of_those_whom_one_may_see_and_whole_in_the_export(
    place: Place, portal: Portal
) -> None:
    long = "=cmd() " + "x" * 2_000
    made = asked(portal, text=long, title="Look back")
    assert (
        portal.ask("POST", f"/inquiries/{made['reference']}/answers", {"text": "y" * 2_000}, key=key()).status
        == 201
    )
    told = portal.ask("GET", "/inquiries/history?organisation=Contoso&months=1").json
    mine = next(one for one in told["questions"] if one["reference"] == made["reference"])
    assert len(mine["text"]) < 400
    assert len(mine["answers"][0]["text"]) < 400
    whole = portal.ask("GET", "/inquiries/history?months=1&format=csv").json["csv"]
    row = next(one for one in csv.DictReader(io.StringIO(whole)) if one["reference"] == made["reference"])
    assert row["question"] == f"'{long.strip()}"  # no spreadsheet takes it for a formula
    assert "y" * 2_000 in row["answers"]
    bobs = place.person(Grant(Role.EXPERT, place.fabrikam.id), name="bobs")
    assert made["reference"] not in place.ask("GET", "/inquiries", person=bobs).text
    assert made["reference"] not in place.ask("GET", "/inquiries/history.csv", person=bobs).text
    everybody = place.person(Role.ANALYST)
    assert row["answers"] in next(
        one["answers"]
        for one in csv.DictReader(
            io.StringIO(place.ask("GET", "/inquiries/history.csv", person=everybody).text)
        )
        if one["reference"] == made["reference"]
    )
    for bad in ("months=0", "months=x", "months=999", "since=yesterday", "format=pdf"):
        assert portal.ask("GET", f"/inquiries/history?{bad}").status == 422, bad


def test_the_commands_do_the_same(place: Place) -> None:
    run = place.served.run
    said = run(
        "inquiries",
        "ask",
        "--org",
        "Contoso",
        "--contact",
        "alice@contoso.test",
        "--title",
        "T",
        "--text",
        "Why?",
        "--by",
        "kim",
    )
    reference = said.split()[1]
    assert "queued" in run("inquiries", "answer", reference, "Because.", "--by", "kim")
    by_chat = question(place)
    assert "on the timeline" in run("inquiries", "answer", by_chat, "Because.", "--by", "kim", "--key", "k1")
    assert "already" in run("inquiries", "answer", by_chat, "Because.", "--by", "kim", "--key", "k1")
    told = {
        one["reference"]: one
        for one in json.loads(run("inquiries", "history", "--org", "Contoso", "--format", "json"))
    }
    assert [told[one]["answers"][0]["channel"] for one in (reference, by_chat)] == ["mail", "chat"]
    assert told[reference]["answers"][0]["by"] == "kim"
    assert told[reference]["channel"] == "console"
    assert run("inquiries", "history", "--format", "csv", "--since", "2026-01-01").startswith(
        "reference,organisation,"
    )
    assert reference in run("inquiries", "history", "--months", "1")
    assert [one.mark for one in entries(place, by_chat)][-1] is Mark.EXPERT
