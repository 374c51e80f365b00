"""``expertmail outbox``: mail on its way out."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any

import typer

from expertmail.desk import AsJson, By, Config, acted, actor, now, open_desk
from expertmail.outbox_code_command import code
from expertmail.tables import moment, plain, say, show_facts, show_json, show_table
from outbound import store
from outbound.header import spellings
from outbound.model import DeliveryState, OrderState
from outbound.store.approvals import send_window
from threads.model.relayed import RelayedMessage
from threads.store import Connection
from threads.store.people import find_contacts
from threads.store.relayed import list_relayed, relayed_message

commands = typer.Typer(no_args_is_help=True, help="Show, retry or cancel mail on its way out.")
commands.command()(code)

Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The mail's number, as in `outbox list`.")]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="outbox")


@commands.command("list")
def list_(
    state: Annotated[DeliveryState | None, typer.Option(help="Only in this state.")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List outgoing mail, newest first."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        items = store.list_outbox(conn, state=state)
    if as_json:
        show_json(items)
        return
    show_table(
        ("NUMBER", "STATE", "TO", "CREATED", "TRIES", "NEXT TRY", "SUBJECT", "LAST ANSWER"),
        [
            (
                str(item.outgoing_id),
                f"{item.state.value} (possibly twice)" if item.maybe_twice else item.state.value,
                item.rcpt_to,
                moment(item.created),
                str(item.attempts),
                moment(item.next_attempt_at),
                item.subject,
                item.last_reply,
            )
            for item in items
        ],
        "Nothing was sent yet.",
    )


@commands.command()
def returned(
    days: Annotated[int, typer.Option(min=1, max=3_650, help="What came back in so many days.")] = 30,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List experts' mail that came back: which mail, to whom, and why."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        items = store.undelivered(conn, now() - timedelta(days=days))
    if as_json:
        show_json(items)
        return
    show_table(
        ("CAME BACK", "NUMBER", "THREAD", "TO", "WRITTEN BY", "WHAT HAPPENED"),
        [
            (
                moment(item.event.at),
                str(item.notice.outgoing_id),
                item.reference,
                item.notice.rcpt_to,
                item.actor,
                item.event.sentence,
            )
            for item in items
        ],
        "Nothing came back.",
    )


@commands.command()
def orders(
    state: Annotated[OrderState | None, typer.Option(help="Only in this state.")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List orders for automatic mail, newest first: what was refused or over a daily cap, and why."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        items = store.list_orders(conn, state=state)
    if as_json:
        show_json(items)
        return
    show_table(
        ("NUMBER", "STATE", "KIND", "TO", "ORDERED", "REASON"),
        [
            (str(item.order_id), item.state, item.kind, item.address, moment(item.ordered), item.reason)
            for item in items
        ],
        "No automatic mail was ordered yet.",
    )


@commands.command()
def relayed(
    identifier: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Show this one with its verdict's reasons.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List what was passed on to next hops, newest first; the messages themselves are not kept."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        found = list_relayed(conn) if identifier is None else (relayed_message(conn, identifier),)
    if as_json:
        show_json([_as_json(one) for one in found] if identifier is None else _as_json(found[0]))
        return
    if identifier is not None:
        _show_relayed(found[0])
        return
    show_table(
        ("ID", "RECEIVED", "FROM", "TO", "AUTHOR", "VERDICT", "MARKED", "NEXT HOP", "ITS ANSWER"),
        [
            (
                one.id,
                moment(one.received_at),
                f"<{one.mail_from}>",
                ", ".join(one.recipients),
                one.author or "(unreadable)",
                one.verdict,
                "yes" if one.marked else "",
                one.next_hop,
                one.answer,
            )
            for one in found
        ],
        "Nothing was relayed in the last weeks.",
    )


def _show_relayed(one: RelayedMessage) -> None:
    show_facts(
        {
            "id": one.id,
            "received": moment(one.received_at),
            "envelope": f"from <{one.mail_from}> to {', '.join(one.recipients)}, sent by {one.client_ip} ({one.helo})",
            "author": one.author or "(unreadable)",
            "message-id": one.message_id or "",
            "size": str(one.size),
            "sha256": one.sha256,
            "verdict": one.verdict,
            "marked": one.reason if one.marked else "",
            "next hop": f"{one.next_hop}, {one.answer}",
        }
    )
    for reason in json.loads(one.report).get("reasons", ()):
        say(f"  {reason['effect']}: {reason['text']}")


def _as_json(one: RelayedMessage) -> dict[str, Any]:
    """Its fields, with report and evidence as JSON and not as text in it."""
    evidence = None if one.evidence is None else json.loads(one.evidence)
    return {**plain(one), "report": json.loads(one.report), "evidence": evidence}


@commands.command()
def show(
    number: Number,
    raw: Annotated[bool, typer.Option("--raw", help="Print the mail's bytes as they are sent.")] = False,
    dialogue: Annotated[bool, typer.Option("--dialogue", help="Print what was said at each try.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Show one mail, every try to deliver it, and what became known of it afterwards."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        entry = store.show_outbox(conn, number)
        events = store.events_of(conn, outgoing_id=number)
        window = send_window(conn, number)
    if raw:
        typer.echo(entry.raw.decode("utf-8", "surrogateescape"), nl=False)
        return
    if as_json:
        show_json(
            {
                **plain(entry.item),
                **{k: v for k, v in plain(entry).items() if k != "item"},
                "events": plain(events),
                "may_go": plain(window),
            }
        )
        return
    item = entry.item
    show_facts(
        {
            "number": str(item.outgoing_id),
            "state": f"{item.state.value}{', possibly delivered twice' if item.maybe_twice else ''}",
            "to": item.rcpt_to,
            "subject": item.subject,
            "written by": entry.actor,
            "created": moment(item.created),
            "may go": "" if window is None else f"{moment(window[0])} to {moment(window[1])}",
            "next try": moment(item.next_attempt_at),
            "message-id": item.message_id,
            "disclosure": entry.disclosure + ("; by SMTP under checked TLS only" if entry.needs_tls else ""),
            "last answer": item.last_reply,
        }
    )
    for attempt in entry.attempts:
        word = "delivered" if attempt.failure is None else attempt.failure.value
        how = attempt.protection
        tls = ", ".join(filter(None, ("", how.level.value if how.level.value != "none" else "", how.version)))
        say(
            f"{moment(attempt.started)}  {word}  {attempt.host}{tls}  {attempt.reply.code} {attempt.reply.text}"
        )
        for line in attempt.transcript.splitlines() if dialogue else ():
            say(f"    {line}")
    for event in events:
        say(f"{moment(event.at)}  {event.kind.value}  {event.sentence}")
    say()
    for line in entry.said.splitlines():
        say(f"    {line}")


@commands.command()
def retry(number: Number, by: By = None, config: Config = None) -> None:
    """Try a mail again now. A withheld one is judged by our own verifier again first."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            at = now()
            unapproved = store.show_outbox(conn, number).item.state is DeliveryState.AWAITING_APPROVAL
            due = store.retry_now(conn, number, at)
            acted(
                conn,
                "mail-retried",
                by,
                f"mail {number}",
                organisation_id=store.organisation_of_mail(conn, number),
            )
        when = "now" if due <= at else f"when its send window begins, {moment(due)}"
        say(f"Mail {number} is due {when}; a running `expertmail serve` delivers it.")
        if unapproved:
            say(f"That is no approval: without one it waits again. See: expertmail approvals show {number}")


