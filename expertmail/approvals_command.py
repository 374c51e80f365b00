"""``expertmail approvals``: mail that somebody else wrote and that waits for a word."""

from __future__ import annotations

from typing import Annotated

import typer

from expertmail.desk import AsJson, By, Config, Desk, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.standing_acts import give_standing, take_standing
from expertmail.tables import moment, say, show_facts, show_json, show_table
from outbound.model import MailKind
from outbound.store import organisation_of_mail, show_outbox
from outbound.store.approval_acts import approve as approve_mail
from outbound.store.approval_acts import break_glass as break_glass_of_mail
from outbound.store.approval_acts import refuse as refuse_mail
from outbound.store.approval_acts import review as review_mail
from outbound.store.approvals import ApprovalItem, list_approvals, list_reviews, show_approval
from outbound.store.standing_approvals import list_standing

commands = typer.Typer(no_args_is_help=True, help="Approve, refuse and review mail of others.")

Digest = Annotated[str, typer.Argument(help="The digest that `approvals show` told; 12 digits or more.")]
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The mail's number, as in `approvals list`.")]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="approvals")


@commands.command("list")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """List mail that waits for approval, and say which kinds ask for a second person."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        items, kinds = list_approvals(conn), desk.settings.sending.second_person
    if as_json:
        show_json({"second_person": kinds, "waiting": items})
        return
    say(
        f"A second person approves: {', '.join(kinds)}."
        if kinds
        else "A second person approves: off for every kind."
    )
    _table(items, [_why(item) for item in items], "Nothing waits for approval.")


@commands.command()
def reviews(as_json: AsJson = False, config: Config = None) -> None:
    """List mail that went at once by --break-glass and that nobody has reviewed."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        items = list_reviews(conn)
    if as_json:
        show_json(items)
        return
    _table(items, [item.reason for item in items], "Nothing waits for a review.")


def _why(item: ApprovalItem) -> str:
    """Why a mail waits, and why its writer said that it cannot."""
    return f"{item.last_word}; {item.reason}" if item.reason else item.last_word


def _table(items: tuple[ApprovalItem, ...], reasons: list[str], nothing: str) -> None:
    show_table(
        ("NUMBER", "STATE", "KIND", "TO", "WRITTEN BY", "SUBJECT", "REASON"),
        [
            (
                str(item.outgoing_id),
                item.state.value,
                item.kind,
                item.rcpt_to,
                item.composer,
                item.subject,
                reason,
            )
            for item, reason in zip(items, reasons, strict=True)
        ],
        nothing,
    )


@commands.command()
def show(number: Number, as_json: AsJson = False, config: Config = None) -> None:
    """Show what would be approved: the manifest, its digest, and what the mail says."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        item = show_approval(conn, number)
        entry = show_outbox(conn, number)
    if as_json:
        show_json(item)
        return
    show_facts(
        {
            "number": str(number),
            "state": f"{item.state.value} ({item.basis.value})",
            "kind": item.kind,
            "written by": item.composer,
            "approved by": item.approver or "",
            "reason": item.reason,
            "last word": item.last_word,
            "review": "" if item.reviewer is None else f"{item.reviewer}: {item.review}",
            "from": item.identity,
            "mail from": f"<{item.mail_from}>",
            "rcpt to": f"<{item.rcpt_to}>",
            "sha256": item.sha256,
            "may go": f"{moment(item.not_before)} to {moment(item.not_after)}",
            "subject": item.subject,
            "disclosure": entry.disclosure + ("; by SMTP under checked TLS only" if item.needs_tls else ""),
            "digest": item.digest,
        }
    )
    if item.digest != item.approved:
        say("This is not what was written: its bytes or its envelope were changed since.")
    say()
    for line in entry.said.splitlines():
        say(f"    {line}")


@commands.command()
def approve(
    number: Number,
    digest: Digest,
    by: By = None,
    config: Config = None,
) -> None:
    """Approve a mail as it was shown. Our own verifier judges it again, then it is sent, in its send window."""
    with open_desk(config) as desk:
        at = now()
        with desk.database.writing() as conn:
            begin = approve_mail(conn, number, digest, at, actor=actor(by))
            whole = show_approval(conn, number).approved
            whose = organisation_of_mail(conn, number)
            acted(conn, "mail-approved", by, f"mail {number}", whole, organisation_id=whose)
        when = "" if begin <= at else f" from {moment(begin)}"
        say(f"Mail {number} is approved; a running `expertmail serve` delivers it{when}.")


@commands.command("break-glass")
def break_glass(
    number: Number,
    digest: Digest,
    reason: Annotated[str, typer.Option(help="Why it cannot wait; whoever reviews it reads that.")],
    by: By = None,
    config: Config = None,
) -> None:
    """Send a mail that waits for approval at once, also one of yours. Somebody else has to review it afterwards."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            break_glass_of_mail(conn, number, digest, reason, now(), actor=actor(by))
            whose = organisation_of_mail(conn, number)
            told = f"{show_approval(conn, number).approved}: {reason}"
            acted(conn, "mail-break-glass", by, f"mail {number}", told, organisation_id=whose)
        say(f"Mail {number} goes at once; a running `expertmail serve` delivers it.")
        say("It stays in `expertmail approvals reviews` until somebody else has looked at it.")


