"""A portal posts incidents, tasks and notifications to a running gateway, over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from tests.expertmail.api_client import Portal, strays
from tests.proofs.served import Served

ALL = ("verify", "incidents:read", "incidents:write", "notifications:send")
MAIL_SECONDS = 30
STEPS = {
    "kind": "managed-response",
    "to": ["ana@contoso.test"],
    "words": {"summary": "We isolated the host."},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = '[sending]\nsecond_person = ["manual-detection"]\n'
    served = Served(tmp_path_factory.mktemp("world"), settings, forked=True)
    served.start()
    served.run("contacts", "add", "ana@contoso.test", "--name", "Ana", "--org", "Contoso")
    served.run("contacts", "add", "ben@fabrikam.test", "--name", "Ben", "--org", "Fabrikam")
    yield served
    served.stop()


@pytest.fixture(scope="module")
def token(gateway: Served) -> Callable[..., str]:
    """Make tokens, each with a name of its own."""
    made: list[str] = []

    def make(*scopes: str, orgs: tuple[str, ...] = (), name: str = "") -> str:
        made.append(name or f"portal-{len(made)}")
        options = [one for scope in scopes for one in ("--scope", scope)]
        options += [one for org in orgs for one in ("--org", org)]
        return gateway.run("tokens", "add", made[-1], *options).strip().splitlines()[0]

    return make


@pytest.fixture(scope="module")
def portal(gateway: Served, token: Callable[..., str]) -> Portal:
    return Portal(gateway.console_port, token(*ALL, name="portal"))


def opened(portal: Portal, key: str, **more: Any) -> str:
    """Open an incident; its reference."""
    form = {"organisation": "Contoso", "title": "Odd sign-ins", "severity": "High", **more}
    said = portal.ask("POST", "/incidents", form, key=key)
    assert said.status == 201, said.body
    return str(said.json["reference"])


def mails_about(gateway: Served, reference: str) -> list[Any]:
    """What the queue has of mail whose subject names an incident."""
    return [one for one in json.loads(gateway.run("outbox", "list", "--json")) if reference in one["subject"]]


def mail_with(outbox: Path, message_id: str) -> bytes:
    """The delivered mail with that Message-ID."""
    deadline = time.monotonic() + MAIL_SECONDS
    while time.monotonic() < deadline:
        for path in outbox.glob("*.eml"):
            raw = path.read_bytes()
            if message_id.strip("<>").encode() in raw:
                return raw
        time.sleep(0.1)
    raise AssertionError(f"no mail {message_id} in the outbox")


def test_publishing_a_managed_response_brings_a_genuine_mail_to_the_customer(
    gateway: Served, portal: Portal
) -> None:
    reference = opened(portal, "published")
    for title, source in (
        ("Reset the password of ana", "defenderExpertsGuidedResponse"),
        ("Isolate HOST-7", "defenderExpertsManagedResponse"),
    ):
        said = portal.ask(
            "POST", f"/incidents/{reference}/tasks", {"title": title, "source": source}, key=f"task {title}"
        )
        assert said.status == 201, said.body
    done = portal.ask("PATCH", f"/incidents/{reference}/tasks/2", {"status": "completed"})
    assert (done.status, done.json["status"]) == (200, "completed")

    said = portal.ask("POST", f"/incidents/{reference}/notifications", STEPS, key="published 1")
    assert said.status == 202, said.body
    (mail,) = said.json["mails"]
    assert mail["verdict"] == "genuine"
    assert mail["to"] == "ana@contoso.test"

    raw = mail_with(gateway.outbox, mail["message_id"])
    judged = portal.ask("POST", "/verify", raw, headers={"Content-Type": "message/rfc822"})
    assert judged.json["verdict"] == "genuine"
    read = message_from_bytes(raw, policy=policy.default)
    body = read.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert "Reset the password of ana" in text
    assert "Isolate HOST-7" in text
    assert "We isolated the host." in text

    shown = portal.ask("GET", f"/notifications/{mail['number']}").json
    assert (shown["kind"], shown["state"], shown["to"]) == (
        "managed-response",
        "delivered",
        "ana@contoso.test",
    )
    assert [one["failure"] for one in shown["tries"]] == [None]
    incident = portal.ask("GET", f"/incidents/{reference}").json
    assert [one["status"] for one in incident["tasks"]] == ["open", "completed"]
    assert "mail-out" in [one["kind"] for one in incident["timeline"]]
    trail = gateway.run("audit", "show", "--json")
    assert '"managed-response-written"' in trail


def test_an_incident_is_opened_changed_and_resolved(portal: Portal) -> None:
    reference = opened(portal, "lifecycle", classification="True positive")
    path = f"/incidents/{reference}"
    changed = portal.ask("PATCH", path, {"severity": "Medium", "assigned_to": "Customer"}).json
    assert (changed["severity"], changed["assigned_to"]) == ("Medium", "Customer")
    resolved = portal.ask("PATCH", path, {"state": "Resolved", "classification": "False positive"}).json
    assert (resolved["state"], resolved["assigned_to"]) == ("Resolved", "Unassigned")
    back = portal.ask("PATCH", path, {"state": "Awaiting customer action", "severity": "Low"})
    assert back.status == 409
    assert "reopen it first" in back.json["error"]
    assert portal.ask("GET", path).json["severity"] == "Medium"  # nothing of a refused change is done
    asked = {
        "kind": "request-for-context",
        "to": ["ana@contoso.test"],
        "words": {"opening": "Hello.", "questions": ["Who?"]},
    }
    refused = portal.ask("POST", f"{path}/notifications", asked, key="after the end")
    assert refused.status == 422
    assert "is resolved" in refused.json["error"]


def test_the_same_incident_posted_again_is_the_same_incident(portal: Portal) -> None:
    form = {"organisation": "Contoso", "title": "Posted twice"}
    first = portal.ask("POST", "/incidents", form, key="twice")
    again = portal.ask("POST", "/incidents", form, key="twice")
    assert (first.status, again.status) == (201, 201)
    assert first.json["reference"] == again.json["reference"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    other = portal.ask("POST", "/incidents", {**form, "title": "Another"}, key="twice")
    assert other.status == 409
    path = f"/incidents/{first.json['reference']}/tasks"
    tasks = [portal.ask("POST", path, {"title": "Look"}, key="task twice") for _ in range(2)]
    assert [one.json["number"] for one in tasks] == [1, 1]


def test_fifty_requests_at_one_time_with_one_key_send_one_mail(gateway: Served, portal: Portal) -> None:
    reference = opened(portal, "fifty")
    path, form = (
        f"/incidents/{reference}/notifications",
        {**STEPS, "words": {"summary": "Once.", "completed": ["All"]}},
    )
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: portal.ask("POST", path, form, key="fifty 1"), range(50)))
    assert {one.status for one in answers} == {202}, {one.body for one in answers}
    assert len({one.json["mails"][0]["number"] for one in answers}) == 1
    assert sum("idempotent-replayed" not in one.headers for one in answers) == 1
    assert len(mails_about(gateway, reference)) == 1
    changed = portal.ask(
        "POST", path, {**form, "words": {"summary": "Other.", "completed": ["All"]}}, key="fifty 1"
    )
    assert changed.status == 409


def test_fifty_requests_at_one_time_with_one_key_open_one_incident(portal: Portal) -> None:
    form = {"organisation": "Contoso", "title": "Opened once"}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: portal.ask("POST", "/incidents", form, key="fifty 2"), range(50)))
    assert {one.status for one in answers} == {201}
    assert len({one.json["reference"] for one in answers}) == 1


def test_a_preview_and_a_test_send_nothing_to_the_customer(gateway: Served, portal: Portal) -> None:
    reference = opened(portal, "preview")
    path = f"/incidents/{reference}/notifications"
    form = {**STEPS, "words": {"summary": "Seen before.", "completed": ["All"]}}
    shown = portal.ask("POST", path, {**form, "dry_run": True})
    assert shown.status == 200, shown.body
    assert "Seen before." in shown.json["mails"][0]["text"]
    assert reference in shown.json["mails"][0]["subject"]
    assert mails_about(gateway, reference) == []
    tested = portal.ask("POST", path, {**form, "test_to": "desk@experts.test"}, key="test")
    assert tested.status == 202, tested.body
    assert [one["to"] for one in tested.json["mails"]] == ["desk@experts.test"]
    assert {one["rcpt_to"] for one in mails_about(gateway, reference)} <= {"desk@experts.test"}
    away = portal.ask("POST", path, {**form, "test_to": "somebody@contoso.test"}, key="test 2")
    assert (away.status, "address of ours" in away.json["error"]) == (422, True)


def test_an_imported_incident_sends_nothing_by_itself_and_says_so(portal: Portal) -> None:
    form = {"organisation": "Contoso", "title": "Long ago", "opened_at": "2024-01-01T00:00:00Z"}
    said = portal.ask("POST", "/incidents", form, key="old").json
    assert said["sends_nothing_by_itself"] == "it was opened with a time in the past"
    assert said["opened_at"] == "2024-01-01T00:00:00+00:00"
    imported = portal.ask(
        "POST", "/incidents", {"organisation": "Contoso", "title": "New", "imported": True}, key="imp"
    )
    assert imported.json["sends_nothing_by_itself"] == "it was imported"
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert portal.ask("POST", "/incidents", {**form, "opened_at": later}, key="future").status == 409
    # Clocks differ by minutes: what a portal has just opened is of now.
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    ahead = portal.ask("POST", "/incidents", {**form, "opened_at": soon}, key="ahead")
    assert (ahead.status, ahead.json["sends_nothing_by_itself"]) == (201, None)


@pytest.mark.parametrize("old", [{"imported": True}, {"opened_at": "2024-01-01T00:00:00Z"}], ids=str)
def test_a_notification_that_somebody_posts_on_an_old_incident_is_sent_and_nothing_else_is(
    gateway: Served, portal: Portal, old: dict[str, Any]
) -> None:
    reference = opened(portal, f"old {old}", **old)
    posted = portal.ask(
        "POST",
        f"/incidents/{reference}/notifications",
        {**STEPS, "words": {"summary": "S", "completed": ["All"]}},
        key=f"old {old}",
    )
    (mail,) = posted.json["mails"]
    assert mail["state"] == "queued", posted.body
    assert b"To: " in mail_with(gateway.outbox, mail["message_id"])
    assert [one["outgoing_id"] for one in mails_about(gateway, reference)] == [mail["number"]]


OUTSIDE = {"kind": "reply", "to": ["counsel@lawyers.test"], "words": {"text": "We saw it."}}


def test_an_address_outside_gets_mail_for_a_reason_in_its_language_and_the_record_says_why(
    gateway: Served, portal: Portal
) -> None:
    reference = opened(portal, "outside")
    path = f"/incidents/{reference}/notifications"
    refused = portal.ask("POST", path, OUTSIDE, key="outside 1")
    assert (refused.status, "no contact" in refused.json["error"]) == (422, True)
    form = {**OUTSIDE, "outside": "Contoso's counsel asked on the phone", "language": "ja"}
    shown = portal.ask("POST", path, {**form, "dry_run": True}).json
    assert [one["language"] for one in shown["mails"]] == ["ja"]
    sent = portal.ask("POST", path, form, key="outside 2")
    assert sent.status == 202, sent.body
    assert portal.ask("POST", path, form, key="outside 2").headers["idempotent-replayed"] == "true"
    assert portal.ask("POST", path, {**form, "outside": "Another"}, key="outside 2").status == 409
    assert b"Reply-To" in mail_with(gateway.outbox, sent.json["mails"][0]["message_id"])
    assert "Contoso's counsel asked on the phone" in gateway.run("audit", "show", "--json")
    assert "counsel asked on the phone" in gateway.run("incidents", "show", reference)


def test_a_mail_waits_for_its_send_window(gateway: Served, portal: Portal) -> None:
    path = f"/incidents/{opened(portal, 'window')}/notifications"
    now = datetime.now(UTC)
    after = (now + timedelta(hours=2)).astimezone(timezone(timedelta(hours=9)))
    form = {**OUTSIDE, "to": ["ana@contoso.test"], "send_after": after.isoformat()}
    sent = portal.ask(
        "POST", path, {**form, "send_before": (now + timedelta(hours=3)).isoformat()}, key="window"
    )
    assert sent.status == 202, sent.body
    told = portal.ask("GET", f"/notifications/{sent.json['mails'][0]['number']}").json
    assert (told["state"], told["tries"]) == ("queued", [])
    assert datetime.fromisoformat(told["next_attempt_at"]) == after


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"outside": " "}, "'outside'"),
        ({"outside": "a\r\nBcc: b@c.test"}, "'outside'"),
        ({"outside": "x", "to": ["no address"]}, "address"),
        ({"outside": "x", "to": ["a@b.test\u2028"]}, "'to.0'"),
        ({"outside": "x", "to": ["ana@experts.test"]}, "test_to"),
        ({"outside": "x", "to": ["ana@a.reply.experts.test"]}, "test_to"),
        ({"outside": "x", "language": ""}, "'language'"),
        ({"outside": "x", "language": "en\n"}, "'language'"),
        ({"outside": "x", "language": "../en"}, "'language'"),
        ({"outside": "x", "language": "e" * 36}, "'language'"),
        ({"outside": "x", "send_after": "tomorrow"}, "'send_after'"),
        ({"outside": "x", "send_after": "2026-12-01T09:00"}, "zone"),
        ({"outside": "x", "send_before": 5}, "'send_before'"),
        ({"outside": "x", "send_before": "2001-01-01T00:00Z"}, "over already"),
        ({"outside": "x", "send_after": "0001-01-01T00:00:00Z"}, "year"),
        ({"outside": "x", "send_after": "0001-01-01T00:00:00+14:00"}, "'send_after'"),
        ({"outside": "x", "send_after": "9999-12-31T23:59:59-14:00"}, "'send_after'"),
        ({"outside": "x", "send_before": "9999-12-31T23:59:59Z"}, "30 days"),
        ({"outside": "x", "send_after": "2001-01-01T00:00Z", "break_glass": "now"}, "break-glass"),
    ],
    ids=lambda value: repr(value)[:60],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_an_odd_reason_language_or_window_is_refused_in_words(
    portal: Portal, more: dict[str, Any], word: str, *, dry_run: bool
) -> None:
    path = f"/incidents/{opened(portal, 'odd')}/notifications"
    said = portal.ask("POST", path, {**OUTSIDE, **more, "dry_run": dry_run}, key=f"odd {word}")
    assert said.status == 422, said.body
    assert word in said.json["error"]
    assert said.json["error"].isprintable()


def test_a_token_for_one_customer_learns_nothing_of_others_by_writing_outside(
    gateway: Served, token: Callable[..., str]
) -> None:
    gateway.run(
        "contacts", "add", "lee@litware.test", "--name", "Lee", "--org", "Litware", "--domain", "litware.test"
    )
    gateway.run("contacts", "add", "lee@litware.test", "--name", "Lee", "--org", "Contoso")
    gateway.run("orgs", "distrust", "Litware", "--reason", "stolen session")
    gateway.run("outbox", "suppress", "gone@nowhere.test", "--reason", "left")
    limited = Portal(gateway.console_port, token(*ALL, orgs=("Contoso",)))
    path = f"/incidents/{opened(limited, 'learns')}/notifications"
    heard = set()
    for address in ("lee@litware.test", "new@litware.test", "gone@nowhere.test"):
        said = limited.ask(
            "POST", path, {**OUTSIDE, "to": [address], "outside": "x"}, key=f"learns {address}"
        )
        heard.add((said.status, said.json["error"].replace(address, "ADDRESS")))
    assert len(heard) == 1
    assert "Litware" not in str(heard)
    notes = [
        limited.ask("POST", path, {**OUTSIDE, "to": [address], "outside": "x", "dry_run": True}).json["notes"]
        for address in ("ben@fabrikam.test", "who@fabrikam.test")
    ]
    assert str(notes[0]).replace("ben@", "who@") == str(notes[1])


def test_mail_of_a_customer_that_is_marked_untrusted_is_refused_in_words(
    gateway: Served, portal: Portal
) -> None:
    gateway.run(
        "contacts", "add", "cy@tailspin.test", "--name", "Cy", "--org", "Tailspin", "--phone", "+1 555 0100"
    )
    path = f"/incidents/{opened(portal, 'untrusted', organisation='Tailspin')}/notifications"
    gateway.run("orgs", "distrust", "Tailspin", "--reason", "stolen session")
    form = {"kind": "reply", "to": ["cy@tailspin.test"], "words": {"text": "Hello."}}
    refused = portal.ask("POST", path, form, key="untrusted 1")
    assert refused.status == 409
    assert "untrusted" in refused.json["error"]
    assert "+1 555 0100" in refused.json["error"]
    notice = portal.ask(
        "POST", path, {"kind": "portal-notice", "to": ["cy@tailspin.test"]}, key="untrusted 2"
    )
    assert notice.status == 202, notice.body


def test_an_erased_customer_is_not_there_any_more(gateway: Served, portal: Portal) -> None:
    gateway.run("orgs", "add", "Wingtip")
    reference = opened(portal, "erased", organisation="Wingtip")
    gateway.run("orgs", "erase", "Wingtip", "--yes")
    for method, path, form in (
        ("GET", f"/incidents/{reference}", None),
        ("PATCH", f"/incidents/{reference}", {"severity": "Low"}),
        ("POST", "/incidents", {"organisation": "Wingtip", "title": "T"}),
    ):
        assert portal.ask(method, path, form, key="erased").status == 404, path


def test_what_experts_note_and_what_nobody_proved_stays_with_the_experts(
    gateway: Served, portal: Portal
) -> None:
    reference = opened(portal, "notes")
    gateway.run("incidents", "note", reference, "The CFO is a suspect.")
    shown = portal.ask("GET", f"/incidents/{reference}")
    assert [one["kind"] for one in shown.json["timeline"]] == ["state"]
    assert b"CFO" not in shown.body


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"kind": "reply", "to": ["eve@elsewhere.test"], "words": {"text": "Hi"}}, "no contact"),
    ({"kind": "reply", "to": ["ben@fabrikam.test"], "words": {"text": "Hi"}}, "no contact"),
    ({"kind": "reply", "to": ["ana@contoso.test"]}, "'text'"),
    ({"kind": "reply", "to": ["ana@contoso.test"], "words": {"text": "Hi", "evil": "x"}}, "'evil'"),
    (
        {"kind": "reply", "to": ["ana@contoso.test"], "words": {"text": "https://evil.test/"}},
        "configured hosts",
    ),
    ({"kind": "reply", "to": ["ana@contoso.test\r\nBcc: x@y"], "words": {"text": "Hi"}}, "one line"),
    ({"kind": "reminder", "to": ["ana@contoso.test"]}, "automatically"),
    ({"kind": "relayed", "to": ["ana@contoso.test"]}, "written by nobody"),
    ({"kind": "reply", "to": [], "words": {"text": "Hi"}}, "'to'"),
    ({"kind": "reply", "to": ["ana@contoso.test"] * 51, "words": {"text": "Hi"}}, "'to'"),
    ({"kind": "reply", "to": ["ana@contoso.test"], "words": {"text": "Hi", "expert": "A\nB"}}, "'expert'"),
]


@pytest.mark.parametrize(("form", "word"), REFUSED)
def test_a_mail_that_cannot_be_written_is_refused_in_words_and_queues_nothing(
    portal: Portal, form: dict[str, Any], word: str
) -> None:
    reference = opened(portal, "refused")
    said = portal.ask("POST", f"/incidents/{reference}/notifications", form, key=f"refused {word}")
    assert said.status == 422, said.body
    assert word in said.json["error"]
    assert said.json["error"].isprintable()
    timeline = portal.ask("GET", f"/incidents/{reference}").json["timeline"]
    assert [one["kind"] for one in timeline] == ["state"]


ADDED = {"organisation": "Contoso", "kind": "contact-added", "to": ["ana@contoso.test"]}
SCOPED = [
    ("POST", "/incidents", {"organisation": "Contoso", "title": "T"}, "incidents:write", 201),
    ("GET", "/incidents/INC-000001", None, "incidents:read", 200),
    ("PATCH", "/incidents/INC-000001", {"severity": "High"}, "incidents:write", 200),
    ("POST", "/incidents/INC-000001/tasks", {"title": "T"}, "incidents:write", 201),
    ("PATCH", "/incidents/INC-000001/tasks/1", {"status": "open"}, "incidents:write", 200),
    ("POST", "/incidents/INC-000001/notifications", {**STEPS, "dry_run": True, "words": {"summary": "S", "completed": ["All"]}}, "notifications:send", 200),
    ("POST", "/notifications", {**ADDED, "dry_run": True}, "notifications:send", 200),
    ("GET", "/notifications/1", None, "incidents:read", 200),
    ("POST", "/verify", b"From: a@b.test\r\n\r\nHi", "verify", 200),
]  # fmt: skip


def test_each_scope_opens_its_own_requests_and_no_other(
    gateway: Served, portal: Portal, token: Callable[..., str]
) -> None:
    for scope in ALL:
        one = Portal(gateway.console_port, token(scope))
        for method, path, form, needed, status in SCOPED:
            headers = {"Content-Type": "message/rfc822"} if path == "/verify" else {}
            said = one.ask(method, path, form, key=f"{scope} {path}", headers=headers)
            if scope == needed:
                assert said.status == status, (scope, path, said.body)
            else:
                assert said.status == 403, (scope, path, said.body)
                assert f'scope="{needed}"' in said.headers["www-authenticate"]
                assert needed in said.json["error"]


PLACES = {
    "/incidents/INC-000001": "/incidents/{reference}",
    "/incidents/INC-000001/tasks": "/incidents/{reference}/tasks",
    "/incidents/INC-000001/tasks/1": "/incidents/{reference}/tasks/{task}",
    "/incidents/INC-000001/notifications": "/incidents/{reference}/notifications",
    "/notifications/1": "/notifications/{number}",
}


def test_answers_are_as_they_are_described(portal: Portal) -> None:
    described = portal.ask("GET", "/openapi.json").json
    schemas = described["components"]["schemas"]
    asked = [one for one in SCOPED if one[1] != "/verify"]
    asked.append(
        (
            "POST",
            "/incidents/INC-000001/notifications",
            {**STEPS, "words": {"summary": "S", "completed": ["All"]}},
            "",
            202,
        )
    )
    asked.append(("POST", "/notifications", ADDED, "", 202))
    for method, path, form, _, status in asked:
        said = portal.ask(method, path, form, key=f"described {path}")
        told = described["paths"][f"/api/v1{PLACES.get(path, path)}"][method.lower()]
        schema = told["responses"][str(status)]["content"]["application/json"]["schema"]
        assert said.status == status, said.body
        assert strays(said.json, schema, schemas) == [], (method, path)
    for form in ({"title": "T"}, {"organisation": "Nobody", "title": "T"}):
        said = portal.ask("POST", "/incidents", form, key="described")
        assert strays(said.json, schemas["Error"], schemas) == []
        assert str(said.status) in described["paths"]["/api/v1/incidents"]["post"]["responses"]


def test_mail_that_a_second_person_approves_waits_for_one_unless_it_cannot_wait(
    gateway: Served, portal: Portal
) -> None:
    path = f"/incidents/{opened(portal, 'second person')}/notifications"
    form = {
        "kind": "manual-detection",
        "to": ["ana@contoso.test"],
        "words": {"found": "A new inbox rule.", "actions": ["Remove it"], "expert": "Kim"},
    }
    (waits,) = portal.ask("POST", path, form, key="waits").json["mails"]
    assert (waits["state"], waits["verdict"]) == ("unapproved", "genuine")
    # Whoever approves is not whoever wrote it.
    refused = gateway.run("approvals", "approve", str(waits["number"]), "--by", "portal", expect=None)
    assert portal.ask("GET", f"/notifications/{waits['number']}").json["state"] == "unapproved", refused
    urgent = portal.ask("POST", path, {**form, "break_glass": "Ransomware is running"}, key="urgent")
    (goes,) = urgent.json["mails"]
    assert goes["state"] == "queued"
    assert b"A new inbox rule." in mail_with(gateway.outbox, goes["message_id"])


@pytest.mark.parametrize(
    "reference", ["INC-999999", "%00", "%C3%A9", "..", "INC-000001%0d%0aX:%20y", "x" * 4_000]
)
def test_a_reference_that_is_none_is_not_found(portal: Portal, reference: str) -> None:
    said = portal.ask("GET", f"/incidents/{reference}")
    assert said.status == 404
    assert said.json == {"error": "There is nothing here; see /api/v1/openapi.json."}


def test_a_token_for_one_customer_sees_nothing_of_another(
    gateway: Served, portal: Portal, token: Callable[..., str]
) -> None:
    theirs = opened(portal, "theirs", organisation="Fabrikam")
    limited = Portal(gateway.console_port, token(*ALL, orgs=("Contoso",)))
    note = {"kind": "portal-notice", "to": ["ben@fabrikam.test"]}
    number = portal.ask("POST", f"/incidents/{theirs}/notifications", note, key="theirs 1").json["mails"][0][
        "number"
    ]
    for there, none in (
        (("GET", f"/incidents/{theirs}", None), ("GET", "/incidents/INC-999999", None)),
        (
            ("PATCH", f"/incidents/{theirs}", {"severity": "Low"}),
            ("PATCH", "/incidents/INC-999999", {"severity": "Low"}),
        ),
        (
            ("POST", f"/incidents/{theirs}/tasks", {"title": "T"}),
            ("POST", "/incidents/none/tasks", {"title": "T"}),
        ),
        (
            ("PATCH", f"/incidents/{theirs}/tasks/1", {"status": "open"}),
            ("PATCH", "/incidents/none/tasks/1", {"status": "open"}),
        ),
        (
            ("POST", f"/incidents/{theirs}/notifications", note),
            ("POST", "/incidents/none/notifications", note),
        ),
        (
            ("POST", "/notifications", {**ADDED, "organisation": "Fabrikam", "to": note["to"]}),
            ("POST", "/notifications", {**ADDED, "organisation": "Nobody", "to": note["to"]}),
        ),
        (("GET", f"/notifications/{number}", None), ("GET", "/notifications/99999999999999999999", None)),
        (
            ("POST", "/incidents", {"organisation": "Fabrikam", "title": "T"}),
            ("POST", "/incidents", {"organisation": "Nobody", "title": "T"}),
        ),
    ):
        answers = [limited.ask(*asked, key="limited") for asked in (there, none)]
        assert [one.status for one in answers] == [404, 404], there
        assert answers[0].body == answers[1].body
    opened(limited, "mine")
    # Its keys are its own: the same one of another token is another request.
    assert opened(limited, "theirs", organisation="Contoso") != theirs


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"", 400, "not JSON"),
        (b"[]", 400, "one JSON object"),
        (b'{"title": "T", "title": "U"}', 400, "'title' twice"),
        (b'{"title": NaN}', 400, "not JSON"),
        (b'{"title": Infinity}', 400, "not JSON"),
        (b'{"title": ' + b"9" * 5_000 + b"}", 400, "not JSON"),
        (b'{"title": 1e999}', 422, "'title'"),
        (b'{"a":' * 50_000, 400, "nested"),
        (b"[" * 200_000, 400, "nested"),
        (b"{" + b", ".join(b'"f%d": 1' % n for n in range(10_000)) + b"}", 400, "more than 50 fields"),
        (b'{"title": "\xff"}', 400, "UTF-8"),
        (b'{"title": "\\ud800", "organisation": "Contoso"}', 422, "'title'"),
        (b'{"title": "T\\u0000", "organisation": "Contoso"}', 422, "'title'"),
        (b'{"title": "T\\u202e", "organisation": "Contoso"}', 422, "'title'"),
        (b'{"title": "T", "organisation": "Contoso", "\\ud800": 1}', 422, "unicode"),
        (b'{"title": "T", "organisation": "Contoso", "admin": true}', 422, "no field 'admin'"),
        (b'{"title": "T", "organisation": "Contoso", "severity": null}', 422, "'severity' is null"),
        (b'{"title": "T", "organisation": "Contoso", "severity": "Critical"}', 422, "'severity'"),
        (b'{"title": "T", "organisation": "Contoso", "imported": "yes"}', 422, "'imported'"),
        (b'{"title": "T", "organisation": "Contoso", "opened_at": 5}', 422, "'opened_at'"),
        (b'{"title": "T", "organisation": "Contoso", "opened_at": "2026-01-01T00:00:00"}', 422, "zone"),
        (
            b'{"title": "T", "organisation": "Contoso", "opened_at": "0001-01-01T00:00:00+14:00"}',
            422,
            "'opened_at'",
        ),
        (b'{"title": "' + b"x" * 501 + b'", "organisation": "Contoso"}', 422, "'title'"),
        (b'{"title": "' + b"x" * 262_144 + b'"}', 413, "larger than"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_hostile_json_is_refused_in_one_sentence(portal: Portal, body: bytes, status: int, word: str) -> None:
    said = portal.ask("POST", "/incidents", body, key="hostile")
    assert said.status == status, said.body
    assert word in said.json["error"]
    assert said.json["error"].isprintable()
    assert len(said.body) < 1_000


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ([], "an object"),
        ({f"w{n}": "x" for n in range(21)}, "at most 20"),
        ({"text": 5}, "'text'"),
        ({"text": {"a": "b"}}, "'text'"),
        ({"text": ["x", 5]}, "'text'"),
        ({"text": ["x"] * 101}, "at most 100"),
        ({"text": "\ud800"}, "Unicode"),
        ({"\ud800": "x"}, "Unicode"),
        ({"text": [5] * 80_000}, "'text'"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_words_that_are_none_are_refused_by_their_name(portal: Portal, words: object, word: str) -> None:
    form = {"kind": "reply", "to": ["ana@contoso.test"], "words": words}
    said = portal.ask("POST", f"/incidents/{opened(portal, 'words')}/notifications", form, key="words")
    assert said.status == 422, said.body
    assert word in said.json["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json; charset=utf-16"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Idempotency-Key": ""}, 400),
        ({"Idempotency-Key": "x" * 101}, 400),
        ({"Idempotency-Key": "\xe4"}, 400),
    ],
)
def test_a_request_in_another_form_is_refused(portal: Portal, headers: dict[str, str], status: int) -> None:
    said = portal.ask(
        "POST", "/incidents", {"organisation": "Contoso", "title": "T"}, key="form", headers=headers
    )
    assert said.status == status, said.body


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "x", "9" * 30, "%00", "١"])
def test_a_number_that_no_mail_has_is_not_found(portal: Portal, number: str) -> None:
    path = number if number.isascii() else "%D9%A1"
    assert portal.ask("GET", f"/notifications/{path}").status == 404


def test_no_token_is_in_the_log_or_in_the_database(gateway: Served, portal: Portal) -> None:
    assert portal.token is not None
    secret = portal.token.rpartition("_")[2]
    assert secret not in gateway.log.read_text()
    for path in (gateway.folder / "var").glob("expertmail.db*"):
        assert secret.encode() not in path.read_bytes()
