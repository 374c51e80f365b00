"""``expertmail incidents``: open incidents, read their timelines, change where they stand."""

from __future__ import annotations

from typing import Annotated

import typer

from expertmail.desk import AsJson, By, Config, Desk, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.tables import MARK_STYLES, moment, plain, say, show_facts, show_json, show_table
from threads.model import Assignee, Severity, State, Thread, ThreadKind, TimelineEntry
from threads.store.people import find_organisation, list_organisations, organisation
from threads.store.thread import (
    add_note,
    list_threads,
    open_incident,
    set_state,
    thread_by_reference,
    timeline_of,
)

commands = typer.Typer(no_args_is_help=True, help="Open, list and show incidents.")

Reference = Annotated[
    str, typer.Argument(metavar="REF", help="Such as INC-000001, INQ-000001 or SVC-000001.")
]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="incidents")


@commands.command("open")
def open_(
    *,
    org: Annotated[str, typer.Option(help="The customer.")],
    title: Annotated[str, typer.Option(help="What it is about, in one line; customers see it.")],
    severity: Annotated[Severity, typer.Option(case_sensitive=False)] = Severity.MEDIUM,
    to: Annotated[Assignee, typer.Option(case_sensitive=False, help="Who has the next move.")] = (
        Assignee.DEFENDER_EXPERTS
    ),
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Open an incident for a customer."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            customer = find_organisation(conn, org)
            if customer is None:
                raise FaultError(
                    f"There is no customer named {org}; add a contact of theirs first: "
                    "expertmail contacts add",
                    ExitCode.NO_INPUT,
                )
            made = open_incident(
                conn, customer.id, title, now(), severity=severity, assigned_to=to, actor=actor(by)
            )
        if as_json:
            show_json({**plain(made), "organisation": customer.name})
        else:
            say(f"Opened {made.reference} for {customer.name}: {made.title}")


@commands.command("list")
def list_(
    kind: Annotated[ThreadKind | None, typer.Option(help="Only this kind.")] = None,
    state: Annotated[State | None, typer.Option(case_sensitive=False, help="Only in this state.")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List incidents, inquiries and service threads, the latest news first."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        names = {one.id: one.name for one in list_organisations(conn)}
        found = list_threads(conn, kind=kind, state=state)
    if as_json:
        show_json([{**plain(one), "organisation": names[one.organisation_id]} for one in found])
        return
    show_table(
        ("REF", "CUSTOMER", "STATE", "SEVERITY", "ASSIGNED TO", "UPDATED", "TITLE"),
        [
            (
                one.reference,
                names[one.organisation_id],
                one.state.value,
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
def show(
    reference: Reference,
    quoted: Annotated[bool, typer.Option("--quoted", help="Show quoted text as well.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Show a thread and its timeline: who said what, and how far that is proven."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        thread = thread_by_reference(conn, reference)
        customer = organisation(conn, thread.organisation_id).name
        entries = timeline_of(conn, thread.id)
    if as_json:
        show_json({**plain(thread), "organisation": customer, "timeline": plain(entries)})
        return
    _show_head(thread, customer)
    for entry in entries:
        _show_entry(entry, quoted=quoted)


def _show_head(thread: Thread, customer: str) -> None:
    say(f"{thread.reference}  {thread.title}", style="bold")
    show_facts(
        {
            "customer": customer,
            "state": thread.state.value,
            "severity": thread.severity.value if thread.severity else "",
            "assigned to": thread.assigned_to.value,
            "opened": moment(thread.opened_at),
        }
    )


def _show_entry(entry: TimelineEntry, *, quoted: bool) -> None:
    say()
    known_as = f"  {entry.copy_id}" if entry.copy_id else ""
    judged = f"  {entry.verdict}" if entry.verdict else ""
    say(
        f"{moment(entry.at)}  {entry.kind.value}  {entry.actor}  [{entry.mark.value}]{judged}{known_as}",
        style=MARK_STYLES.get(entry.mark.value, "cyan"),
    )
    for line in entry.text.splitlines():
        say(f"    {line}")
    if not entry.quoted:
        return
    lines = entry.quoted.splitlines()
    if quoted:
        for line in lines:
            say(f"    > {line}", style="dim")
    else:
        say(f"    (and {len(lines)} quoted lines; --quoted shows them)", style="dim")


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
        say(f"Noted on {thread.reference}.")


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
def resolve(reference: Reference, by: By = None, config: Config = None) -> None:
    """Resolve a thread; the same as: state REF Resolved."""
    with open_desk(config) as desk:
        _set_state(desk, reference, State.RESOLVED, Assignee.UNASSIGNED, actor(by))


def _set_state(desk: Desk, reference: str, to_state: State, to: Assignee | None, who: str) -> None:
    with desk.database.writing() as conn:
        thread = thread_by_reference(conn, reference)
        after = set_state(conn, thread.id, to_state, now(), actor=who, assigned_to=to)
    say(f"{after.reference}: {after.state.value}, assigned to {after.assigned_to.value}.")
