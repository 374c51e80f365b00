"""Letters of experts: composed, shown, and put in the queue. For the command line and for a server's threads alike.

A letter names a kind, a thread (or, for some kinds, a customer) and addresses; each address gets a mail of its own. ``compose_letter`` queues nothing.
``post_letter`` signs each mail, has our own verifier judge it, and queues all of them in one transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from expertmail.compose_facts import facts_on_record
from expertmail.compose_lint import lint, written_in
from expertmail.letter_recipients import of_others, outside_of, recipient, untold
from expertmail.letter_values import (
    Composed,
    Letter,
    LetterRefused,
    Posted,
    PostedMail,
    RefusalKind,
)
from expertmail.post_room import judging_set, office_of, signer_of, terms_of
from expertmail.settings import Settings
from expertmail.world import World
from outbound.approval import OWN_WORD, Terms, odd_window, request_digest
from outbound.compose import Office, OutsideAddress, compose, stamp
from outbound.dispatch import Ready, SelfChecker, prepare
from outbound.errors import ComposeError, SigningError
from outbound.header import wire_key
from outbound.model import MailKind, Rendered, Value
from outbound.store import queue_outgoing, show_outbox
from outbound.store.approvals import claim_request, mails_of_request, request_prefix
from outbound.template import DEFAULT_LANGUAGE
from threads.model import Contact, EntryKind, Mark, Organisation, Thread, TimelineEntry
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.chat import carries
from threads.store.engine import Database
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import organisation, organisation_named
from threads.store.tasks import list_tasks
from threads.store.thread import append, thread_by_reference, timeline_of

MAX_REFERENCES = 20  # Message-IDs in References; RFC 5322 3.6.4 lets a long list be cut
MAX_KEY = 100  # its column holds 200
_FIRST_YEAR = 1970  # a time in the first year of the calendar has no equal in UTC east of it

__all__ = [
    "Composed",
    "Letter",
    "LetterRefused",
    "Posted",
    "PostedMail",
    "RefusalKind",
    "compose_letter",
    "post_letter",
]


def compose_letter(world: World, database: Database, letter: Letter, now: datetime) -> Composed:
    """The mails of a letter as they would be before signing; LetterRefused for one that would not be sent."""
    _refuse_odd(world.settings, letter)
    mail = world.settings.mail
    ours = (*mail.domains, mail.reply_domain)
    if (closed := odd_window(_terms(world.settings, letter), now)) is not None:
        raise LetterRefused(closed, RefusalKind.BAD_DATA)
    office = office_of(world)
    try:
        with database.reading() as conn:
            thread, customer = _subject(conn, letter)
            recipients = tuple(recipient(conn, address, customer, letter, ours) for address in letter.to)
            abroad = of_others(conn, letter, recipients)
            words = _words(conn, letter, office, thread, customer)
            entries = () if thread is None else timeline_of(conn, thread.id)
    except UnknownRecord as error:
        raise LetterRefused(str(error), RefusalKind.NOT_FOUND) from error
    try:
        mails = _composed(world, office, replace(letter, words=words), thread, recipients, entries, now)
    except ComposeError as error:
        raise LetterRefused(str(error), RefusalKind.BAD_DATA) from error
    written = written_in(office.templates.get(letter.kind, DEFAULT_LANGUAGE).variables, words)
    languages = {wire_key(one.address): one.language for one in recipients}
    return Composed(mails, (*abroad, *lint(mails, languages, written)))


async def post_letter(
    world: World, database: Database, letter: Letter, now: datetime, check: SelfChecker | None = None
) -> Posted:
    """Sign, judge and queue the mails of a letter, all of them or none; LetterRefused.

    A mail that our own verifier does not call genuine is queued as withheld: see ``PostedMail.withheld``. ``check`` is
    what judges, for a server that has one running; without it one is made for this letter. The record is asked from the
    calling thread.
    """
    _refuse_odd(world.settings, letter)
    if (before := _queued_before(database, letter, now)) is not None:
        return before
    composed = compose_letter(world, database, letter, now)
    try:
        ready = await _judged(world, composed.mails, letter.test_to, now, check)
    except (ComposeError, SigningError) as error:
        raise LetterRefused(str(error), RefusalKind.BAD_DATA) from error
    try:
        with database.writing() as conn:
            if letter.key is not None and not _claimed(conn, letter, now):
                return Posted(_mails_before(conn, letter.key), known=True)
            numbers = _queue(conn, world.settings, letter, ready, now)
            states = [show_outbox(conn, number).item.state for number in numbers]
    except RefusedRecord as error:  # marked untrusted meanwhile, by whosever mark that is
        said = str(error) if letter.customers is None else untold(" or ".join(letter.to))
        raise LetterRefused(said, RefusalKind.WITHHELD) from error
    except UnknownRecord as error:  # it was erased meanwhile
        raise LetterRefused(str(error), RefusalKind.NOT_FOUND) from error
    mails = tuple(
        PostedMail(
            number,
            one.signed.rendered.rcpt_to,
            one.signed.rendered.message_id,
            one.signed.rendered.subject,
            state,
            one.checked.verdict,
            one.checked.reason,
        )
        for number, one, state in zip(numbers, ready, states, strict=True)
    )
    return Posted(mails, known=False, notes=composed.notes)


def _refuse_odd(settings: Settings, letter: Letter) -> None:
    """Refuse a kind that nobody writes, a key that is none, a test that goes to somebody else, and times that are none."""
    odd = None
    to = letter.test_to
    named = [name for name in (letter.reference, letter.organisation) if name.strip()]
    if letter.kind.automatic or not letter.kind.templated:
        odd = f"A {letter.kind.value} mail is sent automatically and is written by nobody."
    elif not letter.reference.strip() and letter.kind.needs_thread:
        odd = f"A {letter.kind.value} mail is written on a thread; name its reference, such as INC-000001."
    elif len(named) != 1:
        odd = f"A {letter.kind.value} mail names its thread by a reference, or its customer by --org: one of them."
    elif letter.outside and letter.organisation:
        odd = "A mail on no thread goes to contacts of the customer only; --outside needs a reference."
    elif letter.key is not None and not (0 < len(letter.key) <= MAX_KEY and letter.key.isprintable()):
        odd = f"An idempotency key is 1 to {MAX_KEY} printable characters."
    elif to is not None and to.rpartition("@")[2].lower() not in settings.mail.domains:
        odd = f"A test goes to an address of ours only; {to} is in no domain of mail.domains."
    else:
        odd = _odd_times(letter)
    if odd is not None:
        raise LetterRefused(odd, RefusalKind.BAD_DATA)


def _odd_times(letter: Letter) -> str | None:
    window = [at for at in (letter.not_before, letter.not_after) if at is not None]
    if any(at.tzinfo is None for at in window):
        return "The times of a send window need their zone."
    if any(at.year < _FIRST_YEAR for at in window):
        return "The send window names a year in which there was no mail; write a time to come."
    if letter.break_glass and letter.not_before is not None:
        return "What cannot wait for a second person cannot wait for its time either: leave out break-glass or send-after."
    return None


def _terms(settings: Settings, letter: Letter) -> Terms:
    """A test goes on its writer's own word: it leaves our house for nobody."""
    terms = OWN_WORD if letter.test_to is not None else terms_of(settings)
    return replace(
        terms,
        break_glass=letter.break_glass,
        not_before=letter.not_before,
        not_after=letter.not_after,
    )


