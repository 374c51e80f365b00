"""What an expert writes, or automation orders, becomes one frozen mail for each recipient. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from outbound.alerts import alert_facts, tells_names
from outbound.code_orders import answer_facts
from outbound.disclosure import (
    LONG_ALERT,
    NO_DETAILS,
    UNRULED,
    Disclosure,
    DisclosureRules,
    disclosure_to,
)
from outbound.errors import ComposeError
from outbound.header import wire_key
from outbound.mail_code import MailCode, MailCodes
from outbound.model import (
    AutomaticOrder,
    Draft,
    Letterhead,
    MailKind,
    Recipient,
    Rendered,
    Stamp,
    Value,
)
from outbound.orders import OrderError, codes_in_order, examined_in, findings_of
from outbound.reminders import reminder_facts
from outbound.render import render
from outbound.status_notification import status_notification
from outbound.template import TemplateSet
from threads.model import Contact, State, Thread

# A mail goes to each contact by itself; an organisation with more contacts than this has a team mailbox.
MAX_RECIPIENTS = 50

ReplyAddress = Callable[[int, int | None], str]
"""Makes the HMAC reply address of a thread (its id) and a contact (its id, or None for nobody in particular)."""


@dataclass(frozen=True, slots=True)
class Office:
    """What composing needs besides the words: the letterhead, the templates, and who makes reply addresses.

    ``hostname`` is the gateway's name in notifications about mail that it relays; empty: the sender's domain. ``codes``
    makes the code in each mail to a contact, ``root`` the Message-ID that a thread's mail refers to first. ``disclosure``
    says whose mail holds what experts wrote.
    """

    letterhead: Letterhead
    templates: TemplateSet
    reply_address: ReplyAddress
    hostname: str = ""
    codes: MailCodes | None = None
    root: Callable[[int], str] | None = None
    disclosure: DisclosureRules = UNRULED

    def __post_init__(self) -> None:
        sender = self.letterhead.sender
        if sender.address.rpartition("@")[2].lower() != sender.domain.lower():
            raise ComposeError(
                "The sender's address is not in the domain that signs; our mail names no other domain."
            )


@dataclass(frozen=True, slots=True)
class OutsideAddress:
    """An address that is no contact of the thread's organisation, and to which an expert writes for a reason."""

    address: str
    language: str = "en"


def stamp(token: str, domain: str, now: datetime) -> Stamp:
    """A Message-ID at our own domain (RFC 5322 3.6.4) from a token that the caller drew at random."""
    return Stamp(message_id=f"<{token}@{domain}>", date=now, boundary_seed=token)


def compose(
    kind: MailKind,
    *,
    office: Office,
    thread: Thread | None,
    contacts: Sequence[Contact | OutsideAddress],
    variables: Mapping[str, Value],
    stamps: Sequence[Stamp],
    in_reply_to: str | None = None,
    references: tuple[str, ...] = (),
) -> tuple[Rendered, ...]:
    """An expert's mail to contacts of the thread's organisation, and to addresses outside: one for each, in their order.

    ``stamps`` holds at least one for each contact. ``title`` is filled in with the thread's own title unless
    given, ``role`` with the contact's. ``in_reply_to`` and ``references`` are Message-IDs without angle brackets.
    ``thread`` None: the mail is on none, which only some kinds can be (``MailKind.needs_thread``); it goes to contacts of one
    organisation, and answers go where questions go. Raises ComposeError.
    """
    if kind.automatic:
        raise ComposeError(f"A {kind.value} mail is sent automatically and is written by nobody.")
    if thread is None:
        _refuse_off_thread(kind, contacts)
    else:
        _refuse_on_thread(kind, thread, contacts)
    if not contacts:
        raise ComposeError("There is nobody to send to; name at least one contact.")
    if len(contacts) > MAX_RECIPIENTS:
        raise ComposeError(f"A mail goes to at most {MAX_RECIPIENTS} contacts at a time.")
    first: dict[str, Contact | OutsideAddress] = {}
    for contact in contacts:
        first.setdefault(wire_key(contact.address), contact)
    once = tuple(first.values())
    if len(stamps) < len(once):
        raise ComposeError("Each recipient's mail needs a Message-ID of its own.")
    # A notice to see the portal goes to mailboxes that somebody else may read: it has no place even for the title.
    title: dict[str, Value] = {}
    if thread is not None and office.templates.takes(kind, "title"):
        title = {"title": thread.title}
    words = {**title, **variables}
    return tuple(
        _to_one(kind, office, thread, contact, words, one, in_reply_to, references)
        for contact, one in zip(once, stamps, strict=False)
    )


def _refuse_on_thread(kind: MailKind, thread: Thread, contacts: Sequence[Contact | OutsideAddress]) -> None:
    if kind is MailKind.REQUEST_FOR_CONTEXT and thread.state is State.RESOLVED:
        raise ComposeError(f"{thread.reference} is resolved; set it in progress before you ask about it.")
    for contact in contacts:
        if isinstance(contact, Contact) and contact.organisation_id != thread.organisation_id:
            raise ComposeError(
                f"{contact.address} is not a contact of the organisation of {thread.reference}."
            )


def _refuse_off_thread(kind: MailKind, contacts: Sequence[Contact | OutsideAddress]) -> None:
    if kind.needs_thread:
        raise ComposeError(
            f"A {kind.value} mail is written on a thread; name its reference, such as INC-000001."
        )
    of = {one.organisation_id if isinstance(one, Contact) else None for one in contacts}
    if None in of or len(of) > 1:
        raise ComposeError("A mail on no thread goes to contacts of one customer only.")


