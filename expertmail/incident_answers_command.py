"""``expertmail incidents answers``: which words of which mail answer the questions that experts asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from expertmail.desk import AsJson, Config, open_desk
from expertmail.tables import moment, safe, say, show_json
from outbound.answers import Answers, answers_in, questions_in
from outbound.store.by_thread import requests_among
from threads.model import EntryKind, TimelineEntry
from threads.reading import Reading, read_parsed
from threads.store import Connection
from threads.store.read import raw_message
from threads.store.thread import thread_by_reference, timeline_of
from verifier.message import read_message


@dataclass(frozen=True, slots=True)
class _Answer:
    """A mail that answers a request, and what it says to each question."""

    request: TimelineEntry
    reply: TimelineEntry
    answers: Answers


def register(commands: typer.Typer) -> None:
    """Put the command among those of ``incidents``."""
    commands.command("answers")(answers)


def answers(
    reference: Annotated[str, typer.Argument(metavar="REF", help="Such as INC-000001.")],
    *,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Show the questions that were asked on a thread beside what was answered to each."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        entries = timeline_of(conn, thread_by_reference(conn, reference).id)
        asked = requests_among(conn, [one.message_id for one in entries if one.message_id is not None])
        found = _found(conn, entries, asked)
    if as_json:
        show_json([_told(one) for one in found])
    elif not asked:
        say("No questions were asked here.")
    elif not found:
        say("Nobody has answered yet.")
    else:
        for one in found:
            _show(one)


def _found(conn: Connection, entries: Sequence[TimelineEntry], asked: Mapping[str, str]) -> list[_Answer]:
    """Each mail that came after a request, with the one it refers to, or else the latest before it."""
    found: list[_Answer] = []
    requests: dict[str, TimelineEntry] = {}
    for entry in entries:
        if entry.message_id is not None and entry.message_id in asked:
            requests[entry.message_id] = entry
        elif entry.kind is EntryKind.MAIL_IN and entry.copy_id is not None and requests:
            reply = read_parsed(read_message(raw_message(conn, entry.copy_id)), attachments=False)
            name = _answered(reply, requests)
            found.append(_Answer(requests[name], entry, answers_in(reply.body, questions_in(asked[name]))))
    return found


def _answered(reply: Reading, requests: Mapping[str, TimelineEntry]) -> str:
    named = [name for name in (*reply.references, *reply.in_reply_to) if name in requests]
    return named[-1] if named else list(requests)[-1]


def _show(one: _Answer) -> None:
    say(f"{moment(one.reply.at)}  {safe(one.reply.actor)} ({one.reply.mark.value})", style="bold")
    for number, pair in enumerate(one.answers.answered, start=1):
        say(f"  {number}. {safe(pair.question)}", style="dim")
        for line in (pair.answer or "(no answer)").splitlines():
            say(f"     {safe(line)}")
    if one.answers.rest:
        say("  Besides:", style="dim")
        for line in one.answers.rest.splitlines():
            say(f"     {safe(line)}")
    say()


def _told(one: _Answer) -> dict[str, object]:
    return {
        "request": one.request.message_id,
        "reply": one.reply.message_id,
        "at": one.reply.at.isoformat(),
        "by": one.reply.actor,
        "mark": one.reply.mark.value,
        "answers": [{"question": pair.question, "answer": pair.answer} for pair in one.answers.answered],
        "rest": one.answers.rest,
    }
