"""Messages of a chat, put on a thread's timeline once for each number; and which of our mails carry what stands there already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from threads.chat import ChatMessage
from threads.model import ActorKind, EntryKind, Thread
from threads.schema import carried_mails, chat_messages
from threads.store.errors import RefusedRecord
from threads.store.statements import insert_or_keep, inserted
from threads.store.thread import append, resume, thread_by_id, thread_locked
from threads.store.values import MAX_ID, storable
from threads.transitions import resumes


@dataclass(frozen=True, slots=True)
class Put:
    """The entry of a message; ``again``: it was there before, and nothing was added."""

    entry_id: int
    again: bool


def put_chat(conn: Connection, thread: Thread, message: ChatMessage, about: str, at: datetime) -> Put:
    """Put a message on the timeline. ``about`` is the thread's reference as its sender gave it.

    A customer's has the experts take the thread up again as an answer by mail does. RefusedRecord where its number is that of
    another message.
    """
    thread = thread_locked(conn, thread)
    if thread.merged_into is not None:  # a moment ago
        thread = thread_locked(conn, thread_by_id(conn, thread.merged_into))
    digest = message.digest(about)
    before = _entry_of(conn, message, digest)
    if before is not None:
        return Put(before, again=True)
    made = append(
        conn, thread.id, at, EntryKind.CHAT, actor=message.name, mark=message.mark, text=message.text
    )
    number = {"source": message.source, "external_id": message.number}
    if not inserted(conn, chat_messages, {"entry_id": made, **number, "digest": digest}):
        _entry_of(conn, message, "")  # put on another thread at this moment
    if message.speaker is ActorKind.CUSTOMER and resumes(thread.state, contact=message.contact):
        resume(conn, thread.id, at)
    return Put(made, again=False)


def _entry_of(conn: Connection, message: ChatMessage, digest: str) -> int | None:
    """The entry under a message's number; RefusedRecord where that is another one."""
    row = conn.execute(
        select(chat_messages).where(
            chat_messages.c.source == message.source, chat_messages.c.external_id == message.number
        )
    ).one_or_none()
    if row is None:
        return None
    if row.digest != digest:
        raise RefusedRecord(
            f"The id {message.number} is that of another message already; nothing was added. Give each message its own."
        )
    return int(row.entry_id)


def carries(conn: Connection, message_id: str, entry_id: int) -> None:
    """Note that a mail of ours (its Message-ID with or without angle brackets) carries what an entry says."""
    name = storable(message_id.strip().removeprefix("<").removesuffix(">"), MAX_ID)
    insert_or_keep(conn, carried_mails, {"message_id": name, "entry_id": entry_id})
