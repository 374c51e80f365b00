"""The record's values: who the customers are, what is being talked about, and what became of each message.

Times are aware datetimes in UTC. Ids of organisations, contacts, threads and timeline entries are the
database's integers; a message's id is the text that the SMTP edge gave it (and said in its 250).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ContactKind(StrEnum):
    """What a contact is there for."""

    INCIDENT_NOTIFICATION = "incident-notification"
    SERVICE_REVIEW = "service-review"


class ThreadKind(StrEnum):
    """What a conversation is about: an incident, a question to the experts, or the service itself."""

    INCIDENT = "incident"
    INQUIRY = "inquiry"
    SERVICE = "service"


class State(StrEnum):
    """Where a thread stands, in the service's own words."""

    ACTIVE = "Active"
    IN_PROGRESS = "In progress"
    AWAITING_CUSTOMER = "Awaiting customer action"
    RESOLVED = "Resolved"


class Severity(StrEnum):
    """How bad an incident is."""

    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"
    INFORMATIONAL = "Informational"


class Assignee(StrEnum):
    """Who has the next move."""

    DEFENDER_EXPERTS = "Defender Experts"
    CUSTOMER = "Customer"
    UNASSIGNED = "Unassigned"


class EntryKind(StrEnum):
    """What a timeline entry is."""

    MAIL_IN = "mail-in"
    MAIL_OUT = "mail-out"
    STATE = "state"
    NOTE = "note"


class Mark(StrEnum):
    """Whose words a timeline entry holds, and how far that is proven."""

    VERIFIED = "verified"  # an authenticated, aligned contact
    NOT_LISTED = "not listed"  # authenticated, from a verified domain of that organisation, but no contact
    UNVERIFIED = "unverified"  # released by an expert; a release proves nothing
    EXPERT = "expert"
    AUTOMATION = "automation"


class MessageKind(StrEnum):
    """What a message is, apart from who sent it."""

    HUMAN = "human"
    AUTO_REPLY = "auto-reply"
    BOUNCE = "bounce"
    DELAY = "delay"
    DELIVERED = "delivered"
    DISPOSITION = "disposition"
    FEEDBACK_REPORT = "feedback-report"
    UNSUBSCRIBE = "unsubscribe"
    CALENDAR = "calendar"


class Disposition(StrEnum):
    """What became of an accepted copy."""

    FILED = "filed"  # on a thread's timeline
    HELD = "held"  # an expert has to decide; a thread may already be known
    TRIAGE = "triage"  # nothing known about it: a stranger
    ANSWERED = "answered"  # the verify mailbox: a verdict report was ordered, no thread is concerned
    DISCARDED = "discarded"  # an expert put a held copy aside; row and bytes stay


class Direction(StrEnum):
    """Whether a Message-ID was ours or came in."""

    IN = "in"
    OUT = "out"


class MatchRule(StrEnum):
    """How a thread was recognised."""

    REPLY_ADDRESS = "reply-address"
    REFERENCES = "references"
    SUBJECT_TAG = "subject-tag"
    CONFLICT = "conflict"  # proofs name different threads: nothing is guessed
    NONE = "none"


class StandingKind(StrEnum):
    """Who the author is to the thread."""

    CONTACT = "contact"
    LISTED_DOMAIN = "listed-domain"
    UNKNOWN = "unknown"
    UNAUTHENTICATED = "unauthenticated"


class Strength(StrEnum):
    """How the author was authenticated: a signature, only the sending host's address, or not at all."""

    STRONG = "strong"
    WEAK = "weak"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Organisation:
    """A customer."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class OrganisationDomain:
    """A mail domain of an organisation: lower case, A-labels; only a ``verified`` one lets its users speak."""

    organisation_id: int
    domain: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or a team mailbox; ``address`` as it was entered. May be outside the organisation."""

    id: int
    organisation_id: int
    address: str
    name: str
    kind: ContactKind
    language: str = "en"
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation with one organisation; ``reference`` is what people see, such as INC-000001."""

    id: int
    kind: ThreadKind
    reference: str
    title: str
    state: State
    severity: Severity | None
    assigned_to: Assignee
    organisation_id: int
    opened_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened on a thread. ``copy_id`` names the stored message, ``message_id`` its header field."""

    id: int
    thread_id: int
    at: datetime
    kind: EntryKind
    actor: str
    mark: Mark
    text: str
    quoted: str = ""
    message_id: str | None = None
    copy_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyToken:
    """What one of our reply addresses says; ``contact_id`` is None for an address made for no one person."""

    thread_id: int
    contact_id: int | None


