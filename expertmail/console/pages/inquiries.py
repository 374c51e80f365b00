"""Questions to the experts: looked back at, written down for a customer, and answered by the way they came."""

from __future__ import annotations

import secrets
from typing import Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.message import saved
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, number_of, thread_for, written
from expertmail.console.posting import post
from expertmail.inquiry_answers import Reply, answer_letter, put_answer, say_other_way, usual_channel
from expertmail.inquiry_history import history_csv, looked_back
from outbound.model import DeliveryState
from threads.access import Permission
from threads.chat import CONSOLE
from threads.inquiry import AnswerChannel, Question, months_before
from threads.model import AskedBy, Contact, Organisation, Thread, ThreadKind
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.inquiries import SHORT, ask, contact_named, question_on
from threads.store.people import find_organisation, list_contacts, organisation

LISTED: Final = 200
"""Questions on the page, the latest ones; the export has all of them."""
MAX_TITLE: Final = 200
MAX_TEXT: Final = 20_000
"""Characters: as of a mail."""
PERIODS: Final = {"1": "a month", "3": "3 months", "6": "6 months", "12": "a year"}
WAYS: Final = {
    AnswerChannel.MAIL.value: "by mail to who asked",
    AnswerChannel.CHAT.value: "on the timeline, where the portal reads it",
}
CAME_BY: Final = {AskedBy.MAIL: "mail", AskedBy.API: "the portal", AskedBy.CONSOLE: "an expert's note"}
_KEY_BYTES: Final = 16
_REFUSED: Final = frozenset({404, 409, 422})


async def show(visit: Visit) -> Response:
    """The history."""
    months, customer = _asked(visit)
    found = await looked_up(visit, lambda conn: _found(conn, visit, months, customer))
    names = await looked_up(visit, lambda conn: dict(names_of(conn, visit)))
    return await visit.page(
        "inquiries.html",
        periods=PERIODS,
        months=months,
        customer=customer,
        names=names,
        questions=found[:LISTED],
        number=len(found),
        short=SHORT,
        came_by=CAME_BY,
        query=urlencode({"months": months, "customer": customer}),
        may_ask=visit.signed_in.account.may_anywhere(Permission.WORK),
    )


async def table(visit: Visit) -> Response:
    """The history for a spreadsheet, texts whole."""
    months, customer = _asked(visit)
    found = await looked_up(visit, lambda conn: _found(conn, visit, months, customer, whole=True))
    answer = saved((await visit.run(lambda: history_csv(found))).encode(), "inquiries.csv")
    answer.headers["Content-Type"] = "text/csv; charset=utf-8"
    return answer


async def form(visit: Visit) -> Response:
    """The form to write a question down."""
    return await _new(visit)


async def write_down(visit: Visit) -> Response:
    """Open the question."""
    customer, title = number_of(visit.form.one("customer") or "0"), " ".join(visit.form.one("title").split())
    text, address, about = visit.form.text("text").strip(), visit.form.one("contact"), visit.form.one("about")

    def work(conn: Connection) -> Thread:
        whose = _customer(conn, visit, customer)
        if not title or len(title) > MAX_TITLE:
            raise RefusedRecord(f"Say what it is about in one line of at most {MAX_TITLE} characters.")
        _refuse_text(text)
        incident = None if not about else thread_for(conn, visit, about, Permission.WORK)[0]
        made = ask(
            conn,
            whose,
            title,
            text,
            visit.now,
            contact=contact_named(conn, whose, address),
            asked_by=AskedBy.CONSOLE,
            actor=visit.actor,
            about=incident,
        )
        record_act(
            conn, "thread-opened", visit.now, by=visit.actor, subject=made.reference, detail=made.title,
            organisation_id=whose.id,
        )  # fmt: skip
        return made

    try:
        made = await written(visit, work)
    except HTTPException as error:
        if error.status_code != 409 and not (error.status_code == 404 and about):  # noqa: PLR2004
            raise
        sentence = error.detail if error.status_code == 409 else f"There is no incident {about[:40]}."  # noqa: PLR2004
        return await _new(visit, trouble=sentence)
    return visit.go(f"/incidents/{made.reference}", f"{made.reference} is opened.")


async def answer_form(visit: Visit) -> Response:
    """The question, and the form to answer it."""
    return await _answer(visit)


async def answer(visit: Visit) -> Response:
    """Answer it, once however often the form is sent."""
    reference, text, key = (
        visit.request.path_params["reference"],
        visit.form.text("text").strip(),
        visit.form.one("key"),
    )
    if visit.form.one("way") not in WAYS or not 0 < len(key) <= 2 * _KEY_BYTES:
        raise HTTPException(422, "Send the whole form.")
    way = AnswerChannel(visit.form.one("way"))
    reply = Reply(text, visit.signed_in.account.display_name, visit.actor, CONSOLE, key)

    def on_timeline(conn: Connection) -> tuple[Thread, Question, bool]:
        thread, asked = _question(conn, visit, reference)
        _refuse_text(text)
        new = way is AnswerChannel.CHAT and put_answer(conn, thread, asked, reply, visit.now)
        return thread, asked, new

    try:
        thread, asked, new = await written(visit, on_timeline)
        if way is AnswerChannel.CHAT:
            said = "The answer is on the timeline." if new else "It stands there already."
            return visit.go(f"/incidents/{thread.reference}", said)
        return await _mailed(visit, thread, asked, reply)
    except HTTPException as error:
        if error.status_code not in _REFUSED:
            raise
        if error.status_code == 404 and not error.detail.endswith("."):  # noqa: PLR2004
            raise
        return await _answer(visit, trouble=error.detail)


