"""``expertmail held``: mail that waits for an expert's decision."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from expertmail import held_expire_command
from expertmail.conversation_view import match_json, say_signals
from expertmail.desk import AsJson, By, Config, Desk, acted, actor, now, open_desk
from expertmail.held_listing import KEPT, damaged_json, expired_json, held_json, list_expired, list_held
from expertmail.held_release import asks_second, release_one
from expertmail.held_time import retention_of
from expertmail.tables import moment, say, show_facts, show_json
from threads.mailbox_name import forwarded_for
from threads.model import Disposition, ExpiredMessage, HeldItem
from threads.store import Connection, held
from threads.store.attachments import files_of
from threads.store.errors import undecodable
from threads.store.expiry import find_expired
from threads.store.held_requests import Wish, ask_release, decide_request
from threads.store.match_records import match_record, references_to
from threads.store.people import organisation_named
from threads.store.read import judgements
from threads.store.thread import thread_by_id, thread_by_reference

commands = typer.Typer(no_args_is_help=True, help="Show, release or discard mail that waits for an expert.")

Identifier = Annotated[str, typer.Argument(metavar="ID", help="The message's id, as in `held list`.")]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    held_expire_command.register(commands)
    app.add_typer(commands, name="held")


@commands.command("list")
def list_(
    triage: Annotated[
        bool | None,
        typer.Option(
            "--triage/--held", help="Only strangers' mail, or only mail that may belong to a thread."
        ),
    ] = None,
    expired: Annotated[
        bool, typer.Option("--expired", help="What is kept of mail whose time is over, newest first.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="So many at most; else 1000 in a table, all with --json."),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List what waits, oldest first, and when it expires. Strangers' mail is shown as triage."""
    if expired and triage is not None:
        raise typer.BadParameter("--expired and --triage/--held exclude each other.")
    only = held.WAITING if triage is None else ((Disposition.TRIAGE if triage else Disposition.HELD),)
    with open_desk(config) as desk:
        if expired:
            list_expired(desk.database, limit=limit, as_json=as_json)
        else:
            list_held(desk.database, only, retention_of(desk.settings), limit=limit, as_json=as_json)


