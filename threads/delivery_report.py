"""What a delivery status notification says (RFC 3464), also where it says it in plain text only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from threads.match import message_ids
from verifier.charset import to_text
from verifier.encoded_word import decode
from verifier.message import Message, read_message
from verifier.parts import Part, body_bytes

# A report on more recipients than this is read for the first ones.
MAX_RECIPIENTS = 100
# Bytes read of a report part, and of a returned header.
MAX_REPORT = 64 * 1024
# Characters of plain text in which an old-fashioned bounce is looked for.
MAX_TEXT = 32_000

_STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
_ADDRESS = re.compile(r"[^\s<>\"'()\[\],;:]{1,64}@[^\s<>\"'()\[\],;:]{1,255}")
_REPLY = re.compile(r"\b[45]\d\d[ -]")


@dataclass(frozen=True, slots=True)
class Bounce:
    """One recipient's fate: address, enhanced status (RFC 3463), action word, our Message-ID, the remote's words."""

    recipient: str | None
    status: str | None
    action: str | None
    original_message_id: str | None
    diagnostic: str | None


def read_report(message: Message, parts: tuple[Part, ...]) -> Bounce | None:
    """The message/delivery-status part of a report, its first failed recipient or else its first one."""
    status = next(
        (p for p in parts if p.content_type in ("message/delivery-status", "message/global-delivery-status")),
        None,
    )
    if status is None:
        return None
    text, _ = to_text(body_bytes(message, status, MAX_REPORT), status.charset)
    groups = [group for group in map(_fields, _groups(text)) if group]
    people = [g for g in groups if "final-recipient" in g or "original-recipient" in g or "action" in g]
    if not people:
        return None
    chosen = next((g for g in people if g.get("action", "").lower().startswith("fail")), people[0])
    found = _STATUS.search(chosen.get("status", "")) or _STATUS.search(chosen.get("diagnostic-code", ""))
    return Bounce(
        _recipient(chosen.get("final-recipient")) or _recipient(chosen.get("original-recipient")),
        found.group() if found else None,
        chosen.get("action", "").split(" ", 1)[0].strip().lower() or None,
        returned_message_id(message, parts),
        _untyped(chosen.get("diagnostic-code")),
    )


def read_plain(message: Message, parts: tuple[Part, ...], text: str) -> Bounce:
    """What a bounce without a report says: X-Failed-Recipients, and what its text holds."""
    text = text[:MAX_TEXT]
    fields = _fields(text)
    recipient = _recipient(fields.get("final-recipient")) or _recipient(fields.get("original-recipient"))
    for field in message.named(b"x-failed-recipients")[:1]:
        recipient = recipient or _recipient(to_text(field.value, None)[0])
    if recipient is None:
        found = _ADDRESS.search(text)
        recipient = found.group().rstrip(".") if found else None
    status = _STATUS.search(text)
    diagnostic = next((line.strip() for line in text.splitlines() if _REPLY.search(line[:500])), None)
    return Bounce(
        recipient,
        status.group() if status else None,
        fields.get("action", "").lower() or None,
        returned_message_id(message, parts) or _message_id_in(text),
        diagnostic,
    )


def returned_message_id(message: Message, parts: tuple[Part, ...]) -> str | None:
    """The Message-ID of the mail that a report returns, whole or its header only (RFC 6522 3)."""
    for part in parts[1:]:
        if part.content_type in (
            "message/rfc822",
            "text/rfc822-headers",
            "message/global",
            "message/global-headers",
        ):
            returned = read_message(body_bytes(message, part, MAX_REPORT))
            for field in returned.named(b"message-id")[:1]:
                found = message_ids(field.value)
                if found:
                    return found[0]
    return None


def _message_id_in(text: str) -> str | None:
    for line in text.splitlines():
        label, colon, value = line[:1_200].strip(" >").partition(":")
        if colon and label.lower() == "message-id":
            found = message_ids(value.encode("utf-8", "replace"))
            return found[0] if found else None
    return None


def _groups(text: str) -> list[str]:
    """Groups of fields with blank lines between them."""
    groups: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            groups[-1].append(line)
        elif groups[-1]:
            if len(groups) > MAX_RECIPIENTS:
                break
            groups.append([])
    return ["\n".join(group) for group in groups]


def _fields(text: str) -> dict[str, str]:
    """Fields by lower-case name, folded lines joined; the first of a name counts."""
    fields: dict[str, list[str]] = {}
    open_field: list[str] | None = None
    for line in text.splitlines():
        if line[:1] in (" ", "\t") and open_field is not None:
            open_field.append(line.strip())
            continue
        name, colon, value = line.partition(":")
        open_field = None
        if colon and " " not in name.strip() and name.strip():
            open_field = [value.strip()]
            fields.setdefault(name.strip().lower(), open_field)
    return {name: " ".join(values) for name, values in fields.items()}


def _untyped(value: str | None) -> str | None:
    """The text behind the type of an RFC 3464 2.1.2 typed field, such as "smtp; 550 no such user"."""
    if not value:
        return None
    kind, semicolon, rest = value.partition(";")
    text = rest if semicolon and kind.strip().replace("-", "").isalnum() else value
    return decode(text.strip()) or None


def _recipient(value: str | None) -> str | None:
    text = _untyped(value)
    if text is None:
        return None
    found = _ADDRESS.search(text[:1_000])
    return found.group().rstrip(".") if found else text.strip("<> ") or None
