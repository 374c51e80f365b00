"""``expertmail compose``: write to a customer. Composed, signed, judged by our own verifier, then queued."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import Annotated, Literal

import typer

from expertmail import compose_kinds_command
from expertmail.desk import AsJson, By, Config, Desk, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.post_room import judging_set, office_of, signer_of, terms_of
from expertmail.tables import say, show_json
from outbound.approval import OWN_WORD, request_digest
from outbound.compose import compose, stamp
from outbound.dispatch import Ready, prepare
from outbound.errors import ComposeError, SigningError
from outbound.model import DeliveryState, MailKind, Rendered, Value
from outbound.store import queue_outgoing, show_outbox
from outbound.store.approvals import claim_request, mails_of_request, request_prefix
from threads.model import Contact, EntryKind, Mark, Thread, TimelineEntry
from threads.store import Connection
from threads.store.circumstances import phones, untrusted_recipient
from threads.store.people import find_contacts
from threads.store.thread import thread_by_reference, timeline_of

commands = typer.Typer(no_args_is_help=True, help="Write to a customer.")

MAX_REFERENCES = 20  # Message-IDs in References; RFC 5322 3.6.4 lets a long list be cut
# Below a mail whose writer is not named: an account such as root tells a customer nothing.
UNNAMED = "The experts"
# What a telephone shows of a subject before it is cut.
SHOWN_SUBJECT = 78
_WORDS = {
    DeliveryState.WITHHELD: "withheld",
    DeliveryState.AWAITING_APPROVAL: "awaiting approval (expertmail approvals list)",
}
OPENING = "We are investigating this incident and need your help with the following."

Reference = Annotated[str, typer.Argument(metavar="REF", help="The thread to write on, such as INC-000001.")]
Recipients = Annotated[
    list[str], typer.Option("--to", metavar="ADDRESS", help="A contact of the thread's customer; repeatable.")
]
Preview = Annotated[bool, typer.Option("--preview", help="Show the mail; nothing is queued.")]
PreviewHtml = Annotated[
    Path | None,
    typer.Option(
        "--preview-html", metavar="FILE", help="Write the first mail's HTML there; nothing is queued."
    ),
]
PreviewRaw = Annotated[
    bool, typer.Option("--preview-raw", help="Print the mails' bytes before signing; nothing is queued.")
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key", help="Idempotency key: the same request with it never sends twice, another one is refused."
    ),
]
BreakGlass = Annotated[
    str | None,
    typer.Option(
        "--break-glass", metavar="REASON", help="Send without a second person; it is reviewed afterwards."
    ),
]
TestTo = Annotated[
    str | None,
    typer.Option(
        "--test-to",
        metavar="ADDRESS",
        help="Send the mail to this address of ours instead, marked as a test.",
    ),
]
MAX_KEY = 100  # its column holds 200


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
    preview_html: PreviewHtml = None,
    preview_raw: PreviewRaw = False,
    key: Key = None,
    break_glass: BreakGlass = None,
    test_to: TestTo = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Ask for the context that an investigation needs. The thread then awaits the customer."""
    with open_desk(config) as desk:
        words: dict[str, Value] = {"opening": text, "questions": tuple(question), "expert": by or UNNAMED}
        letter = _Letter(
            MailKind.REQUEST_FOR_CONTEXT,
            reference,
            tuple(to),
            words,
            actor(by),
            key,
            break_glass or "",
            test_to,
        )
        _write(desk, letter, _Sight(text=preview, html=preview_html, raw=preview_raw), as_json=as_json)