def _to_one(  # noqa: PLR0917 -- one call, each argument a different type
    kind: MailKind,
    office: Office,
    thread: Thread | None,
    to: Contact | OutsideAddress,
    variables: Mapping[str, Value],
    one: Stamp,
    in_reply_to: str | None,
    references: tuple[str, ...],
) -> Rendered:
    contact = to if isinstance(to, Contact) else None
    contact_id = None if contact is None else contact.id
    # An answer to a mail on no thread is a question of its own, and a bounce of it waits among held mail.
    ask = office.letterhead.ask_address
    reply_to = ask if thread is None else office.reply_address(thread.id, contact_id)
    role: dict[str, Value] = {}
    if contact is not None and office.templates.takes(kind, "role"):
        role = {"role": contact.kind.value}
    draft = Draft(
        kind=kind,
        recipient=Recipient(to.address, "" if contact is None else contact.name, contact_id),
        thread_id=None if thread is None else thread.id,
        tag="" if thread is None else thread.reference,
        reply_to=reply_to,
        # Bounces come back to where replies do and so find their thread and contact; the reply domain is a
        # subdomain of ours, so SPF is aligned in relaxed mode (RFC 9989 4.10.3).
        mail_from=reply_to,
        variables={**role, **variables},
        language=to.language,
        in_reply_to=in_reply_to,
        references=_chain(office, thread, references),
        # Which mail bears a code is answered to the contact on record for it; here there is none to ask.
        code=None if contact is None else _code(office, one),
        disclosure=_disclosure(kind, office, to.address, contact),
    )
    return render(draft, office.templates.get(kind, to.language), office.letterhead, one)


def _chain(office: Office, thread: Thread | None, references: tuple[str, ...]) -> tuple[str, ...]:
    """The root of the thread before what a mail refers to; the middle of a long chain is left out when it is written."""
    return references if thread is None or office.root is None else (office.root(thread.id), *references)


def _code(office: Office, one: Stamp) -> MailCode | None:
    return None if office.codes is None else office.codes.of(one.message_id)


def _disclosure(kind: MailKind, office: Office, address: str, contact: Contact | None) -> Disclosure:
    """Whether a mail may hold what was written for it. Alerts go to experts, under a rule of their own (``alerts.form``)."""
    if kind is MailKind.ALERT or not office.templates.holds_details(kind):
        return NO_DETAILS
    return disclosure_to(address, contact, office.disclosure)


def compose_automatic(
    order: AutomaticOrder, *, office: Office, thread: Thread | None, contact: Contact | None, one: Stamp
) -> Rendered:
    """The mail of an order. The name of the recipient is not in it, nor anything else that came by mail.

    ``thread`` and ``contact`` are those that the order names. Raises ComposeError.
    """
    if not order.kind.automatic:
        raise ComposeError(f"A {order.kind.value} mail is never sent automatically.")
    if contact is None and order.kind in (
        MailKind.VERDICT_REPORT,
        MailKind.ATTACHMENT_HELD,
        MailKind.CODE_ANSWER,
    ):
        raise ComposeError(f"A {order.kind.value} mail goes to a known contact only.")
    if contact is not None and contact.address.lower() != order.address.lower():
        raise ComposeError("The order's address is not that of its contact.")
    if thread is None and order.kind is MailKind.ACKNOWLEDGEMENT:
        raise ComposeError("An acknowledgement needs the inquiry that was opened.")
    if order.kind is MailKind.DELIVERY_STATUS:
        sender = office.letterhead.sender
        return status_notification(order, sender, office.hostname or sender.domain, one)
    language = contact.language if contact is not None else "en"
    contact_id = contact.id if contact is not None else None
    letterhead = office.letterhead
    reply_to = office.reply_address(thread.id, contact_id) if thread is not None else letterhead.ask_address
    if order.kind is MailKind.ALERT:  # an expert's answer to it must not become a customer's question
        reply_to = letterhead.sender.address
    draft = Draft(
        kind=order.kind,
        recipient=Recipient(order.address, contact_id=contact_id),
        thread_id=None if thread is None else thread.id,
        tag="" if thread is None else thread.reference,
        reply_to=reply_to,
        # Without a thread nobody waits for the bounce: the empty path, which no robot answers (RFC 3834 3.3).
        mail_from="" if thread is None else reply_to,
        variables=_facts(order, letterhead, thread),
        language=language,
        in_reply_to=order.in_reply_to,
        references=_chain(office, thread, () if order.in_reply_to is None else (order.in_reply_to,)),
        code=None if contact is None else _code(office, one),
        disclosure=LONG_ALERT
        if tells_names(order)
        else _disclosure(order.kind, office, order.address, contact),
    )
    return render(draft, office.templates.get(order.kind, language), letterhead, one)


def _facts(order: AutomaticOrder, letterhead: Letterhead, thread: Thread | None) -> Mapping[str, Value]:
    try:
        if order.kind is MailKind.REMINDER:
            return reminder_facts(order.params, thread)
        if order.kind is MailKind.VERDICT_REPORT:
            return {
                "examined": examined_in(order.params),
                "findings": findings_of(order.params),
                "codes": codes_in_order(order.params),
            }
        if order.kind is MailKind.CODE_ANSWER:
            return answer_facts(order.params)
        if order.kind is MailKind.ALERT:
            facts = alert_facts(order.params)
            return {"news": facts.news, "events": facts.lines, "more": facts.more}
    except OrderError as error:
        raise ComposeError(str(error)) from error
    if order.params:
        raise ComposeError(f"A {order.kind.value} mail states no facts.")
    if order.kind is MailKind.ATTACHMENT_HELD:
        if not letterhead.submission_channel:
            raise ComposeError("No way for such files is named in the settings any more.")
        return {"channel": letterhead.submission_channel}
    return {}
