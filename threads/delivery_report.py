"""What a delivery status notification says in its machine-readable part (RFC 3464, RFC 6533)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from threads.failure_words import enhanced_status
from threads.match import message_ids
from verifier.charset import to_text
from verifier.encoded_word import decode
from verifier.message import Message, read_message
from verifier.parts import Part, body_bytes

# Recipients of one report that are kept; a mail of ours goes to one.
MAX_RECIPIENTS = 100
# Bytes read of a report part, and of a returned header.
MAX_REPORT = 64 * 1024
# Characters of a remote server's words that are kept.
MAX_DIAGNOSTIC = 1_000
# Characters of one field; RFC 5322 2.1.1 has lines of 998, and some fields are folded.
_MAX_VALUE = 4_000

_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_RETURNED_TYPES = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
# A quoted local part may hold anything; the other parts of an address hold none of these marks.
_ADDRESS = re.compile(
    r"(?:\"[^\"\r\n]{1,64}\"|(?<![^\s<>\"'()\[\],;:])[^\s<>\"'()\[\],;:@](?:[^\s<>\"()\[\],;:@]{0,62}[^\s<>\"'()\[\],;:@])?)@[^\s<>\"'()\[\],;:@]{1,255}"
)
_TYPED = re.compile(r"\s*[A-Za-z0-9][A-Za-z0-9-]{0,30}\s*;")
_NAME = re.compile(r"[!-9;-~]{1,60}")
# RFC 6533 3: \x{1F408} is a character that the report's own encoding could not hold.
_CHARACTER = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_DELIVERED = frozenset({"delivered", "relayed", "expanded"})
_LAST_CHARACTER = 0x10FFFF


@dataclass(frozen=True, slots=True)
class RecipientFate:
    """What became of one recipient: the final address (else the original one), the original one, status, action word, the remote's words."""

    recipient: str | None
    original_recipient: str | None = None
    status: str | None = None
    action: str | None = None
    diagnostic: str | None = None

    @property
    def delivered(self) -> bool:
        """The report says that it arrived, or was handed on (RFC 3464 2.3.3)."""
        if self.action is None:
            return (self.status or "").startswith("2")
        return self.action in _DELIVERED

    @property
    def delayed(self) -> bool:
        """It is still being tried."""
        if self.action is None:
            return (self.status or "").startswith("4")
        return self.action == "delayed"

    @property
    def failed(self) -> bool:
        """It was given up; also what a reporter calls by a word of its own, such as "expired"."""
        return not self.delivered and not self.delayed


@dataclass(frozen=True, slots=True)
class Bounce:
    """A report on deliveries: its first failed recipient, else its first delayed one, else its first, and all of them.

    Address, enhanced status (RFC 3463), action word, our Message-ID without angle brackets, the remote's words.
    """

    recipient: str | None
    status: str | None
    action: str | None
    original_message_id: str | None
    diagnostic: str | None
    recipients: tuple[RecipientFate, ...] = ()


def bounce_of(fates: tuple[RecipientFate, ...], original_message_id: str | None) -> Bounce:
    """The report on these recipients; with none of them it names nobody."""
    first = fates[0] if fates else RecipientFate(None)
    late = next((fate for fate in fates if fate.delayed), first)
    chosen = next((fate for fate in fates if fate.failed), late)
    return Bounce(
        chosen.recipient,
        chosen.status,
        chosen.action,
        original_message_id,
        chosen.diagnostic,
        fates,
    )


def read_report(message: Message, parts: tuple[Part, ...]) -> Bounce | None:
    """What the message/delivery-status part says; None where there is none or it names no recipient."""
    status = next((part for part in parts if part.content_type in _STATUS_TYPES), None)
    if status is None:
        return None
    text, _ = to_text(body_bytes(message, status, MAX_REPORT), status.charset or "utf-8")
    fates = fates_in(text)
    return bounce_of(fates, returned_message_id(message, parts)) if fates else None


