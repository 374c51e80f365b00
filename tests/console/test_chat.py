"""An incident's chat by programs, people and mail: each message once, in one order, wherever it is read."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from expertmail.console.api_chat_stream import EventStream
from expertmail.console.chat_watch import MAX_OF_ONE, ChatWatch
from outbound.model import MailKind, OutboxItem
from outbound.store import list_outbox
from tests.console.api_table import Desk
from tests.console.place import Place, make_place, now
from tests.expertmail.api_client import Portal
from tests.recipes.document import DOCS
from threads.access import Role
from threads.api_token import Scope
from threads.model import Assignee, Contact, EntryKind, Mark, State, Thread
from threads.store import add_contact, contact
from threads.store.audit import list_audit
from threads.store.circumstances import distrust, trust
from threads.store.people import organisation
from threads.store.thread import (
    add_note,
    append,
    open_inquiry,
    set_state,
    thread_by_reference,
    timeline_of,
)

SETTINGS = '[chat]\nsubmission_channel = "https://upload.experts.test/"\n'
READ, WRITE = Scope.READ_CHAT, Scope.WRITE_CHAT
PATIENCE = 30.0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    place = make_place(tmp_path_factory.mktemp("chat"), SETTINGS)
    with place.database.writing() as conn:
        add_contact(conn, place.contoso.id, "carl@contoso.test", "Carl", now(), reads_chat=True)
    yield Desk(place)
    place.database.close()
    place.served.stop()


@pytest.fixture
def place(desk: Desk) -> Place:
    return desk.place


def said(text: str, number: str | None = None, who: str = "customer", **more: object) -> dict[str, object]:
    return {"id": number or secrets.token_hex(6), "from": who, "name": "Alice", "text": text, **more}


def post(portal: Portal, reference: str, form: object) -> Any:
    return portal.ask("POST", f"/incidents/{reference}/chat", form)


def read(portal: Portal, reference: str, after: int = 0, wait: int = 0) -> Any:
    answer = portal.ask("GET", f"/incidents/{reference}/chat?after={after}&wait={wait}")
    assert answer.status == 200, answer.body
    return answer.json


def texts(portal: Portal, reference: str) -> list[str]:
    return [one["text"] for one in read(portal, reference)["entries"] if one["kind"] in {"chat", "mail-in"}]


def until(there: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := there()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return found


def thread_of(place: Place, reference: str) -> Thread:
    with place.database.reading() as conn:
        return thread_by_reference(conn, reference)


def posted(place: Place, reference: str, kind: MailKind = MailKind.REPLY_POSTED) -> list[OutboxItem]:
    """What went out of the chat by mail."""
    with place.database.reading() as conn:
        thread = thread_by_reference(conn, reference)
        return [one for one in list_outbox(conn) if one.kind is kind and one.thread_id == thread.id]


REFUSALS: tuple[tuple[str, dict[str, Any], int, str], ...] = (
    ("an echo", {"id": "entry-1"}, 409, "is an echo"),
    ("an echo in capitals", {"id": " ENTRY-77 "}, 409, "is an echo"),
    ("no contact's address", {"address": "eve@stranger.test"}, 409, "is no contact of this customer"),
    ("another customer's contact", {"address": "bob@fabrikam.test"}, 409, "is no contact of this customer"),
    ("an expert with an address", {"from": "expert", "address": "alice@contoso.test"}, 422, "leave it out"),
    ("a robot", {"from": "automation"}, 422, "customer or expert"),
    ("files", {"attachments": [{"name": "a.pdf"}]}, 422, "https://upload.experts.test/"),
    ("an empty text", {"text": " \n "}, 422, "empty"),
    ("a text that is too long", {"text": "x" * 20_001}, 422, "text"),
    ("half a character", {"text": "\ud800"}, 422, "text"),
    ("a name of two lines", {"name": "Alice\nAdams"}, 422, "one line"),
    ("a name that is too long", {"name": "x" * 101}, 422, "name"),
    ("a number with control characters", {"id": "7\x007"}, 422, "one line"),
    ("a number that is too long", {"id": "7" * 201}, 422, "id"),
    ("no number", {"id": None}, 422, "null"),
    ("something else", {"evil": 1}, 422, "evil"),
)


@pytest.mark.parametrize(
    ("changes", "status", "why"), [one[1:] for one in REFUSALS], ids=[one[0] for one in REFUSALS]
)
def test_what_is_refused_adds_nothing(desk: Desk, changes: dict[str, Any], status: int, why: str) -> None:
    reference, portal = desk.chat(), desk.program(READ, WRITE)
    before = read(portal, reference)
    answer = post(portal, reference, {**said("It was me."), **changes})
    assert (answer.status, why in answer.json["error"]) == (status, True), answer.body
    assert read(portal, reference) == before


def test_files_are_refused_with_the_place_where_they_go_whatever_they_come_in(desk: Desk) -> None:
    reference, portal = desk.chat(), desk.program(WRITE)
    fields = {"Content-Type": "multipart/form-data; boundary=b"}
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.pdf"\r\n\r\n%PDF\r\n--b--\r\n'
    answer = portal.ask("POST", f"/incidents/{reference}/chat", body, headers=fields)
    assert (answer.status, "https://upload.experts.test/" in answer.json["error"]) == (422, True)
    assert portal.ask("POST", "/incidents/INC-999999/chat", body, headers=fields).status == 404
    assert post(portal, reference, said("Without.", attachments=[])).status == 201


def test_there_is_a_chat_once_a_managed_response_was_published(desk: Desk) -> None:
    place, portal = desk.place, desk.program()
    reference = desk.incident()
    for answer in (
        post(portal, reference, said("Hello?")),
        portal.ask("GET", f"/incidents/{reference}/chat"),
        portal.ask("GET", f"/incidents/{reference}/chat/stream"),
    ):
        assert (answer.status, "no managed response" in answer.json["error"]) == (409, True)
    form = {
        "kind": "managed-response",
        "to": [place.alice.address],
        "words": {"summary": "We isolated it.", "completed": ["Isolate HOST-7"]},
    }
    sent = portal.ask("POST", f"/incidents/{reference}/notifications", form, key="1")
    assert sent.status == 202, sent.body
    assert post(portal, reference, said("Thank you.")).status == 201
    with place.database.writing() as conn:
        question = open_inquiry(conn, place.contoso.id, "A question", now(), actor="test").reference
    answer = post(portal, question, said("Hello?"))
    assert (answer.status, "is no incident" in answer.json["error"]) == (409, True)
    assert post(portal, "INC-999999", said("Hello?")).status == 404


def test_the_same_number_again_adds_nothing_and_other_words_under_it_are_refused(desk: Desk) -> None:
    reference, by = desk.chat(), f"portal-{secrets.token_hex(3)}"
    portal, form = desk.program(READ, WRITE, name=by), said("It was me.", "77", address="ALICE@contoso.test")
    first, again = post(portal, reference, form), post(portal, reference.lower(), form)
    assert (first.status, again.status, again.json) == (201, 201, first.json)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    told = first.json
    assert (told["from"], told["name"], told["mark"], told["external"], told["source"]) == (
        "customer", "Alice", "portal", "77", f"token:{by}",
    )  # fmt: skip
    assert told["id"] == f"entry-{told['number']}"
    other = {**form, "text": "It was not me."}
    for answer in (post(portal, reference, other), post(portal, desk.chat(), form)):
        assert (answer.status, "another message" in answer.json["error"]) == (409, True)
    assert texts(portal, reference) == ["It was me."]
    with desk.place.database.reading() as conn:
        trail = [json.loads(one.content or "{}") for one in list_audit(conn, limit=20)]
    assert [one["detail"] for one in trail if one["by"] == by] == [f"of Alice (customer), {told['id']}"]


def test_the_example_of_the_document_is_true(desk: Desk) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed (Debian: apt-get install curl)")
    page, mark = (DOCS / "channels.md").read_text(encoding="utf-8"), "<!-- run: chat -->\n```sh\n"
    reference, portal = desk.chat(), desk.program(READ, WRITE)
    script = page.partition(mark)[2].partition("```")[0]
    script = script.replace("127.0.0.1:8025", f"127.0.0.1:{portal.port}").replace("INC-000001", reference)
    done = subprocess.run(
        ["sh", "-euc", script], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "TOKEN": portal.token or ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    written, end = json.JSONDecoder().raw_decode(done.stdout)
    shown, end = json.JSONDecoder().raw_decode(done.stdout, end)
    assert shown["entries"][-1] == written
    assert (written["external"], written["text"]) == ("77", "It was me.")
    assert f"id: {written['number']}\nevent: entry\n" in done.stdout[end:]
    assert done.stdout.endswith(f'event: end\ndata: {{"reference": "{reference}"}}\n\n')


def test_two_portals_may_use_the_same_numbers(desk: Desk) -> None:
    reference = desk.chat()
    one, two = desk.program(READ, WRITE), desk.program(READ, WRITE)
    assert post(one, reference, said("From here.", "1")).status == 201
    assert post(two, reference, said("From there.", "1")).status == 201
    shown = [(e["external"], e["text"]) for e in read(one, reference)["entries"] if e["kind"] == "chat"]
    assert shown == [("1", "From here."), ("1", "From there.")]


def test_the_same_message_at_the_same_moment_is_there_once(desk: Desk) -> None:
    reference, portal, form = desk.chat(), desk.program(READ, WRITE), said("Once.", "7")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(portal, reference, form), range(8)))
    assert {one.status for one in answers} == {201}
    assert len({one.json["number"] for one in answers}) == 1
    assert texts(portal, reference) == ["Once."]


def test_a_portal_that_echoes_everything_it_reads_makes_no_loop(desk: Desk) -> None:
    reference, portal = desk.chat(), desk.program(READ, WRITE)
    post(portal, reference, said("It was me.", "1"))
    post(portal, reference, said("Reset it.", "2", "expert"))
    until(lambda: posted(desk.place, reference))
    time.sleep(1)
    before = read(portal, reference)["entries"]
    for _ in range(3):
        for one in read(portal, reference)["entries"]:
            for number in {one["id"], one["external"]} - {None}:
                who = one["from"] if one["from"] in {"customer", "expert"} else "expert"
                text = one["text"] or "?"
                echo = {"id": number, "from": who, "name": one["name"] or "?", "text": text}
                answer = post(portal, reference, echo)
                assert answer.status == 409 or answer.headers.get("idempotent-replayed") == "true", (
                    answer.body
                )
    assert read(portal, reference)["entries"] == before


def test_a_customers_words_have_the_experts_take_the_incident_up_again_as_an_answer_by_mail_does(
    desk: Desk,
) -> None:
    place, portal = desk.place, desk.program(READ, WRITE)
    for known in (True, False):
        more = {"address": "alice@contoso.test"} if known else {}
        for state, to in ((State.RESOLVED, True), (State.AWAITING_CUSTOMER, known), (State.ACTIVE, False)):
            reference = desk.chat()
            with place.database.writing() as conn:
                set_state(
                    conn,
                    thread_of(place, reference).id,
                    state,
                    now(),
                    actor="ana",
                    assigned_to=Assignee.CUSTOMER,
                )
            assert post(portal, reference, said("We see it again.", who="expert")).status == 201
            assert thread_of(place, reference).state is state, "an expert's words change nothing"
            assert post(portal, reference, said("It is back.", **more)).status == 201
            after = thread_of(place, reference)
            expected = (State.IN_PROGRESS, Assignee.DEFENDER_EXPERTS) if to else (state, Assignee.CUSTOMER)
            assert (after.state, after.assigned_to) == expected, (known, state)
            assert post(portal, reference, said("More.", **more)).status == 201


def test_readers_see_what_others_may_and_no_note(desk: Desk) -> None:
    place, portal, reference = desk.place, desk.program(READ, WRITE), desk.chat()
    thread = thread_of(place, reference)
    with place.database.writing() as conn:
        add_note(conn, thread.id, "The CFO is odd.", now(), actor="ana")
        append(
            conn, thread.id, now(), EntryKind.MAIL_IN, actor="eve@x.test", mark=Mark.UNVERIFIED, text="Pay."
        )
    shown = read(portal, reference)
    assert "CFO" not in json.dumps(shown)
    last = shown["entries"][-1]
    assert (last["mark"], last["name"], last["text"]) == ("unverified", None, None)
    assert read(portal, reference, shown["next"])["entries"] == []
    assert shown["state"] == "Active"
    for path in (
        f"chat?after={2**31}",
        "chat?wait=31",
        "chat?after=-1",
        "chat/stream?seconds=301",
        "chat?x=1",
    ):
        assert portal.ask("GET", f"/incidents/{reference}/{path}").status == 422, path
    bad = portal.ask("GET", f"/incidents/{reference}/chat/stream", headers={"Last-Event-ID": "x"})
    assert bad.status == 422


def test_a_long_poll_ends_with_the_next_entry_and_not_with_a_note(desk: Desk) -> None:
    place, portal, reference = desk.place, desk.program(READ, WRITE), desk.chat()
    after = read(portal, reference)["next"]
    thread = thread_of(place, reference)

    def speak() -> None:
        time.sleep(0.5)
        with place.database.writing() as conn:
            add_note(conn, thread.id, "Only for us.", now(), actor="ana")
        time.sleep(1.2)
        post(portal, reference, said("Here I am."))

    speaking = threading.Thread(target=speak)
    speaking.start()
    begun = time.monotonic()
    answer = read(portal, reference, after, 20)
    assert 1.2 < time.monotonic() - begun < 10
    speaking.join()
    assert [one["text"] for one in answer["entries"]] == ["Here I am."]
    begun = time.monotonic()
    silent = read(portal, reference, answer["next"], 1)
    assert (silent["entries"], silent["next"]) == ([], answer["next"])
    assert 0.9 < time.monotonic() - begun < 5


def stream(portal: Portal, reference: str, after: int | None, seconds: int) -> Iterator[tuple[str, int, Any]]:
    """Events as a browser's EventSource takes them: name, last id, data."""
    connection = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=60)
    fields = {"Authorization": f"Bearer {portal.token}"}
    fields |= {} if after is None else {"Last-Event-ID": str(after)}
    try:
        connection.request(
            "GET", f"/api/v1/incidents/{reference}/chat/stream?seconds={seconds}", None, fields
        )
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("content-type")) == (200, "text/event-stream; charset=utf-8")
        name, data, last = "", "", 0
        for raw in answer:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
            elif line.startswith("id: "):
                last = int(line[4:])
            elif not line and name:
                yield name, last, json.loads(data)
                name = ""
    finally:
        connection.close()


