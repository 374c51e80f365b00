"""How the gateway reads a message: its kind, what is new in it, what it quotes, what is attached.

Structure and identity come from the verifier's own readers; nothing here decides who wrote a message.
Every reading is a frozen value, no input raises, and the work is linear in the bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from threads.delivery_report import Bounce
from threads.html_text import MAX_HTML, html_to_text
from threads.match import message_ids
from threads.message_kind import kind_of
from threads.model import MessageKind
from threads.new_text import SplitText, split_text
from threads.subject import base_subject
from verifier.address import AuthorField
from verifier.author import author_of
from verifier.charset import to_text
from verifier.encoded_word import decode
from verifier.message import Defect, Message, read_message
from verifier.parts import Part, PartDefect, body_bytes, is_attached_message, walk

# Bytes of one text part, still encoded, and characters of all of them, that are read: a person writes less,
# and what a log file in a text part holds beyond is in the stored bytes.
MAX_PART_BYTES = 1_000_000
MAX_TEXT = 1_000_000
# Text parts that are put together; a message with more is a digest.
MAX_TEXT_PARTS = 50
MAX_ATTACHMENTS = 500
_MAX_LINE = 2_000

_REPORT_TYPES = frozenset(
    {
        *("message/delivery-status", "message/global-delivery-status", "message/disposition-notification"),
        *("message/feedback-report", "text/rfc822-headers", "message/global-headers"),
        "message/global-disposition-notification",
    }
)
_ENCRYPTED_TYPES = frozenset({"multipart/encrypted", "application/pgp-encrypted"})
_SMIME_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_SMIME_SIGNED = frozenset({"signed-data", "certs-only"})
_TRUNCATED = frozenset({PartDefect.NO_FINAL_BOUNDARY})
_BAD_HEADER = frozenset({Defect.LEADING_WSP, Defect.NOT_A_FIELD, Defect.NUL, Defect.BARE_CR})


class ReadingFlag(StrEnum):
    """What a reader should know about a reading."""

    ENCRYPTED = "encrypted"
    CHARSET_GUESSED = "charset-guessed"
    TRUNCATED = "truncated"
    MALFORMED_MIME = "malformed-mime"
    MALFORMED_HEADER = "malformed-header"
    NO_SINGLE_AUTHOR = "no-single-author"
    HTML_ONLY = "html-only"
    TEXT_CUT = "text-cut"  # longer than what is read of a text
    TNEF = "tnef"  # Outlook's winmail.dat: its content is not read


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attached file: its name as the sender wrote it (never a path to trust), size and hash once decoded."""

    name: str | None
    type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A message as it is read. ``author`` is an address that was read strictly, or None.

    Message-IDs stand without angle brackets. ``attachments`` is None where they were not asked for.
    """

    kind: MessageKind
    subject: str
    author: str | None
    message_id: str | None
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    body: SplitText
    attachments: tuple[Attachment, ...] | None
    inner_messages: int
    bounce: Bounce | None
    flags: tuple[ReadingFlag, ...]

    @property
    def base_subject(self) -> str:
        """The subject without prefixes of replies and forwards."""
        return base_subject(self.subject)


def read(raw: bytes) -> Reading:
    """Read a message from its bytes, attachments and all."""
    return read_parsed(read_message(raw))


def read_parsed(
    message: Message, parts: tuple[Part, ...] | None = None, *, attachments: bool = True
) -> Reading:
    """Read a message whose header (and structure) is known already.

    Without ``attachments`` nothing but the text parts is decoded, which is all that intake needs.
    """
    parts = walk(message) if parts is None else parts
    subject, subject_guessed = _subject(message)
    text, flags, shown = _text(message, parts)
    author = author_of(message)
    address = None
    if isinstance(author, AuthorField) and len(author.mailboxes) == 1:
        address = author.mailboxes[0].address
    else:
        flags.add(ReadingFlag.NO_SINGLE_AUTHOR)
    if subject_guessed:
        flags.add(ReadingFlag.CHARSET_GUESSED)
    flags |= _structure_flags(message, parts, text)
    kind, bounce = kind_of(message, parts, subject, text)
    own_ids = _ids(message, b"message-id")
    return Reading(
        kind=kind,
        subject=subject,
        author=address,
        message_id=own_ids[0] if own_ids else None,
        in_reply_to=_ids(message, b"in-reply-to"),
        references=_ids(message, b"references"),
        body=split_text(text),
        attachments=_attachments(message, parts, shown) if attachments else None,
        inner_messages=sum(map(is_attached_message, parts)),
        bounce=bounce,
        flags=tuple(sorted(flags)),
    )


def _subject(message: Message) -> tuple[str, bool]:
    for field in message.named(b"subject")[:1]:
        text, guessed = to_text(field.value[: _MAX_LINE * 4], "utf-8")
        return " ".join(decode(text).split())[:_MAX_LINE], guessed
    return "", False


def _ids(message: Message, name: bytes) -> tuple[str, ...]:
    found = message.named(name)
    return message_ids(found[0].value) if found else ()


def _text(message: Message, parts: tuple[Part, ...]) -> tuple[str, set[ReadingFlag], set[int]]:
    """The text that a reader sees first, flags, and the parts that it stands for."""
    choice = _Choice(message, parts)
    chosen = choice.chosen
    flags: set[ReadingFlag] = set()
    texts: list[str] = []
    room = MAX_TEXT
    for part in chosen:
        text, guessed = _part_text(message, part)
        if guessed:
            flags.add(ReadingFlag.CHARSET_GUESSED)
        limit = MAX_PART_BYTES
        if part.content_type == "text/html":
            limit = MAX_HTML
            text = html_to_text(text)
        if part.body_end - part.body_start > limit or len(text) > room:
            flags.add(ReadingFlag.TEXT_CUT)
        texts.append(text[:room])
        room -= len(texts[-1])
    if chosen and all(part.content_type == "text/html" for part in chosen):
        flags.add(ReadingFlag.HTML_ONLY)
    return "\n".join(texts).replace("\r\n", "\n").replace("\r", "\n"), flags, choice.shown


def _part_text(message: Message, part: Part) -> tuple[str, bool]:
    return to_text(body_bytes(message, part, MAX_PART_BYTES), part.charset)


class _Choice:
    """Text parts to read, in their order, and all parts that they stand for: the other alternatives too."""

    def __init__(self, message: Message, parts: tuple[Part, ...]) -> None:
        self.message = message
        self.chosen: list[Part] = []
        self.shown: set[int] = set()
        self.inside: dict[int, list[Part]] = {}
        for part in parts:
            if part.parent is not None:
                self.inside.setdefault(part.parent, []).append(part)
        if parts:
            self._visit(parts[0])

    def _visit(self, part: Part) -> None:
        """Recursive; the walker opens at most MAX_DEPTH containers inside each other."""
        inside = self.inside.get(part.number, [])
        if part.content_type == "multipart/alternative":
            self._alternative(inside)
        elif part.multipart and inside:
            # Of a report only its first part is for people (RFC 6522 3).
            for child in inside[:1] if part.content_type == "multipart/report" else inside:
                self._visit(child)
        elif _is_inline_text(part) and len(self.chosen) < MAX_TEXT_PARTS:
            self.chosen.append(part)
            self.shown.add(part.number)

    def _alternative(self, inside: list[Part]) -> None:
        """The same text in several forms (RFC 2046 5.1.4): the plain one if it says anything."""
        before = len(self.chosen)
        plain = [child for child in inside if child.content_type == "text/plain"]
        others = [child for child in inside if child.content_type != "text/plain"]
        speaking = [
            child for child in plain if _is_inline_text(child) and _says_something(self.message, child)
        ]
        self.chosen += speaking[:1]
        for child in () if speaking else others:
            self._visit(child)
            if len(self.chosen) > before:
                break
        related = [c for child in others if child.multipart for c in self.inside.get(child.number, [])]
        forms = [*plain, *(c for c in (*others, *related) if c.content_type == "text/html")]
        self.shown.update(form.number for form in forms)


def _is_inline_text(part: Part) -> bool:
    if part.content_type not in ("text/plain", "text/html", "text/enriched"):
        return part.content_type.startswith("text/") and part.number == 0
    return part.disposition != "attachment" and (part.filename is None or part.number == 0)


def _says_something(message: Message, part: Part) -> bool:
    return bool(body_bytes(message, part, MAX_PART_BYTES).strip())


def _structure_flags(message: Message, parts: tuple[Part, ...], text: str) -> set[ReadingFlag]:
    flags: set[ReadingFlag] = set()
    defects = {defect for part in parts for defect in part.defects}
    if defects & _TRUNCATED:
        flags.add(ReadingFlag.TRUNCATED)
    if defects - _TRUNCATED:
        flags.add(ReadingFlag.MALFORMED_MIME)
    if _BAD_HEADER.intersection(message.defects):
        flags.add(ReadingFlag.MALFORMED_HEADER)
    for part in parts:
        if part.content_type in _ENCRYPTED_TYPES or (
            part.content_type in _SMIME_TYPES
            and (part.parameter("smime-type") or "enveloped-data").lower() not in _SMIME_SIGNED
        ):
            flags.add(ReadingFlag.ENCRYPTED)
        if part.content_type == "application/ms-tnef":
            flags.add(ReadingFlag.TNEF)
    if "-----BEGIN PGP MESSAGE-----" in text:
        flags.add(ReadingFlag.ENCRYPTED)
    return flags


def _attachments(message: Message, parts: tuple[Part, ...], shown: set[int]) -> tuple[Attachment, ...]:
    found: list[Attachment] = []
    for part in parts:
        if len(found) >= MAX_ATTACHMENTS:
            break
        if part.multipart or part.number in shown or part.content_type in _REPORT_TYPES:
            continue
        if part.number == 0 and part.content_type.startswith("text/") and part.disposition != "attachment":
            continue
        data = body_bytes(message, part)
        if not data and part.filename is None:
            continue
        found.append(
            Attachment(part.filename, part.content_type, len(data), hashlib.sha256(data).hexdigest())
        )
    return tuple(found)
