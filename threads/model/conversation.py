"""Who the customers are and what is being talked about: contacts, threads and their timelines.

Times are aware datetimes in UTC, ids the database's integers.
"""

from __future__ import annotations

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


class Direction(StrEnum):
    """Whether a Message-ID was ours or came in."""

    IN = "in"
    OUT = "out"


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
    """A conversation with one organisation; ``reference`` is what people see, such as INC-000001.

    ``merged_into`` is the thread that goes on for this one, never one that was merged itself.
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
