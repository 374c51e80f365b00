"""Verify: a suspicious message in, one verdict out, with every reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.message import saved
from expertmail.console.pages.message_view import body_beginning, hops, marked_fields
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import number_of
from expertmail.console.pages.same_message import digests_of
from expertmail.console.pages.verify_results import Answer, Earlier, Result, Results
from expertmail.faults import FaultError
from expertmail.saved_messages import NOTE_TEXT, SavedMessage, messages_in
from smtp_gateway.judging import Busy, Judged
from threads.access import Permission
from threads.store import Connection
from threads.store.read import judgements, list_known
from verifier.evidence_file import write_evidence
from verifier.explanation import explain
from verifier.report_json import as_json

MAX_FILES: Final = 20
"""Files at one time: whoever has more uses `expertmail verify`."""
MAX_MESSAGES: Final = 50
"""Messages at one time, of mailbox files too."""
MAX_TAKEN: Final = 110 * 1024 * 1024
"""Octets of one form: three of the largest messages."""
_DONE: Final = "That answer is kept no longer: verify the message again."

_results = Results()


async def show(visit: Visit) -> Response:
    """The form."""
    return await visit.page("verify.html", trouble="")


async def verify(visit: Visit) -> Response:
    """Judge what was sent, and go to the answer."""
    if len(visit.form.values.get("source", ("",))[0]) == 0 and not visit.form.files:
        return await visit.page(
            "verify.html", status=422, trouble="Choose a file, or paste the source of a message."
        )
    refused: list[str] = []
    found = await _sent(visit, refused)
    if len(found) > MAX_MESSAGES:
        refused.append(f"There are {len(found):,} messages in it; the first {MAX_MESSAGES} are judged here.")
    answers = [await _answer(visit, one) for one in found[:MAX_MESSAGES]]
    result = Result(visit.signed_in.session.id, visit.now, tuple(answers), tuple(refused))
    return visit.go(f"/verify/{_results.keep(result)}")


async def show_answer(visit: Visit) -> Response:
    """The answer: one message whole, several in a table with each below."""
    result = _kept(visit)
    return await visit.page(
        "verify_answer.html",
        result=result,
        name=visit.request.path_params["name"],
        # A customer is told what to believe and what to do; how it was found out is for who works with it.
        reads=visit.signed_in.account.may_anywhere(Permission.READ),
    )


async def download_verdict(visit: Visit) -> Response:
    """The contract's verdict object."""
    return saved(_one(visit).verdict_json.encode(), "verdict.json")


async def download_evidence(visit: Visit) -> Response:
    """What it was judged by, as `expertmail verify --evidence` takes it."""
    return saved(_one(visit).evidence_json.encode(), "evidence.json")


async def download_source(visit: Visit) -> Response:
    """The octets that were judged, to save; no browser opens them."""
    return saved(_one(visit).raw, "message.eml")


async def _sent(visit: Visit, refused: list[str]) -> list[SavedMessage]:
    """The messages of all files and of the pasted source."""
    files = visit.form.files.get("message", ())
    sent = [(one.filename or "message", await one.read()) for one in files]
    source = visit.form.values.get("source", ("",))[0]
    if source.strip():
        # A browser has made the line ends CRLF; what was pasted has only the characters that were shown.
        sent.append(("pasted source", source.lstrip("\r\n").encode("utf-8", "replace")))

    def work() -> list[SavedMessage]:
        found: list[SavedMessage] = []
        for name, data in sent:
            try:
                found += _some(messages_in(name, data))
            except FaultError as fault:
                refused.append(fault.sentence)
        return found

    return await visit.run(work)


def _some(messages: Iterator[SavedMessage]) -> Iterator[SavedMessage]:
    """Not more of a mailbox than are judged, and one that says that there are more."""
    for number, one in enumerate(messages):
        if number > MAX_MESSAGES:
            return
        yield one


async def _answer(visit: Visit, one: SavedMessage) -> Answer:
    try:
        judged = await visit.parts.judge_whole(one.raw)
    except Busy:
        raise HTTPException(503, "Too many messages are being judged; try again.") from None
    return await visit.run(lambda: _told(visit, one, judged))


def _told(visit: Visit, one: SavedMessage, judged: Judged) -> Answer:
    report, message = judged.report, judged.message
    sha256 = hashlib.sha256(one.raw).hexdigest()
    with visit.parts.api.database.reading() as conn:
        earlier = _at_receipt(conn, visit, one.raw)
    body, more = body_beginning(message)
    notes = tuple(NOTE_TEXT[note] for note in one.notes)
    return Answer(
        one.file,
        len(one.raw),
        sha256,
        judged.reading.subject,
        report,
        explain(report),
        tuple((inner, explain(inner)) for inner in report.inner),
        marked_fields(message, report.dkim),
        hops(message),
        body,
        more,
        notes,
        json.dumps({**as_json(report, one.file, explained=True), "notes": list(notes)}, indent=2),
        write_evidence(judged.evidence),
        one.raw,
        earlier,
    )


def _at_receipt(conn: Connection, visit: Visit, raw: bytes) -> Earlier | None:
    """The verdict when the message came in, if the viewer may see it."""
    if not visit.signed_in.account.may_anywhere(Permission.READ):
        return None
    for digest, taken_off in digests_of(raw):
        for copy, organisation_id in list_known(conn, digest):
            if not visit.signed_in.may(Permission.READ, organisation_id):
                continue
            judged = judgements(conn, copy.id)
            if judged:
                last = judged[-1]
                return Earlier(last.verdict, last.at, copy.id, copy.disposition.value, taken_off)
    return None


def _kept(visit: Visit) -> Result:
    found = _results.find(visit.request.path_params["name"], visit.signed_in.session.id, visit.now)
    if found is None:
        raise HTTPException(410, _DONE)
    return found


def _one(visit: Visit) -> Answer:
    answers = _kept(visit).answers
    number = number_of(visit.request.path_params["number"])
    if not 0 < number <= len(answers):
        raise HTTPException(404)
    return answers[number - 1]


PAGES: Final = (
    Page("GET", "/verify", "verify", Permission.VERIFY, show),
    Page("POST", "/verify", "verify-do", Permission.VERIFY, verify, takes=MAX_TAKEN, files=MAX_FILES),
    Page("GET", "/verify/{name}", "verify-answer", Permission.VERIFY, show_answer),
    Page("GET", "/verify/{name}/{number}/verdict.json", "verify-verdict", Permission.READ, download_verdict),
    Page("GET", "/verify/{name}/{number}/message.eml", "verify-source", Permission.READ, download_source),
    Page(
        "GET", "/verify/{name}/{number}/evidence.json", "verify-evidence", Permission.READ, download_evidence
    ),
)
