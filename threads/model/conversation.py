"""Who the customers are and what is being talked about: contacts, threads and their timelines.

Times are aware datetimes in UTC, ids the database's integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class ContactKind(StrEnum):
    """What a contact is there for."""

    INCIDENT_NOTIFICATION = "incident-notification"
    SERVICE_REVIEW = "service-review"


class ContactForm(StrEnum):
    """Who reads a contact's mail."""

    PERSON = "person"
    TEAM = "team"


class Tlp(StrEnum):
    """How far what experts write may go (FIRST, Traffic Light Protocol 2.0), the strictest first."""

    RED = "RED"
    AMBER_STRICT = "AMBER+STRICT"
    AMBER = "AMBER"
    GREEN = "GREEN"
    CLEAR = "CLEAR"


class ThreadKind(StrEnum):
    """What a conversation is about: an incident, a question to the experts, or the service itself."""

    INCIDENT = "incident"
    INQUIRY = "inquiry"
    SERVICE = "service"


class AskedBy(StrEnum):
    """The channel that a question to the experts came by, and its answers go by."""

    MAIL = "mail"
    API = "api"  # a program's, such as the portal's
    CONSOLE = "console"  # an expert wrote down what a customer asked


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


class Classification(StrEnum):
    """What an incident turned out to be."""

    TRUE_POSITIVE = "True positive"
    FALSE_POSITIVE = "False positive"
    EXPECTED_ACTIVITY = "Informational, expected activity"


class Assignee(StrEnum):
    """Who has the next move."""

    DEFENDER_EXPERTS = "Defender Experts"
    CUSTOMER = "Customer"
    UNASSIGNED = "Unassigned"


class EntryKind(StrEnum):
    """What a timeline entry is."""

    MAIL_IN = "mail-in"
    MAIL_OUT = "mail-out"
    CHAT = "chat"
    STATE = "state"
    CALL = "call"
    NOTE = "note"
    EVENT = "mail-event"  # a machine's mail about a mail of ours: a bounce, an absence, a receipt


class ActorKind(StrEnum):
    """Who acted or spoke, whatever the name."""

    EXPERT = "expert"
    VIRTUAL_ASSISTANT = "virtual assistant"
    AUTOMATION = "automation"
    CUSTOMER = "customer"


class Mark(StrEnum):
    """Whose words a timeline entry holds, and how far that is proven."""

    VERIFIED = "verified"  # an authenticated, aligned contact
    NOT_LISTED = "not listed"  # authenticated, from a verified domain of that organisation, but no contact
    PORTAL = "portal"  # a customer's words in the portal's chat or in Teams, which have signed their author in
    UNVERIFIED = "unverified"  # released by an expert; a release proves nothing
    REPORTED = "reported"  # a customer's words in a chat or a call, written down by an expert
    EXPERT = "expert"
    ASSISTANT = "assistant"  # the virtual assistant
    AUTOMATION = "automation"

    @property
    def actor_kind(self) -> ActorKind:
        """Who speaks in an entry with this mark."""
        return _SPEAKERS.get(self, ActorKind.CUSTOMER)


_SPEAKERS: Final = {
    Mark.EXPERT: ActorKind.EXPERT,
    Mark.ASSISTANT: ActorKind.VIRTUAL_ASSISTANT,
    Mark.AUTOMATION: ActorKind.AUTOMATION,
}


class Direction(StrEnum):
    """What a Message-ID on record is to a thread. Three letters each: the column holds no more."""

    IN = "in"  # of a mail that came in
    OUT = "out"  # of a mail of ours
    HOP = "hop"  # by which our own smarthost passed a mail of ours on, having replaced the one we wrote
    REF = "ref"  # named as an ancestor by a mail on the thread; we never saw its message
    MOVED = "mov"  # an expert moved the message here
    WAS = "was"  # it stood here until an expert moved it


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided about an organisation, which holds until somebody ends it."""

    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Organisation:
    """A customer.

    ``untrusted`` says that an intruder may read and write its mail: it is held, and what goes to it says nothing.
    ``legal_hold`` keeps all of it from being erased. ``retention_days`` is how long the content of a resolved thread is
    kept; None: without an end.
    """

    id: int
    name: str
    untrusted: Decision | None = None
    legal_hold: Decision | None = None
    retention_days: int | None = None


@dataclass(frozen=True, slots=True)
class OrganisationDomain:
    """A mail domain of an organisation: lower case, A-labels; only a ``verified`` one lets its users speak.

    Who verified it and when is None for one that is not, and for those verified before that was recorded.
    """

    organisation_id: int
    domain: str
    verified: bool
    verified_by: str | None = None
    verified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Permission:
    """What was allowed, since when, and which expert recorded it."""

    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or a team mailbox; ``address`` as it was entered. ``external``: outside the organisation, such as an MSSP's.

    ``tlp`` says how far details may go to it by mail; None: as the settings say. ``details_allowed``: it agreed to get them
    whatever the way, since when and on whose word. ``reads_chat``: it reads the portal's chat, and gets no mail of what is said there.
    ``call_order``: who is telephoned first, the lowest; None: after those who have one. ``time_zone``: an IANA name; None: unknown.
    """

    id: int
    organisation_id: int
    address: str
    name: str
    kind: ContactKind
    language: str = "en"
    phone: str | None = None
    form: ContactForm = ContactForm.PERSON
    external: bool = False
    tlp: Tlp | None = None
    details_allowed: Permission | None = None
    reads_chat: bool = False
    call_order: int | None = None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation with one organisation; ``reference`` is what people see, such as INC-000001.

    ``merged_into`` is the thread that goes on for this one, never one that was merged itself. ``about_id`` is the incident
    that an inquiry is about. ``emptied_at`` is when its content was removed, if it was. ``asked_by`` is the channel that an
    inquiry came by; None: of old ones, and of those that began with no customer's words.
    """

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
    merged_into: int | None = None
    classification: Classification | None = None
    about_id: int | None = None
    emptied_at: datetime | None = None
    asked_by: AskedBy | None = None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened on a thread. ``copy_id`` names the stored message, ``message_id`` its header field.

    ``verdict`` is that of the stored message, whoever has put it here.
    """

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
    verdict: str | None = None
