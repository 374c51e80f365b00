"""What our own records say about a message: what we sent, which signatures came in before, which keys were seen.

Asked like DNS, by a check that yields a question, and kept with the evidence, so that a verdict can be reached again
without the records.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from verifier.canonical import BodyHashes, Canonicalization
from verifier.message import Field, Message
from verifier.report import AuthResult, DkimResult

SEEN_AGAIN_AFTER: Final = timedelta(hours=1)
"""A key's last date is moved on no oftener than this, so that a busy signer costs no write a message; a key was
published for up to so long after the date that is kept."""
MAX_ASKED: Final = 8  # of signatures and of bytes below one: as many as are looked at in one message
_RELAXED: Final = Canonicalization.RELAXED

# Fields that hops put above a message without changing it (RFC 5321 4.4, RFC 8601 4, RFC 8617 4.1), and those that
# delivery agents add. None of them is shown as the message's own words.
_TRACE: Final = frozenset(
    {
        b"received",
        b"return-path",
        b"received-spf",
        b"authentication-results",
        b"dkim-signature",
        b"delivered-to",
        b"envelope-to",
        b"x-original-to",
        b"x-envelope-from",
        b"x-envelope-to",
        b"x-received",
        b"arc-seal",
        b"arc-message-signature",
        b"arc-authentication-results",
    }
)


class RecordsQuestion(NamedTuple):
    """Asks our own records about one message; hashes are SHA-256 in hexadecimal digits.

    ``number`` tells messages apart (0 is the message itself, others are attached). ``sent`` are hashes of all octets
    from each signature down that has only trace fields above it, ``body`` of the body under "relaxed" (RFC 6376
    3.4.4), ``signatures`` of the values of b=; ``keys`` are names of keys that DNS does not hold.
    """

    number: int
    sent: tuple[str, ...] = ()
    body: str | None = None
    message_id: str | None = None
    signatures: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


class SentMail(NamedTuple):
    """A mail of ours that was sent: its hashes as above, and its fields that people see, by lower-case name."""

    sha256: str
    body: str
    message_id: str
    rcpt_to: str
    at: datetime
    fields: tuple[tuple[str, str], ...]


class SeenSignature(NamedTuple):
    """A signature (the hash of its b=) that came in at ``at`` for a recipient, the first time that it did."""

    signature: str
    rcpt_to: str
    at: datetime


class ArchivedKey(NamedTuple):
    """A key record that was published when we looked, from ``first`` to ``last``; ``name`` without final dot."""

    name: str
    record: str
    first: datetime
    last: datetime


class OwnRecords(NamedTuple):
    """The answer. ``asked`` is False where there were no records to ask."""

    sent: tuple[SentMail, ...] = ()
    seen: tuple[SeenSignature, ...] = ()
    keys: tuple[ArchivedKey, ...] = ()
    asked: bool = True


NO_RECORDS: Final = OwnRecords(asked=False)

# What people see of a mail, or answer to: compared field by field where the bytes are not the same.
SHOWN_FIELDS: Final = ("from", "to", "cc", "subject", "date", "reply-to", "message-id")


def shown_fields(message: Message) -> tuple[tuple[str, str], ...]:
    """The fields of a message that people see, unfolded, in the order of ``SHOWN_FIELDS``."""
    return tuple(
        (name, " ".join(field.value.decode("utf-8", "replace").split()))
        for name in SHOWN_FIELDS
        for field in message.named(name.encode())
    )


def body_hash(bodies: BodyHashes) -> str:
    """The body's hash in our records."""
    return bodies.get(_RELAXED).digest.hex()


def signature_hash(result: DkimResult) -> str:
    """The hash of a signature's value in our records: it stands for the very message that was signed."""
    return sha256(result.value).hexdigest()


def bytes_below_trace(message: Message) -> tuple[str, ...]:
    """Hashes of what stands from each DKIM-Signature down, as long as all above it are trace fields."""
    found: list[str] = []
    at = 0
    for field in message.fields:
        if field.lower not in _TRACE or len(found) == MAX_ASKED:
            break
        if field.lower == b"dkim-signature":
            # Where a line was left out as no field, the offsets do not hold; then the bytes are not ours either.
            found.append(sha256(memoryview(message.raw)[at:]).hexdigest())
        at += len(field.raw)
    return tuple(found)


def message_id_of(message: Message) -> str | None:
    """The one Message-ID without its angle brackets, or None."""
    fields: tuple[Field, ...] = message.named(b"message-id")
    if len(fields) != 1:
        return None
    text = fields[0].value.strip().decode("latin-1")
    return text[1:-1] if text.startswith("<") and text.endswith(">") else None


def question_about_sent(number: int, message: Message, bodies: BodyHashes) -> RecordsQuestion:
    """Asks whether we sent a message."""
    return RecordsQuestion(number, bytes_below_trace(message), body_hash(bodies), message_id_of(message))


def passing_signatures(dkim: Iterable[DkimResult]) -> tuple[str, ...]:
    """The hashes of signatures that hold."""
    return tuple([signature_hash(r) for r in dkim if r.result is AuthResult.PASS])[:MAX_ASKED]
