"""``expertmail incidents``: open incidents, read their timelines, change where they stand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from expertmail import (
    calls_command,
    incident_answers_command,
    incident_entries_command,
    incident_moves_command,
    incident_show_command,
    incident_tasks_command,
)
from expertmail.desk import AsJson, By, Config, Desk, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.past_time import past_time
from expertmail.tables import moment, plain, say, show_json, show_table
from outbound.store.quiet import mark_quiet
from threads.model import (
    Assignee,
    Classification,
    Mark,
    Severity,
    State,
    ThreadKind,
)
from threads.store.people import find_organisation, list_organisations, organisation_named
from threads.store.tasks import list_tasks
from threads.store.thread import (
    add_note,
    list_threads,
    open_incident,
    open_inquiry,
    open_service,
    set_state,
    thread_by_id,
    thread_by_reference,
    timeline_of,
)
from threads.store.thread_changes import change_thread
from threads.transitions import state_refusal

commands = typer.Typer(no_args_is_help=True, help="Open, list, show and change incidents.")

Reference = Annotated[
    str, typer.Argument(metavar="REF", help="Such as INC-000001, INQ-000001 or SVC-000001.")
]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    incident_answers_command.register(commands)
    incident_show_command.register(commands)
    incident_tasks_command.register(commands)
    incident_entries_command.register(commands)
    incident_moves_command.register(commands)
    commands.command("break-glass")(calls_command.break_glass)
    app.add_typer(commands, name="incidents")


@commands.command("open")
def open_(
    *,
    org: Annotated[str, typer.Option(help="The customer.")],
    title: Annotated[str, typer.Option(help="What it is about, in one line; customers see it.")],
    kind: Annotated[
        ThreadKind,
        typer.Option(help="An incident, a question to the experts, or one about the service itself."),
    ] = ThreadKind.INCIDENT,
    about: Annotated[
        str | None, typer.Option(metavar="REF", help="The incident that an inquiry is about.")
    ] = None,
    severity: Annotated[Severity, typer.Option(case_sensitive=False)] = Severity.MEDIUM,
    to: Annotated[Assignee, typer.Option(case_sensitive=False, help="Who has the next move.")] = (
        Assignee.DEFENDER_EXPERTS
    ),
    opened: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it was opened elsewhere, as 2026-11-25T10:00:00+00:00."),
    ] = None,
    imported: Annotated[
        bool, typer.Option("--imported", help="It comes from another system: it sends nothing by itself.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Open an incident for a customer, or an inquiry or service thread. One of the past sends nothing by itself."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            customer = find_organisation(conn, org)
            if customer is None:
                raise FaultError(
                    f"There is no customer named {org}; add a contact of theirs first: "
                    "expertmail contacts add",
                    ExitCode.NO_INPUT,
                )
            who, at = actor(by), now() if opened is None else _past(opened)
            match kind:
                case ThreadKind.INCIDENT:
                    made = open_incident(
                        conn, customer.id, title, at, severity=severity, assigned_to=to, actor=who
                    )
                case ThreadKind.INQUIRY:
                    made = open_inquiry(conn, customer.id, title, at, actor=who, mark=Mark.EXPERT)
                case ThreadKind.SERVICE:
                    made = open_service(conn, customer.id, title, at, actor=who, mark=Mark.EXPERT)
            if about is not None:
                incident = thread_by_reference(conn, about)
                made = change_thread(conn, made, at, actor=who, about=incident)
            quiet = mark_quiet(conn, made, now(), imported=imported)
            acted(conn, "thread-opened", by, made.reference, made.title, organisation_id=customer.id)
        if as_json:
            show_json({**plain(made), "organisation": customer.name})
        else:
            say(f"Opened {made.reference} for {customer.name}: {made.title}")
            if quiet is not None:
                say(f"It sends nothing by itself: {quiet}.")


def _past(written: str) -> datetime:
    """A time with its zone that has come."""
    try:
        return past_time(written, now())
    except ValueError as error:
        raise FaultError(str(error), ExitCode.DATA) from error


@commands.command("list")
def list_(
    kind: Annotated[ThreadKind | None, typer.Option(help="Only this kind.")] = None,
    state: Annotated[State | None, typer.Option(case_sensitive=False, help="Only in this state.")] = None,
    org: Annotated[str | None, typer.Option(help="Only this customer's.")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List incidents, inquiries and service threads, the latest news first."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        names = {one.id: one.name for one in list_organisations(conn)}
        whose = None if org is None else organisation_named(conn, org).id
        found = list_threads(conn, kind=kind, state=state, organisation_id=whose)
        into = {
            one.id: thread_by_id(conn, one.merged_into).reference
            for one in found
            if one.merged_into is not None
        }
    if as_json:
        show_json([{**plain(one), "organisation": names[one.organisation_id]} for one in found])
        return
    show_table(
        ("REF", "CUSTOMER", "STATE", "SEVERITY", "ASSIGNED TO", "UPDATED", "TITLE"),
        [
            (
                one.reference,
                names[one.organisation_id],
                one.state.value if one.merged_into is None else f"Merged into {into[one.id]}",
                one.severity.value if one.severity else "",
                one.assigned_to.value,
                moment(one.updated_at),
                one.title,
            )
            for one in found
        ],
        "Nothing is open yet; start with: expertmail incidents open --org CUSTOMER --title TITLE",
    )


@commands.command()
def note(
    reference: Reference,
    text: Annotated[str, typer.Argument(help="The note; only experts see it.")],
    by: By = None,
    config: Config = None,
) -> None:
    """Add a note to the timeline. Customers never see notes."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            thread = thread_by_reference(conn, reference)
            add_note(conn, thread.id, text, now(), actor=actor(by))
            acted(conn, "note-added", by, thread.reference, organisation_id=thread.organisation_id)
        say(f"Noted on {thread.reference}.")


