"""Questions to the experts over HTTP: asked for a customer, answered, and looked back at."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from expertmail.console.api_forms import Line, Moment, QueryForm, StrictForm, Text
from expertmail.console.api_inquiry_schema import INQUIRY_SCHEMAS
from expertmail.console.api_once import RacedError, once
from expertmail.console.api_operation import Call, Nothing, Operation, Told
from expertmail.console.api_work import content_digest, customer_of, key_digest, thread_for
from expertmail.inquiry_answers import (
    Reply,
    answer_letter,
    put_answer,
    say_other_way,
    usual_channel,
)
from expertmail.inquiry_history import history_csv, looked_back, question_json
from threads.api_token import ApiToken, Scope
from threads.chat import MAX_NAME
from threads.inquiry import MAX_MONTHS, MONTHS, AnswerChannel, Question, months_before
from threads.model import AskedBy, Thread, ThreadKind
from threads.store import Connection
from threads.store.api_requests import done_before, note_done
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.inquiries import ask, contact_named, question_on
from threads.store.thread import thread_by_id

MAX_LISTED: Final = 1_000
"""Questions in one answer, the latest ones; ``complete`` says whether there are more."""


def _months(text: str) -> str:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= MAX_MONTHS):
        raise ValueError(f"it is 1 to {MAX_MONTHS}")
    return text


class NewInquiry(StrictForm):
    """A question of a contact (by the address), about an incident (by its reference) or about none."""

    organisation: Line
    title: Line
    text: Text
    asked_by_contact: Line
    about: Line | None = None


class NewAnswer(StrictForm):
    """An answer, signed by ``expert``. ``by``: another way than that of the question; the timeline then says so."""

    text: Text
    expert: Annotated[Line, Field(max_length=MAX_NAME)] | None = None
    by: Literal["chat", "mail"] | None = None


class LookBack(QueryForm):
    """Questions since a time, or of the last so many months; ``format`` csv: the answer's ``csv`` holds a table for spreadsheets."""

    organisation: Line | None = None
    since: Moment | None = None
    months: Annotated[str, Field(max_length=3), AfterValidator(_months)] = str(MONTHS)
    format: Literal["json", "csv"] = "json"


def ask_(call: Call, form: NewInquiry) -> Told:
    """Open a question, once for each key."""
    kept, digest = key_digest(call.token, "inquiry", call.key), content_digest(form)

    def work() -> Told:
        with call.database.writing() as conn:
            before = done_before(conn, kept, digest)
            if before is not None:
                made = thread_by_id(conn, before.thread_id)
                return Told(question_json(_of(conn, made.reference, call.token)[1]), again=True)
            customer = customer_of(conn, form.organisation, call.token)
            contact = contact_named(conn, customer, form.asked_by_contact)
            about = None if form.about is None else thread_for(conn, form.about, call.token)[0]
            made = ask(
                conn, customer, form.title, form.text, call.now, contact=contact, asked_by=AskedBy.API,
                actor=call.by, about=about,
            )  # fmt: skip
            if not note_done(conn, kept, digest, made.id, call.now):
                raise RacedError
            record_act(
                conn, "thread-opened", call.now, by=call.by, subject=made.reference, detail=made.title,
                organisation_id=customer.id,
            )  # fmt: skip
            return Told(question_json(_of(conn, made.reference, call.token)[1]))

    return once(work)


def show(call: Call, form: Nothing) -> Told:
    """A question with its answers, whole."""
    del form
    with call.database.reading() as conn:
        return Told(question_json(_of(conn, call.path["reference"], call.token)[1]))


