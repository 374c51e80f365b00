"""Which thread a message belongs to, and whether its author may speak there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from threads.model.conversation import Contact, Direction, Mark, Thread


class MatchRule(StrEnum):
    """How a thread was recognised."""

    REPLY_ADDRESS = "reply-address"
    REFERENCES = "references"
    ANCESTOR = "shared-ancestor"  # it refers to a message that we never saw, as another one on record does
    SUBJECT_TAG = "subject-tag"
    CONFLICT = "conflict"  # proofs name different threads: nothing is guessed
    NONE = "none"


class SignalStrength(StrEnum):
    """How much a signal says."""

    PROOF = "proof"  # only who has a mail of ours can bring it, or an expert decided so
    RECORD = "record"  # it names a mail that came in and is on record
    HINT = "hint"  # anybody can write it


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
class ReplyToken:
    """What one of our reply addresses says; ``contact_id`` is None for an address made for no one person.

    ``made_on`` is the day (UTC) on which it was made, None for an address of the older form, which does not tell.
    """

    thread_id: int
    contact_id: int | None
    made_on: date | None = None


@dataclass(frozen=True, slots=True)
class ThreadKeys:
    """What a message carries that may name its thread. Message-IDs without angle brackets, capped.

    ``in_reply_to`` and ``references`` in the order of the fields; ``tags`` are references such as
    INC-000001 from the subject, upper case. ``own_ids`` are Message-IDs that the message itself had before a server
    on its way gave it another one.
    """

    reply: ReplyToken | None = None
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    own_ids: tuple[str, ...] = ()

    @property
    def message_ids(self) -> tuple[str, ...]:
        """All Message-IDs referred to, each once."""
        return tuple(dict.fromkeys(self.in_reply_to + self.references))


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A Message-ID on record: a thread, and what it is to that thread."""

    thread_id: int
    direction: Direction


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the record knows about the keys and the author of one message."""

    threads: Mapping[int, Thread]  # every thread that any key names; a merged one's number leads to its survivor
    known: Mapping[str, tuple[KnownMessage, ...]]  # by Message-ID
    tagged: Mapping[str, int]  # subject tag -> thread id
    contacts: tuple[Contact, ...] = ()  # contacts with the author's address, of any organisation
    domain_organisations: tuple[int, ...] = ()  # organisations with the author's domain verified
    above_organisations: tuple[int, ...] = ()  # organisations with the nearest verified domain above it, where it is none
    mailbox_contacts: tuple[Contact, ...] = ()  # contacts by another form of the author's address, where it is no contact
    untrusted: frozenset[int] = frozenset()  # organisations, the author's or the threads', whose mail is marked untrusted

    def thread(self, thread_id: int | None) -> Thread | None:
        """The thread with that id, if any key named it and it exists."""
        return None if thread_id is None else self.threads.get(thread_id)


class Signal(NamedTuple):
    """One key that named a thread: by which rule, the key itself, and how much it says.

    ``followed`` tells whether it led to the thread that was chosen; if not, ``note`` says why.
    A named tuple, since several are made for each answer and a frozen dataclass takes four times as long to make.
    """

    rule: MatchRule
    key: str
    thread_id: int
    direction: Direction | None = None
    strength: SignalStrength = SignalStrength.HINT
    followed: bool = False
    note: str = ""


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

    @property
    def proven(self) -> bool:
        """Whether it brings what only who has a mail of ours can bring, for this thread or one that an expert moved on to it.

        A Message-ID that an expert moved is none: it says where the conversation goes on, but its author made it up.
        """
        if self.thread_id is None:
            return False
        for signal in self.signals:
            if signal.strength is not SignalStrength.PROOF or signal.direction is Direction.MOVED:
                continue
            if signal.thread_id == self.thread_id or signal.rule is MatchRule.REPLY_ADDRESS:
                return True
        return False

    @property
    def addressed(self) -> int | None:
        """The thread whose reply address it came to, where that proves something.

        It is another one than ``thread_id`` where an expert moved the conversation on.
        """
        for signal in self.signals:
            if signal.rule is MatchRule.REPLY_ADDRESS and signal.strength is SignalStrength.PROOF:
                return signal.thread_id
        return None


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
class MatchRecord:
    """How it was decided where a stored message belongs and whether its author may speak there, as it is on record."""

    copy_id: str
    rule: str
    reason: str
    standing: str
    standing_reason: str
    signals: tuple[Signal, ...]
