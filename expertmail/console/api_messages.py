"""One stored message over HTTP: what it says, why it is where it is, how it was judged, and its files."""

from __future__ import annotations

from typing import Final

from expertmail.console.api_held import files_json, reasons_json
from expertmail.console.api_held_schema import FILES, REASONS
from expertmail.console.api_operation import Call, Json, Nothing, Operation, Told
from expertmail.console.api_schema import NUMBER, TEXT, TEXT_OR_NULL, TIME, list_, object_, words
from expertmail.console.pages.message import SHOWN_TEXT
from threads.api_token import Scope
from threads.model import Disposition, MessageKind
from threads.reading import read
from threads.store.attachments import files_of
from threads.store.errors import UnknownRecord
from threads.store.read import judgements, raw_message, stored_copy
from threads.store.thread import thread_by_id


def show_message(call: Call, form: Nothing) -> Told:
    """The message; UnknownRecord for one that the token may not touch."""
    del form
    with call.database.reading() as conn:
        copy = stored_copy(conn, call.path["id"])
        thread = None if copy.thread_id is None else thread_by_id(conn, copy.thread_id)
        if not call.token.may_touch(None if thread is None else thread.organisation_id):
            raise UnknownRecord("There is no such message.")
        raw = raw_message(conn, copy.id)
        files = files_of(conn, copy.id)
        judged = judgements(conn, copy.id)
    reading = read(raw)
    return Told(
        {
            "id": copy.id,
            "disposition": copy.disposition,
            "kind": copy.kind,
            "why": copy.reason,
            "received_at": copy.received_at.isoformat(),
            "author": copy.author,
            "mail_from": copy.mail_from,
            "rcpt_to": copy.rcpt_to,
            "client_ip": copy.client_ip,
            "subject": copy.subject,
            "message_id": copy.message_id,
            "size": len(raw),
            "sha256": copy.sha256,
            "verdict": copy.verdict,
            "thread": None if thread is None else thread.reference,
            "released_by": copy.released_by,
            "text": reading.body.new[:SHOWN_TEXT],
            "quoted": reading.body.quoted[:SHOWN_TEXT],
            "flags": [one.value for one in reading.flags],
            "reasons": reasons_json(judged[-1].report if judged else None),
            "files": files_json(files),
        }
    )


SCHEMAS: Final[Json] = {
    "Message": object_(
        {
            "id": TEXT,
            "disposition": words(Disposition),
            "kind": words(MessageKind),
            "why": TEXT,
            "received_at": TIME,
            "author": TEXT_OR_NULL,
            "mail_from": TEXT,
            "rcpt_to": TEXT,
            "client_ip": TEXT,
            "subject": TEXT,
            "message_id": TEXT_OR_NULL,
            "size": NUMBER,
            "sha256": TEXT,
            "verdict": TEXT,
            "thread": TEXT_OR_NULL,
            "released_by": TEXT_OR_NULL,
            "text": TEXT,
            "quoted": TEXT,
            "flags": list_(TEXT),
            "reasons": REASONS,
            "files": FILES,
        }
    )
}
OPERATIONS: Final = (
    Operation(
        "GET",
        "/messages/{id}",
        "show-message",
        Scope.READ_MAIL,
        "One stored message with its text; `verdict` says whether anybody has proven who wrote it.",
        Nothing,
        show_message,
        {200: ("The message.", "Message")},
        refusals=(409,),
    ),
)
