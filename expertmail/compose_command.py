"""``expertmail compose``: write to a customer. Composed, signed, judged by our own verifier, then queued."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import Annotated

import typer

from expertmail import compose_kinds_command
from expertmail.desk import AsJson, By, Config, Desk, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.post_room import judging_set, office_of, signer_of
from expertmail.tables import say, show_json
from outbound.compose import compose, stamp
from outbound.dispatch import Ready, prepare
from outbound.errors import ComposeError, SigningError
from outbound.model import MailKind, Rendered, Value
from outbound.store import queue_outgoing
from threads.model import Contact, EntryKind, Mark, Thread, TimelineEntry
from threads.store import Connection
from threads.store.circumstances import phones, untrusted_recipient
from threads.store.people import find_contacts
from threads.store.thread import thread_by_reference, timeline_of

commands = typer.Typer(no_args_is_help=True, help="Write to a customer.")

MAX_REFERENCES = 20  # Message-IDs in References; RFC 5322 3.6.4 lets a long list be cut
# Below a mail whose writer is not named: an account such as root tells a customer nothing.
UNNAMED = "The experts"
OPENING = "We are investigating this incident and need your help with the following."

Reference = Annotated[str, typer.Argument(metavar="REF", help="The thread to write on, such as INC-000001.")]
Recipients = Annotated[
    list[str], typer.Option("--to", metavar="ADDRESS", help="A contact of the thread's customer; repeatable.")
]
Preview = Annotated[bool, typer.Option("--preview", help="Show the mail; nothing is queued.")]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    compose_kinds_command.register(commands)
    app.add_typer(commands, name="compose")


@commands.command()
def request(
    reference: Reference,
    *,
    to: Recipients,
    question: Annotated[list[str], typer.Option(help="What you need to know, one line; repeatable.")],
    text: Annotated[str, typer.Option(help="What stands before the questions.")] = OPENING,
    preview: Preview = False,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Ask for the context that an investigation needs. The thread then awaits the customer."""
    with open_desk(config) as desk:
        words: dict[str, Value] = {"opening": text, "questions": tuple(question), "expert": by or UNNAMED}
        letter = _Letter(MailKind.REQUEST_FOR_CONTEXT, reference, tuple(to), words, actor(by))
        _write(desk, letter, preview=preview, as_json=as_json)


