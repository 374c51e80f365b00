"""What came in and what became of it.

Times are aware datetimes in UTC. A message's id is the text that the SMTP edge gave it (and said in its 250).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from threads.model.matching import MatchRule, Standing, StandingKind, ThreadMatch


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
    RELAYED = "relayed"  # to its next hop: at once, and then no copy is kept, or after it was held
    DISCARDED = "discarded"  # an expert put a held copy aside; row and bytes stay


class Outcome(StrEnum):
    """What storing an arrival did."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # the same copy is on record already, nothing changed
    REFILED = "refiled"  # the same bytes came before with a worse standing; this one decides


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
    """What to do with an arrival. ``text`` and ``quoted`` are what the timeline shows of it once filed.

    ``own_ids`` are Message-IDs that it had before, ``ancestors`` those that it refers to and nobody ever saw: once it is
    filed, both let later mail find its thread. ``event`` is what a machine's mail tells: its entry is no message of anybody's.
    """

    disposition: Disposition
    reason: str
    standing: Standing
    match: ThreadMatch
    thread_id: int | None = None  # the thread to file on; for a held copy the one it seems to belong to
    text: str = ""
    quoted: str = ""
    own_ids: tuple[str, ...] = ()
    ancestors: tuple[str, ...] = ()
    event: str | None = None


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
