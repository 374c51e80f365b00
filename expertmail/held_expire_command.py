"""``expertmail held expire``: remove the content of mail whose time is over, as the server does every hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from expertmail.desk import AsJson, By, Config, Desk, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.held_listing import show_pages
from expertmail.held_time import retention_of
from expertmail.tables import moment, plain, say, show_json_list
from threads.model import StoredCopy
from threads.store.expiry import AT_ONCE, due, due_copies, expire

_COLUMNS = ("ID", "WAS", "RECEIVED", "AUTHOR", "VERDICT")


def register(commands: typer.Typer) -> None:
    """Put the command beside the others of ``held``."""
    commands.command("expire")(expire_)


def expire_(
    before: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"],
            metavar="DATE",
            help="What came, or was put aside, before this day (UTC), instead of what the settings say.",
        ),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would expire and remove nothing.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Remove the content of mail whose time is over. Envelope, verdict and reasons are kept: `held list --expired`."""
    with open_desk(config) as desk:
        limit = _limit(desk, before)
        gone = _preview(desk, limit) if preview else _expire(desk, limit, actor(by))
        if as_json:
            show_json_list(map(plain, gone))
            return
        number = show_pages(_COLUMNS, map(_row, gone), "Nothing is due.")
        if number:
            what = "1 message" if number == 1 else f"{number} messages"
            say(f"{what} would expire." if preview else f"The content of {what} is removed.")


def _row(copy: StoredCopy) -> tuple[str, ...]:
    received = moment(copy.received_at)
    return copy.id, copy.disposition.value, received, copy.author or "(unreadable)", copy.verdict


def _limit(desk: Desk, before: datetime | None) -> datetime:
    """The moment before which a wait has begun to be over."""
    at = now()
    if before is not None:
        named = before.replace(tzinfo=UTC)
        if named > at:
            raise typer.BadParameter("--before is in the future.")
        return named
    limit = retention_of(desk.settings).limit(at)
    if limit is None:
        raise FaultError(
            "Nothing ever expires by the settings (held.retention_days is 0); name a day with --before.",
            ExitCode.USAGE,
        )
    return limit


def _preview(desk: Desk, limit: datetime) -> Iterator[StoredCopy]:
    with desk.database.reading() as conn:
        yield from due_copies(conn, due(conn, limit), limit)


def _expire(desk: Desk, limit: datetime, by: str) -> Iterator[StoredCopy]:
    with desk.database.reading() as conn:
        keys = due(conn, limit)
    for start in range(0, len(keys), AT_ONCE):
        with desk.database.writing() as conn:
            gone = expire(conn, keys[start : start + AT_ONCE], limit, now(), by=by)
        yield from gone
