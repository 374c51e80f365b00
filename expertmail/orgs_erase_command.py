"""``expertmail orgs erase``: remove all that is on record of a customer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from expertmail.desk import AsJson, By, Config, acted, now, open_desk
from expertmail.tables import say, show_facts, show_json
from outbound.store.erasure import count_outgoing, erase_outgoing
from threads.store.engine import Database
from threads.store.erase_traces import finish_on_disk
from threads.store.erasure import erasable, erase_copies, erase_rest, extent
from threads.store.people import organisation_named


def register(commands: typer.Typer) -> None:
    """Put the command beside the others."""
    commands.command("erase")(erase)


def erase(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The customer's name.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it. Without this the command shows what would go.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Remove all that is on record of a customer, for good: mail, threads, contacts, and what the audit trail says of it.

    The audit trail keeps that there was something, and that it was erased. Backups keep what they hold.
    """
    with open_desk(config) as desk:
        with desk.database.writing() as conn:  # a writer, for the customer is locked while we look
            one = erasable(conn, organisation_named(conn, name).id)
            found: dict[str, Any] = {**asdict(extent(conn, one.id)), "outgoing": count_outgoing(conn, one.id)}
        if yes:
            _erase(desk.database, one.id, found, by)
        if as_json:
            show_json({"organisation": one.name, "erased": yes, **found})
            return
        show_facts({word.replace("_", " "): str(number) for word, number in found.items()})
        if yes:
            say(f"All of this is erased. {one.name} is no customer any more.")
        else:
            say("Nothing is erased yet; this cannot be undone. To do it: the same command with --yes")


def _erase(database: Database, organisation_id: int, found: dict[str, Any], by: str | None) -> None:
    """In steps, each of which may be the last: begun again it goes on."""
    removed = 1
    while removed:
        with database.writing() as conn:
            removed = erase_copies(conn, organisation_id)
    with database.writing() as conn:
        erase_outgoing(conn, organisation_id)
        erase_rest(conn, organisation_id, now())
        # Neither its name nor its number in the row's content: nothing of this row is ever erased.
        detail = ", ".join(f"{word} {number}" for word, number in found.items())
        acted(conn, "customer-erased", by, f"organisation {organisation_id}", detail)
    finish_on_disk(database)