@commands.command()
def reply(
    reference: Reference,
    *,
    to: Recipients,
    text: Annotated[str, typer.Option(help="What you answer.")],
    preview: Preview = False,
    preview_html: PreviewHtml = None,
    preview_raw: PreviewRaw = False,
    key: Key = None,
    break_glass: BreakGlass = None,
    test_to: TestTo = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Answer what a customer asked."""
    with open_desk(config) as desk:
        words: dict[str, Value] = {"text": text, "expert": by or UNNAMED}
        letter = _Letter(
            MailKind.REPLY, reference, tuple(to), words, actor(by), key, break_glass or "", test_to
        )
        _write(desk, letter, _Sight(text=preview, html=preview_html, raw=preview_raw), as_json=as_json)


@commands.command()
def notice(
    reference: Reference,
    *,
    to: Recipients,
    preview: Preview = False,
    preview_html: PreviewHtml = None,
    preview_raw: PreviewRaw = False,
    key: Key = None,
    break_glass: BreakGlass = None,
    test_to: TestTo = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Tell a contact to see the portal, and nothing else: for a customer whose mail somebody else may read."""
    with open_desk(config) as desk:
        letter = _Letter(
            MailKind.PORTAL_NOTICE, reference, tuple(to), {}, actor(by), key, break_glass or "", test_to
        )
        _write(desk, letter, _Sight(text=preview, html=preview_html, raw=preview_raw), as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Letter:
    """What an expert wants to send."""

    kind: MailKind
    reference: str
    to: tuple[str, ...]
    words: dict[str, Value]
    actor: str
    key: str | None = None
    break_glass: str = ""
    test_to: str | None = None


@dataclass(frozen=True, slots=True)
class _Sight:
    """What is shown instead of sending."""

    text: bool = False
    html: Path | None = None
    raw: bool = False


def _write(desk: Desk, letter: _Letter, sight: _Sight, *, as_json: bool) -> None:
    _refuse_odd(desk, letter)
    with desk.database.reading() as conn:
        thread = thread_by_reference(conn, letter.reference)
        contacts = [_contact(find_contacts(conn, address), address, thread) for address in letter.to]
        _refuse_untrusted(conn, letter, contacts)
        entries = timeline_of(conn, thread.id)
    try:
        mails = _composed(desk, letter, thread, contacts, entries)
        for line in _lint(mails, contacts):
            typer.echo(f"Note: {line}", err=True)
        if sight.text or sight.html or sight.raw:
            _show(mails, sight, as_json=as_json)
            return
        ready = asyncio.run(_judged(desk, mails, letter.test_to))
    except (ComposeError, SigningError) as error:
        raise FaultError(str(error), ExitCode.DATA) from error
    numbers, known = _queue(desk, letter, ready)
    if known:
        say(f"That request was queued before as mail {', '.join(map(str, numbers))}; nothing is sent again.")
        return
    with desk.database.reading() as conn:
        states = [show_outbox(conn, number).item.state for number in numbers]
    _tell(ready, numbers, states, as_json=as_json)
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


def _refuse_odd(desk: Desk, letter: _Letter) -> None:
    """Refuse a key that is none, a reason that says nothing, and a test that goes to somebody else."""
    if letter.key is not None and not (0 < len(letter.key) <= MAX_KEY and letter.key.isprintable()):
        raise FaultError(f"An idempotency key is 1 to {MAX_KEY} printable characters.", ExitCode.DATA)
    to = letter.test_to
    if to is not None and to.rpartition("@")[2].lower() not in desk.settings.mail.domains:
        raise FaultError(
            f"A test goes to an address of ours only; {to} is in no domain of mail.domains.", ExitCode.DATA
        )


def _lint(mails: Sequence[Rendered], contacts: Sequence[Contact]) -> list[str]:
    """What an expert should look at again before sending."""
    notes = [
        f"the subject has {len(mail.subject)} characters; telephones show some {SHOWN_SUBJECT}"
        for mail in mails[:1]
        if len(mail.subject) > SHOWN_SUBJECT
    ]
    languages = {one.address.lower(): one.language for one in contacts}
    for mail in mails:
        wanted = languages.get(mail.rcpt_to.lower(), mail.language)
        if wanted != mail.language:
            notes.append(f"{mail.rcpt_to} reads {wanted}, and this kind of mail is in {mail.language}")
    return notes


async def _judged(desk: Desk, mails: Sequence[Rendered], test_to: str | None) -> list[Ready]:
    """Each mail signed, and what our own verifier says of it. A test belongs to no thread: nothing waits for its answer."""
    signer = signer_of(desk.world)
    if test_to is not None:
        signer = replace(signer, test_to=test_to)
        mails = [replace(mail, thread_id=None, contact_id=None, code_key=None) for mail in mails]
    async with judging_set(desk.world, now) as judging:
        return [await prepare(mail, signer, judging.check, now()) for mail in mails]


def _queue(desk: Desk, letter: _Letter, ready: Sequence[Ready]) -> tuple[Sequence[int], bool]:
    """All of them in one transaction; whether the same request was queued before and nothing was now."""
    terms = replace(terms_of(desk.settings), break_glass=letter.break_glass)
    if letter.test_to is not None:
        terms = OWN_WORD
    with desk.database.writing() as conn:
        at = now()
        if letter.key is not None:
            to = (*letter.to, f"test:{letter.test_to}") if letter.test_to else letter.to
            digest = request_digest(letter.kind.value, letter.reference, to, letter.words)
            if not claim_request(conn, letter.key, digest, at):
                return mails_of_request(conn, letter.key), True
        begin = "compose:" if letter.key is None else request_prefix(letter.key)
        numbers = [
            queue_outgoing(
                conn,
                one.signed,
                idempotency_key=f"{begin}{one.signed.rendered.message_id}",
                actor=letter.actor,
                checked=one.checked,
                now=at,
                terms=terms,
            ).outgoing_id
            for one in ready
        ]
        thread = thread_by_reference(conn, letter.reference)
        told = ", ".join(
            f"mail {number} to {one.signed.rendered.rcpt_to}"
            for number, one in zip(numbers, ready, strict=True)
        )
        if letter.break_glass:
            told = f"{told}; without a second person: {letter.break_glass}"
        acted(
            conn,
            f"{letter.kind}-written" if letter.test_to is None else f"{letter.kind}-tested",
            letter.actor,
            thread.reference,
            told,
            organisation_id=thread.organisation_id,
        )
        return numbers, False


def _show(mails: Sequence[Rendered], sight: _Sight, *, as_json: bool) -> None:
    if sight.html is not None:
        try:
            sight.html.write_text(_text(mails[0], "html"), encoding="utf-8")
        except OSError as error:
            raise FaultError(
                f"{sight.html} cannot be written ({error.strerror}).", ExitCode.CANNOT_CREATE
            ) from error
        say(f"The HTML of the mail to {mails[0].rcpt_to} is in {sight.html}.")
    if sight.raw:
        for mail in mails:
            typer.echo(mail.raw.decode("ascii", "surrogateescape"), nl=False)
    if not sight.text:
        return
    if as_json:
        show_json(
            [{"to": m.rcpt_to, "subject": m.subject, "text": _text(m), "raw": m.raw.decode()} for m in mails]
        )
        return
    for mail in mails:
        say(f"To:      {mail.rcpt_to}\nSubject: {mail.subject}\n")
        say(_text(mail))


def _text(mail: Rendered, kind: Literal["plain", "html"] = "plain") -> str:
    """The text part of our own mail, or its HTML part."""
    body = message_from_bytes(mail.raw, policy=policy.default).get_body((kind,))
    return "" if body is None else str(body.get_content())


def _tell(
    ready: Sequence[Ready], numbers: Sequence[int], states: Sequence[DeliveryState], *, as_json: bool
) -> None:
    if as_json:
        show_json(
            [
                {
                    "number": number,
                    "to": one.signed.rendered.rcpt_to,
                    "message_id": one.signed.rendered.message_id,
                    "state": state.value,
                    "verdict": one.checked.verdict,
                    "reason": one.checked.reason,
                }
                for number, one, state in zip(numbers, ready, states, strict=True)
            ]
        )
        return
    for number, one, state in zip(numbers, ready, states, strict=True):
        word = _WORDS.get(state, "queued")
        say(f"Mail {number} to {one.signed.rendered.rcpt_to} is {word}: {one.signed.rendered.subject}")