def _subject(conn: Connection, letter: Letter) -> tuple[Thread | None, Organisation]:
    """The thread of a letter, if it is on one, and its customer. Raises UnknownRecord."""
    if not letter.reference:
        return None, organisation_named(conn, letter.organisation)
    thread = thread_by_reference(conn, letter.reference)
    return thread, organisation(conn, thread.organisation_id)


def _words(
    conn: Connection, letter: Letter, office: Office, thread: Thread | None, customer: Organisation
) -> Mapping[str, Value]:
    """What the record knows, and over it what the writer gave."""
    tasks = () if thread is None else list_tasks(conn, thread.id)
    facts = facts_on_record(letter.kind, letter.words, thread, customer, tasks)
    takes = office.templates.takes
    return {**{n: value for n, value in facts.items() if takes(letter.kind, n)}, **letter.words}


def _composed(  # noqa: PLR0917 -- one call, each argument a different type
    world: World,
    office: Office,
    letter: Letter,
    thread: Thread | None,
    recipients: Sequence[Contact | OutsideAddress],
    entries: Sequence[TimelineEntry],
    now: datetime,
) -> tuple[Rendered, ...]:
    """One frozen mail for each recipient; an answer refers to the customer's last mail."""
    # Released mail is no part of the conversation: nobody knows who wrote it.
    entries = [e for e in entries if e.mark is not Mark.UNVERIFIED]
    known = [e.message_id for e in entries if e.message_id is not None]
    asked = [e.message_id for e in entries if e.message_id is not None and e.kind is EntryKind.MAIL_IN]
    if letter.kind is MailKind.PORTAL_NOTICE:  # it answers nothing that may be an intruder's
        known, asked = [], []
    return compose(
        letter.kind,
        office=office,
        thread=thread,
        contacts=recipients,
        variables=letter.words,
        stamps=[stamp(secrets.token_hex(13), world.settings.sender_domain, now) for _ in recipients],
        in_reply_to=asked[-1] if asked else None,
        references=tuple(known[-MAX_REFERENCES:]),
    )