def test_a_stream_goes_on_after_the_last_event_that_its_reader_has(desk: Desk) -> None:
    portal, reference = desk.program(READ, WRITE), desk.chat()
    for number in range(5):
        post(portal, reference, said(f"No. {number}"))
    events = []
    for one in stream(portal, reference, None, 5):
        events.append(one)
        if one[2]["text"] == "No. 2":
            break  # the connection is cut here
    rest = list(stream(portal, reference, events[-1][1], 1))
    assert [one[2]["text"] for one in rest[:-1]] == ["No. 3", "No. 4"]
    assert rest[-1][0] == "end"
    assert rest[-1][2] == {"reference": reference}
    assert [one[1] for one in (*events, *rest[:-1])] == [
        one["number"] for one in read(portal, reference)["entries"]
    ]


def test_a_stream_ends_where_the_incident_is_merged_and_names_the_one_that_goes_on(desk: Desk) -> None:
    portal, reference, into = desk.program(), desk.chat(), desk.chat()
    post(portal, reference, said("Before."))
    events = ThreadPoolExecutor(1).submit(lambda: list(stream(portal, reference, None, 20)))
    time.sleep(1)
    assert portal.ask("POST", f"/incidents/{reference}/merge", {"into": into}).status == 200
    name, _, data = events.result(15)[-1]
    assert (name, data) == ("end", {"reference": into})
    assert read(portal, reference)["reference"] == into
    assert texts(portal, reference) == ["Before."]