@commands.command()
def show(identifier: Identifier, as_json: AsJson = False, config: Config = None) -> None:
    """Show a message: who, why it waits, the verdict's reasons, and its new text; or what is kept of it once expired."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        gone = find_expired(conn, identifier)
        if gone is None:
            item = held.held_item(conn, identifier)
            report = _report_of(conn, identifier)
            files = files_of(conn, identifier)
            record = match_record(conn, identifier)
            references = references_to(conn, () if record is None else (record,))
    if gone is not None:
        _show_expired(gone, as_json=as_json)
        return
    retention = retention_of(desk.settings)
    if as_json:
        match = None if record is None else match_json(record, references)
        show_json({**held_json(item, retention), "match": match, "report": report, "attachments": files})
        return
    copy = item.copy
    show_facts(
        {
            "id": copy.id,
            "waits as": copy.disposition.value,
            "why": copy.reason,
            "received": moment(copy.received_at),
            "expires": KEPT if item.legal_hold else moment(retention.expires(copy)),
            "author": copy.author or "(unreadable)",
            "envelope": f"from <{copy.mail_from}> to <{copy.rcpt_to}>, sent by {copy.client_ip} ({copy.helo})",
            "forwarded for": forwarded_for(copy.mail_from) or "",
            "subject": copy.subject,
            "thread": f"{item.thread_reference} ({copy.match_reason})" if item.thread_reference else "",
            "sender": copy.standing_reason,
            "verdict": copy.verdict,
        }
    )
    if record is not None:
        say_signals(record, references)
    for file in files:
        flags = f" ({', '.join(file.flags)})" if file.flags else ""
        say(f"  attachment {file.number}: {file.name}, {file.type}, {file.size} octets{flags}")
    _show_reasons(report)
    say()
    for line in item.text.splitlines():
        say(f"    {line}")


def _show_expired(gone: ExpiredMessage, *, as_json: bool) -> None:
    report = _loaded(gone.report)
    if as_json:
        show_json({**expired_json(gone), "report": report, "evidence": _loaded(gone.evidence)})
        return
    show_facts(
        {
            "id": gone.id,
            "expired": f"{moment(gone.expired_at)} by {gone.expired_by}; its content is removed",
            "was": gone.disposition.value,
            "why": gone.reason,
            "received": moment(gone.received_at),
            "released": f"{moment(gone.released_at)} by {gone.released_by}" if gone.released_by else "",
            "discarded": f"{moment(gone.discarded_at)} by {gone.discarded_by}" if gone.discarded_by else "",
            "author": gone.author or "(unreadable)",
            "envelope": f"from <{gone.mail_from}> to <{gone.rcpt_to}>, sent by {gone.client_ip} ({gone.helo})",
            "subject": gone.subject,
            "message-id": gone.message_id or "",
            "size": str(gone.size),
            "sha256": gone.sha256,
            "sender": gone.standing_reason,
            "verdict": gone.verdict,
        }
    )
    _show_reasons(report)


def _show_reasons(report: dict[str, Any] | None) -> None:
    if report is None:
        say("  The verdict's reasons are not on record or cannot be read.")
        return
    for reason in report.get("reasons", ()):
        say(f"  {reason['effect']}: {reason['text']}")


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
        with desk.database.writing() as conn:
            wish = Wish(
                identifier,
                None if to is None else thread_by_reference(conn, to).id,
                None if org is None else organisation_named(conn, org).id,
                add_contact,
            )
            if asks_second(desk.settings, held.held_item(conn, identifier)):
                ask_release(conn, wish, now(), by=actor(by))
                said = "Asked for; another person has to consent: expertmail held consent"
                acted(conn, "release-asked", by, identifier)
            else:
                said = release_one(conn, desk.world, wish, now(), by=actor(by))
            item = held.held_item(conn, identifier)
        if as_json:
            show_json(_as_json(desk, item))
            return
        say(said)


@commands.command()
def consent(identifier: Identifier, by: By = None, config: Config = None) -> None:
    """Consent to a release that another person asked for; it is done as it was asked for."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            found = decide_request(conn, identifier, now(), consents=True, by=actor(by))
            said = release_one(
                conn, desk.world, found.wish, now(), by=actor(by), detail=f", asked for by {found.asked_by}"
            )
        say(said)


@commands.command()
def refuse(identifier: Identifier, by: By = None, config: Config = None) -> None:
    """Refuse a release that another person asked for; the message waits on."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            found = decide_request(conn, identifier, now(), consents=False, by=actor(by))
            acted(conn, "release-refused", by, identifier, f"asked for by {found.asked_by}")
        say(f"{identifier} waits on.")


@commands.command()
def discard(
    identifier: Identifier,
    reason: Annotated[str, typer.Option(help="Why; kept with the message.")] = "discarded by an expert",
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Put a message aside. It is kept as long as mail waits, and then its content is removed."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            held.discard(conn, identifier, reason, now(), by=actor(by))
            item = held.find_held(conn, identifier)
            whose = None
            if isinstance(item, HeldItem) and item.copy.thread_id is not None:
                whose = thread_by_id(conn, item.copy.thread_id).organisation_id
            acted(conn, "mail-discarded", by, identifier, reason, organisation_id=whose)
        if as_json:
            show_json(_as_json(desk, item) if isinstance(item, HeldItem) else damaged_json(item))
        else:
            say(f"{identifier} is put aside.")


def _as_json(desk: Desk, item: HeldItem) -> dict[str, Any]:
    return held_json(item, retention_of(desk.settings))


def _report_of(conn: Connection, identifier: str) -> dict[str, Any] | None:
    """The last judgement's report; None where there is none, or a damaged one."""
    try:
        judged = judgements(conn, identifier)
    except Exception as error:
        if not undecodable(error):
            raise
        return None
    return _loaded(judged[-1].report) if judged else None


def _loaded(text: str | None) -> dict[str, Any] | None:
    """A stored JSON object; None where it cannot be read."""
    try:
        loaded = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None