def fates_in(text: str) -> tuple[RecipientFate, ...]:
    """The per-recipient groups of fields (RFC 3464 2.3) in a text, each address once, as far as the cap."""
    found: dict[tuple[str | None, str | None], RecipientFate] = {}
    for group in field_groups(text):
        if "final-recipient" not in group and "original-recipient" not in group:
            continue
        fate = _fate(group)
        if fate.recipient is None:
            continue
        key = (fate.recipient, fate.original_recipient)
        # The same recipient twice: the one that says more is kept.
        if key not in found or (found[key].status is None and fate.status is not None):
            found[key] = fate
        if len(found) >= MAX_RECIPIENTS:
            break
    return tuple(found.values())


def with_status(fate: RecipientFate, status: str | None) -> RecipientFate:
    """The fate with a status that it did not have."""
    return fate if fate.status is not None or status is None else replace(fate, status=status)


def returned_message_id(message: Message, parts: tuple[Part, ...]) -> str | None:
    """The Message-ID of the mail that a report returns, whole or its header only (RFC 6522 3)."""
    for part in parts[1:]:
        if part.content_type in _RETURNED_TYPES:
            returned = read_message(body_bytes(message, part, MAX_REPORT))
            for field in returned.named(b"message-id")[:1]:
                found = message_ids(field.value)
                if found:
                    return found[0]
    return None


def address_in(text: str) -> str | None:
    """The first mail address in a text, a source route (RFC 5321 4.1.1.3) left out."""
    found = _ADDRESS.search(text[:_MAX_VALUE])
    return None if found is None else found.group().rstrip(".")


def addresses_in(text: str) -> list[re.Match[str]]:
    """Where mail addresses stand in a text."""
    return list(_ADDRESS.finditer(text))


def _fate(group: dict[str, str]) -> RecipientFate:
    diagnostic = _untyped(group.get("diagnostic-code"))
    original = _recipient(group.get("original-recipient"))
    action = group.get("action", "").strip().split(" ", 1)[0].strip("();,.").lower()
    return RecipientFate(
        _recipient(group.get("final-recipient")) or original,
        original,
        enhanced_status(group.get("status", "")) or enhanced_status(diagnostic or ""),
        action or None,
        diagnostic,
    )


def field_groups(text: str) -> list[dict[str, str]]:
    """Groups of fields by lower-case name, folded lines joined; the first of a name counts.

    A blank line ends a group (RFC 3464 2.1), and so does a second recipient: some reporters forget the line.
    """
    groups: list[dict[str, str]] = []
    fields: dict[str, str] = {}
    last: str | None = None
    for line in text[:MAX_REPORT].splitlines():
        if not line.strip():
            if fields:
                groups.append(fields)
            fields, last = {}, None
            continue
        if line[0] in " \t" and last is not None:
            if len(fields[last]) < _MAX_VALUE:
                fields[last] = f"{fields[last]} {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        last = None
        if not colon or _NAME.fullmatch(name) is None:
            continue
        if name == "final-recipient" and name in fields:
            groups.append(fields)
            fields = {}
        if name not in fields:
            fields[name] = value.strip()[:_MAX_VALUE]
            last = name
    if fields:
        groups.append(fields)
    return groups


def _untyped(value: str | None) -> str | None:
    """The text behind the type of an RFC 3464 2.1.2 typed field, such as "smtp; 550 no such user"."""
    if not value:
        return None
    kind = _TYPED.match(value)
    return decode((value if kind is None else value[kind.end() :]).strip())[:MAX_DIAGNOSTIC] or None


def _recipient(value: str | None) -> str | None:
    """An address; of a recipient of another kind, such as a pipe or a fax number, its text."""
    text = _untyped(value)
    if text is None:
        return None
    text = _CHARACTER.sub(_character, text)
    return address_in(text) or text.strip("<> ") or None


def _character(found: re.Match[str]) -> str:
    number = int(found.group(1), 16)
    plain = number <= _LAST_CHARACTER and not 0xD800 <= number <= 0xDFFF and number >= ord(" ")  # noqa: PLR2004 -- surrogates
    return chr(number) if plain else found.group()
