"""``expertmail incidents task …``: what is to be done about an incident, and where it stands."""

from __future__ import annotations

from typing import Annotated

import typer

from expertmail.desk import AsJson, By, Config, acted, actor, now, open_desk
from expertmail.tables import say, show_json
from threads.model import TaskSource, TaskStatus
from threads.store.tasks import add_task, set_task
from threads.store.thread import thread_by_reference

commands = typer.Typer(no_args_is_help=True, help="Add a task to an incident, or say where one stands.")

Incident = Annotated[str, typer.Argument(metavar="REF", help="The incident, such as INC-000001.")]


def register(incidents: typer.Typer) -> None:
    """Put the commands below ``incidents``."""
    incidents.add_typer(commands, name="task")


@commands.command()
def add(
    reference: Incident,
    title: Annotated[str, typer.Argument(help="What is to be done, in one line.")],
    *,
    source: Annotated[
        TaskSource,
        typer.Option(
            case_sensitive=False,
            help="Guided response: pending on the customer. Managed response: done by the experts.",
        ),
    ] = TaskSource.GUIDED_RESPONSE,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Add a task to an incident; it is open."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            thread = thread_by_reference(conn, reference)
            made = add_task(conn, thread, title, source, now(), by=actor(by))
            subject = f"{thread.reference} task {made.number}"
            acted(conn, "task-added", by, subject, made.title, organisation_id=thread.organisation_id)
        if as_json:
            show_json(made)
        else:
            say(f"Task {made.number} of {thread.reference}: {made.title}")


@commands.command("set")
def set_(
    reference: Incident,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The task's number there.")],
    status: Annotated[TaskStatus, typer.Argument(metavar="STATUS", case_sensitive=False)],
    *,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Say where a task stands: open, inProgress, completed, failed, notRelevant."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            thread = thread_by_reference(conn, reference)
            after = set_task(conn, thread, number, status, now(), by=actor(by))
            subject = f"{thread.reference} task {number}"
            acted(conn, "task-set", by, subject, after.status, organisation_id=thread.organisation_id)
        if as_json:
            show_json(after)
        else:
            say(f"Task {number} of {thread.reference} is {after.status}.")
