"""``expertmail calls``: whom to telephone about incidents in break-glass, and what became of it."""

from __future__ import annotations

from typing import Annotated

import typer

from expertmail.call_sheets import due_words, local_words, outcome_words, sheet_json
from expertmail.desk import AsJson, By, Config, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.tables import moment, say, show_json, show_table
from outbound.call_sheet import Outcome
from outbound.store.call_sheets import (
    OpenSheet,
    open_sheets,
    sheet_of,
)
from outbound.store.calls import (
    begin_break_glass,
    end_break_glass,
    record_call,
)
from threads.model import Contact, Thread
from threads.store import Connection
from threads.store.people import find_contacts, organisation, organisation_named
from threads.store.thread import thread_by_reference

commands = typer.Typer(no_args_is_help=True, help="Telephone customers in break-glass cases.")

Incident = Annotated[str, typer.Argument(metavar="REF", help="Such as INC-000001.")]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="calls")


@commands.command("due")
def due(
    org: Annotated[str | None, typer.Option(help="Only this customer's.")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Show all incidents in break-glass with whom to call: what is due first, then what waits for its time."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        only = None if org is None else (organisation_named(conn, org).id,)
        found = open_sheets(conn, now(), organisations_=only)
    if as_json:
        show_json([sheet_json(one.customer, one.sheet) for one in found])
        return
    show_table(
        ("REF", "CUSTOMER", "SEVERITY", "DUE", "CALL", "TELEPHONE", "LANGUAGE", "THERE"),
        [_row(one) for one in found],
        "Nobody is to be called.",
    )


def _row(one: OpenSheet) -> tuple[str, ...]:
    sheet, thread = one.sheet, one.sheet.emergency.thread
    severity = thread.severity.value if thread.severity else ""
    who = sheet.waits[0] if sheet.waits else sheet.due.contact if sheet.due else None
    at = sheet.waits[1] if sheet.waits else sheet.due.since if sheet.due else None
    when = "" if at is None else f"{'at' if sheet.waits else 'since'} {moment(at)}"
    line = next((each for each in sheet.lines if who is not None and each.contact.id == who.id), None)
    if line is None:
        return thread.reference, one.customer, severity, when, "find a number that works", "", "", ""
    return (
        thread.reference,
        one.customer,
        severity,
        when,
        f"{line.contact.name} <{line.contact.address}>",
        line.number,
        line.contact.language,
        local_words(line),
    )


@commands.command("sheet")
def sheet_(reference: Incident, as_json: AsJson = False, config: Config = None) -> None:
    """Show an incident's call sheet: whom to call in which order, and what became of the calls so far."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        thread = thread_by_reference(conn, reference, as_named=True)
        customer = organisation(conn, thread.organisation_id).name
        sheet = sheet_of(conn, thread, now())
    if as_json:
        show_json(sheet_json(customer, sheet))
        return
    mark = sheet.emergency
    if mark.since is not None:
        say(f"{thread.reference} is in break-glass since {moment(mark.since)}, by {mark.by}: {mark.reason}")
    if mark.untrusted:
        say(f"The mail of {customer} is untrusted: take no number from it.")
    say(due_words(sheet))
    show_table(
        ("", "CALL", "TELEPHONE", "LANGUAGE", "THERE", "SO FAR"),
        [
            (
                str(place),
                f"{line.contact.name} <{line.contact.address}>",
                line.number,
                line.contact.language,
                local_words(line),
                outcome_words(line),
            )
            for place, line in enumerate(sheet.lines, start=1)
        ],
        "No incident notification contact has a telephone number; add one: expertmail contacts change ADDRESS --phone NUMBER",
    )


@commands.command("record")
def record(
    reference: Incident,
    address: Annotated[
        str, typer.Argument(metavar="CONTACT", help="Mail address of the contact who was called.")
    ],
    text: Annotated[str, typer.Argument(help="What was said, in short; customers see it.")] = "",
    *,
    outcome: Annotated[Outcome, typer.Option(help="What became of the call.")],
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Record a call with its outcome on the timeline, and show who is called next."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            thread = thread_by_reference(conn, reference)
            record_call(conn, thread, _contact(conn, thread, address), outcome, text, now(), by=actor(by))
            sheet, customer = sheet_of(conn, thread, now()), organisation(conn, thread.organisation_id).name
        if as_json:
            show_json(sheet_json(customer, sheet))
            return
        say(f"Put on {thread.reference}: {address}, {outcome}.")
        say(due_words(sheet))


def _contact(conn: Connection, thread: Thread, address: str) -> Contact:
    """The customer's contact with that address; one who is told of incidents before others."""
    theirs = [one for one in find_contacts(conn, address) if one.organisation_id == thread.organisation_id]
    if not theirs:
        raise FaultError(
            f"{address} is no contact of the customer of {thread.reference}; see: expertmail contacts list",
            ExitCode.NO_INPUT,
        )
    return min(theirs, key=lambda one: (one.kind.value, one.id))


def break_glass(
    reference: Incident,
    reason: Annotated[
        str, typer.Option(help="Why the customer has to be telephoned; only experts see it.")
    ] = "",
    *,
    end: Annotated[bool, typer.Option("--end", help="End it.")] = False,
    by: By = None,
    config: Config = None,
) -> None:
    """Begin break-glass on an incident (ransomware, data going out, an insider, a human adversary), or end it."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            thread = thread_by_reference(conn, reference)
            if end:
                end_break_glass(conn, thread, now(), by=actor(by))
            else:
                begin_break_glass(conn, thread, reason, now(), by=actor(by))
            sheet = sheet_of(conn, thread, now())
        say(f"{thread.reference}: break-glass {'ended' if end else 'began'}.")
        say(due_words(sheet))
