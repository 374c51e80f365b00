"""Answers to questions: each goes by the channel that the question came by, or by another one, and then the timeline says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from expertmail.letter_values import Letter
from outbound.model import MailKind
from threads.chat import MAX_NAME, ChatMessage
from threads.inquiry import AnswerChannel, Question
from threads.model import ActorKind, AskedBy, EntryKind, Mark, Thread
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.chat import put_chat
from threads.store.errors import RefusedRecord
from threads.store.thread import append

_CAME_BY: Final = {
    AskedBy.MAIL: "by mail",
    AskedBy.API: "by the API",
    AskedBy.CONSOLE: "to an expert, who wrote it down",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What an expert answers. ``expert`` signs it, ``actor`` is who does it here. ``key`` is the request's own, of ``source``."""

    text: str
    expert: str
    actor: str
    source: str
    key: str


def usual_channel(asked: AskedBy | None) -> AnswerChannel:
    """The way of an answer: programs read it where they asked, everybody else gets a mail."""
    return AnswerChannel.CHAT if asked is AskedBy.API else AnswerChannel.MAIL


def put_answer(conn: Connection, thread: Thread, asked: Question, reply: Reply, at: datetime) -> bool:
    """Put an answer on the timeline, where programs read it; False where the same request has put it there before.

    Who asked and reads mail only gets a mail of it by ``expertmail.chat_mail``. RefusedRecord for another text under the key.
    """
    refuse_merged(thread)
    message = ChatMessage(reply.source, reply.key, ActorKind.EXPERT, reply.expert[:MAX_NAME], reply.text)
    put = put_chat(conn, thread, message, thread.reference, at)
    if put.again:
        return False
    say_other_way(conn, thread, asked, AnswerChannel.CHAT, reply, at)
    record_act(
        conn, "question-answered", at, by=reply.actor, subject=thread.reference, detail="on the timeline",
        organisation_id=thread.organisation_id,
    )  # fmt: skip
    return True


def answer_letter(
    thread: Thread, asked: Question, reply: Reply, *, key: str, customers: frozenset[int] | None
) -> Letter:
    """The mail of an answer to who asked. RefusedRecord where nobody knows who did."""
    refuse_merged(thread)
    if not asked.by:
        raise RefusedRecord(f"Who asked {thread.reference} is on record no more; write a mail.")
    words = {"text": reply.text, "expert": reply.expert}
    return Letter(
        MailKind.REPLY, thread.reference, (asked.by,), words, actor=reply.actor, key=key, customers=customers
    )


def say_other_way(  # noqa: PLR0917 -- one call, each argument a different type
    conn: Connection, thread: Thread, asked: Question, way: AnswerChannel, reply: Reply, at: datetime
) -> None:
    """Tell on the timeline that an answer went another way than its question came."""
    if asked.channel is None or usual_channel(asked.channel) is way:
        return
    how = "by mail" if way is AnswerChannel.MAIL else "on the timeline"
    text = f"Answered {how}; the question came {_CAME_BY[asked.channel]}"
    append(conn, thread.id, at, EntryKind.STATE, actor=reply.actor, mark=Mark.EXPERT, text=text)


def refuse_merged(thread: Thread) -> None:
    """Raise RefusedRecord for a question that another thread goes on for."""
    if thread.merged_into is not None:
        raise RefusedRecord(f"{thread.reference} was merged into another one.")
