"""What the room passes around: senders, drafts, frozen mail, orders, deliveries. Values only, no I/O.

The way of one mail: Draft -> Rendered (frozen bytes) -> Signed (a field prepended, nothing below it
changed) -> self-check -> Delivery -> Attempt. A retry sends the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from outbound.disclosure import NO_DETAILS, Disclosure
from outbound.mail_code import MailCode

Scalar = str | int | bool
"""A fact that automatic mail may state. Text is rendered defanged and never comes from the mail itself."""

Value = str | int | bool | datetime | tuple[str, ...] | tuple["Finding", ...] | tuple["FigureTable", ...]
"""A template variable as a caller gives it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one examined message, in facts: words of ours, and a domain that is shown defanged.

    ``verdict`` is a word of the contract, ``identity`` the configured name of the identity that the message
    claims to come from, ``reasons`` are stable codes.
    """

    verdict: str
    identity: str = ""
    author_domain: str = ""
    reasons: tuple[str, ...] = ()


class Unit(StrEnum):
    """What a figure counts in."""

    COUNT = "count"
    SECONDS = "seconds"


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A row: its name, for which a template has the words, and a figure for each column; None: there is nothing to tell."""

    name: str
    cells: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class FigureTable:
    """Figures of ours: names, for which a template has the words, and numbers. Nothing in it was written by anybody."""

    name: str
    columns: tuple[tuple[str, Unit], ...]
    rows: tuple[FigureRow, ...]


class MailKind(StrEnum):
    """What a mail is; each kind that we word is a template folder."""

    REQUEST_FOR_CONTEXT = "request-for-context"
    REPLY = "reply"
    MANAGED_RESPONSE = (
        "managed-response"  # published with steps that are pending, that are completed, or both
    )
    REMINDER = "reminder"  # an incident still awaits the customer's action
    MANUAL_DETECTION = (
        "manual-detection"  # found by experts outside the portal's incidents; a response is needed
    )
    REPLY_POSTED = "reply-posted"  # in an incident's chat, or to a question
    CONTACT_ADDED = "contact-added"
    TEST_NOTIFICATION = "test-notification"
    SERVICE_REVIEW = "service-review"  # from the service delivery manager
    PORTAL_NOTICE = "portal-notice"  # tells that there is news in the portal, and nothing of it
    ACKNOWLEDGEMENT = "acknowledgement"
    VERDICT_REPORT = "verdict-report"
    CODE_ANSWER = "code-answer"  # which mail of ours bears a code; to the contact on record for that mail
    ALERT = "alert"  # to experts: something waits for them
    ATTACHMENT_HELD = "attachment-held"  # to a known sender: files of this kind take another way
    DELIVERY_STATUS = "delivery-status"  # RFC 3464; its form is the standard's
    RELAYED = "relayed"  # somebody else's, on its way to a next hop

    @property
    def automatic(self) -> bool:
        """Whether no person stands behind the single mail (RFC 3834 2)."""
        return self in (
            MailKind.ACKNOWLEDGEMENT,
            MailKind.VERDICT_REPORT,
            MailKind.CODE_ANSWER,
            MailKind.ATTACHMENT_HELD,
            MailKind.ALERT,
            MailKind.REMINDER,
            MailKind.DELIVERY_STATUS,
        )

    @property
    def needs_thread(self) -> bool:
        """Whether a person can write it on a thread only: the others are about no incident and no question."""
        return self not in (MailKind.CONTACT_ADDED, MailKind.TEST_NOTIFICATION, MailKind.SERVICE_REVIEW)

    @property
    def templated(self) -> bool:
        """Whether a template words it."""
        return self not in (MailKind.DELIVERY_STATUS, MailKind.RELAYED)


class DeliveryState(StrEnum):
    """Where a mail stands on its way to its one recipient."""

    QUEUED = "queued"  # waits for its time
    LEASED = "leased"  # a worker is at it until the lease runs out
    DELIVERED = "delivered"  # the next server took it
    DEFERRED = "deferred"  # refused for now; will be tried again
    FAILED = "failed"  # refused for good by its next server, or cancelled
    EXPIRED = "expired"  # nobody took it in the days that it was tried
    BOUNCED = "bounced"  # the next server took it, and it came back
    SUPPRESSED = "suppressed"  # its recipient is on the list of addresses that get nothing
    AWAITING_APPROVAL = "unapproved"  # nobody approved what would be sent, or it was changed since
    WITHDRAWN = "withdrawn"  # a reminder that nobody needed any more when its turn came
    WITHHELD = "withheld"  # our own verifier does not call it genuine, so it was never sent
    UNREADABLE = "unreadable"  # its row in the database is damaged; set aside until a person has corrected it

    @property
    def undelivered(self) -> bool:
        """Whether it is certain that the recipient does not have it."""
        return self in (
            DeliveryState.FAILED,
            DeliveryState.EXPIRED,
            DeliveryState.BOUNCED,
            DeliveryState.SUPPRESSED,
            DeliveryState.WITHDRAWN,
        )

    @property
    def final(self) -> bool:
        """Whether nothing more happens unless a person asks for it."""
        return self not in (DeliveryState.QUEUED, DeliveryState.LEASED, DeliveryState.DEFERRED)