@dataclass(frozen=True, slots=True)
class ThreadKeys:
    """What a message carries that may name its thread. Message-IDs without angle brackets, capped.

    ``in_reply_to`` and ``references`` in the order of the fields; ``tags`` are references such as
    INC-000001 from the subject, upper case.
    """

    reply: ReplyToken | None = None
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def message_ids(self) -> tuple[str, ...]:
        """All Message-IDs referred to, each once."""
        return tuple(dict.fromkeys(self.in_reply_to + self.references))


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A Message-ID on record: the thread it stands on, and whether we sent it."""

    thread_id: int
    direction: Direction


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the record knows about the keys and the author of one message."""

    threads: Mapping[int, Thread]  # every thread that any key names
    known: Mapping[str, tuple[KnownMessage, ...]]  # by Message-ID
    tagged: Mapping[str, int]  # subject tag -> thread id
    contacts: tuple[Contact, ...] = ()  # contacts with the author's address, of any organisation
    domain_organisations: tuple[int, ...] = ()  # organisations with the author's domain verified

    def thread(self, thread_id: int | None) -> Thread | None:
        """The thread with that id, if any key named it and it exists."""
        return None if thread_id is None else self.threads.get(thread_id)


@dataclass(frozen=True, slots=True)
class Signal:
    """One key that named a thread: by which rule, the key itself, and whether we sent that message."""

    rule: MatchRule
    key: str
    thread_id: int
    direction: Direction | None = None


@dataclass(frozen=True, slots=True)
class ThreadMatch:
    """Which thread a message belongs to, and why; a conflict names none."""

    thread_id: int | None
    rule: MatchRule
    reason: str
    signals: tuple[Signal, ...] = ()

    @property
    def conflict(self) -> bool:
        """Whether proofs name different threads, so that a person must choose."""
        return self.rule is MatchRule.CONFLICT


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether the author may speak on the thread (or, without a thread, for an organisation), and why.

    ``organisation_id`` is None when the author stands for several organisations and no thread decides.
    """

    kind: StandingKind
    reason: str
    contact_id: int | None = None
    organisation_id: int | None = None
    strength: Strength = Strength.NONE

    @property
    def may_speak(self) -> bool:
        """Whether the message may be filed without an expert's decision."""
        return self.kind in (StandingKind.CONTACT, StandingKind.LISTED_DOMAIN)

    @property
    def mark(self) -> Mark:
        """How the timeline shows this author's words."""
        if self.kind is StandingKind.CONTACT:
            return Mark.VERIFIED
        return Mark.NOT_LISTED if self.kind is StandingKind.LISTED_DOMAIN else Mark.UNVERIFIED


@dataclass(frozen=True, slots=True)
class Arrival:
    """An accepted copy as it came: bytes, envelope, session, and what the verifier said of it.

    ``sha256`` is the hex digest of ``raw``; ``rcpt_to`` is this copy's one recipient; ``author`` the
    strictly read author address; ``report`` and ``evidence`` are JSON text; ``settings_hash`` names the
    identities and routes that were in force, ``evaluator`` the version that judged.
    """

    id: str
    raw: bytes
    sha256: str
    mail_from: str
    rcpt_to: str
    received_at: datetime
    client_ip: str
    helo: str
    tls: str | None
    message_id: str | None
    subject: str
    author: str | None
    kind: MessageKind
    verdict: str
    report: str
    evidence: str
    evaluator: str
    settings_hash: str
    trace: str = ""  # our own trace fields, which stand above the raw bytes wherever both are shown


@dataclass(frozen=True, slots=True)
class Filing:
    """What to do with an arrival. ``text`` and ``quoted`` are what the timeline shows of it once filed."""

    disposition: Disposition
    reason: str
    standing: Standing
    match: ThreadMatch
    thread_id: int | None = None  # the thread to file on; for a held copy the one it seems to belong to
    text: str = ""
    quoted: str = ""


class Outcome(StrEnum):
    """What storing an arrival did."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # the same copy is on record already, nothing changed
    REFILED = "refiled"  # the same bytes came before with a worse standing; this one decides


@dataclass(frozen=True, slots=True)
class StoredCopy:
    """A copy on record. ``id`` is the id of the first arrival of these bytes with this envelope."""

    id: str
    sha256: str
    mail_from: str
    rcpt_to: str
    received_at: datetime
    client_ip: str
    helo: str
    tls: str | None
    message_id: str | None
    subject: str
    author: str | None
    kind: MessageKind
    verdict: str
    disposition: Disposition
    reason: str
    thread_id: int | None
    rule: MatchRule
    match_reason: str
    standing: StandingKind
    standing_reason: str
    contact_id: int | None
    released_at: datetime | None = None
    released_by: str | None = None
    discarded_at: datetime | None = None
    discarded_by: str | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class HeldItem:
    """A held or triage copy as an expert sees it."""

    copy: StoredCopy
    thread_reference: str | None
    organisation: str | None
    text: str
    size: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a copy was judged at one time: JSON text of evidence and report, and what decided them."""

    copy_id: str
    at: datetime
    verdict: str
    report: str
    evidence: str
    evaluator: str
    settings_hash: str
    client_ip: str
    helo: str
    mail_from: str
    rcpt_to: str
