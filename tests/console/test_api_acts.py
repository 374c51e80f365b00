"""The console's actions by programs: each works, shows in the record, and is there for nobody else."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.console.api_table import TABLE, Desk, Try, asked
from tests.console.place import make_place, now
from tests.expertmail.api_client import Portal, strays
from tests.recipes.document import DOCS
from threads.api_token import Scope
from threads.model import EntryKind, Mark, TaskSource
from threads.store import Database, add_organisation
from threads.store.audit import list_audit
from threads.store.tasks import add_task
from threads.store.thread import open_inquiry, thread_by_reference, timeline_of

SETTINGS = '[sending]\nsecond_person = ["managed-response"]\n[held]\nsecond_person = "always"\n'


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    place = make_place(tmp_path_factory.mktemp("api"), SETTINGS)
    with place.database.writing() as conn:
        add_task(conn, place.incident, "Reset it", TaskSource.GUIDED_RESPONSE, now(), by="test")
    yield Desk(place)
    place.database.close()
    place.served.stop()


@pytest.fixture(scope="module")
def described(desk: Desk) -> Any:
    return Portal(desk.place.served.console_port).ask("GET", "/openapi.json").json


@pytest.fixture(autouse=True)
def _trusted(desk: Desk) -> Iterator[None]:
    yield
    desk.trust()


def operations(described: Any) -> dict[str, tuple[str, str, Any]]:
    """Each operation that a token is for, by its name: method, path, description."""
    return {
        told["operationId"]: (method.upper(), path.removeprefix("/api/v1"), told)
        for path, methods in described["paths"].items()
        for method, told in methods.items()
        if told.get("security") == [{"token": []}]
    }


def scope_of(told: Any) -> Scope:
    return Scope(told["description"].split("`")[1])


def without_token(desk: Desk, method: str, path: str, body: bytes) -> int:
    """The answer's status; from an address of its own, since such requests from one are counted."""
    address = f"127.1.{secrets.randbelow(250)}.{secrets.randbelow(250) + 1}"
    connection = http.client.HTTPConnection(
        "127.0.0.1", desk.place.served.console_port, timeout=60, source_address=(address, 0)
    )
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    connection.request(method, f"/api/v1{path}", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def acts(database: Database, by: str) -> list[tuple[str, str, str]]:
    """What a program did, as the audit trail has it, the latest first."""
    with database.reading() as conn:
        rows = [(one.act, json.loads(one.content or "{}")) for one in list_audit(conn, limit=50)]
    return [(act, said["subject"], said["detail"]) for act, said in rows if said["by"] == by]


def name() -> str:
    return f"named-{secrets.token_hex(4)}"


each = pytest.mark.parametrize("one", TABLE, ids=lambda one: one.operation)


def test_no_operation_is_without_an_example(described: Any) -> None:
    assert sorted(operations(described)) == sorted(one.operation for one in TABLE)
    scopes = {scope_of(told) for _, _, told in operations(described).values()}
    assert scopes == set(Scope) - {Scope.VERIFY}


@each
def test_it_is_done_and_answered_as_described(desk: Desk, described: Any, one: Try) -> None:
    method, _, told = operations(described)[one.operation]
    assert method == one.method
    said = asked(desk, one, desk.program(scope_of(told)))
    assert said.status == one.status, said.body
    assert said.headers["cache-control"] == "no-store"
    content = told["responses"][str(one.status)]["content"]
    if "text/event-stream" in content:
        assert said.headers["content-type"].startswith("text/event-stream")
        return
    schema = content["application/json"]["schema"]
    assert strays(said.json, schema, described["components"]["schemas"]) == []


@each
def test_no_token_and_no_other_scope_will_do(desk: Desk, described: Any, one: Try) -> None:
    path = one.path(desk)
    form = None if one.form is None else one.form(desk, path)
    scope = scope_of(operations(described)[one.operation][2])
    wrong = desk.program(*(set(Scope) - {scope}))
    assert wrong.ask(one.method, path, form, key="k").status == 403
    assert without_token(desk, one.method, path, json.dumps(form).encode()) == 401


@each
def test_another_customers_token_finds_nothing(desk: Desk, one: Try) -> None:
    fabrikam = desk.program(whose=(desk.place.fabrikam,))
    said = asked(desk, one, fabrikam)
    if one.whose == "each":
        assert said.status == 200, said.body
        assert b"ontoso" not in said.body
    else:
        assert said.status == 404, said.body


@each
def test_what_does_not_fit_is_refused(desk: Desk, described: Any, one: Try) -> None:
    program = desk.program()
    path = one.path(desk)
    key = "k" if one.key else None
    if one.form is None:
        joint = "&" if "?" in path else "?"
        if "/notifications/" not in path and one.operation != "showIncident":
            said = program.ask(one.method, f"{path}{joint}evil=1")
            assert said.status == 422, said.body
        return
    form = one.form(desk, path)
    assert isinstance(form, dict)
    for bad, status in (
        ({**form, "evil": 1}, 422),
        ([], 400),
        (b"{", 400),
        ({"x": None, **dict.fromkeys(form)}, 422),
        ({word: {} for word in form} or {"x": {}}, 422),
    ):
        said = program.ask(one.method, path, bad, key=key)
        assert said.status == status, (bad, said.body)
    typed = {"Content-Type": "text/plain"}
    assert program.ask(one.method, path, json.dumps(form).encode(), key=key, headers=typed).status == 415
    if one.key:
        assert program.ask(one.method, path, form).status == 400


@pytest.mark.parametrize("one", [one for one in TABLE if one.key], ids=lambda one: one.operation)
def test_a_repetition_is_done_once(desk: Desk, one: Try) -> None:
    assert one.form is not None
    program, path = desk.program(), one.path(desk)
    form = one.form(desk, path)
    first, again = (program.ask(one.method, path, form, key="once") for _ in range(2))
    assert (first.status, again.status) == (one.status, one.status), again.body
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert isinstance(form, dict)
    other = {**form, **{word: "Another" for word in ("title", "text") if word in form}}
    if other != form:
        assert program.ask(one.method, path, other, key="once").status == 409


def test_the_page_about_the_interface_names_each_operation_beside_its_scope(described: Any) -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z]+(?::[a-z]+)?)` \| (.*) \|$", page, re.MULTILINE)
    told = {(scope, *one.split()) for scope, text in rows for one in re.findall(r"`([A-Z]+ /[^`]*)`", text)}
    served = {(scope_of(one), method, path) for method, path, one in operations(described).values()}
    assert told == served | {("verify", "POST", "/verify")}
    assert {scope for scope, _, _ in told} == set(Scope)


def test_notes_and_calls_stand_on_the_timeline_under_the_programs_name(desk: Desk) -> None:
    by, database = name(), desk.place.database
    program, reference = desk.program(name=by), desk.incident()
    program.ask("POST", f"/incidents/{reference}/notes", {"text": "The CFO\nis odd."}, key="1")
    program.ask("POST", f"/incidents/{reference}/calls", {"text": "It was me.", "name": "Alice"}, key="2")
    program.ask("POST", f"/incidents/{reference}/calls", {"text": "We called."}, key="3")
    with database.reading() as conn:
        entries = timeline_of(conn, thread_by_reference(conn, reference).id)[-3:]
    assert [(one.kind, one.actor, one.mark, one.text) for one in entries] == [
        (EntryKind.NOTE, by, Mark.EXPERT, "The CFO\nis odd."),
        (EntryKind.CALL, "Alice", Mark.REPORTED, "It was me."),
        (EntryKind.CALL, by, Mark.EXPERT, "We called."),
    ]
    assert acts(database, by)[-1] == ("note-added", reference, "")
    assert [act for act, _, _ in acts(database, by)] == ["call-recorded", "call-recorded", "note-added"]
    assert b"CFO" not in program.ask("GET", f"/incidents/{reference}").body


def test_mail_is_moved_by_the_name_that_the_timeline_gives_it(desk: Desk) -> None:
    by, there = name(), desk.incident()
    program, reference = desk.program(name=by), desk.place.incident.reference
    copy_id = desk.answer()
    timeline = program.ask("GET", f"/incidents/{reference}").json["timeline"]
    assert copy_id in [one["mail"] for one in timeline]
    path = f"/incidents/{reference}/moves"
    moved = program.ask("POST", path, {"mails": [copy_id], "to": there.lower()}, key="1")
    assert (moved.status, moved.json["reference"]) == (201, there)
    assert copy_id in [one["mail"] for one in program.ask("GET", f"/incidents/{there}").json["timeline"]]
    assert [act for act, subject, _ in acts(desk.place.database, by) if subject == there] == ["mail-moved"]
    gone = program.ask("POST", path, {"mails": [copy_id], "to": there}, key="2")
    assert (gone.status, "not on this thread" in gone.json["error"]) == (409, True)
    split = program.ask("POST", f"/incidents/{there}/moves", {"mails": [copy_id], "title": "Apart"}, key="3")
    assert split.json["title"] == "Apart"
    assert acts(desk.place.database, by)[0][:2] == ("thread-split", split.json["reference"])
    other = {"mails": [copy_id], "to": desk.place.other_incident.reference}
    for whose in ((), (desk.place.contoso,)):
        one = desk.program(whose=whose)
        assert one.ask("POST", f"/incidents/{split.json['reference']}/moves", other, key="4").status == 409
    mine = desk.program(whose=(desk.place.contoso,))
    assert (
        mine.ask(
            "POST", f"/incidents/{split.json['reference']}/moves", {**other, "across": True}, key="5"
        ).status
        == 409
    )
    there = program.ask(
        "POST", f"/incidents/{split.json['reference']}/moves", {**other, "across": True}, key="5"
    )
    assert (there.status, there.json["organisation"]) == (201, "Fabrikam"), there.body
    with desk.place.database.reading() as conn:
        marks = {one.copy_id: one.mark for one in timeline_of(conn, desk.place.other_incident.id)}
    assert marks[copy_id] is Mark.UNVERIFIED
    assert program.ask("POST", path, {"mails": [copy_id]}, key="6").status == 422


def test_a_thread_is_merged_and_the_other_one_goes_on(desk: Desk) -> None:
    by, gone, on = name(), desk.incident(), desk.incident()
    program = desk.program(name=by)
    assert program.ask("POST", f"/incidents/{gone}/merge", {"into": on}).json["reference"] == on
    assert program.ask("GET", f"/incidents/{gone}").json["reference"] == on
    assert acts(desk.place.database, by) == [("thread-merged", gone, f"into {on}")]
    again = program.ask("POST", f"/incidents/{gone}/merge", {"into": on})
    assert (again.status, "already" in again.json["error"]) == (409, True)
    other = {"into": desk.place.other_incident.reference}
    assert program.ask("POST", f"/incidents/{on}/merge", other).status == 409


def test_lists_are_filtered_and_go_on_page_by_page(desk: Desk) -> None:
    program = desk.program(Scope.READ_INCIDENTS, whose=(desk.place.contoso,))
    with desk.place.database.writing() as conn:
        for number in range(51):
            open_inquiry(conn, desk.place.contoso.id, f"Question {number}", now(), actor="test")
    query = "/incidents?kind=inquiry&organisation=Contoso&words=Question&unresolved=true"
    first = program.ask("GET", query).json
    rest = program.ask("GET", f"{query}&after={first['next']}").json
    titles = [one["title"] for one in (*first["incidents"], *rest["incidents"])]
    assert titles == [f"Question {number}" for number in reversed(range(51))]
    assert rest["next"] is None
    shown = program.ask("GET", f"/incidents/{first['incidents'][0]['reference']}")
    assert (shown.status, shown.json["kind"]) == (200, "inquiry")
    assert program.ask("GET", "/incidents?kind=inquiry&severity=High").json["incidents"] == []
    assert program.ask("GET", "/incidents?after=nowhere").status == 409
    assert program.ask("GET", "/incidents?organisation=Fabrikam").status == 404
    assert program.ask("GET", "/incidents?state=odd").status == 422
    assert program.ask("GET", "/incidents?words=a&words=b").status == 422


def test_a_search_finds_what_the_token_may_touch(desk: Desk) -> None:
    desk.place.answer(desk.place.incident, desk.place.alice, "The zebra was mine.")
    held = desk.held()
    mine, other = desk.program(whose=(desk.place.contoso,)), desk.program(whose=(desk.place.fabrikam,))
    (hit,) = mine.ask("GET", "/search?words=zebra").json["hits"]
    (start, end), text = hit["places"][0], hit["snippet"]
    assert (text[start:end], hit["thread"]) == ("zebra", desk.place.incident.reference)
    assert held in [one["id"] for one in mine.ask("GET", "/search?words=%22let+me+in%22").json["hits"]]
    assert other.ask("GET", "/search?words=zebra").json["hits"] == []
    assert mine.ask("GET", "/search?words=-zebra").status == 422
    assert mine.ask("GET", "/search?words=zebra&after=x").status == 422


def test_a_release_needs_another_one_than_who_asked_or_made_the_token(desk: Desk) -> None:
    copy_id, asks, decides = desk.held(), name(), name()
    asking, deciding = desk.program(name=asks), desk.program(name=decides)
    said = asking.ask("POST", f"/held/{copy_id}/release", {})
    assert (said.status, said.json["disposition"], said.json["asked"]["by"]) == (202, "held", asks)
    form = {"request": said.json["asked"]["request"], "word": "consent"}
    for own in (asking, desk.program(by=asks)):
        refused = own.ask("POST", f"/held/{copy_id}/consent", form)
        assert (refused.status, "somebody else" in refused.json["error"]) == (409, True)
    assert deciding.ask("POST", f"/held/{copy_id}/consent", {**form, "request": 10**6}).status == 409
    shown = deciding.ask("GET", f"/held/{copy_id}").json
    assert (shown["asked"]["by"], shown["second_person"], shown["text"]) == (asks, True, "Let me in.")
    done = deciding.ask("POST", f"/held/{copy_id}/consent", form).json
    assert (done["disposition"], done["thread"], done["asked"]) == (
        "filed",
        desk.place.incident.reference,
        None,
    )
    with desk.place.database.reading() as conn:
        entry = timeline_of(conn, desk.place.incident.id, latest=1)[-1]
    assert (entry.copy_id, entry.mark) == (copy_id, Mark.UNVERIFIED)
    assert acts(desk.place.database, asks) == [("release-asked", copy_id, "")]
    ((act, subject, detail),) = acts(desk.place.database, decides)
    assert (act, subject) == ("mail-released", copy_id)
    assert detail == f"filed on {desk.place.incident.reference}, asked for by {asks}"
    assert asking.ask("POST", f"/held/{copy_id}/release", {}).status == 409


def test_what_is_put_aside_waits_no_more(desk: Desk) -> None:
    by, copy_id = name(), desk.held()
    program = desk.program(name=by)
    assert copy_id in [one["id"] for one in program.ask("GET", "/held").json["messages"]]
    program.ask("POST", f"/held/{copy_id}/discard", {"reason": "a fraud"})
    assert copy_id not in [one["id"] for one in program.ask("GET", "/held").json["messages"]]
    assert acts(desk.place.database, by) == [("mail-discarded", copy_id, "a fraud")]
    assert program.ask("POST", f"/held/{copy_id}/discard", {}).status == 409
    other = {"to": desk.place.other_incident.reference}
    copy_id = desk.held()
    mine = desk.program(whose=(desk.place.contoso,))
    assert mine.ask("POST", f"/held/{copy_id}/release", other).status == 409
    assert mine.ask("GET", f"/held/{desk.answer()}").status == 404  # it was filed at once: no mail that waits


def test_nobody_approves_what_the_same_token_or_its_maker_has_written(desk: Desk) -> None:
    writes, approves = name(), name()
    writer, approver = desk.program(name=writes), desk.program(name=approves)
    number = desk.mail("managed-response", writer)
    (item,) = [one for one in approver.ask("GET", "/approvals").json["waiting"] if one["number"] == number]
    assert (item["composer"], item["state"]) == (writes, "awaiting")
    path, form = f"/approvals/{number}", {"digest": item["digest"]}
    for own in (writer, desk.program(by=writes)):
        refused = own.ask("POST", f"{path}/approve", form)
        assert (refused.status, "somebody else" in refused.json["error"]) == (409, True)
    assert approver.ask("POST", f"{path}/approve", {"digest": "0" * 64}).status == 409
    done = approver.ask("POST", f"{path}/approve", form).json
    assert (done["state"], done["approver"]) == ("approved", approves)
    assert acts(desk.place.database, approves)[0][:2] == ("mail-approved", f"mail {number}")
    assert delivered(desk, number) == "delivered"


def test_a_mail_that_broke_the_glass_is_reviewed_by_another_one(desk: Desk) -> None:
    writes, by = name(), name()
    writer, program = desk.program(name=writes), desk.program(name=by)
    number = desk.mail("managed-response", writer)
    form = {"digest": desk.digest(number), "reason": "it spreads"}
    assert writer.ask("POST", f"/approvals/{number}/break-glass", form).json["basis"] == "break-glass"
    found = {"reason": "it was right"}
    assert number in [one["number"] for one in program.ask("GET", "/approvals").json["to_review"]]
    assert writer.ask("POST", f"/approvals/{number}/review", found).status == 409
    assert program.ask("POST", f"/approvals/{number}/review", found).json["reviewer"] == by
    assert acts(desk.place.database, by) == [("mail-reviewed", f"mail {number}", "it was right")]
    refused = desk.waiting()
    program.ask("POST", f"/approvals/{refused}/refuse", {"reason": "wrong tone"})
    assert program.ask("GET", f"/outbox/{refused}").json["state"] == "failed"
    assert program.ask("POST", f"/outbox/{refused}/retry").status == 409


def delivered(desk: Desk, number: int) -> str:
    """The state of a mail once nothing is under way with it."""
    program = desk.program(Scope.READ_OUTBOX)
    until = time.monotonic() + 30
    while True:
        state = str(program.ask("GET", f"/outbox/{number}").json["state"])
        if state not in ("queued", "leased") or time.monotonic() > until:
            return state
        time.sleep(0.1)


def test_a_mail_that_waits_is_cancelled_and_one_that_failed_is_tried_again(desk: Desk) -> None:
    by, number = name(), desk.later()
    program = desk.program(name=by)
    assert program.ask("POST", f"/outbox/{number}/cancel").json["last_reply"] == f"cancelled by {by}"
    found = program.ask("GET", f"/outbox?state=failed&thread={desk.place.incident.reference}").json["mails"]
    assert number in [one["number"] for one in found]
    assert number in [
        one["number"] for one in program.ask("GET", "/outbox?to=ALICE@contoso.test").json["mails"]
    ]
    assert program.ask("GET", "/outbox?organisation=Fabrikam").json["mails"] == []
    assert program.ask("POST", f"/outbox/{number}/retry").json["state"] == "queued"
    assert [act for act, _, _ in acts(desk.place.database, by)] == ["mail-retried", "mail-cancelled"]
    sent = desk.mail()
    assert delivered(desk, sent) == "delivered"
    assert program.ask("POST", f"/outbox/{sent}/cancel").status == 409


def test_contacts_come_change_and_go(desk: Desk) -> None:
    by = name()
    program, address = desk.program(name=by), f"{name()}@contoso.test"
    form = {"organisation": "Contoso", "address": address, "name": "Dan", "tlp": "GREEN"}
    made = program.ask("POST", "/contacts", form)
    assert made.status == 201, made.body
    assert program.ask("POST", "/contacts", form).status == 409
    assert program.ask("POST", "/contacts", {**form, "address": "no address"}).status == 409
    path = f"/contacts/{made.json['number']}"
    after = program.ask("PATCH", path, {"phone": "+1 555 0100", "tlp": "default"}).json
    assert (after["phone"], after["tlp"], after["name"]) == ("+1 555 0100", None, "Dan")
    assert address in [
        one["address"] for one in program.ask("GET", "/contacts?organisation=Contoso").json["contacts"]
    ]
    assert address in desk.contacts()
    assert program.ask("DELETE", path).status == 200
    assert address not in desk.contacts()
    assert [act for act, _, _ in acts(desk.place.database, by)] == [
        "contact-removed",
        "contact-changed",
        "contact-added",
    ]
    for method, sent in (("DELETE", None), ("PATCH", {"name": "Eve"})):
        assert program.ask(method, path, sent).status == 404


def test_a_customers_mail_is_marked_and_what_waits_for_it_is_stopped(desk: Desk) -> None:
    by, number = name(), desk.later()
    program = desk.program(name=by)
    form = {"organisation": "Contoso", "mode": "untrusted", "reason": "a stolen session"}
    said = program.ask("POST", "/customers/mode", form)
    assert said.json["untrusted"]["by"] == by
    assert program.ask("GET", f"/outbox/{number}").json["state"] == "withheld"
    assert program.ask("POST", "/customers/mode", form).status == 409
    ended = program.ask("POST", "/customers/mode", {**form, "mode": "trusted", "reason": "clean"})
    assert ended.json["untrusted"] is None
    assert [(act, detail.partition(";")[0]) for act, _, detail in acts(desk.place.database, by)] == [
        ("mail-trusted", "clean"),
        ("mail-distrusted", "a stolen session"),
    ]


def test_the_audit_trail_is_read_page_by_page_and_its_chain_holds(desk: Desk) -> None:
    program = desk.program()
    desk.incident_by_program()
    page = program.ask("GET", "/audit?organisation=Contoso&act=thread-opened").json
    assert {one["act"] for one in page["rows"]} == {"thread-opened"}
    last = page["rows"][0]["number"]
    earlier = program.ask("GET", f"/audit?before={last}").json["rows"]
    assert all(one["number"] < last for one in earlier)
    chain = program.ask("GET", "/audit/chain").json
    assert (chain["broken"], chain["guarded"]) == (None, True)
    mine = desk.program(whose=(desk.place.contoso,))
    assert mine.ask("GET", "/audit?organisation=Fabrikam").status == 404


def test_a_code_tells_which_mail_bears_it_and_guessing_becomes_slow(desk: Desk) -> None:
    by, number = name(), desk.mail()
    program, code = desk.program(name=by), desk.code(number)
    found = program.ask("POST", "/codes", {"code": code.lower()}).json["mail"]
    assert (found["number"], found["to"]) == (number, "alice@contoso.test")
    assert acts(desk.place.database, by) == [("code-looked-up", f"mail {number}", "")]
    other = desk.program(whose=(desk.place.fabrikam,))
    assert program.ask("POST", "/codes", {"code": "ABCD"}).status == 422
    statuses = [other.ask("POST", "/codes", {"code": code}) for _ in range(7)]
    assert [one.status for one in statuses[:5]] == [200] * 5
    assert statuses[0].json == {"mail": None}
    assert statuses[-1].status == 429
    assert int(statuses[-1].headers["retry-after"]) >= 1
    assert program.ask("POST", "/codes", {"code": code}).status == 200


def test_reports_count_what_the_token_may_touch(desk: Desk) -> None:
    desk.held()
    counted = desk.program().ask("GET", "/reports?days=7&organisation=Contoso").json
    assert len(counted["days"]) == 7
    assert sum(one["number"] for one in counted["messages"] if one["disposition"] == "held") >= 1
    with desk.place.database.writing() as conn:
        quiet = add_organisation(conn, f"Quiet {name()}", now())
    mine = desk.program(whose=(quiet,)).ask("GET", "/reports").json
    assert (mine["messages"], mine["sent"], mine["answer_seconds"]) == ([], [], [])
    desk.place.answer(desk.place.incident, desk.place.alice, "Is anybody there?")
    waited = desk.program().ask("GET", "/reports").json["answer_seconds"]
    assert "Contoso" in [one["organisation"] for one in waited]
    assert desk.program().ask("GET", "/reports?days=5").status == 422


def test_one_person_files_held_mail_where_the_settings_ask_no_second(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = make_place(tmp_path_factory.mktemp("alone"))
    try:
        desk, by = Desk(place), name()
        program, copy_id = desk.program(name=by), desk.held()
        said = program.ask("POST", f"/held/{copy_id}/release", {"organisation": "Fabrikam", "contact": "Eve"})
        assert (said.status, said.json["disposition"]) == (200, "filed"), said.body
        shown = program.ask("GET", f"/incidents/{said.json['thread']}").json
        assert (shown["organisation"], shown["kind"]) == ("Fabrikam", "inquiry")
        assert [(one["mark"], one["text"]) for one in shown["timeline"]][-1] == ("unverified", None)
        assert acts(place.database, by)[0][0] == "mail-released"
        people = program.ask("GET", "/contacts?organisation=Fabrikam").json["contacts"]
        assert "eve@stranger.test" in [one["address"] for one in people]
    finally:
        place.database.close()
        place.served.stop()


def test_customers_and_their_domains_are_kept_without_telling_whose_other_domains_are(desk: Desk) -> None:
    by = name()
    program, mine = desk.program(name=by), desk.program(whose=(desk.place.contoso,))
    customer, domain = f"Tailspin {name()}", f"{name()}.test"
    assert program.ask("POST", "/customers", {"name": f"  {customer}"}).status == 201
    assert program.ask("POST", "/customers", {"name": customer}).status == 409
    form = {"organisation": customer, "domain": domain.upper(), "verified": True}
    said = program.ask("POST", "/customers/domains", form)
    assert said.json["domains"] == [{"domain": domain, "verified": True}]
    taken = mine.ask("POST", "/customers/domains", {**form, "organisation": "Contoso"})
    assert (taken.status, "Tailspin" in taken.json["error"]) == (409, False)
    query = f"/customers/domains?organisation=Contoso&domain={domain}"
    assert program.ask("DELETE", query).status == 404
    assert [one["name"] for one in mine.ask("GET", "/customers").json["customers"]] == ["Contoso"]
    assert acts(desk.place.database, by) == [
        ("domain-added", domain, f"of {customer}, verified"),
        ("customer-added", customer, ""),
    ]


def test_what_a_contact_agreed_to_and_that_it_gets_mail_again_is_on_the_trail(desk: Desk) -> None:
    by, number = name(), desk.suppressed()
    program = desk.program(name=by)
    assert program.ask("PATCH", f"/contacts/{number}", {"details_allowed": True}).json["details_allowed"]
    assert program.ask("POST", f"/contacts/{number}/allow").status == 200
    assert program.ask("POST", f"/contacts/{number}/allow").status == 409
    assert [act for act, _, _ in acts(desk.place.database, by)] == [
        "address-allowed",
        "contact-changed",
        "details-allowed",
    ]


def test_who_decides_on_held_mail_makes_no_contacts_by_that(desk: Desk) -> None:
    program = desk.program(Scope.DECIDE_HELD, Scope.READ_HELD)
    said = program.ask("POST", f"/held/{desk.held()}/release", {"contact": "Eve"})
    assert (said.status, "contacts:write" in said.json["error"]) == (403, True)


def test_a_message_says_what_is_in_it_and_that_nobody_proved_it(desk: Desk) -> None:
    shown = desk.program(Scope.READ_MAIL).ask("GET", f"/messages/{desk.held()}").json
    assert (shown["text"], shown["verdict"], shown["disposition"]) == ("Let me in.", "no-claim", "held")
    assert shown["reasons"]
    assert desk.program().ask("GET", "/messages/none").status == 404


def test_automatic_mail_is_approved_once_for_all_and_that_is_taken_back(desk: Desk) -> None:
    by = name()
    program = desk.program(name=by)
    given = program.ask("POST", "/approvals/standing", {"kind": "acknowledgement", "word": "give"}).json[
        "standing"
    ]
    assert ("acknowledgement", by) in [(one["kind"], one["approver"]) for one in given]
    left = program.ask("POST", "/approvals/standing", {"kind": "acknowledgement", "word": "withdraw"}).json
    assert "acknowledgement" not in [one["kind"] for one in left["standing"]]
    assert program.ask("POST", "/approvals/standing", {"kind": "reply", "word": "give"}).status == 409
    assert [act for act, _, _ in acts(desk.place.database, by)] == [
        "standing-withdrawn",
        "standing-approval",
    ]