async def _judged(
    world: World,
    mails: Sequence[Rendered],
    test_to: str | None,
    now: datetime,
    check: SelfChecker | None,
) -> list[Ready]:
    """Each mail signed, and what our own verifier says of it. A test belongs to no thread: nothing waits for its answer."""
    signer = signer_of(world)
    if test_to is not None:
        signer = replace(signer, test_to=test_to)
        mails = [replace(mail, thread_id=None, contact_id=None, code_key=None) for mail in mails]
    if check is not None:
        return [await prepare(mail, signer, check, now) for mail in mails]
    async with judging_set(world, lambda: now) as judging:
        return [await prepare(mail, signer, judging.check, now) for mail in mails]


def _queue(
    conn: Connection, settings: Settings, letter: Letter, ready: Sequence[Ready], now: datetime
) -> list[int]:
    """Queue all of them, and write into the audit trail who did what."""
    terms = _terms(settings, letter)
    begin = "compose:" if letter.key is None else request_prefix(letter.key)
    numbers = [
        queue_outgoing(
            conn,
            one.signed,
            idempotency_key=f"{begin}{one.signed.rendered.message_id}",
            actor=letter.actor,
            checked=one.checked,
            now=now,
            terms=terms,
        ).outgoing_id
        for one in ready
    ]
    if letter.copy_of is not None:
        for one in ready:
            carries(conn, one.signed.rendered.message_id, letter.copy_of)
    thread, customer = _subject(conn, letter)
    told = ", ".join(
        f"mail {number} to {one.signed.rendered.rcpt_to}" for number, one in zip(numbers, ready, strict=True)
    )
    if thread is not None and (outside := outside_of(conn, letter, customer)):
        why = f"{', '.join(outside)} outside the customer's contacts: {letter.outside.strip()}"
        told = f"{told}; {why}"
        if letter.test_to is None:
            text = f"A {letter.kind} mail goes to {why}"
            append(conn, thread.id, now, EntryKind.NOTE, actor=letter.actor, mark=Mark.EXPERT, text=text)
    if letter.break_glass:
        told = f"{told}; without a second person: {letter.break_glass}"
    record_act(
        conn,
        f"{letter.kind}-written" if letter.test_to is None else f"{letter.kind}-tested",
        now,
        by=letter.actor,
        subject=customer.name if thread is None else thread.reference,
        detail=told,
        organisation_id=customer.id,
    )
    return numbers


def _queued_before(database: Database, letter: Letter, now: datetime) -> Posted | None:
    """What the same request queued before: asked first, for a repeated one must not be refused for what changed since."""
    if letter.key is None:
        return None
    with database.reading() as conn:
        mails = _mails_before(conn, letter.key)
    if not mails:
        return None
    with database.writing() as conn:
        _claimed(conn, letter, now)
    return Posted(mails, known=True)


def _claimed(conn: Connection, letter: Letter, now: datetime) -> bool:
    """Take the key for this request; False where the same request has it."""
    to = (*letter.to, f"test:{letter.test_to}") if letter.test_to else letter.to
    window = {"send after": letter.not_before, "send before": letter.not_after}
    more: dict[str, object] = {name: at.astimezone(UTC) for name, at in window.items() if at is not None}
    more |= {"outside": f"{letter.language} {letter.outside}"} if letter.outside else {}
    # It says whether the mail waits: who breaks the glass under a key of a mail that does would take it for sent.
    more |= {"break glass": letter.break_glass} if letter.break_glass else {}
    subject = letter.reference or f"customer {letter.organisation}"
    digest = request_digest(letter.kind.value, subject, to, {**letter.words, **more})
    try:
        return claim_request(conn, letter.key or "", digest, now)
    except RefusedRecord as error:
        raise LetterRefused(str(error), RefusalKind.CONFLICT) from error


def _mails_before(conn: Connection, key: str) -> tuple[PostedMail, ...]:
    items = [show_outbox(conn, number).item for number in mails_of_request(conn, key)]
    return tuple(
        PostedMail(one.outgoing_id, one.rcpt_to, f"<{one.message_id}>", one.subject, one.state)
        for one in items
    )
