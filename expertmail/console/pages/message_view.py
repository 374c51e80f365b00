"""A message as somebody looks at it who wants to know whom to believe: marked header fields, and the hops it went. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from verifier.message import Message
from verifier.report import AuthResult, DkimResult

MAX_FIELDS: Final = 300
"""Header fields that are shown; a message has some dozens."""
MAX_VALUE: Final = 2_000
"""Characters of one."""
MAX_BODY: Final = 20_000
"""Octets of the body that are shown: what somebody wants to see of a source is its header."""
MAX_HOPS: Final = 60
_FROM: Final = re.compile(r"\bfrom\s+([^\s;()]+)", re.IGNORECASE)
_BY: Final = re.compile(r"\bby\s+([^\s;()]+)", re.IGNORECASE)
_ODD: Final = 60.0  # seconds that clocks may differ before it is told


@dataclass(frozen=True, slots=True)
class MarkedField:
    """A header field; ``by``: the domains whose signature holds and covers it, and whether that is worth anything as proof."""

    name: str
    value: str
    by: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Hop:
    """One Received field, the oldest first; ``seconds`` since the one before, None where a clock cannot be read."""

    sender: str
    receiver: str
    at: datetime | None
    seconds: float | None

    @property
    def odd(self) -> bool:
        """Whether its clock is behind the one before by more than clocks differ."""
        return self.seconds is not None and self.seconds < -_ODD


def marked_fields(message: Message, signatures: tuple[DkimResult, ...]) -> tuple[MarkedField, ...]:
    """The header fields from the top; of several of one name a signature covers the lowest ones (RFC 6376 5.4.2)."""
    holding = [one for one in signatures if one.result is AuthResult.PASS]
    left: dict[tuple[int, str], int] = {}
    for one in holding:
        for name in one.signed:
            left[one.position, name] = left.get((one.position, name), 0) + 1
    found: list[MarkedField] = []
    # All of them, before the first ones are shown: what stands above may repeat what a signature covers below.
    for field in reversed(message.fields):
        name = field.lower.decode("ascii", "replace")
        by = []
        for one in holding:
            key = (one.position, name)
            if left.get(key, 0) > 0:
                left[key] -= 1
                by.append((one.domain or "", one.aligned and one.acceptable))
        value = field.value[: MAX_VALUE * 4].decode("utf-8", "replace").strip()
        found.append(MarkedField(field.name[:MAX_VALUE].decode("utf-8", "replace"), _cut(value), tuple(by)))
    return tuple(reversed(found))[:MAX_FIELDS]


def hops(message: Message) -> tuple[Hop, ...]:
    """The way of the message by its own account, which anybody can write: from the sender to whoever saved it."""
    found: list[Hop] = []
    before: datetime | None = None
    for field in reversed(message.named(b"received")[:MAX_HOPS]):
        text = " ".join(field.value.decode("utf-8", "replace").split())
        said, _, date = text.rpartition(";")
        at = _time(date)
        seconds = None if at is None or before is None else (at - before).total_seconds()
        found.append(Hop(_name(_FROM, said or text), _name(_BY, said or text), at, seconds))
        before = at or before
    return tuple(found)


def body_beginning(message: Message) -> tuple[str, bool]:
    """The first octets of the body as text, and whether there is more."""
    body = message.raw[message.body_start : message.body_start + MAX_BODY]
    more = len(message.raw) - message.body_start > MAX_BODY
    return body.decode("utf-8", "replace").replace("\r\n", "\n"), more


def _name(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text[:MAX_VALUE])
    return found[1] if found else "?"


def _time(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        return None


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"
