"""Mail that machines send about mail of ours: what it tells, and which mails it names. Pure.

Reports on deliveries (RFC 3464), read receipts (RFC 8098), complaints (RFC 5965), absences and wishes to hear no more are
events on a thread, not words of somebody who takes part in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from threads.delivery_report import (
    MAX_REPORT,
    Bounce,
    address_in,
    field_groups,
    returned_message_id,
)
from threads.match import message_ids
from threads.model import MessageKind
from verifier.charset import to_text
from verifier.message import Message
from verifier.parts import Part, body_bytes

EVENTS: Final = frozenset(
    {
        MessageKind.AUTO_REPLY,
        MessageKind.BOUNCE,
        MessageKind.DELAY,
        MessageKind.DELIVERED,
        MessageKind.DISPOSITION,
        MessageKind.FEEDBACK_REPORT,
        MessageKind.UNSUBSCRIBE,
    }
)
"""Kinds that are events. An invitation is not: a person answers with it."""

_RECEIPT_TYPES: Final = ("message/disposition-notification", "message/global-disposition-notification")
_COMPLAINT_TYPES: Final = ("message/feedback-report",)
# A word of the sender's that is shown: an action, a disposition, a type of complaint.
_MAX_WORD: Final = 32

_SENTENCES: Final = {
    MessageKind.AUTO_REPLY: "An automatic reply came",
    MessageKind.BOUNCE: "Not delivered",
    MessageKind.DELAY: "Delivery is delayed",
    MessageKind.DELIVERED: "Delivered",
    MessageKind.DISPOSITION: "A receipt came",
    MessageKind.FEEDBACK_REPORT: "Our mail was complained of",
    MessageKind.UNSUBSCRIBE: "No more mail is wanted",
}


@dataclass(frozen=True, slots=True)
class MachineMail:
    """What an event's mail says: whom it is about, status (RFC 3463), a word, the remote's words, and the mails it names.

    ``others`` counts further recipients that failed. Message-IDs stand without angle brackets.
    """

    kind: MessageKind
    recipient: str | None = None
    status: str | None = None
    action: str | None = None
    diagnostic: str | None = None
    others: int = 0
    original_ids: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """For the timeline: what happened, to whom, and why as far as the machine tells."""
        whom = self.recipient
        if whom is not None and self.others:
            whom = f"{whom} and {self.others} more"
        return sentence(self.kind, whom, self.status or self.action, self.diagnostic)


def sentence(kind: MessageKind, whom: str | None, word: str | None, diagnostic: str | None) -> str:
    """An event for people: what happened, to whom, a status or word for it, and the remote's own words."""
    told = _SENTENCES[kind]
    if whom is not None:
        told += f": {whom}"
    if word is not None:
        told += f" ({word})"
    return told if diagnostic is None else f"{told}: {diagnostic}"


def machine_mail(
    message: Message, parts: tuple[Part, ...], kind: MessageKind, bounce: Bounce | None
) -> MachineMail | None:
    """What a message of that kind tells of mail of ours; None where it is no event."""
    if kind not in EVENTS:
        return None
    if bounce is not None:
        named = bounce.original_message_id
        return MachineMail(
            kind,
            bounce.recipient,
            bounce.status,
            bounce.action,
            bounce.diagnostic,
            max(0, sum(fate.failed for fate in bounce.recipients) - 1),
            () if named is None else (named,),
        )
    fields = _fields(message, parts)
    recipient = (
        fields.get("final-recipient") or fields.get("original-recipient") or fields.get("original-rcpt-to")
    )
    word = fields.get("disposition", "").rpartition(";")[2].strip() or fields.get("feedback-type", "").strip()
    named = returned_message_id(message, parts)
    return MachineMail(
        kind,
        None if recipient is None else address_in(recipient),
        action=word.lower()[:_MAX_WORD] or None,
        original_ids=(
            *message_ids(fields.get("original-message-id", "").encode()),
            *(() if named is None else (named,)),
        ),
    )


def _fields(message: Message, parts: tuple[Part, ...]) -> dict[str, str]:
    """The fields of a receipt (RFC 8098 3.1) or complaint (RFC 5965 3), by lower-case name."""
    fields: dict[str, str] = {}
    for part in parts:
        if part.content_type in _RECEIPT_TYPES or part.content_type in _COMPLAINT_TYPES:
            for group in field_groups(to_text(body_bytes(message, part, MAX_REPORT), part.charset)[0]):
                for name, value in group.items():  # merged in place: a report may hold thousands of groups
                    fields.setdefault(name, value)
            break
    return fields