def test_each_reader_sees_every_entry_once_and_in_order_whoever_writes_meanwhile(desk: Desk) -> None:
    reference = desk.chat()
    writers, each = 4, 12
    reader = desk.program(READ)
    want = {f"{who} {number}" for who in range(writers) for number in range(each)}

    def write(who: int) -> None:
        portal = desk.program(WRITE)
        for number in range(each):
            form = said(f"{who} {number}", str(number), "expert" if who % 2 else "customer")
            for _ in range(2):  # the answer may have been lost
                assert post(portal, reference, form).status == 201
            time.sleep(0.01)

    def done(seen: list[tuple[int, str]]) -> bool:
        return want <= {text for _, text in seen}

    def poll() -> list[tuple[int, str]]:
        seen, after, deadline = [], 0, time.monotonic() + 2 * PATIENCE
        while not done(seen):
            assert time.monotonic() < deadline
            page = read(reader, reference, after, 2)
            seen += [(one["number"], one["text"]) for one in page["entries"]]
            after = page["next"]
        return seen

    def follow() -> list[tuple[int, str]]:
        seen: list[tuple[int, str]] = []
        deadline = time.monotonic() + 2 * PATIENCE
        while not done(seen):
            assert time.monotonic() < deadline
            for count, (name, _, data) in enumerate(
                stream(reader, reference, seen[-1][0] if seen else None, 2)
            ):
                if name == "entry":
                    seen.append((data["number"], data["text"]))
                if count == 7 or done(seen):  # cut off, again and again
                    break
        return seen

    with ThreadPoolExecutor(writers + 4) as pool:
        views = [pool.submit(one) for one in (poll, follow, poll, follow)]
        for one in [pool.submit(write, who) for who in range(writers)]:
            one.result()
        shown = [one.result() for one in views]
    for seen in shown:
        numbers = [number for number, _ in seen]
        assert numbers == sorted(set(numbers)), "in order, and none twice"
    whole = [(one["number"], one["text"]) for one in read(reader, reference)["entries"]]
    for seen in shown:
        assert seen == whole[: len(seen)], "each has the same conversation"


