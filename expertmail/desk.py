"""What a daily command works at: settings, world and record, with faults told as sentences.

Commands run beside ``serve`` on the same database; each does its work in one transaction.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer

from expertmail.faults import ExitCode, FaultError
from expertmail.settings import Settings, load
from expertmail.world import World, database_url, open_world
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.engine import Database, open_database
from threads.store.errors import RefusedRecord, StorageFull, StoreError, UnknownRecord
from threads.store.migration import upgrade

T = TypeVar("T")

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file (TOML); see docs/settings.md."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[
    str | None,
    typer.Option("--by", "--as", metavar="NAME", help="Who does this; the account's name by default."),
]


@dataclass(frozen=True, slots=True)
class Desk:
    """An open world and its record."""

    world: World
    database: Database

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.world.settings


@contextmanager
def open_desk(config: Path | None, *, make: bool = False) -> Iterator[Desk]:
    """Open world and record for one command. Raises FaultError, also for what the block does with the record.

    Unless ``make`` is given the world has to be there: a command that is started in the wrong folder must not
    make an empty one and find nothing in it.
    """
    settings = load(config)
    if not make:
        require_data(settings)
    world = open_world(settings)
    with told(), opened(settings) as database:
        yield Desk(world, database)


def require_data(settings: Settings) -> None:
    """See that the gateway's data is there. Raises FaultError."""
    if not settings.data_dir.is_dir():
        raise FaultError(
            f"There is no gateway's data in {settings.data_dir.absolute()}; go to the folder in which "
            "`expertmail serve` runs, or name its settings with --config.",
            ExitCode.NO_INPUT,
        )


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """Open the database with an up-to-date schema, and close it."""
    with told():
        database = open_database(database_url(settings))
        try:
            upgrade(database)
            yield database
        finally:
            database.close()


@contextmanager
def told() -> Iterator[None]:
    """Turn the record's errors into faults with an exit code."""
    try:
        yield
    except StoreError as error:
        _raise(error)


def _raise(error: StoreError) -> NoReturn:
    codes = {
        UnknownRecord: ExitCode.NO_INPUT,
        RefusedRecord: ExitCode.DATA,
        StorageFull: ExitCode.CANNOT_CREATE,
    }
    raise FaultError(str(error), codes.get(type(error), ExitCode.UNAVAILABLE)) from error


def now() -> datetime:
    """The clock (UTC)."""
    return datetime.now(UTC)


def actor(by: str | None) -> str:
    """Who does this: the name given, else that of the account."""
    if by is not None:
        return by
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"


def acted(
    conn: Connection,
    act: str,
    by: str | None,
    subject: str,
    detail: str = "",
    *,
    organisation_id: int | None = None,
) -> None:
    """Write an act into the audit trail: the last thing a command does in its transaction."""
    record_act(
        conn, act, now(), by=actor(by), subject=subject, detail=detail, organisation_id=organisation_id
    )
