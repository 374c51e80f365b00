"""What is looked up over HTTP: the audit trail, the code of a mail of ours, and what is counted."""

from __future__ import annotations

import time
from typing import Annotated, Final, Literal

from pydantic import Field
from starlette.exceptions import HTTPException

from expertmail.console.api_forms import Line, Number, QueryForm, StrictForm
from expertmail.console.api_operation import Call, Nothing, Operation, Told
from expertmail.console.api_record_schema import RECORD_SCHEMAS
from expertmail.console.api_work import customer_of
from expertmail.console.login_throttle import LoginThrottle
from expertmail.console.pages.audit import PAGE
from expertmail.console.pages.reports import answers_of, counted, times_of
from outbound.mail_code import MailCodes, plain_code
from outbound.store import organisation_of_mail
from outbound.store.codes import mail_of_code
from threads.api_token import Scope
from threads.model.audit import told
from threads.store.audit import audit_page, check_audit, record_act, trail_is_guarded
from threads.store.errors import UnknownRecord
from threads.store.people import list_organisations

_throttle = LoginThrottle()  # as for people: who asks for codes that no mail bears waits longer each time


class ListAudit(QueryForm):
    """Which rows; ``before`` is a row's number."""

    organisation: Line | None = None
    act: Annotated[str, Field(max_length=100)] = ""
    before: Number | None = None


class LookUp(StrictForm):
    """A code as it stands in a mail; hyphens and case do not matter."""

    code: Annotated[str, Field(min_length=1, max_length=100)]


class Count(QueryForm):
    """The last so many days, of one customer or of all."""

    days: Literal["7", "30", "90"] = "30"
    organisation: Line | None = None


def list_audit(call: Call, form: ListAudit) -> Told:
    """Rows, the newest first."""
    with call.database.reading() as conn:
        only = None
        if form.organisation is not None:
            only = customer_of(conn, form.organisation, call.token).id
        rows = audit_page(
            conn,
            call.token.organisations,
            organisation_id=only,
            act=form.act or None,
            before=form.before,
            limit=PAGE + 1,
        )
    page = list(told(rows[:PAGE]))
    return Told({"rows": page, "next": page[-1]["number"] if len(rows) > PAGE else None})


def check_chain(call: Call, form: Nothing) -> Told:
    """Work the whole chain out again; for a token for all customers only."""
    del form
    if call.token.organisations is not None:
        raise UnknownRecord("The whole trail is not there for this token.")
    with call.database.reading() as conn:
        chain, guarded = check_audit(conn), trail_is_guarded(conn)
    broken = None if chain.broken is None else {"number": chain.broken.number, "why": chain.broken.why}
    return Told(
        {
            "rows": chain.rows,
            "erased": chain.erased,
            "head": chain.head,
            "broken": broken,
            "guarded": guarded,
        }
    )


def look_up(call: Call, form: LookUp) -> Told:
    """Tell which mail bears a code; of a mail to another customer as little as of none."""
    name, at = call.token.public_id, time.monotonic()
    wait = _throttle.wait(name, name, None, at)
    if wait > 0:
        seconds = {"Retry-After": str(int(wait) + 1)}
        raise HTTPException(429, "That were many codes that no mail bears. Wait a while.", seconds)
    plain = plain_code(form.code)
    if plain is None:
        raise HTTPException(
            422, "That is no code of ours: one character or more is wrong, or it is not whole."
        )
    _throttle.begun(name, name, None, at)
    keys = MailCodes(tuple(call.outgoing.world.replies.keys)).keys_of(plain)
    with call.database.writing() as conn:
        found = mail_of_code(conn, keys)
        whose = None if found is None else organisation_of_mail(conn, found.outgoing_id)
        subject = "no mail" if found is None else f"mail {found.outgoing_id}"
        record_act(conn, "code-looked-up", call.now, by=call.by, subject=subject, organisation_id=whose)
    if found is None or not call.token.may_touch(whose):
        return Told({"mail": None})
    _throttle.succeeded(name, name, None)
    return Told(
        {
            "mail": {
                "number": found.outgoing_id,
                "kind": found.kind,
                "written_at": found.written.isoformat(),
                "to": found.rcpt_to,
                "subject": found.subject,
                "reference": found.reference or None,
                "state": found.state,
                "handed_over": found.handed_over,
            }
        }
    )


def report(call: Call, form: Count) -> Told:
    """What the page's charts are made of."""
    with call.database.reading() as conn:
        reach = call.token.organisations
        if form.organisation is not None:
            reach = frozenset({customer_of(conn, form.organisation, call.token).id})
        found = counted(conn, call.now, int(form.days), reach)
        names = {one.id: one.name for one in list_organisations(conn)}
    return Told(
        {
            "days": list(found.days),
            "messages": [
                {
                    "day": one.day,
                    "verdict": one.verdict,
                    "disposition": one.disposition,
                    "kind": one.kind,
                    "number": one.number,
                }
                for one in found.counts
            ],
            "forged_from": [
                {"client_ip": one.client_ip, "author": one.author, "number": one.number}
                for one in found.sources
            ],
            "sent": [{"kind": one.kind, "state": one.state, "number": one.number} for one in found.sent],
            "delivery_seconds": times_of(found.seconds),
            "imitations": [
                {"day": one.day, "trick": one.trick, "number": one.number} for one in found.tricks
            ],
            "answer_seconds": [
                {"organisation": name, "times": times, "waiting": waiting}
                for name, times, waiting in answers_of(found.answers, names)
            ],
        }
    )


SCHEMAS: Final = RECORD_SCHEMAS
OPERATIONS: Final = (
    Operation(
        "GET",
        "/audit",
        "list-audit",
        Scope.READ_AUDIT,
        "Who did what, the newest first; `next` is the next page's `before`. "
        "A token for some customers sees what was done about them.",
        ListAudit,
        list_audit,
        {200: ("A page of it.", "AuditRows")},
        refusals=(404,),
    ),
    Operation(
        "GET",
        "/audit/chain",
        "check-audit",
        Scope.READ_AUDIT,
        "Work the whole chain out again.",
        Nothing,
        check_chain,
        {200: ("What came of it.", "AuditChain")},
        refusals=(404,),
    ),
    Operation(
        "POST",
        "/codes",
        "look-up-code",
        Scope.READ_CODES,
        "Which mail of ours was sent with a code. It proves nothing of the mail that somebody has in hand.",
        LookUp,
        look_up,
        {200: ("The mail, or none.", "CodeFound")},
    ),
    Operation(
        "GET",
        "/reports",
        "report",
        Scope.READ_REPORTS,
        "How much came in and how it was judged, who imitates us and how, how our own mail fared, and how long customers waited for an answer.",
        Count,
        report,
        {200: ("The numbers.", "Report")},
        refusals=(404,),
    ),
)