def test_an_expert_in_the_chat_reaches_who_reads_mail_only_once_and_the_answer_comes_back_once(
    desk: Desk,
) -> None:
    place, portal, reference = desk.place, desk.program(READ, WRITE), desk.chat()
    with place.database.writing() as conn:
        dora = add_contact(conn, place.contoso.id, f"d{secrets.token_hex(3)}@contoso.test", "Dora", now())
    asked = said("Did you sign in from Lagos?", "1", "expert", name="Robin")
    assert post(portal, reference, asked).status == 201
    post(portal, reference, asked)
    mails = until(lambda: [one for one in posted(place, reference) if one.rcpt_to == dora.address])
    until(lambda: all(one.state.value == "delivered" for one in posted(place, reference)))
    time.sleep(2.5)  # the keeper looks again
    to = [one.rcpt_to for one in posted(place, reference)]
    assert len(to) == len(set(to))
    assert {"alice@contoso.test", dora.address} <= set(to)
    assert "carl@contoso.test" not in to, "he reads the chat"
    assert len(mails) == 1
    shown = read(portal, reference)["entries"]
    assert [one["text"] for one in shown if "Lagos" in (one["text"] or "")] == ["Did you sign in from Lagos?"]
    timeline = portal_timeline(desk, reference)
    copies = [one for one in timeline if one["copy_of"] is not None]
    assert {one["copy_of"] for one in copies} == {shown[-1]["number"]}
    assert len(copies) == len(to)
    thread = thread_of(place, reference)
    place.answer(thread, dora, "Yes, on a trip.")
    until(lambda: "Yes, on a trip." in texts(portal, reference))
    (answer,) = [one for one in read(portal, reference)["entries"] if one["kind"] == "mail-in"]
    assert (answer["mark"], answer["from"], answer["external"]) == ("verified", "customer", None)
    assert post(portal, reference, said("Yes, on a trip.", answer["id"])).status == 409
    time.sleep(2.5)
    assert len(posted(place, reference)) == len(to), "a customer's words go nowhere by mail"