@commands.command()
def change(
    reference: Reference,
    *,
    title: Annotated[
        str | None, typer.Option(help="What it is about, in one line; customers see it.")
    ] = None,
    severity: Annotated[Severity | None, typer.Option(case_sensitive=False)] = None,
    classification: Annotated[
        Classification | None, typer.Option(case_sensitive=False, help="What it turned out to be.")
    ] = None,
    to: Annotated[Assignee | None, typer.Option(case_sensitive=False, help="Who has the next move.")] = None,
    about: Annotated[
        str | None, typer.Option(metavar="REF", help="The incident that an inquiry is about.")
    ] = None,
    by: By = None,
    config: Config = None,
) -> None:
    """Change a thread's title, severity, classification, assignee, or the incident that it is about."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            before = thread_by_reference(conn, reference)
            after = change_thread(
                conn,
                before,
                now(),
                actor=actor(by),
                title=title,
                severity=severity,
                classification=classification,
                assigned_to=to,
                about=None if about is None else thread_by_reference(conn, about),
            )
            if after != before:
                told = timeline_of(conn, after.id)[-1].text
                acted(
                    conn, "thread-changed", by, after.reference, told, organisation_id=after.organisation_id
                )
        say(f"{after.reference} is changed." if after != before else f"{after.reference} is so already.")


@commands.command()
def state(
    reference: Reference,
    to_state: Annotated[State, typer.Argument(metavar="STATE", case_sensitive=False, help="The new state.")],
    to: Annotated[Assignee | None, typer.Option(case_sensitive=False, help="Who has the next move.")] = None,
    by: By = None,
    config: Config = None,
) -> None:
    """Say where a thread stands: Active, In progress, Awaiting customer action, Resolved."""
    with open_desk(config) as desk:
        _set_state(desk, reference, to_state, to, actor(by))


@commands.command()
def resolve(
    reference: Reference,
    classification: Annotated[
        Classification | None,
        typer.Option(case_sensitive=False, help="What an incident turned out to be."),
    ] = None,
    by: By = None,
    config: Config = None,
) -> None:
    """Resolve a thread; the same as: state REF Resolved."""
    with open_desk(config) as desk:
        _set_state(desk, reference, State.RESOLVED, Assignee.UNASSIGNED, actor(by), classification)


def _set_state(  # noqa: PLR0917 -- each argument a different type
    desk: Desk,
    reference: str,
    to_state: State,
    to: Assignee | None,
    who: str,
    classification: Classification | None = None,
) -> None:
    with desk.database.writing() as conn:
        thread = thread_by_reference(conn, reference)
        refused = state_refusal(thread.state, to_state)
        if refused is not None:
            raise FaultError(f"{thread.reference} cannot be {to_state}: {refused}.", ExitCode.DATA)
        if classification is not None:
            change_thread(conn, thread, now(), actor=who, classification=classification)
        after = set_state(conn, thread.id, to_state, now(), actor=who, assigned_to=to)
        if after != thread:
            told = f"{thread.state}, {thread.assigned_to} -> {after.state}, {after.assigned_to}"
            acted(conn, "state-set", who, after.reference, told, organisation_id=after.organisation_id)
        pending = [one for one in list_tasks(conn, thread.id) if one.status.pending]
    say(f"{after.reference}: {after.state.value}, assigned to {after.assigned_to.value}.")
    if after.state is State.RESOLVED and pending:
        numbers = ", ".join(str(one.number) for one in pending)
        say(f"Still pending: task {numbers}; see `expertmail incidents show {after.reference}`.")