@commands.command()
def refuse(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why; its writer reads it.")],
    by: By = None,
    config: Config = None,
) -> None:
    """Refuse a mail; it is never sent."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            refuse_mail(conn, number, reason, now(), actor=actor(by))
            whose = organisation_of_mail(conn, number)
            acted(conn, "mail-refused", by, f"mail {number}", reason, organisation_id=whose)
        say(f"Mail {number} is refused and not sent.")


@commands.command()
def review(
    number: Number,
    words: Annotated[str, typer.Option("--note", help="What you found.")],
    by: By = None,
    config: Config = None,
) -> None:
    """Record that you have looked at a mail that went at once by --break-glass."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            review_mail(conn, number, words, now(), actor=actor(by))
            whose = organisation_of_mail(conn, number)
            acted(conn, "mail-reviewed", by, f"mail {number}", words, organisation_id=whose)
        say(f"Mail {number} is reviewed.")


@commands.command()
def standing(
    kind: Annotated[MailKind | None, typer.Argument(help="An automatic kind of mail.")] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the kind's approval back.")] = False,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Approve automatic mail of a kind from now on, until the version of its words or the delivery mode changes.

    Without a kind: list what is approved so. With --withdraw: mail of the kind that has not left yet waits for a person.
    """
    with open_desk(config) as desk:
        if kind is None:
            if withdraw:
                raise FaultError("Say which kind's approval is withdrawn.", ExitCode.USAGE)
            _list_standing(desk, as_json=as_json)
        elif withdraw:
            _withdraw(desk, kind, by)
        else:
            _give(desk, kind, by)


def _list_standing(desk: Desk, *, as_json: bool) -> None:
    with desk.database.reading() as conn:
        items = list_standing(conn)
    if as_json:
        show_json(items)
        return
    show_table(
        ("KIND", "VERSION", "DELIVERY", "APPROVED BY", "SINCE"),
        [(one.kind, str(one.template_version), one.route, one.approver, moment(one.at)) for one in items],
        "No automatic mail has a standing approval.",
    )


def _give(desk: Desk, kind: MailKind, by: str | None) -> None:
    with desk.database.writing() as conn:
        said = give_standing(conn, desk.world, kind, now(), by=actor(by))
    say(said)


def _withdraw(desk: Desk, kind: MailKind, by: str | None) -> None:
    with desk.database.writing() as conn:
        said = take_standing(conn, kind, now(), by=actor(by))
    say(said)
    if kind.value not in desk.settings.sending.second_person:
        say(
            "New mail of that kind still goes by itself: `sending.second_person` does not name it. "
            "Mail of before is in: expertmail approvals list"
        )
