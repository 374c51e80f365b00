"""What became known of a mail of ours after it was sent: a bounce, an absence, a receipt, a complaint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from outbound.model import MailKind
from threads.machine_mail import sentence
from threads.model import MessageKind


@dataclass(frozen=True, slots=True)
class Notice:
    """The mail of ours that a machine's mail is about, as far as it can be told for certain."""

    outgoing_id: int
    kind: MailKind
    contact_id: int | None
    rcpt_to: str


@dataclass(frozen=True, slots=True)
class MailEvent:
    """One event. ``outgoing_id`` is None where several mails of ours may be meant.

    ``copy_id`` is the machine's mail as it was stored; ``recipient``, ``status`` (RFC 3463), ``action`` and ``diagnostic``
    are its words.
    """

    kind: MessageKind
    at: datetime
    copy_id: str
    thread_id: int
    contact_id: int | None
    outgoing_id: int | None
    recipient: str | None
    status: str | None
    action: str | None
    diagnostic: str | None

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        return sentence(self.kind, self.recipient, self.status or self.action, self.diagnostic)


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A bounce of a mail that an expert wrote: who has to know of it, and what they have to know."""

    event_id: int
    event: MailEvent
    notice: Notice
    reference: str  # of the thread
    subject: str  # of our mail
    actor: str  # the expert who sent it
