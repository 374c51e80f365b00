"""``expertmail incidents split|merge|move``: put mail and threads where they belong, and what is still to come with them."""

from __future__ import annotations

from typing import Annotated

import typer

from expertmail.desk import AsJson, By, Config, acted, actor, now, open_desk
from expertmail.incident_moves import move_one, open_beside
from expertmail.tables import plain, say, show_json
from threads.model import ThreadKind
from threads.store import Connection
from threads.store.moving import MovedMail, merge_threads
from threads.store.thread import thread_by_id, thread_by_reference

Reference = Annotated[str, typer.Argument(metavar="REF", help="Such as INC-000001.")]
Mails = Annotated[
    list[str],
    typer.Argument(metavar="MAIL…", help="A message's id, or a Message-ID; both stand on the timeline."),
]
Across = Annotated[
    bool,
    typer.Option(
        "--other-customer", help="Even to another customer's thread: its words are unverified there."
    ),
]


def register(commands: typer.Typer) -> None:
    """Put the commands among those of ``incidents``."""
    commands.command("move")(move)
    commands.command("merge")(merge)
    commands.command("split")(split)


def move(
    mail: Mails,
    *,
    to: Annotated[str, typer.Option(metavar="REF", help="Where they belong.")],
    source: Annotated[
        str | None, typer.Option("--from", metavar="REF", help="Where they are, if on several threads.")
    ] = None,
    across: Across = False,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Move mails to another thread. Answers to them will land there, whatever address or tag they carry."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            target = thread_by_reference(conn, to)
            origin = None if source is None else thread_by_reference(conn, source)
            moved = [
                move_one(conn, one, target, now(), by=actor(by), source=origin, across=across) for one in mail
            ]
            _told(conn, "mail-moved", by, moved)
        _show(moved, as_json=as_json)


def merge(
    reference: Reference,
    *,
    into: Annotated[str, typer.Option(metavar="REF", help="The thread that goes on for it.")],
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Merge a thread into another one of the same customer. Its reply addresses and its tag lead there from now on."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            source = thread_by_reference(conn, reference, as_named=True)
            target = thread_by_reference(conn, into)
            merged = merge_threads(conn, source, target, now(), by=actor(by))
            acted(
                conn,
                "thread-merged",
                by,
                merged.reference,
                f"into {target.reference}",
                organisation_id=merged.organisation_id,
            )
        if as_json:
            show_json({**plain(merged), "into": target.reference})
        else:
            say(f"{merged.reference} is merged into {target.reference}.")


def split(
    reference: Reference,
    mail: Mails,
    *,
    title: Annotated[str, typer.Option(help="What the new thread is about, in one line; customers see it.")],
    kind: Annotated[
        ThreadKind | None, typer.Option(help="The new thread's kind; that of the old one by default.")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Open a new thread for a part of a conversation and move these mails there. Answers to them will land there."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            source = thread_by_reference(conn, reference)
            made = open_beside(conn, source, title, kind or source.kind, now(), by=actor(by))
            moved = [move_one(conn, one, made, now(), by=actor(by), source=source) for one in mail]
            _told(conn, "thread-split", by, moved)
            made = thread_by_id(conn, made.id)
        if not as_json:
            say(f"Opened {made.reference}: {made.title}")
        _show(moved, as_json=as_json)


def _told(conn: Connection, act: str, by: str | None, moved: list[MovedMail]) -> None:
    for one in moved:
        acted(
            conn,
            act,
            by,
            one.target.reference,
            f"from {one.source.reference}: entry {one.entry_id}",
            organisation_id=one.target.organisation_id,
        )


def _show(moved: list[MovedMail], *, as_json: bool) -> None:
    if as_json:
        show_json(
            [
                {
                    "entry": one.entry_id,
                    "message_id": one.message_id,
                    "from": one.source.reference,
                    "to": one.target.reference,
                }
                for one in moved
            ]
        )
        return
    for one in moved:
        say(f"Moved to {one.target.reference} from {one.source.reference}: {one.words}")
