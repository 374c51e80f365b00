"""Mail that waits for a decision, over HTTP: the list, and one message."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, Literal

from expertmail.console.api_forms import Place, QueryForm
from expertmail.console.api_held_schema import HELD_SCHEMAS
from expertmail.console.api_operation import Call, Json, Nothing, Operation, Told
from expertmail.held_release import asks_second, concerned
from expertmail.held_time import retention_of
from threads.api_token import Scope
from threads.attachments import AttachedFile
from threads.model import DamagedCopy, Disposition, HeldItem
from threads.retention import Retention
from threads.store import Connection, held
from threads.store.attachments import files_of
from threads.store.errors import UnknownRecord
from threads.store.held_pages import held_page
from threads.store.held_requests import (
    HeldRequest,
    Wish,
    open_request,
    requests_for,
)
from threads.store.people import organisation
from threads.store.read import judgements, stored_copy
from threads.store.thread import thread_by_id

MAX_TEXT: Final = 200_000
"""Characters of a message's text, as on its page."""
_DECIDED: Final = frozenset({Disposition.HELD, Disposition.TRIAGE, Disposition.DISCARDED})


class ListHeld(QueryForm):
    """`held`: what may belong to a thread; `triage`: strangers' mail."""

    waits_as: Literal["held", "triage"] = "held"
    after: Place = ""


def list_held(call: Call, form: ListHeld) -> Told:
    """A page of what waits, the oldest first."""
    retention = retention_of(call.outgoing.world.settings)
    with call.database.reading() as conn:
        page = held_page(conn, Disposition(form.waits_as), call.token.organisations, cursor=form.after)
        sound = [one for one in page.items if not isinstance(one, DamagedCopy)]
        asked = requests_for(conn, [one.copy.id for one in sound])
    damaged = [one for one in page.items if isinstance(one, DamagedCopy)]
    return Told(
        {
            "messages": [
                {
                    **_brief(one),
                    "expires_at": _expires(one, retention),
                    "asked": asked_json(asked.get(one.copy.id)),
                }
                for one in sound
            ],
            "damaged": [{"id": one.id, "what_to_do": one.sentence} for one in damaged],
            "next": page.cursor,
        }
    )


def show_held(call: Call, form: Nothing) -> Told:
    """One message with what it says, which nobody vouches for."""
    del form
    with call.database.reading() as conn:
        item, _ = item_of(conn, call)
        asked = open_request(conn, item.copy.id)
        wish = None if asked is None else _wish_json(conn, call, asked.wish)
        files = files_of(conn, item.copy.id)
        judged = judgements(conn, item.copy.id)
    settings = call.outgoing.world.settings
    waits = item.copy.disposition in held.WAITING
    return Told(
        {
            **_brief(item),
            "expires_at": _expires(item, retention_of(settings)),
            "asked": asked_json(asked),
            "asked_for": wish,
            "second_person": waits and asks_second(settings, item),
            "text": item.text[:MAX_TEXT],
            "reasons": reasons_json(judged[-1].report if judged else None),
            "files": files_json(files),
        }
    )


def item_of(conn: Connection, call: Call) -> tuple[HeldItem, int | None]:
    """The message that the path names, and the customer for whose thread it waits; UnknownRecord for what the token may not touch, or was filed at once."""
    copy = stored_copy(conn, call.path["id"])
    whose = None if copy.thread_id is None else thread_by_id(conn, copy.thread_id).organisation_id
    if not call.token.may_touch(whose):
        raise UnknownRecord("There is no such message.")
    if copy.disposition not in _DECIDED and copy.released_at is None:
        raise UnknownRecord("There is no such message.")
    return held.held_item(conn, copy.id), whose


def _wish_json(conn: Connection, call: Call, wish: Wish) -> Json | None:
    """Where it would go, for who may see that."""
    if not all(map(call.token.may_touch, concerned(conn, wish))):
        return None
    return {
        "to": None if wish.thread_id is None else thread_by_id(conn, wish.thread_id).reference,
        "organisation": None
        if wish.organisation_id is None
        else organisation(conn, wish.organisation_id).name,
        "contact": wish.contact_name,
    }


def _brief(item: HeldItem) -> Json:
    copy = item.copy
    return {
        "id": copy.id,
        "disposition": copy.disposition,
        "why": copy.reason,
        "received_at": copy.received_at.isoformat(),
        "legal_hold": item.legal_hold,
        "author": copy.author,
        "mail_from": copy.mail_from,
        "rcpt_to": copy.rcpt_to,
        "client_ip": copy.client_ip,
        "helo": copy.helo,
        "subject": copy.subject,
        "message_id": copy.message_id,
        "size": item.size,
        "verdict": copy.verdict,
        "sender": copy.standing_reason,
        "thread": item.thread_reference,
        "organisation": item.organisation,
    }


def _expires(item: HeldItem, retention: Retention) -> str | None:
    """When its content goes; None: never, or it is filed."""
    at = None if item.legal_hold else retention.expires(item.copy)
    return None if at is None else at.isoformat()


def asked_json(asked: HeldRequest | None) -> Json | None:
    """A release that somebody asked for."""
    if asked is None:
        return None
    return {"request": asked.id, "by": asked.asked_by, "at": asked.asked_at.isoformat()}


def reasons_json(report: str | None) -> list[Json]:
    """A judgement's reasons; none of a report that cannot be read."""
    try:
        loaded: Any = json.loads(report or "null")
    except (ValueError, RecursionError):
        return []
    reasons = loaded.get("reasons", ()) if isinstance(loaded, dict) else ()
    return [{name: one.get(name) for name in ("code", "text", "rfc", "effect")} for one in reasons]


def files_json(files: Sequence[AttachedFile]) -> list[Json]:
    """What is attached."""
    return [
        {
            "name": one.name,
            "type": one.type,
            "size": one.size,
            "sha256": one.sha256,
            "flags": [flag.value for flag in one.flags],
        }
        for one in files
    ]


SCHEMAS: Final[Json] = HELD_SCHEMAS
_ON: Final = "/held/{id}"
OPERATIONS: Final = (
    Operation(
        "GET",
        "/held",
        "list-held",
        Scope.READ_HELD,
        "What waits for a decision, the oldest first; `next` is the next page's `after`.",
        ListHeld,
        list_held,
        {200: ("A page of it.", "HeldMessages")},
        refusals=(409,),
    ),
    Operation(
        "GET",
        _ON,
        "show-held",
        Scope.READ_HELD,
        "One message that waits or was decided on, with its text, which nobody vouches for.",
        Nothing,
        show_held,
        {200: ("The message.", "HeldMessage")},
        refusals=(409,),
    ),
)
