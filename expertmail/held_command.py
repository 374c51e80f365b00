"""``expertmail held``: mail that waits for an expert's decision."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from expertmail.desk import AsJson, By, Config, Desk, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.gateway import mailboxes
from expertmail.relaying import border_of, route_of
from expertmail.tables import moment, plain, say, show_facts, show_json, show_table
from smtp_gateway.relay_fields import UnfitError
from smtp_gateway.relay_release import release_to_next_hop
from threads.model import Disposition, HeldItem
from threads.store import held
from threads.store.people import find_organisation
from threads.store.read import judgements
from threads.store.thread import open_inquiry, thread_by_id, thread_by_reference

commands = typer.Typer(no_args_is_help=True, help="Show, release or discard mail that waits for an expert.")

Identifier = Annotated[str, typer.Argument(metavar="ID", help="The message's id, as in `held list`.")]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="held")


@commands.command("list")
def list_(
    triage: Annotated[
        bool | None,
        typer.Option(
            "--triage/--held", help="Only strangers' mail, or only mail that may belong to a thread."
        ),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List what waits, oldest first. Strangers' mail is shown as triage."""
    only = held.WAITING if triage is None else ((Disposition.TRIAGE if triage else Disposition.HELD),)
    with open_desk(config) as desk, desk.database.reading() as conn:
        items = held.held_list(conn, only)
    if as_json:
        show_json([_as_json(item) for item in items])
        return
    show_table(
        ("ID", "WAITS AS", "RECEIVED", "AUTHOR", "VERDICT", "THREAD", "SUBJECT", "WHY"),
        [
            (
                item.copy.id,
                item.copy.disposition.value,
                moment(item.copy.received_at),
                item.copy.author or "(unreadable)",
                item.copy.verdict,
                item.thread_reference or "",
                item.copy.subject,
                item.copy.reason,
            )
            for item in items
        ],
        "Nothing waits.",
    )


@commands.command()
def show(identifier: Identifier, as_json: AsJson = False, config: Config = None) -> None:
    """Show a message that waits: who, why, the verdict's reasons, and its new text."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        item = held.held_item(conn, identifier)
        judged = judgements(conn, identifier)
    if as_json:
        report = judged[-1].report if judged else None
        show_json({**_as_json(item), "report": None if report is None else _loaded(report)})
        return
    copy = item.copy
    show_facts(
        {
            "id": copy.id,
            "waits as": copy.disposition.value,
            "why": copy.reason,
            "received": moment(copy.received_at),
            "author": copy.author or "(unreadable)",
            "envelope": f"from <{copy.mail_from}> to <{copy.rcpt_to}>, sent by {copy.client_ip} ({copy.helo})",
            "subject": copy.subject,
            "thread": f"{item.thread_reference} ({copy.match_reason})" if item.thread_reference else "",
            "sender": copy.standing_reason,
            "verdict": copy.verdict,
        }
    )
    for reason in _loaded(judged[-1].report).get("reasons", ()) if judged else ():
        say(f"  {reason['effect']}: {reason['text']}")
    say()
    for line in item.text.splitlines():
        say(f"    {line}")


@commands.command()
def release(
    identifier: Identifier,
    *,
    to: Annotated[
        str | None, typer.Option(metavar="REF", help="The thread to file it on, if not the recognised one.")
    ] = None,
    org: Annotated[
        str | None, typer.Option(help="Open a new inquiry of this customer and file it there.")
    ] = None,
    add_contact: Annotated[
        str | None,
        typer.Option(
            "--add-contact", metavar="NAME", help="Make its author a contact as well, by this name."
        ),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """File a message, or pass it on if it was held on its way to a next hop.

    On a thread its words stay marked unverified; a next hop is told the verdict as it was. A release proves nothing.
    """
    if to is not None and org is not None:
        raise typer.BadParameter("--to and --org exclude each other.")
    with open_desk(config) as desk:
        if to is None and org is None and add_contact is None:
            passed_on = _pass_on(desk, identifier, actor(by))
            if passed_on is not None:
                if as_json:
                    show_json(_as_json(passed_on))
                    return
                say(f"Queued for {passed_on.copy.rcpt_to}; see `expertmail outbox list`.")
                return
        with desk.database.writing() as conn:
            thread_id = None if to is None else thread_by_reference(conn, to).id
            if org is not None:
                customer = find_organisation(conn, org)
                if customer is None:
                    raise FaultError(f"There is no customer named {org}.", ExitCode.NO_INPUT)
                title = held.held_item(conn, identifier).copy.subject
                thread_id = open_inquiry(conn, customer.id, title, now(), actor=actor(by)).id
            if add_contact is None:
                held.release(conn, identifier, now(), by=actor(by), thread_id=thread_id)
            else:
                held.release_with_contact(
                    conn, identifier, add_contact, now(), by=actor(by), thread_id=thread_id
                )
            item = held.held_item(conn, identifier)
            filed = thread_by_id(conn, item.copy.thread_id or 0)
        if as_json:
            show_json(_as_json(item))
            return
        say(f"Filed on {filed.reference} as unverified.")
        if add_contact is not None:
            say(f"{item.copy.author} is a contact from now on.")


def _pass_on(desk: Desk, identifier: str, by: str) -> HeldItem | None:
    """Queue a held copy whose route relays for its next hop; None for any other copy."""
    with desk.database.writing() as conn:
        item = held.held_item(conn, identifier)
        route = route_of(mailboxes(desk.world).resolve, item.copy.rcpt_to)
        if route is None or route.next_hop is None:
            return None
        try:
            release_to_next_hop(conn, identifier, route.next_hop, border_of(desk.world), now(), by=by)
        except UnfitError as error:
            raise FaultError(f"{identifier} cannot be passed on: {error}.") from error
        return held.held_item(conn, identifier)


@commands.command()
def discard(
    identifier: Identifier,
    reason: Annotated[str, typer.Option(help="Why; kept with the message.")] = "discarded by an expert",
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Put a message aside. Nothing is deleted."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            held.discard(conn, identifier, reason, now(), by=actor(by))
            item = held.held_item(conn, identifier)
        if as_json:
            show_json(_as_json(item))
        else:
            say(f"{identifier} is put aside.")


def _as_json(item: HeldItem) -> dict[str, Any]:
    """The copy's own fields beside its circumstances."""
    return {
        **plain(item.copy),
        "thread": item.thread_reference,
        "organisation": item.organisation,
        "text": item.text,
        "size": item.size,
    }


def _loaded(report: str) -> dict[str, Any]:
    """A stored report."""
    loaded: dict[str, Any] = json.loads(report)
    return loaded
