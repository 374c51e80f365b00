"""Verify in the browser: from a dropped file to a verdict with its reasons; hostile messages; a large one."""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from expertmail.console.pages.message_view import marked_fields
from expertmail.console.pages.verify_results import LASTS, MAX_OCTETS, MAX_OF_SESSION, Answer, Result, Results
from tests.console.browsing import PHONE, Window
from tests.console.place import Place, now
from threads.access import Grant, Role
from verifier.evidence_file import read_evidence
from verifier.message import read_message
from verifier.report import AuthResult, DkimResult

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
LARGE_SECONDS = 2.0
HOSTILE = (
    "<script>alert(1)</script>", "<svg onload=alert(1)>", "\u202egnp.exe", "x" * 900, '"><img src=x onerror=alert(1)>',
)  # fmt: skip


def multipart(*files: tuple[str, bytes], token: str) -> tuple[bytes, str]:
    boundary = secrets.token_hex(12)
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="token"\r\n\r\n{token}\r\n'.encode()]
    for name, data in files:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="message"; filename="{name}"\r\n'
        parts += [head.encode() + b"Content-Type: message/rfc822\r\n\r\n", data, b"\r\n"]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def our_mail(place: Place) -> bytes:
    """A mail of ours, as it was delivered."""
    if not list(place.served.outbox.glob("*.eml")):
        place.served.run(
            "compose",
            "request",
            place.incident.reference,
            "--to",
            place.alice.address,
            "--question",
            "Was it you?",
        )
        deadline = time.monotonic() + 20
        while not list(place.served.outbox.glob("*.eml")) and time.monotonic() < deadline:
            time.sleep(0.1)
    return next(iter(place.served.outbox.glob("*.eml"))).read_bytes()