def portal_timeline(desk: Desk, reference: str) -> list[Any]:
    found: list[Any] = (
        desk.program(Scope.READ_INCIDENTS).ask("GET", f"/incidents/{reference}").json["timeline"]
    )
    return found


def test_the_mail_says_what_was_posted_and_answers_find_the_incident(desk: Desk) -> None:
    place, reference = desk.place, desk.chat()
    post(desk.program(WRITE), reference, said("Reset the password of ana.", who="expert", name="Robin"))
    (mail,) = until(lambda: [one for one in posted(place, reference) if one.rcpt_to == "alice@contoso.test"])
    until(lambda: thread_mails(place, reference))
    shown = desk.program(Scope.READ_OUTBOX).ask("GET", f"/outbox/{mail.outgoing_id}").json
    assert "Reset the password of ana." in shown["text"]
    assert "Robin posted a reply in the chat of this incident" in " ".join(shown["text"].split())
    assert mail.subject.endswith("New reply in the chat: Odd rules")


def thread_mails(place: Place, reference: str) -> list[Any]:
    with place.database.reading() as conn:
        entries = timeline_of(conn, thread_by_reference(conn, reference).id)
    return [one for one in entries if one.kind is EntryKind.MAIL_OUT]


def test_where_the_customers_mail_is_untrusted_a_notice_goes_and_says_nothing(desk: Desk) -> None:
    place, portal, reference = desk.place, desk.program(READ, WRITE), desk.chat()
    with place.database.writing() as conn:
        distrust(conn, organisation(conn, place.contoso.id), "a stolen session", now(), by="test")
    try:
        assert post(portal, reference, said("Isolate HOST-7.", who="expert")).status == 201
        assert post(portal, reference, said("Done.")).status == 201
        (notice, *_) = until(lambda: posted(place, reference, MailKind.PORTAL_NOTICE))
        shown = desk.program(Scope.READ_OUTBOX).ask("GET", f"/outbox/{notice.outgoing_id}").json
        assert "HOST-7" not in json.dumps(shown)
        time.sleep(2.5)
        assert posted(place, reference) == []
        assert texts(portal, reference) == ["Isolate HOST-7.", "Done."]
    finally:
        with place.database.writing() as conn:
            trust(conn, organisation(conn, place.contoso.id))
    time.sleep(2.5)
    assert posted(place, reference) == [], "who got the notice has been told"


