"""What comes back from a Teams channel: a message that mentions the experts, as an outgoing webhook sends it. Pure.

Teams signs the body with HMAC-SHA256 under a secret that both know, and sends only messages in which the webhook is mentioned. A
workflow that sends the same may do so in its place. What counts is a reply to a post of ours in which the experts are mentioned.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from threads.html_text import html_to_text

MAX_BODY: Final = 64 * 1024
"""Octets: Teams takes messages of 28 KB, and says them twice."""
MAX_NAME: Final = 200
SKEW: Final = timedelta(minutes=10)
"""How far a message's time may be off: older ones are somebody's recording."""
_POST: Final = re.compile(r";messageid=([^;]{1,200})\Z")
_AT: Final = re.compile(r"<at\b[^>]{0,200}>(.{0,200}?)</at>", re.IGNORECASE | re.DOTALL)
_ITSELF: Final = "text/html"
"""Each message comes along as an attachment of this type; that is no file."""


class ActivityError(ValueError):
    """A body that is no message of Teams; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Activity:
    """A message. ``post`` is the number of the post it answers, None where it begins one; ``files`` counts what hangs on it."""

    number: str
    post: str | None
    at: datetime | None
    author: str
    author_id: str
    text: str
    mentions: frozenset[str]
    files: int


def is_signed(field: str, body: bytes, secret: str) -> bool:
    """Whether an Authorization field ("HMAC …") is the secret's for a body. The secret is base64, as Teams shows it."""
    kind, _, said = field.partition(" ")
    try:
        key = base64.b64decode(secret, validate=True)
        given = base64.b64decode(said.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    made = hmac.new(key, body, hashlib.sha256).digest()
    return kind.lower() == "hmac" and hmac.compare_digest(made, given)


def secret_refusal(secret: str) -> str | None:
    """Why a text is no secret of an outgoing webhook, as a sentence; None if it is."""
    try:
        key = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < 16:  # noqa: PLR2004 -- 128 bits: nobody guesses it
        return "That is no security token of an outgoing webhook: base64 of at least 16 octets."
    return None


def read_activity(body: bytes) -> Activity:
    """Read a body; ActivityError for what is no message."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ActivityError("It is no JSON.") from error
    if not isinstance(found, dict) or found.get("type") != "message":
        raise ActivityError("It is no message.")
    number = _text(found, "id")
    if not number or len(number) > 200:  # noqa: PLR2004 -- its column
        raise ActivityError("It has no number.")
    author = found.get("from")
    conversation = found.get("conversation")
    if not isinstance(author, dict) or not isinstance(conversation, dict):
        raise ActivityError("It does not say who wrote it, and where.")
    marked = _text(found, "text")
    within = _POST.search(_text(conversation, "id"))
    reply_to = _text(found, "replyToId")
    post = within[1] if within else reply_to or None
    return Activity(
        number=number,
        post=None if post == number else post,
        at=_time(_text(found, "timestamp")),
        author=" ".join(_text(author, "name").split())[:MAX_NAME],
        author_id=(_text(author, "aadObjectId") or _text(author, "id"))[:MAX_NAME],
        text=_plain(marked),
        mentions=frozenset(map(_key, [*_AT.findall(marked), *_mentioned(found)])),
        files=_files(found),
    )


def why_not(activity: Activity, *, experts: str, known: bool, now: datetime) -> str | None:
    """Why a message does not count, as a sentence for whoever wrote it; None: it does.

    ``experts`` is the name by which the experts are mentioned, ``known`` whether it answers a post of ours.
    """
    if activity.at is not None and abs(now - activity.at) > SKEW:
        return "This message is too old to be passed on."
    if _key(experts) not in activity.mentions:
        return f"Mention {experts} to have a reply passed on."
    if not known:
        return "Only replies to the experts' own posts are passed on: reply below the post of the incident."
    if not activity.author:
        return "A message without its author's name is not passed on."
    return None


def _plain(marked: str) -> str:
    """The words without mentions and marks."""
    text = _AT.sub(" ", marked)
    if "<" in text:
        text = html_to_text(text)
    lines = [" ".join(line.split()) for line in html.unescape(text).splitlines()]
    return "\n".join(lines).strip()


def _mentioned(found: dict[str, Any]) -> list[str]:
    entities = found.get("entities")
    names = [
        _text(one["mentioned"], "name")
        for one in (entities if isinstance(entities, list) else ())
        if isinstance(one, dict) and one.get("type") == "mention" and isinstance(one.get("mentioned"), dict)
    ]
    return [one for one in names if one]


def _files(found: dict[str, Any]) -> int:
    hanging = found.get("attachments")
    if not isinstance(hanging, list):
        return 0
    return sum(not (isinstance(one, dict) and one.get("contentType") == _ITSELF) for one in hanging)


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _key(name: str) -> str:
    return " ".join(html.unescape(name).split()).casefold()


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
