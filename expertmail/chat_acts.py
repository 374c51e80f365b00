"""A chat message put on the timeline, and who put it there into the audit trail: by a portal, by Teams, in the console."""

from __future__ import annotations

from datetime import datetime

from threads.chat import ChatMessage, entry_name
from threads.model import Thread
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.chat import Put, put_chat


def chat_recorded(
    conn: Connection, thread: Thread, message: ChatMessage, about: str, at: datetime, *, by: str
) -> Put:
    """Put a message there, once (``threads.store.chat.put_chat``); ``by`` is who acts. The caller commits."""
    put = put_chat(conn, thread, message, about, at)
    if not put.again:
        record_act(
            conn,
            "chat-recorded",
            at,
            by=by,
            subject=thread.reference,
            detail=f"of {message.name} ({message.speaker}), {entry_name(put.entry_id)}",
            organisation_id=thread.organisation_id,
        )
    return put