def test_what_cannot_go_by_mail_is_told_to_the_experts_once(desk: Desk) -> None:
    place, portal, reference = desk.place, desk.program(READ, WRITE), desk.chat()
    gone = add_suppressed(desk)
    post(portal, reference, said("Reset it.", who="expert"))

    def notes() -> list[str]:
        with place.database.reading() as conn:
            entries = timeline_of(conn, thread_by_reference(conn, reference).id)
        return [one.text for one in entries if one.kind is EntryKind.NOTE and gone.address in one.text]

    (note,) = until(notes)
    assert "was not sent to" in note
    time.sleep(2.5)
    assert len(notes()) == 1


def add_suppressed(desk: Desk) -> Contact:
    number = desk.suppressed()
    with desk.place.database.reading() as conn:
        return contact(conn, number)


def test_an_expert_writes_in_the_chat_on_the_incidents_page(desk: Desk) -> None:
    place, portal, reference = desk.place, desk.program(READ), desk.chat()
    expert = place.person(Role.EXPERT)
    page = place.ask("GET", f"/incidents/{reference}", person=expert)
    assert 'action="/incidents/' + reference + '/chat"' in page.text
    form = {"text": "Reset it\nnow.", "key": secrets.token_hex(8)}
    for _ in range(2):  # a double click
        assert place.ask("POST", f"/incidents/{reference}/chat", form, person=expert).status == 303
    assert texts(portal, reference) == ["Reset it\nnow."]
    shown = read(portal, reference)["entries"][-1]
    assert (shown["from"], shown["name"], shown["mark"]) == ("expert", expert.account.name, "expert")
    until(lambda: len(thread_mails(place, reference)) >= 1)
    page = place.ask("GET", f"/incidents/{reference}", person=expert).text
    assert "what was written in the chat" in page
    assert page.count("Reset it\nnow.") == 1
    none = desk.incident()
    assert "/chat" not in place.ask("GET", f"/incidents/{none}", person=expert).text
    assert place.ask("POST", f"/incidents/{none}/chat", form, person=expert).status == 409
    assert (
        place.ask("POST", f"/incidents/{reference}/chat", form, person=place.person(Role.ANALYST)).status
        == 403
    )


