"""What Amazon SES tells of sent mail by way of SNS: JSON in the text of a mail. Pure.

Its kinds are bounce, complaint, delivery and delay (SES: "Contents of Amazon SNS notifications", and of published events). Anybody
can write one: it says what a mail would be about, and is tied to a mail of ours by its Message-ID like any other report.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from threads.delivery_report import (
    MAX_DIAGNOSTIC,
    MAX_RECIPIENTS,
    MAX_REPORT,
    Bounce,
    RecipientFate,
    address_in,
    bounce_of,
)
from threads.failure_words import enhanced_status
from threads.match import message_ids
from threads.model import MessageKind
from verifier.charset import to_text
from verifier.message import Message

_AUTHOR: Final = re.compile(r"(?:^|<)[ \t]*no-reply@sns\.amazonaws\.com(?:>|[ \t]*$)", re.IGNORECASE)
# SES breaks lines that are too long for mail by "!", a line end and a blank, in the middle of words.
_BROKEN: Final = re.compile(r"!\r?\n ")
_JSON: Final = json.JSONDecoder(strict=False)
# Kind of the notice: what it is here, the member that tells of it, and the list of those concerned.
_KINDS: Final = {
    "bounce": (MessageKind.BOUNCE, "bounce", "bouncedRecipients"),
    "complaint": (MessageKind.FEEDBACK_REPORT, "complaint", "complainedRecipients"),
    "delivery": (MessageKind.DELIVERED, "delivery", "recipients"),
    "deliverydelay": (MessageKind.DELAY, "deliveryDelay", "delayedRecipients"),
}
_ACTIONS: Final = {
    MessageKind.BOUNCE: "failed",
    MessageKind.DELIVERED: "delivered",
    MessageKind.DELAY: "delayed",
}
# SES calls lasting failures permanent, others transient; both were given up (RFC 3463 X.0.0: no more is known).
_NO_STATUS: Final = {"permanent": "5.0.0", "transient": "4.0.0"}
_REGION: Final = re.compile(r"arn:aws[a-z-]{0,10}:ses:([a-z0-9-]{5,30}):", re.ASCII)
_FIRST_REGION: Final = "us-east-1"  # its domain has no name of a region
_MAX_WORD: Final = 200
_OWN_ID: Final = re.compile(r"[a-z0-9-]{1,100}", re.ASCII | re.IGNORECASE)
# JSON can hold line ends, controls and halves of characters: lines of their own in a timeline, and nothing that is stored.
_NO_TEXT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def read_notice(message: Message, text: str) -> tuple[MessageKind, Bounce] | None:
    """The kind of a notice and what it says; None where the mail is none, or names no recipient. Never raises."""
    if "otificationType" not in text and "ventType" not in text:
        return None
    authors = message.by_name.get(b"from")
    if not authors or _AUTHOR.search(to_text(authors[0].value[:1_000], None)[0].strip()) is None:
        return None
    notice = _object(text)
    if notice is not None and isinstance(notice.get("Message"), str):
        notice = _object(notice["Message"])  # wrapped in a notification of SNS
    if notice is None:
        return None
    named = _word(notice.get("notificationType")) or _word(notice.get("eventType"))
    known = _KINDS.get(named.replace(" ", "").lower())
    if known is None:
        return None
    kind, member, concerned = known
    told = _member(notice, member)
    fates = tuple(_fates(kind, told, told.get(concerned)))
    return (kind, bounce_of(fates, _original(_member(notice, "mail")))) if fates else None


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object at the beginning of a text; below it stand words for people."""
    joined = _BROKEN.sub("", text[:MAX_REPORT].lstrip())
    if not joined.startswith("{"):
        return None
    try:
        found, _ = _JSON.raw_decode(joined)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _fates(kind: MessageKind, told: dict[str, Any], concerned: object) -> list[RecipientFate]:
    given_up = _NO_STATUS.get(_word(told.get("bounceType")).lower())
    fates: list[RecipientFate] = []
    for one in concerned[:MAX_RECIPIENTS] if isinstance(concerned, list) else ():
        fields = one if isinstance(one, dict) else {"emailAddress": one}
        address = address_in(_word(fields.get("emailAddress")))
        if address is None:
            continue
        said = _word(fields.get("diagnosticCode"), MAX_DIAGNOSTIC) or _word(
            told.get("smtpResponse"), MAX_DIAGNOSTIC
        )
        said = re.sub(r"^\s{0,5}smtp\s{0,5};\s{0,5}", "", said, flags=re.IGNORECASE)
        if kind is MessageKind.FEEDBACK_REPORT:
            action = _word(told.get("complaintFeedbackType")).lower() or "complaint"
            fates.append(RecipientFate(address, action=action))
            continue
        status = enhanced_status(_word(fields.get("status"))) or enhanced_status(said) or given_up
        # The type of the bounce, not its word, says that it was given up.
        fates.append(RecipientFate(address, None, status, _ACTIONS[kind], said or None))
    return fates


def _original(mail: dict[str, Any]) -> str | None:
    """The Message-ID that we wrote where SES tells it, else the one that it gave the mail."""
    headers = mail.get("headers")
    for one in headers if isinstance(headers, list) else ():
        if isinstance(one, dict) and _word(one.get("name")).lower() == "message-id":
            found = message_ids(_word(one.get("value"), 1_000).encode("utf-8", "replace"))
            if found:
                return found[0]
    common = _word(_member(mail, "commonHeaders").get("messageId"), 1_000)
    found = message_ids(common.encode("utf-8", "replace"))
    if found and "@" in found[0]:
        return found[0]
    own = _word(mail.get("messageId"))
    if _OWN_ID.fullmatch(own) is None:
        return None
    region = _REGION.match(_word(mail.get("sourceArn")))
    place = "email" if region is None or region[1] == _FIRST_REGION else region[1]
    return f"{own}@{place}.amazonses.com"


def _member(notice: dict[str, Any], name: str) -> dict[str, Any]:
    found = notice.get(name)
    return found if isinstance(found, dict) else {}


def _word(value: object, most: int = _MAX_WORD) -> str:
    """A string of the notice on one line, without what no header field could hold."""
    return _NO_TEXT.sub(" ", value[:most]).strip() if isinstance(value, str) else ""