@commands.command()
def cancel(number: Number, by: By = None, config: Config = None) -> None:
    """Give a mail up that is not delivered yet."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            store.cancel(conn, number, now(), actor=actor(by))
            acted(
                conn,
                "mail-cancelled",
                by,
                f"mail {number}",
                organisation_id=store.organisation_of_mail(conn, number),
            )
        say(f"Mail {number} is cancelled.")


@commands.command()
def suppressed(as_json: AsJson = False, config: Config = None) -> None:
    """List the addresses that get no mail of ours, newest first, and why."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        items = store.list_suppressed(conn)
    if as_json:
        show_json(items)
        return
    show_table(
        ("ADDRESS", "SINCE", "BY", "REASON"),
        [(item.address, moment(item.since), item.actor, item.reason) for item in items],
        "Nobody is suppressed.",
    )


def _organisation(conn: Connection, address: str) -> int | None:
    """Whose contact an address is, so that the act is erased with the customer; None where that is not plain."""
    found = {one.organisation_id for form in spellings(address) for one in find_contacts(conn, form)}
    return found.pop() if len(found) == 1 else None


Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The recipient's address.")]


@commands.command()
def suppress(
    address: Address,
    reason: Annotated[str, typer.Option(help="Why; experts read it where a mail is not sent.")],
    by: By = None,
    config: Config = None,
) -> None:
    """Send nothing to an address any more; what waits for it is closed when its time comes."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            store.suppress(conn, address, reason, now(), actor=actor(by))
            acted(
                conn, "address-suppressed", by, address, reason, organisation_id=_organisation(conn, address)
            )
        say(f"{address} gets no mail of ours any more.")


@commands.command()
def allow(address: Address, by: By = None, config: Config = None) -> None:
    """Take an address off the list; what was closed for it can be sent by `outbox retry`."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            store.allow_again(conn, address)
            acted(conn, "address-allowed", by, address, organisation_id=_organisation(conn, address))
        say(f"{address} gets mail again.")