class OrderState(StrEnum):
    """Where an order for automatic mail stands."""

    ORDERED = "ordered"
    COMPOSED = "composed"  # its mail is in the queue (or withheld there)
    CAPPED = "capped"  # a daily cap was reached; never sent
    REFUSED = "refused"  # it could not be composed; the reason is kept


class OrderOutcome(StrEnum):
    """What became of ``order_automatic``."""

    ORDERED = "ordered"
    DUPLICATE = "duplicate"
    CAPPED = "capped"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who our mail is from. ``domain`` signs (DKIM d=) and must be the domain of ``address`` (RFC 7489 3.1.1)."""

    display_name: str
    address: str
    domain: str
    selector: str


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What every mail of ours carries.

    ``verify_address`` is the mailbox that tells whether a mail is ours, ``ask_address`` takes new questions,
    ``reply_domain`` is where HMAC reply addresses live, ``link_hosts`` are the only hosts a body may link to.
    ``submission_channel`` names the way for files that mail is not the way for; empty: there is none. ``phone`` is the
    number that customers know; empty: none is told.
    """

    sender: Sender
    service_name: str
    verify_address: str
    ask_address: str
    reply_domain: str
    link_hosts: frozenset[str] = frozenset()
    submission_channel: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person or team mailbox. ``contact_id`` is None only for an address that is no contact."""

    address: str
    display_name: str = ""
    contact_id: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """One mail to one recipient, before rendering. ``tag`` is the thread's reference (INC-000001) or "".

    ``in_reply_to`` and ``references`` hold Message-IDs without angle brackets. ``disclosure`` says whether it may hold what
    its writer wrote.
    """

    kind: MailKind
    recipient: Recipient
    thread_id: int | None
    tag: str
    reply_to: str
    mail_from: str
    variables: Mapping[str, Value]
    language: str = "en"
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    code: MailCode | None = None
    disclosure: Disclosure = NO_DETAILS


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes a rendering unique and repeatable: Message-ID with its brackets, Date (aware), boundary seed."""

    message_id: str
    date: datetime
    boundary_seed: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A frozen mail: ``raw`` are its unsigned bytes (CRLF, 7-bit), the rest is its envelope and origin.

    ``said`` is what the mail says without greeting and small print: the timeline shows it, and below it what was left out
    of the mail, so that the record has it. ``mail_from`` is "" for the empty reverse path (RFC 5321 4.5.5).
    """

    raw: bytes
    message_id: str
    mail_from: str
    rcpt_to: str
    subject: str
    said: str
    kind: MailKind
    template_version: int
    language: str
    thread_id: int | None
    contact_id: int | None
    created: datetime
    code_key: str | None = None  # the keyed hash that the code in it is found by
    disclosure: Disclosure = NO_DETAILS


@dataclass(frozen=True, slots=True)
class Signed:
    """A rendered mail with DKIM-Signature fields prepended: ``raw`` ends with ``rendered.raw``, byte for byte."""

    raw: bytes
    rendered: Rendered
    selector: str


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What our own verifier says of our own mail. ``reason`` names the record that is wrong, or is empty.

    ``temporary``: DNS did not answer; ask again later.
    """

    genuine: bool
    verdict: str
    reason: str = ""
    temporary: bool = False

    @property
    def withheld(self) -> bool:
        """Whether the mail stays here until a person has repaired what ``reason`` names."""
        return not (self.genuine or self.temporary)


@dataclass(frozen=True, slots=True)
class AutomaticOrder:
    """Asks for one automatic mail. Ordered inside the intake transaction, composed later by the worker.

    Made by ``outbound.orders``, whose functions let no text of the sender in. ``address`` is the
    authenticated, aligned author, never a Reply-To. ``in_reply_to`` is the Message-ID that is answered
    (without angle brackets); it is left out of the mail if it is not a plain one.
    """

    kind: MailKind
    thread_id: int | None
    contact_id: int | None
    address: str
    idempotency_key: str
    ordered_at: datetime
    params: Mapping[str, Scalar] = field(default_factory=lambda: MappingProxyType({}))
    in_reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class AutomaticCaps:
    """How much automatic mail one UTC day may hold: a loop or a flood must not make us a mail source."""

    per_address: int = 10
    per_domain: int = 200


@dataclass(frozen=True, slots=True)
class LeasedOrder:
    """An order that this worker may compose until its lease runs out."""

    order_id: int
    order: AutomaticOrder


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One line of ``outbox orders``, in the words that are stored: a damaged order has to be shown, too."""

    order_id: int
    kind: str
    thread_id: int | None
    address: str
    ordered: datetime | None
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An order or a mail whose row does not say what such a row says; ``fault`` names the kind of error."""

    number: int
    fault: str

    @property
    def reason(self) -> str:
        """One line for a person."""
        return f"its row in the database cannot be read ({self.fault})"