def answer(call: Call, form: NewAnswer) -> Told:
    """Put the answer on the timeline, or have its mail written, once for each key."""
    kept = key_digest(call.token, "answer", call.key)
    reply = Reply(form.text, form.expert or call.by, call.by, f"answers:{call.by}", call.key)
    with call.database.writing() as conn:
        thread, asked = _of(conn, call.path["reference"], call.token)
        way = AnswerChannel(form.by) if form.by else usual_channel(asked.channel)
        if way is AnswerChannel.CHAT:
            new = put_answer(conn, thread, asked, reply, call.now)
            told = question_json(_of(conn, thread.reference, call.token)[1])
            return Told({**told, "mails": []}, again=not new)
        letter = answer_letter(thread, asked, reply, key=kept, customers=call.token.organisations)

    def written() -> None:
        with call.database.writing() as conn:
            say_other_way(conn, thread, asked, way, reply, call.now)

    return Told(question_json(asked), letter=letter, written=written)


def answered(call: Call, told: Told) -> Told:
    """The question as it is after its mail was written."""
    with call.database.reading() as conn:
        return replace(told, body=question_json(_of(conn, call.path["reference"], call.token)[1]))


def look_back(call: Call, form: LookBack) -> Told:
    """Questions with their answers, the latest first."""
    since = form.since or months_before(call.now, int(form.months))
    whole = form.format == "csv"
    with call.database.reading() as conn:
        reach = call.token.organisations
        if form.organisation is not None:
            reach = frozenset({customer_of(conn, form.organisation, call.token).id})
        found = looked_back(conn, since, call.now, reach, whole=whole)
    some = found if whole else found[:MAX_LISTED]
    return Told(
        {
            "since": since.isoformat(),
            "questions": [] if whole else [question_json(one, short=True) for one in some],
            "csv": history_csv(some) if whole else None,
            "complete": len(some) == len(found),
        }
    )


def _of(conn: Connection, reference: str, token: ApiToken) -> tuple[Thread, Question]:
    """The inquiry and its question; UnknownRecord for a thread that is none, is another's, or holds no words of a customer.

    RefusedRecord, which names it, where an incident goes on for it.
    """
    thread, _ = thread_for(conn, reference, token)
    asked = question_on(conn, thread) if thread.kind is ThreadKind.INQUIRY else None
    named = reference.strip().upper()
    if asked is None and thread.reference != named and named.startswith("INQ-"):
        raise RefusedRecord(f"{named} goes on as {thread.reference}: what is answered stands there.")
    if asked is None:
        raise UnknownRecord("There is no such question.")
    return thread, asked


SCHEMAS: Final = INQUIRY_SCHEMAS
OPERATIONS: Final = (
    Operation(
        "GET",
        "/inquiries/history",
        "look-back-at-inquiries",
        Scope.READ_INQUIRIES,
        "Questions to the experts and how they were answered: of the last six months, or `months`, or since a time. "
        "Texts are cut in the list, and whole in `format=csv`.",
        LookBack,
        look_back,
        {200: ("They, the latest first.", "InquiryHistory")},
        refusals=(404,),
    ),
    Operation(
        "POST",
        "/inquiries",
        "ask-experts",
        Scope.WRITE_INQUIRIES,
        "Ask the experts in the name of a contact; the answer is read here.",
        NewInquiry,
        ask_,
        {201: ("The question.", "Inquiry")},
        refusals=(404, 409),
        key=True,
    ),
    Operation(
        "GET",
        "/inquiries/{reference}",
        "show-inquiry",
        Scope.READ_INQUIRIES,
        "A question with its answers, whole.",
        Nothing,
        show,
        {200: ("The question.", "Inquiry")},
        refusals=(409,),
    ),
    Operation(
        "POST",
        "/inquiries/{reference}/answers",
        "answer-inquiry",
        Scope.WRITE_INQUIRIES,
        "Answer by the way the question came: what a program asked is answered on the timeline (and by mail to a contact who "
        "reads mail only), all else by mail to who asked.",
        NewAnswer,
        answer,
        {201: ("The question with its answers; `mails` are those that were written now.", "AnsweredInquiry")},
        refusals=(409,),
        key=True,
        posted=answered,
    ),
)