@commands.command()
def reply(
    reference: Reference,
    *,
    to: Recipients,
    text: Annotated[str, typer.Option(help="What you answer.")],
    preview: Preview = False,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Answer what a customer asked."""
    with open_desk(config) as desk:
        words: dict[str, Value] = {"text": text, "expert": by or UNNAMED}
        letter = _Letter(MailKind.REPLY, reference, tuple(to), words, actor(by))
        _write(desk, letter, preview=preview, as_json=as_json)


@commands.command()
def notice(
    reference: Reference,
    *,
    to: Recipients,
    preview: Preview = False,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Tell a contact to see the portal, and nothing else: for a customer whose mail somebody else may read."""
    with open_desk(config) as desk:
        letter = _Letter(MailKind.PORTAL_NOTICE, reference, tuple(to), {}, actor(by))
        _write(desk, letter, preview=preview, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Letter:
    """What an expert wants to send."""

    kind: MailKind
    reference: str
    to: tuple[str, ...]
    words: dict[str, Value]
    actor: str


def _write(desk: Desk, letter: _Letter, *, preview: bool, as_json: bool) -> None:
    with desk.database.reading() as conn:
        thread = thread_by_reference(conn, letter.reference)
        contacts = [_contact(find_contacts(conn, address), address, thread) for address in letter.to]
        _refuse_untrusted(conn, letter, contacts)
        entries = timeline_of(conn, thread.id)
    try:
        mails = _composed(desk, letter, thread, contacts, entries)
        if preview:
            _show(mails, as_json=as_json)
            return
        ready = asyncio.run(_judged(desk, mails))
    except (ComposeError, SigningError) as error:
        raise FaultError(str(error), ExitCode.DATA) from error
    numbers = _queue(desk, letter, ready)
    _tell(ready, numbers, as_json=as_json)
    held_back = [one for one in ready if one.checked.withheld]
    if held_back:
        raise FaultError(
            f"Our own verifier does not call the mail genuine, so it is not sent: {held_back[0].checked.reason}. "
            "Repair that, then: expertmail outbox retry NUMBER",
            ExitCode.CONFIG,
        )


def _refuse_untrusted(conn: Connection, letter: _Letter, contacts: Sequence[Contact]) -> None:
    """Send nobody's words to mailboxes that an intruder may read; say whom to call instead."""
    if letter.kind is MailKind.PORTAL_NOTICE:
        return
    for one in contacts:
        name = untrusted_recipient(conn, one.address, one.id)
        if name is not None:
            calls = " or ".join(f"{c.name} ({c.phone})" for c in phones(conn, one.organisation_id))
            raise FaultError(
                f"The mail of {name} is marked untrusted. Write it in the portal, then: expertmail compose notice "
                f"{letter.reference} --to {one.address}; or call {calls or 'them on a number that you trust'}.",
                ExitCode.DATA,
            )


def _contact(found: tuple[Contact, ...], address: str, thread: Thread) -> Contact:
    """The contact with that address at the thread's customer."""
    mine = [one for one in found if one.organisation_id == thread.organisation_id]
    if not mine:
        raise FaultError(
            f"{address} is no contact of the customer of {thread.reference}; "
            "add it first: expertmail contacts add",
            ExitCode.NO_INPUT,
        )
    return mine[0]


def _composed(
    desk: Desk,
    letter: _Letter,
    thread: Thread,
    contacts: Sequence[Contact],
    entries: Sequence[TimelineEntry],
) -> tuple[Rendered, ...]:
    """One frozen mail for each contact; an answer refers to the customer's last mail."""
    # Released mail is no part of the conversation: nobody knows who wrote it.
    entries = [e for e in entries if e.mark is not Mark.UNVERIFIED]
    known = [e.message_id for e in entries if e.message_id is not None]
    asked = [e.message_id for e in entries if e.message_id is not None and e.kind is EntryKind.MAIL_IN]
    if letter.kind is MailKind.PORTAL_NOTICE:  # it answers nothing that may be an intruder's
        known, asked = [], []
    at = now()
    domain = desk.settings.sender_domain
    return compose(
        letter.kind,
        office=office_of(desk.world),
        thread=thread,
        contacts=contacts,
        variables=letter.words,
        stamps=[stamp(secrets.token_hex(13), domain, at) for _ in contacts],
        in_reply_to=asked[-1] if asked else None,
        references=tuple(known[-MAX_REFERENCES:]),
    )


async def _judged(desk: Desk, mails: Sequence[Rendered]) -> list[Ready]:
    """Each mail signed, and what our own verifier says of it."""
    async with judging_set(desk.world, now) as judging:
        return [await prepare(mail, signer_of(desk.world), judging.check, now()) for mail in mails]


def _queue(desk: Desk, letter: _Letter, ready: Sequence[Ready]) -> list[int]:
    """All of them in one transaction."""
    with desk.database.writing() as conn:
        at = now()
        numbers = [
            queue_outgoing(
                conn,
                one.signed,
                idempotency_key=f"compose:{one.signed.rendered.message_id}",
                actor=letter.actor,
                checked=one.checked,
                now=at,
            ).outgoing_id
            for one in ready
        ]
        thread = thread_by_reference(conn, letter.reference)
        told = ", ".join(
            f"mail {number} to {one.signed.rendered.rcpt_to}"
            for number, one in zip(numbers, ready, strict=True)
        )
        acted(
            conn,
            f"{letter.kind}-written",
            letter.actor,
            thread.reference,
            told,
            organisation_id=thread.organisation_id,
        )
        return numbers


def _show(mails: Sequence[Rendered], *, as_json: bool) -> None:
    if as_json:
        show_json(
            [{"to": m.rcpt_to, "subject": m.subject, "text": _text(m), "raw": m.raw.decode()} for m in mails]
        )
        return
    for mail in mails:
        say(f"To:      {mail.rcpt_to}\nSubject: {mail.subject}\n")
        say(_text(mail))


def _text(mail: Rendered) -> str:
    """The text part of our own mail."""
    body = message_from_bytes(mail.raw, policy=policy.default).get_body(("plain",))
    return "" if body is None else str(body.get_content())


def _tell(ready: Sequence[Ready], numbers: Sequence[int], *, as_json: bool) -> None:
    if as_json:
        show_json(
            [
                {
                    "number": number,
                    "to": one.signed.rendered.rcpt_to,
                    "message_id": one.signed.rendered.message_id,
                    "verdict": one.checked.verdict,
                    "reason": one.checked.reason,
                }
                for number, one in zip(numbers, ready, strict=True)
            ]
        )
        return
    for number, one in zip(numbers, ready, strict=True):
        word = "withheld" if one.checked.withheld else "queued"
        say(f"Mail {number} to {one.signed.rendered.rcpt_to} is {word}: {one.signed.rendered.subject}")