# First digits of a reply code (RFC 5321 4.2.1).
_ACCEPTED = 2
_FOR_NOW = 4
_PERMANENT = 5


@dataclass(frozen=True, slots=True)
class Reply:
    """What the next server said. ``code`` is 0 where there was no answer; ``text`` is for people."""

    code: int
    text: str

    @property
    def permanent(self) -> bool:
        """Whether the answer is final (RFC 5321 4.2.1)."""
        return self.code // 100 == _PERMANENT

    @property
    def for_now(self) -> bool:
        """Whether the same may be taken later (RFC 5321 4.2.1)."""
        return self.code // 100 == _FOR_NOW

    @property
    def accepted(self) -> bool:
        """Whether the mail was taken (RFC 5321 4.2.1)."""
        return self.code // 100 == _ACCEPTED


class Failure(StrEnum):
    """Why an attempt did not deliver."""

    REFUSED_FOR_NOW = "refused-for-now"  # 4xx (RFC 5321 4.2.1)
    REFUSED = "refused"  # 5xx
    CONNECTION = "connection"  # no connection, or it broke
    TIMEOUT = "timeout"
    DNS = "dns"  # the next server could not be looked up
    NO_MAIL = "no-mail"  # null MX (RFC 7505), or a domain that does not exist
    PROTOCOL = "protocol"  # it speaks no SMTP that we understand
    LOCAL = "local"  # our own disk or settings


class TlsLevel(StrEnum):
    """What protected a dialogue."""

    NONE = "none"
    ENCRYPTED = "encrypted"  # with whom is not known: the certificate was not checked
    VERIFIED = "verified"  # with the holder of a certificate for the server's name


@dataclass(frozen=True, slots=True)
class Protection:
    """How a dialogue was protected; ``version`` and ``cipher`` in the words of TLS, empty where not known."""

    level: TlsLevel = TlsLevel.NONE
    version: str = ""
    cipher: str = ""


PLAINTEXT = Protection()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at handing over a mail: when, to which host, and what came of it. No failure means delivered.

    ``transcript`` is the dialogue line by line without the message and without secrets. ``in_doubt``: the message was
    sent to its end and no answer came, so that the server may have it (RFC 5321 6.1).
    """

    started: datetime
    finished: datetime
    host: str
    reply: Reply
    failure: Failure | None = None
    tls: bool = False
    protection: Protection = PLAINTEXT
    transcript: str = ""
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A leased delivery with what is needed to send it: the same bytes and envelope each time.

    ``attempts`` counts tries, this one included. ``checked`` is False when the self-check must run (again) first.
    ``next_hop`` is where relayed mail goes, in the words of its queueing; None for mail of ours. ``suppressed``: its
    recipient gets no mail of ours. ``needs_tls``: it is handed over under TLS with a certificate for the server's name, or
    not at all. ``unapproved`` says why its approval does not cover it; empty: it does.
    ``approved``: from when its approval lets it go; None for one that needs none. ``reminder``: whether it is needed is asked
    once more before it leaves.
    """

    outgoing_id: int
    raw: bytes
    message_id: str
    mail_from: str
    rcpt_to: str
    created: datetime
    attempts: int
    checked: bool
    next_hop: str | None = None
    suppressed: bool = False
    unapproved: str = ""
    needs_tls: bool = False
    approved: datetime | None = None
    reminder: bool = False

    @property
    def since(self) -> datetime:
        """From when it could be sent: what waited for a person is tried for as long as any other."""
        return self.created if self.approved is None else max(self.created, self.approved)


@dataclass(frozen=True, slots=True)
class RelayedMail:
    """A copy for one recipient that waits for its next hop. ``raw`` is final: each try sends these bytes.

    ``key`` is the same for the same copy. ``dsn_to`` is the return path, if it passed SPF at receipt and so may hear
    of a failure (RFC 5321 6.1), else None.
    """

    key: str
    raw: bytes
    mail_from: str
    rcpt_to: str
    next_hop: str
    dsn_to: str | None


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One line of ``outbox list``. A damaged row has a number, its state and the reason."""

    outgoing_id: int
    kind: MailKind | None
    thread_id: int | None
    rcpt_to: str
    subject: str
    message_id: str
    created: datetime | None
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    last_reply: str
    maybe_twice: bool = False  # a try ended without our knowing how, and another was made


@dataclass(frozen=True, slots=True)
class SuppressedAddress:
    """An address that gets no mail of ours: since when, why, and who put it on the list."""

    address: str
    since: datetime
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One mail in full: its line, its bytes and every attempt."""

    item: OutboxItem
    raw: bytes
    sha256: str
    mail_from: str
    said: str
    template_version: int
    language: str
    actor: str
    attempts: tuple[Attempt, ...]
    disclosure: str = ""  # why the details are in it or left out
    needs_tls: bool = False


@dataclass(frozen=True, slots=True)
class Queued:
    """What ``queue_outgoing`` did. ``duplicate`` means the idempotency key was known and nothing was added."""

    outgoing_id: int
    duplicate: bool
