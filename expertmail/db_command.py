"""``expertmail db``: the database's schema, soundness and backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from expertmail.desk import By, Config, acted, now, told
from expertmail.faults import ExitCode, FaultError
from expertmail.settings import load
from expertmail.tables import say
from expertmail.world import database_url
from threads.store import migration
from threads.store.engine import Database, open_database
from threads.store.errors import RefusedRecord
from threads.store.restore import restore as put_back

commands = typer.Typer(no_args_is_help=True, help="Upgrade, check, back up or restore the database.")


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="db")


@contextmanager
def _there(config: Path | None) -> Iterator[Database]:
    """The database as it is; unlike other commands this upgrades nothing by itself."""
    settings = load(config)
    if settings.database.url is None and not (settings.data_dir / "expertmail.db").exists():
        raise FaultError(
            f"There is no database in {settings.data_dir} yet; `expertmail serve` makes it.",
            ExitCode.NO_INPUT,
        )
    with told():
        database = open_database(database_url(settings))
        try:
            yield database
        finally:
            database.close()


@commands.command()
def upgrade(config: Config = None) -> None:
    """Bring the schema up to date. Make a backup before."""
    with _there(config) as database:
        done = migration.upgrade(database)
        say(f"The schema is {migration.HEAD}{'.' if done else ' already.'}")


@commands.command()
def check(config: Config = None) -> None:
    """Check that the database is sound and up to date; exit code 1 if it is not."""
    with _there(config) as database:
        wrong = migration.check(database)
    for sentence in wrong:
        say(sentence)
    if wrong:
        raise typer.Exit(1)
    say("The database is sound and up to date.")


@commands.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the copy; must not exist.")],
    config: Config = None,
) -> None:
    """Write a complete copy while serve runs. Keys and the reply secret are files of their own: copy them, too."""
    with _there(config) as database:
        migration.backup(database, file)
    say(f"Wrote {file}. Copy keys/ and reply.key from the data folder as well; keep all of it private.")


@commands.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A copy that `db backup` made.")],
    force: Annotated[
        bool,
        typer.Option("--force", help="Also over a record that holds something; that one is kept beside it."),
    ] = False,
    by: By = None,
    config: Config = None,
) -> None:
    """Check a copy and put it in the database's place. Stop the gateway first. What was accepted since the copy is gone."""
    settings = load(config)
    with told():
        url = database_url(settings)
        if not url.startswith("sqlite:///"):
            raise RefusedRecord("A PostgreSQL database is restored with its own pg_restore.")
        target = Path(url.removeprefix("sqlite:///"))
        target.parent.mkdir(parents=True, exist_ok=True)
        kept = put_back(target, file, now(), force=force)
        database = open_database(url)
        try:
            with database.writing() as conn:
                acted(conn, "record-restored", by, file.name, f"in place of {kept.name}" if kept else "")
        finally:
            database.close()
    say(f"{target} is the record of {file}.")
    if kept is not None:
        say(f"What was there is kept as {kept}.")
    say(
        "Before you start: expertmail outbox list --state queued, and cancel what was sent since the copy was made."
    )
