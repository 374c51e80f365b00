"""``expertmail inquiries``: write down what a customer asked the experts, answer it, and look back at how questions were answered."""

from __future__ import annotations

import secrets
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final

import typer

from expertmail.compose_desk import Sight, write
from expertmail.desk import AsJson, By, Config, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.inquiry_answers import Reply, answer_letter, put_answer, say_other_way, usual_channel
from expertmail.inquiry_history import history_csv, looked_back, question_json
from expertmail.tables import moment, say, show_json, show_table
from threads.chat import CONSOLE
from threads.inquiry import MAX_MONTHS, MONTHS, AnswerChannel, Question, months_before
from threads.model import AskedBy, Thread, ThreadKind
from threads.store import Connection
from threads.store.inquiries import ask as ask_on_record
from threads.store.inquiries import contact_named, question_on
from threads.store.people import organisation_named
from threads.store.thread import thread_by_reference

commands = typer.Typer(no_args_is_help=True, help="Questions to the experts: write down, answer, look back.")

Reference = Annotated[str, typer.Argument(metavar="REF", help="Such as INQ-000001.")]
_KEY_BYTES: Final = 16
_MINUTE, _HOUR = 60, 3_600


class Format(StrEnum):
    """How the history is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="inquiries")


@commands.command()
def ask(
    *,
    org: Annotated[str, typer.Option(help="The customer.")],
    contact: Annotated[str, typer.Option(metavar="ADDRESS", help="The contact who asked.")],
    title: Annotated[str, typer.Option(help="What it is about, in one line; the customer sees it.")],
    text: Annotated[str, typer.Option(help="What was asked.")],
    about: Annotated[str | None, typer.Option(metavar="REF", help="The incident that it is about.")] = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Write down what a customer asked; the answer goes to the contact by mail."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            customer = organisation_named(conn, org)
            made = ask_on_record(
                conn,
                customer,
                title,
                text,
                now(),
                contact=contact_named(conn, customer, contact),
                asked_by=AskedBy.CONSOLE,
                actor=actor(by),
                about=None if about is None else thread_by_reference(conn, about),
            )
            acted(conn, "thread-opened", by, made.reference, made.title, organisation_id=customer.id)
            asked = question_on(conn, made)
        if as_json and asked is not None:
            show_json(question_json(asked))
        else:
            say(f"Opened {made.reference} for {customer.name}: {made.title}")


@commands.command()
def answer(
    reference: Reference,
    text: Annotated[str, typer.Argument(help="The answer.")],
    *,
    way: Annotated[
        AnswerChannel | None,
        typer.Option("--way", help="mail or chat, where it is not the one by which the question came."),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="The same answer with it is given once.")] = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Answer by the way the question came: on the timeline what a program asked, by mail all else."""
    if way is AnswerChannel.CALL:
        raise FaultError(
            "What was said on the telephone is recorded: expertmail incidents call", ExitCode.DATA
        )
    with open_desk(config) as desk:
        key = key or secrets.token_hex(_KEY_BYTES)
        reply = Reply(text, actor(by), actor(by), CONSOLE, key)
        with desk.database.writing() as conn:
            thread, asked = _asked(conn, reference)
            chosen = way or usual_channel(asked.channel)
            if chosen is AnswerChannel.CHAT:
                new = put_answer(conn, thread, asked, reply, now())
                say("The answer is on the timeline." if new else "It stands there already.")
                return
            letter = answer_letter(thread, asked, reply, key=key, customers=None)
        write(desk, letter, Sight(), as_json=as_json)
        with desk.database.writing() as conn:
            say_other_way(conn, thread, asked, chosen, reply, now())


@commands.command()
def history(
    *,
    org: Annotated[str | None, typer.Option(help="The customer; by default all.")] = None,
    months: Annotated[
        int, typer.Option(min=1, max=MAX_MONTHS, help="How far back, in months of the calendar.")
    ] = MONTHS,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="In place of --months, as 2026-05-01 (UTC).")
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="csv and json hold all texts whole.")
    ] = Format.TABLE,
    config: Config = None,
) -> None:
    """Look back at questions: by which way, about what, how long until the first answer, what was answered, by whom."""
    until = now()
    begin = months_before(until, months) if since is None else _day(since)
    with open_desk(config) as desk:
        with desk.database.reading() as conn:
            some = None if org is None else {organisation_named(conn, org).id}
            found = looked_back(conn, begin, until, some, whole=form is not Format.TABLE)
        match form:
            case Format.JSON:
                show_json([question_json(one) for one in found])
            case Format.CSV:
                sys.stdout.write(history_csv(found))
            case Format.TABLE:
                show_table(
                    (
                        "Question",
                        "Customer",
                        "Asked",
                        "By",
                        "About",
                        "Answered after",
                        "Answers",
                        "By whom",
                        "Title",
                    ),
                    map(_row, found),
                    "Nobody asked anything in that time.",
                )


def _row(one: Question) -> tuple[str, ...]:
    return (
        one.inquiry.reference,
        one.inquiry.organisation,
        moment(one.asked_at),
        "" if one.channel is None else one.channel.value,
        one.inquiry.about or "",
        "" if one.seconds is None else span(one.seconds),
        str(len(one.answers)),
        ", ".join(dict.fromkeys(each.by for each in one.answers)),
        one.inquiry.title,
    )


def span(seconds: float) -> str:
    """A time in hours and minutes."""
    hours, left = divmod(int(max(0.0, seconds)), _HOUR)
    return f"{hours} h {left // _MINUTE} min" if hours else f"{left // _MINUTE} min"


def _asked(conn: Connection, reference: str) -> tuple[Thread, Question]:
    thread = thread_by_reference(conn, reference)
    asked = question_on(conn, thread) if thread.kind is ThreadKind.INQUIRY else None
    if asked is None:
        raise FaultError(f"{thread.reference} holds no question of a customer.", ExitCode.DATA)
    return thread, asked


def _day(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise FaultError(f"{text[:40]!r} is no date; write it as 2026-05-01.", ExitCode.DATA) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