def test_a_dropped_file_gets_a_verdict_with_all_reasons(
    place: Place, window: Callable[..., Window], axe: str, tmp_path: Path
) -> None:
    mail = our_mail(place)
    opened = window(place.person(Role.ANALYST))
    page = opened.go("/verify")
    assert opened.serious_faults(axe) == []
    page.evaluate(
        """text => {
            const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "mail.eml", {type: "message/rfc822"}));
            document.querySelector("main").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        base64.b64encode(mail).decode(),
    )
    page.wait_for_url("**/verify/*")
    assert page.locator("h1").inner_text() == "Genuine"
    text = page.inner_text("main")
    for said in ("Who answers for it", "You may act on it", "SIGNED BY EXPERTS.TEST", "second program"):
        assert said.lower() in text.lower(), said
    assert opened.serious_faults(axe) == []
    page.emulate_media(media="print")
    for folded in page.locator("details:not([open]) pre").all():
        assert (folded.bounding_box() or {"height": 0})["height"] > 0, "on paper everything is open"
    assert not page.locator("header.top").is_visible()
    page.emulate_media(media="screen")
    where = page.url.removeprefix(place.url)
    person = place.person(Role.ANALYST)
    verdict = json.loads(place.ask("GET", f"{where}/1/verdict.json", person=person).body)
    assert verdict["verdict"] == "genuine"
    kept, _ = read_evidence(place.ask("GET", f"{where}/1/evidence.json", person=person).body)
    assert any("_domainkey.experts.test" in question.name for question in kept.answers)
    stranger = place.person(Role.ANALYST, name="another-analyst")
    assert place.ask("GET", where, person=stranger).status == 410, "an answer is for who asked"


def test_a_changed_message_is_not_genuine_and_several_are_told_apart(
    place: Place, window: Callable[..., Window], tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.eml", tmp_path / "bad.eml"
    good.write_bytes(our_mail(place))
    bad.write_bytes(our_mail(place).replace(b"Was it you?", b"Pay at once"))
    opened = window(place.person(Role.ANALYST), size=PHONE, scheme="dark", scripts=False)
    page = opened.go("/verify")
    page.set_input_files("#message", [good, bad])
    page.get_by_role("button", name="Verify").click()
    assert page.locator("h1").inner_text() == "2 messages"
    heads = [one.inner_text() for one in page.locator(".verdict h2").all()]
    assert heads[0].startswith("Genuine")
    assert not heads[1].startswith("Genuine")


def test_a_customer_is_told_what_to_believe_and_no_more(place: Place) -> None:
    customer = place.person(Grant(Role.CUSTOMER, place.contoso.id))
    body, kind = multipart(("mail.eml", our_mail(place)), token=customer.token)
    answer = place.ask("POST", "/verify", body, person=customer, headers={"Content-Type": kind})
    page = place.ask("GET", answer.headers["location"], person=customer)
    assert "You may act on it" in page.text
    assert "Checks" not in page.text
    assert "Received" not in page.text
    for rest in ("evidence", "verdict"):
        assert place.ask("GET", f"{answer.headers['location']}/1/{rest}.json", person=customer).status == 403


def test_the_verdict_at_receipt_stands_beside_that_of_now_for_who_may_see_the_message(place: Place) -> None:
    place.answer(place.incident, place.alice, "It was me.", subject="At receipt")
    with place.database.reading() as conn:
        from threads.store.read import list_copies, raw_message

        copy = next(one for one in list_copies(conn) if one.subject == "At receipt")
        raw = raw_message(conn, copy.id)
    for person, seen in (
        (place.person(Role.ANALYST), True),
        (place.person(Grant(Role.ANALYST, place.fabrikam.id)), False),
    ):
        body, kind = multipart(("x.eml", raw), token=person.token)
        where = place.ask("POST", "/verify", body, person=person, headers={"Content-Type": kind}).headers[
            "location"
        ]
        assert ("When it came in" in place.ask("GET", where, person=person).text) is seen


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_in_every_field_stay_words(
    place: Place, window: Callable[..., Window], text: str
) -> None:
    encoded = f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="
    raw = (
        f"Received: from {text[:100]} by {text[:100]}; x\r\nFrom: {encoded} <a@b.test>\r\nSubject: {encoded}\r\n"
        f"X-{text[:20]}: {text[:400]}\r\n\r\n{text}\r\n"
    ).encode()
    opened = window(place.person(Role.ANALYST), size=(360, 740))
    page = opened.go("/verify")
    page.set_input_files(
        "#message", [{"name": f"{text[:60]}.eml", "mimeType": "message/rfc822", "buffer": raw}]
    )
    with page.expect_navigation():
        page.get_by_role("button", name="Verify").click()
    assert page.locator(".verdict").count() == 1
    assert opened.wider_than_the_window() == ""


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.msg", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "cannot be read as an Outlook"),
        ("x.eml", b"", "header"),
        ("x.eml", b"\0" * 1000, ""),
        ("x.mbox", b"From a@b Thu Nov 26 10:00:00 2026\nFrom: a@b.test\n\nx\n\n" * 80, "the first 50"),
    ],
)
def test_what_is_no_message_is_told_in_words(place: Place, name: str, data: bytes, said: str) -> None:
    person = place.person(Role.ANALYST)
    body, kind = multipart((name, data), token=person.token)
    answer = place.ask("POST", "/verify", body, person=person, headers={"Content-Type": kind})
    assert answer.status in (303, 422)
    if answer.status == 303:
        page = place.ask("GET", answer.headers["location"], person=person)
        assert page.status == 200
        assert said in page.text or not data


def test_a_form_that_is_too_large_or_malformed_is_refused(place: Place) -> None:
    person = place.person(Role.ANALYST)
    head = {"Content-Type": "multipart/form-data; boundary=b"}
    assert place.ask("POST", "/verify", b"garbage", person=person, headers=head).status == 400
    assert (
        place.ask("POST", "/verify", b"x", person=person, headers={"Content-Type": "text/plain"}).status
        == 415
    )
    files = [(f"{n}.eml", b"From: a@b.test\r\n\r\nx\r\n") for n in range(21)]
    body, kind = multipart(*files, token=person.token)
    assert place.ask("POST", "/verify", body, person=person, headers={"Content-Type": kind}).status == 400
    huge = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(10**12)}
    assert place.ask("POST", "/verify", b"", person=person, headers=huge).status == 413


def test_a_message_of_25_mb_that_claims_nothing_is_judged_at_once(place: Place) -> None:
    line = base64.b64encode(os.urandom(57)) + b"\r\n"
    raw = (
        b"From: Someone <someone@elsewhere.test>\r\nSubject: Large\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: application/pdf; name=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + line
        * (25 * 1024 * 1024 // len(line))
    )
    person = place.person(Role.ANALYST)
    body, kind = multipart(("large.eml", raw), token=person.token)
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        answer = place.ask("POST", "/verify", body, person=person, headers={"Content-Type": kind})
        page = place.ask("GET", answer.headers["location"], person=person)
        took.append(time.perf_counter() - begun)
        assert "It does not say that it is from us" in page.text
        assert len(page.body) < 200_000
    print(f"\n25 MB from sending to the page: {min(took):.2f} s")
    assert (
        min(took) < 10 * LARGE_SECONDS
    )  # the goal itself is in bench/; this guards against another order of time


def signature(domain: str = "experts.test", **more: bool) -> DkimResult:
    held = {"aligned": True, "acceptable": True, **more}
    return DkimResult(1, AuthResult.PASS, None, domain, "s", "rsa-sha256", ("from", "subject"), **held)


@pytest.mark.parametrize("above", [0, 3, 299, 500])
def test_a_field_above_the_signed_one_is_not_marked_however_many_stand_between(above: int) -> None:
    raw = b"Subject: FORGED\r\n" + b"X: y\r\n" * above + b"Subject: true\r\nFrom: a@experts.test\r\n\r\nx\r\n"
    shown = marked_fields(read_message(raw), (signature(),))
    assert shown[0].value == "FORGED"
    assert shown[0].by == ()
    assert len(shown) == min(300, above + 3)
    if above < 297:
        assert shown[-2].by == (("experts.test", True),)


@pytest.mark.parametrize("how", [{"aligned": False}, {"acceptable": False}])
def test_a_signature_that_proves_nothing_is_not_shown_as_proof(how: dict[str, bool]) -> None:
    shown = marked_fields(read_message(b"From: a@b.test\r\n\r\nx\r\n"), (signature("evil.test", **how),))
    assert shown[0].by == (("evil.test", False),)


def answer_of_size(octets: int) -> Answer:
    nothing = {field.name: () for field in fields(Answer)}
    return Answer(**{**nothing, "body": "x" * (octets // 4), "verdict_json": "", "evidence_json": ""})  # type: ignore[arg-type]


def test_what_is_kept_is_bounded_in_number_octets_and_time() -> None:
    kept = Results()
    names = [kept.keep(Result(7, now(), (answer_of_size(1_000_000),), ())) for _ in range(MAX_OF_SESSION + 5)]
    assert [kept.find(one, 7, now()) is None for one in names] == [True] * 5 + [False] * MAX_OF_SESSION
    assert kept.find(names[-1], 8, now()) is None, "it is another session's"
    for session in range(100):
        kept.keep(Result(session, now(), (answer_of_size(10_000_000),), ()))
    assert sum(one.octets for one in kept._kept.values()) <= MAX_OCTETS
    kept.keep(Result(1, now() + 2 * LASTS, (), ()))
    assert len(kept._kept) == 1, "what is over goes"
