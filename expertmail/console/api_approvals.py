"""Mail that waits for another person, and mail that went at once, over HTTP: a token is one person, and approves nothing of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from expertmail.console.api_forms import Line, StrictForm
from expertmail.console.api_operation import Call, Json, Nothing, Operation, Told
from expertmail.console.api_outbox import mail_of
from expertmail.console.api_schema import FLAG, NUMBER, TEXT, TEXT_OR_NULL, TIME, list_, object_, words
from expertmail.own_mail import text_of
from outbound.approval import ApprovalState, Basis
from outbound.store import organisation_of_mail, show_outbox
from outbound.store.approval_acts import approve, break_glass, refuse, review
from outbound.store.approvals import ApprovalItem, list_approvals, list_reviews, show_approval
from threads.api_token import Scope
from threads.store import Connection
from threads.store.audit import record_act


class Approve(StrictForm):
    """The `digest` of what was shown: nothing else is approved."""

    digest: Line


class Refuse(StrictForm):
    """Why it is not sent; its writer reads that."""

    reason: Line


class BreakGlass(StrictForm):
    """The `digest` of what was shown, and why it cannot wait."""

    digest: Line
    reason: Line


class Review(StrictForm):
    """What was found."""

    reason: Line


Act = Callable[[Connection, int, ApprovalItem], tuple[str, str]]
"""Decides about a mail; the act and its detail for the audit trail."""


def list_all(call: Call, form: Nothing) -> Told:
    """What waits, and what is to be reviewed, the oldest first."""
    del form
    with call.database.reading() as conn:

        def seen(one: ApprovalItem) -> bool:
            return call.token.may_touch(organisation_of_mail(conn, one.outgoing_id))

        waits = [_json(one) for one in list_approvals(conn) if seen(one)]
        reviews = [_json(one) for one in list_reviews(conn) if seen(one)]
    return Told({"waiting": waits, "to_review": reviews})


def show_one(call: Call, form: Nothing) -> Told:
    """One mail, as it would be approved."""
    del form
    with call.database.reading() as conn:
        return Told(_in_full(conn, mail_of(conn, call)[0]))


def approve_mail(call: Call, form: Approve) -> Told:
    """Approve it as it was shown."""

    def act(conn: Connection, number: int, item: ApprovalItem) -> tuple[str, str]:
        call.refuse_own(item.composer)
        approve(conn, number, form.digest, call.now, actor=call.by)
        return "mail-approved", show_approval(conn, number).approved

    return _acted(call, act)


def refuse_mail(call: Call, form: Refuse) -> Told:
    """Refuse it for good."""

    def act(conn: Connection, number: int, item: ApprovalItem) -> tuple[str, str]:
        del item
        refuse(conn, number, form.reason, call.now, actor=call.by)
        return "mail-refused", form.reason

    return _acted(call, act)


def send_at_once(call: Call, form: BreakGlass) -> Told:
    """Send it at once, also one's own; somebody else reviews it afterwards."""

    def act(conn: Connection, number: int, item: ApprovalItem) -> tuple[str, str]:
        del item
        break_glass(conn, number, form.digest, form.reason, call.now, actor=call.by)
        return "mail-break-glass", f"{show_approval(conn, number).approved}: {form.reason}"

    return _acted(call, act)


def review_mail(call: Call, form: Review) -> Told:
    """Note what was found of a mail that went at once."""

    def act(conn: Connection, number: int, item: ApprovalItem) -> tuple[str, str]:
        call.refuse_own(item.composer, item.approver)
        review(conn, number, form.reason, call.now, actor=call.by)
        return "mail-reviewed", form.reason

    return _acted(call, act)


def _acted(call: Call, act: Act) -> Told:
    with call.database.writing() as conn:
        number, whose = mail_of(conn, call)
        word, detail = act(conn, number, show_approval(conn, number))
        record_act(
            conn, word, call.now, by=call.by, subject=f"mail {number}", detail=detail, organisation_id=whose
        )
        return Told(_in_full(conn, number))


def _in_full(conn: Connection, number: int) -> Json:
    return {**_json(show_approval(conn, number)), "text": text_of(show_outbox(conn, number).raw)}


def _json(one: ApprovalItem) -> Json:
    return {
        "number": one.outgoing_id,
        "kind": one.kind,
        "to": one.rcpt_to,
        "from": one.mail_from,
        "subject": one.subject,
        "state": one.state,
        "basis": one.basis,
        "composer": one.composer,
        "approver": one.approver,
        "reason": one.reason,
        "reviewer": one.reviewer,
        "review": one.review,
        "send_after": one.not_before.isoformat(),
        "send_before": one.not_after.isoformat(),
        "needs_tls": one.needs_tls,
        "why": one.last_word,
        "digest": one.digest,
    }


_ITEM: Final[dict[str, Any]] = {
    "number": NUMBER,
    "kind": TEXT,
    "to": TEXT,
    "from": TEXT,
    "subject": TEXT,
    "state": words(ApprovalState),
    "basis": words(Basis),
    "composer": TEXT,
    "approver": TEXT_OR_NULL,
    "reason": TEXT,
    "reviewer": TEXT_OR_NULL,
    "review": TEXT_OR_NULL,
    "send_after": TIME,
    "send_before": TIME,
    "needs_tls": FLAG,
    "why": TEXT,
    "digest": TEXT,
}
SCHEMAS: Final[Json] = {
    "Approvals": object_({"waiting": list_(object_(_ITEM)), "to_review": list_(object_(_ITEM))}),
    "Approval": object_({**_ITEM, "text": TEXT}),
}


def _decides(  # noqa: PLR0917 -- one row of the table below
    path: str, name: str, scope: Scope, summary: str, form: type[StrictForm], work: Callable[..., Told]
) -> Operation:
    answers = {200: ("The mail as it is now.", "Approval")}
    return Operation("POST", path, name, scope, summary, form, work, answers, refusals=(409,), wakes=True)


_ON: Final = "/approvals/{number}"
OPERATIONS: Final = (
    Operation(
        "GET",
        "/approvals",
        "list-approvals",
        Scope.READ_OUTBOX,
        "Mail that waits for another person, and mail that went at once and waits for a review; the oldest first.",
        Nothing,
        list_all,
        {200: ("Both lists.", "Approvals")},
    ),
    Operation(
        "GET",
        _ON,
        "show-approval",
        Scope.READ_OUTBOX,
        "One mail as it would be approved, with its text.",
        Nothing,
        show_one,
        {200: ("The mail.", "Approval")},
    ),
    _decides(
        f"{_ON}/approve",
        "approve-mail",
        Scope.DECIDE_APPROVALS,
        "Approve it as it was shown; not what the same token, or who made that, has written.",
        Approve,
        approve_mail,
    ),
    _decides(
        f"{_ON}/refuse", "refuse-mail", Scope.DECIDE_APPROVALS, "Refuse it for good.", Refuse, refuse_mail
    ),
    _decides(
        f"{_ON}/break-glass",
        "break-glass",
        Scope.SEND_NOTIFICATIONS,
        "Send it at once, for a reason; somebody else reviews it afterwards.",
        BreakGlass,
        send_at_once,
    ),
    _decides(
        f"{_ON}/review",
        "review-mail",
        Scope.DECIDE_APPROVALS,
        "Note what was found of a mail that went at once; somebody else has sent it.",
        Review,
        review_mail,
    ),
)
