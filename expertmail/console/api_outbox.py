"""Outgoing mail over HTTP: the list, one mail, and trying it again or cancelling it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import Field

from expertmail.console.api_forms import Line, Place, QueryForm
from expertmail.console.api_notifications import try_json
from expertmail.console.api_operation import Call, Json, Nothing, Operation, Told
from expertmail.console.api_schema import (
    FLAG,
    NUMBER,
    TEXT,
    TEXT_OR_NULL,
    TIME_OR_NULL,
    TRY,
    list_,
    object_,
    words,
)
from expertmail.console.api_work import customer_of, thread_for
from expertmail.own_mail import text_of
from outbound import store
from outbound.model import DeliveryState, MailKind, OutboxItem
from outbound.store.approvals import send_window
from outbound.store.outbox_pages import outbox_page
from threads.api_token import Scope
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.errors import UnknownRecord
from threads.store.thread import thread_by_id


class ListOutbox(QueryForm):
    """Which mail; all that is named has to hold."""

    state: DeliveryState | None = None
    to: Annotated[str, Field(max_length=320)] = ""
    organisation: Line | None = None
    thread: Line | None = None
    after: Place = ""


def list_outbox(call: Call, form: ListOutbox) -> Told:
    """A page of mail, the newest first."""
    with call.database.reading() as conn:
        customer = form.organisation and customer_of(conn, form.organisation, call.token).id
        thread = form.thread and thread_for(conn, form.thread, call.token)[0].id
        page = outbox_page(
            conn,
            call.token.organisations,
            state=form.state,
            recipient=form.to,
            organisation_id=customer or None,
            thread_id=thread or None,
            cursor=form.after,
        )
    return Told({"mails": [_item_json(one) for one in page.items], "next": page.cursor})


def show_mail(call: Call, form: Nothing) -> Told:
    """One mail with each try."""
    del form
    with call.database.reading() as conn:
        return Told(_mail_json(conn, mail_of(conn, call)[0]))


def retry(call: Call, form: Nothing) -> Told:
    """Try it again now."""
    del form
    return _acted(call, "mail-retried", lambda conn, number: store.retry_now(conn, number, call.now))


def cancel(call: Call, form: Nothing) -> Told:
    """Give it up."""
    del form
    return _acted(
        call, "mail-cancelled", lambda conn, number: store.cancel(conn, number, call.now, actor=call.by)
    )


def _acted(call: Call, name: str, act: Callable[[Connection, int], object]) -> Told:
    with call.database.writing() as conn:
        number, whose = mail_of(conn, call)
        act(conn, number)
        record_act(conn, name, call.now, by=call.by, subject=f"mail {number}", organisation_id=whose)
        return Told(_mail_json(conn, number))


def mail_of(conn: Connection, call: Call) -> tuple[int, int | None]:
    """The mail's number and whose it is; UnknownRecord for one that is none, or that the token may not touch."""
    number = call.number("number")
    store.show_outbox(conn, number)
    whose = store.organisation_of_mail(conn, number)
    if not call.token.may_touch(whose):
        raise UnknownRecord("There is no such mail.")
    return number, whose


def _mail_json(conn: Connection, number: int) -> Json:
    entry = store.show_outbox(conn, number)
    item, window = entry.item, send_window(conn, number)
    ours = item.kind is not None and item.kind is not MailKind.RELAYED
    return {
        **_item_json(item),
        "thread": None if item.thread_id is None else thread_by_id(conn, item.thread_id).reference,
        "send_after": None if window is None else window[0].isoformat(),
        "send_before": None if window is None else window[1].isoformat(),
        "text": text_of(entry.raw) if ours else None,
        "tries": [try_json(one) for one in entry.attempts],
    }


def _item_json(item: OutboxItem) -> Json:
    return {
        "number": item.outgoing_id,
        "kind": item.kind,
        "to": item.rcpt_to,
        "subject": item.subject,
        "message_id": item.message_id,
        "created_at": None if item.created is None else item.created.isoformat(),
        "state": item.state,
        "attempts": item.attempts,
        "next_attempt_at": None if item.next_attempt_at is None else item.next_attempt_at.isoformat(),
        "last_reply": item.last_reply,
        "maybe_twice": item.maybe_twice,
    }


_ITEM: Final[dict[str, Any]] = {
    "number": NUMBER,
    "kind": words(MailKind, or_null=True),
    "to": TEXT,
    "subject": TEXT,
    "message_id": TEXT,
    "created_at": TIME_OR_NULL,
    "state": words(DeliveryState),
    "attempts": {"type": "integer"},
    "next_attempt_at": TIME_OR_NULL,
    "last_reply": TEXT,
    "maybe_twice": FLAG,
}
SCHEMAS: Final[Json] = {
    "Outbox": object_({"mails": list_(object_(_ITEM)), "next": TEXT_OR_NULL}),
    "OutgoingMail": object_(
        {
            **_ITEM,
            "thread": TEXT_OR_NULL,
            "send_after": TIME_OR_NULL,
            "send_before": TIME_OR_NULL,
            "text": TEXT_OR_NULL,
            "tries": list_(TRY),
        }
    ),
}

_ON: Final = "/outbox/{number}"
OPERATIONS: Final = (
    Operation(
        "GET",
        "/outbox",
        "list-outbox",
        Scope.READ_OUTBOX,
        "Outgoing mail, the newest first; `next` is the next page's `after`.",
        ListOutbox,
        list_outbox,
        {200: ("A page of it.", "Outbox")},
        refusals=(404, 409),
    ),
    Operation(
        "GET",
        _ON,
        "show-mail",
        Scope.READ_OUTBOX,
        "One mail with its text and each try to deliver it; of mail that is only passed on without the text.",
        Nothing,
        show_mail,
        {200: ("The mail.", "OutgoingMail")},
    ),
    Operation(
        "POST",
        f"{_ON}/retry",
        "retry-mail",
        Scope.WRITE_OUTBOX,
        "Try it again now, in its send window.",
        Nothing,
        retry,
        {200: ("The mail as it is now.", "OutgoingMail")},
        refusals=(409,),
        wakes=True,
    ),
    Operation(
        "POST",
        f"{_ON}/cancel",
        "cancel-mail",
        Scope.WRITE_OUTBOX,
        "Give it up.",
        Nothing,
        cancel,
        {200: ("The mail as it is now.", "OutgoingMail")},
        refusals=(409,),
    ),
)
