"""What our own records mean for a message: sent by us, replayed, or signed with a key that is gone. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from verifier.claims import named_addresses
from verifier.dkim_reason import Weakness
from verifier.message import Message
from verifier.own_records import (
    SEEN_AGAIN_AFTER,
    ArchivedKey,
    OwnRecords,
    RecordsQuestion,
    SeenSignature,
    SentMail,
    shown_fields,
    signature_hash,
)
from verifier.report import AuthResult, DkimResult

SPLIT_WITHIN: Final = timedelta(hours=1)
"""For so long the same message may come for further recipients: servers send it once for each, and try again."""
LONG_AGO: Final = timedelta(days=5)
"""After so long nobody's queue holds a message any more (RFC 5321 4.5.4.1), so that somebody kept it."""
MAX_ADDRESSEES: Final = 65_536  # octets of To and Cc in which our recipients are looked for


class Sameness(StrEnum):
    """How a message is like one that we sent."""

    IDENTICAL = "identical"  # octet for octet below the trace fields: it is that mail
    EQUAL_BODY = "equal-body"
    SAME_MESSAGE_ID = "same-message-id"


@dataclass(frozen=True, slots=True)
class SentMatch:
    """The mail of ours that a message is like, and what differs: names of fields that people see, and "body"."""

    sameness: Sameness
    mail: SentMail
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Replay:
    """A signature that came in before: its number, when, and whether it was for somebody else."""

    position: int
    first: datetime
    for_others: bool


@dataclass(frozen=True, slots=True)
class ArchivedProof:
    """Signature ``position`` holds by a key that is not published any more.

    ``recorded``: when this very signature came in while the key was published; None if it did not.
    """

    position: int
    key: ArchivedKey
    recorded: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecordFindings:
    """All that our own records say of one message."""

    sent: SentMatch | None = None
    replays: tuple[Replay, ...] = ()
    archived: ArchivedProof | None = None


NOTHING_FOUND: Final = RecordFindings()


def sent_match(message: Message, question: RecordsQuestion, records: OwnRecords) -> SentMatch | None:
    """The mail of ours that the message is, or is most like."""
    for mail in records.sent:
        if mail.sha256 in question.sent:
            return SentMatch(Sameness.IDENTICAL, mail)
    for mail in records.sent:
        if mail.body == question.body:
            return SentMatch(Sameness.EQUAL_BODY, mail, _differing(message, mail))
    for mail in records.sent:
        if mail.message_id == question.message_id:
            return SentMatch(Sameness.SAME_MESSAGE_ID, mail, ("body", *_differing(message, mail)))
    return None


def _differing(message: Message, mail: SentMail) -> tuple[str, ...]:
    here, there = shown_fields(message), mail.fields
    names = dict.fromkeys(name for name, _ in (*there, *here))
    return tuple(
        name
        for name in names
        if [value for key, value in here if key == name] != [value for key, value in there if key == name]
    )


def replays_in(
    message: Message, dkim: Iterable[DkimResult], rcpt_to: Iterable[str], at: datetime, records: OwnRecords
) -> tuple[Replay, ...]:
    """The signatures that hold and came in before, long ago or for somebody else.

    The same message may come once for each of its recipients, within ``SPLIT_WITHIN`` or if it names them in a To or
    Cc that the signature covers; and again for the same one, for a client that lost our reply sends again.
    """
    now_for = {address.lower() for address in rcpt_to}
    found: list[Replay] = []
    for result in dkim:
        seen = _seen_before(result, at, records) if result.result is AuthResult.PASS else []
        if not seen:
            continue
        first = min(one.at for one in seen)
        others = now_for - {one.rcpt_to.lower() for one in seen} - _addressees(message, result)
        if at - first > LONG_AGO or (others and at - first > SPLIT_WITHIN):
            found.append(Replay(result.position, first, bool(others)))
    return tuple(found)


def _seen_before(result: DkimResult, at: datetime, records: OwnRecords) -> list[SeenSignature]:
    known = signature_hash(result)
    return [one for one in records.seen if one.signature == known and one.at <= at]


def _addressees(message: Message, result: DkimResult) -> set[str]:
    """Whom the signed To and Cc fields name."""
    named: set[str] = set()
    for name in ("to", "cc"):
        if name in result.signed:
            for field in message.named(name.encode()):
                text = field.value[:MAX_ADDRESSEES].decode("utf-8", "replace")
                named.update(f"{local}@{domain}".lower() for local, domain in named_addresses(text))
    return named


def flagged(dkim: tuple[DkimResult, ...], replays: tuple[Replay, ...]) -> tuple[DkimResult, ...]:
    """The results with replayed signatures not acceptable."""
    if not replays:
        return dkim
    positions = {replay.position for replay in replays}
    return tuple(
        [
            r._replace(acceptable=False, weaknesses=(*r.weaknesses, Weakness.REPLAYED))
            if r.position in positions
            else r
            for r in dkim
        ]
    )


def recorded_under(key: ArchivedKey, result: DkimResult, records: OwnRecords) -> datetime | None:
    """When this very signature came in while its key was published, or None."""
    known, until = signature_hash(result), key.last + SEEN_AGAIN_AFTER
    times = [one.at for one in records.seen if one.signature == known and key.first <= one.at <= until]
    return min(times, default=None)