async def _mailed(visit: Visit, thread: Thread, asked: Question, reply: Reply) -> Response:
    outgoing, database = visit.parts.api.outgoing, visit.parts.api.database
    reach = visit.signed_in.account.reach(Permission.COMPOSE)
    letter = await visit.run(lambda: answer_letter(thread, asked, reply, key=reply.key, customers=reach))
    posted = await post(visit.places, database, letter, visit.now, world=outgoing.world, check=outgoing.check)
    if not posted.known:
        outgoing.queued()
        await written(
            visit, lambda conn: say_other_way(conn, thread, asked, AnswerChannel.MAIL, reply, visit.now)
        )
    withheld = [one for one in posted.mails if one.withheld]
    if withheld and not posted.known:
        raise HTTPException(
            409, f"Our own verifier does not call the mail genuine, so it is not sent: {withheld[0].reason}."
        )
    if any(one.state is DeliveryState.AWAITING_APPROVAL for one in posted.mails):
        return visit.go("/approvals", "The answer waits for the approval of another person.")
    return visit.go(f"/incidents/{thread.reference}", "The answer is on its way.")


async def _answer(visit: Visit, *, trouble: str = "") -> Response:
    reference = visit.request.path_params["reference"]
    thread, asked = await looked_up(visit, lambda conn: _question(conn, visit, reference))
    return await visit.page(
        "inquiry_answer.html",
        status=422 if trouble else 200,
        trouble=trouble,
        thread=thread,
        asked=asked,
        typed=visit.form,
        ways=list(WAYS.items()),
        usual=usual_channel(asked.channel).value,
        came_by=CAME_BY,
        key=visit.form.one("key") or secrets.token_hex(_KEY_BYTES),
    )


async def _new(visit: Visit, *, trouble: str = "") -> Response:
    def work(conn: Connection) -> tuple[dict[int, str], list[Contact]]:
        names = dict(names_of(conn, visit, Permission.WORK))
        return names, [one for one in list_contacts(conn) if one.organisation_id in names]

    names, people = await looked_up(visit, work)
    return await visit.page(
        "new_inquiry.html",
        status=422 if trouble else 200,
        trouble=trouble,
        typed=visit.form,
        names=names,
        people=sorted({one.address for one in people}),
    )


def _asked(visit: Visit) -> tuple[str, str]:
    months = visit.query("months") or "6"
    if months not in PERIODS:
        raise HTTPException(404)
    return months, visit.query("customer")


def _found(
    conn: Connection, visit: Visit, months: str, customer: str, *, whole: bool = False
) -> tuple[Question, ...]:
    reach = visit.signed_in.account.reach(Permission.READ)
    if customer:
        number = number_of(customer)
        visit.require(Permission.READ, number)
        reach = frozenset({number})
    return looked_back(conn, months_before(visit.now, int(months)), visit.now, reach, whole=whole)


def _customer(conn: Connection, visit: Visit, number: int) -> Organisation:
    visit.require(Permission.WORK, number)
    whose = find_organisation(conn, organisation(conn, number).name)
    if whose is None:  # erased: a shell is left of it
        raise UnknownRecord("There is no such customer.")
    return whose


def _question(conn: Connection, visit: Visit, reference: str) -> tuple[Thread, Question]:
    thread, _ = thread_for(conn, visit, reference, Permission.COMPOSE)
    asked = question_on(conn, thread) if thread.kind is ThreadKind.INQUIRY else None
    if asked is None:
        raise UnknownRecord("There is no such question.")
    return thread, asked


def _refuse_text(text: str) -> None:
    if not text:
        raise RefusedRecord("There is nothing in it; write a word or two.")
    if len(text) > MAX_TEXT:
        raise RefusedRecord(f"That is longer than {MAX_TEXT:,} characters.")


PAGES: Final = (
    Page("GET", "/inquiries", "inquiries", Permission.READ, show),
    Page("GET", "/inquiries/history.csv", "inquiries-table", Permission.READ, table),
    Page("GET", "/inquiries/new", "new-inquiry", Permission.WORK, form),
    Page("POST", "/inquiries/new", "new-inquiry-open", Permission.WORK, write_down),
    Page("GET", "/inquiries/{reference}/answer", "inquiry-answer", Permission.COMPOSE, answer_form),
    Page("POST", "/inquiries/{reference}/answer", "inquiry-answer-send", Permission.COMPOSE, answer),
)