def test_a_server_that_ends_ends_its_streams_and_a_reader_goes_on_with_the_next_one(desk: Desk) -> None:
    served, reference, portal = desk.place.served, desk.chat(), desk.program(READ, WRITE)
    post(portal, reference, said("Before."))
    seen: list[tuple[str, int, Any]] = []
    following = threading.Thread(target=lambda: seen.extend(stream(portal, reference, None, 300)))
    waiting = ThreadPoolExecutor(1).submit(read, portal, reference, 10**6, 30)
    following.start()
    time.sleep(1)
    begun = time.monotonic()
    assert served.stop() == 0
    took = time.monotonic() - begun
    following.join(10)
    assert waiting.result(10)["entries"] == []
    assert [name for name, _, _ in seen][-2:] == ["entry", "end"]
    served.start()
    assert took < 15
    post(portal, reference, said("After."))
    rest = list(stream(portal, reference, seen[-1][1], 1))
    assert [one[2].get("text") for one in rest] == ["After.", None]
    log = served.log.read_text()
    assert "console fault" not in log
    assert "ASGI" not in log
    assert "Cancel" not in log


def test_what_was_written_a_moment_before_a_kill_is_told_by_mail_once(desk: Desk) -> None:
    place, reference, portal = desk.place, desk.chat(), desk.program(READ, WRITE)
    for number in range(5):
        assert post(portal, reference, said(f"No. {number}", who="expert")).status == 201
    place.served.kill()
    place.served.start()
    until(lambda: len([one for one in posted(place, reference) if one.rcpt_to == place.alice.address]) == 5)
    time.sleep(2.5)
    to = [one.rcpt_to for one in posted(place, reference)]
    assert {to.count(one) for one in to} == {5}
    assert "carl@contoso.test" not in to
    chats = [one["text"] for one in read(portal, reference)["entries"] if one["from"] == "expert"]
    assert [one for one in chats if one.startswith("No.")] == [f"No. {number}" for number in range(5)]


def test_readers_have_so_many_places_and_no_more() -> None:
    watch = ChatWatch(lambda threads: dict.fromkeys(threads, 0))
    with ExitStack() as held:
        for _ in range(MAX_OF_ONE):
            held.enter_context(watch.place("one"))
        with pytest.raises(HTTPException), watch.place("one"):
            pass
        with watch.place("another"):
            pass
    with watch.place("one"):
        pass


def test_all_who_wait_ask_the_record_together() -> None:
    asked: list[int] = []

    def latest(threads: Any) -> dict[int, int]:
        asked.append(len(threads))
        return dict.fromkeys(threads, 0 if len(asked) < 3 else 9)

    async def work() -> list[bool]:
        watch = ChatWatch(latest, 0.02)
        return await asyncio.gather(*(watch.news(number % 10, 0, 5) for number in range(100)))

    assert asyncio.run(work()) == [True] * 100
    assert asked == [10, 10, 10]


def test_a_reader_that_takes_nothing_is_let_go_at_the_end_of_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("expertmail.console.api_chat_stream.SLOW_SECONDS", 0.1)
    given_back: list[str] = []

    async def octets() -> Any:
        while True:
            yield b"x"

    async def never(*_: object) -> Any:
        await asyncio.Event().wait()

    async def work() -> None:
        held = ExitStack()
        held.callback(given_back.append, "back")
        await EventStream(octets(), 0.1, held, {})({}, never, never)

    asyncio.run(asyncio.wait_for(work(), 5))
    assert given_back == ["back"]
