"""How the gateway reads a message: its kind, what is new in it, what it quotes, what is attached.

Structure and identity come from the verifier's own readers; nothing here decides who wrote a message.
Every reading is a frozen value, no input raises, and the work is linear in the bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from threads.charset_guess import decoded_words, text_of
from threads.delivery_report import Bounce
from threads.enclosure import TNEF_TYPES, Attachment, attachments_of, text_of_tnef, tnef_of
from threads.html_text import MAX_HTML, html_to_text
from threads.match import message_ids
from threads.message_kind import kind_of
from threads.model import MessageKind
from threads.new_text import SplitText, split_text
from threads.signed_content import signed_content
from threads.subject import base_subject
from threads.text_parts import MAX_PART_BYTES, REPORT_TYPES, TextParts
from threads.tnef import Tnef
from threads.uuencoded import uuencoded_files
from verifier.address import AuthorField
from verifier.author import author_of
from verifier.message import Defect, Message, read_message
from verifier.parts import Part, PartDefect, body_bytes, is_attached_message, walk

# Characters of all text parts together that are read, as bytes of one (threads.text_parts).
MAX_TEXT = 1_000_000
_MAX_LINE = 2_000  # characters of a subject

_ENCRYPTED_TYPES = frozenset({"multipart/encrypted", "application/pgp-encrypted"})
_SMIME_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_SMIME_SIGNED = frozenset({"signed-data", "certs-only"})
# In the first characters of base64, which holds none but by mistake; more are words, whatever the header says.
_MOST_BLANKS = 2
_UNFOLD = re.compile(r"\r?\n(?=[ \t])")
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_ENVELOPE_LINE = re.compile(rb">?From ")  # of an mbox, above the header
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
    TNEF = "tnef"  # Outlook's winmail.dat
    UUENCODED = "uuencoded"  # files inside the text
    SMIME = "smime"  # RFC 8551: encrypted or signed
    PGP = "pgp"  # RFC 9580 and RFC 3156: encrypted or signed
    SIGNED = "signed"  # by S/MIME or PGP; whether rightly is not looked at
    CALENDAR = "calendar"  # RFC 5546: an invitation or an answer to one


_NOTHING: frozenset[ReadingFlag] = frozenset()
_NAMED_BY_TYPE: dict[str, frozenset[ReadingFlag]] = {
    **dict.fromkeys(TNEF_TYPES, frozenset({ReadingFlag.TNEF})),
    **dict.fromkeys(_SMIME_TYPES, frozenset({ReadingFlag.SMIME})),
    "application/pkcs7-signature": frozenset({ReadingFlag.SMIME, ReadingFlag.SIGNED}),
    "application/x-pkcs7-signature": frozenset({ReadingFlag.SMIME, ReadingFlag.SIGNED}),
    "application/pgp-encrypted": frozenset({ReadingFlag.PGP}),
    "application/pgp-signature": frozenset({ReadingFlag.PGP, ReadingFlag.SIGNED}),
    "text/calendar": frozenset({ReadingFlag.CALENDAR}),
}
_NAMED_BY_TEXT = {
    "-----BEGIN PGP MESSAGE-----": frozenset({ReadingFlag.PGP, ReadingFlag.ENCRYPTED}),
    "-----BEGIN PGP SIGNED MESSAGE-----": frozenset({ReadingFlag.PGP, ReadingFlag.SIGNED}),
}


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
    """Read a saved message from its bytes, attachments and all; one without any LF is of an old Macintosh."""
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\r\n")
    return read_parsed(read_message(raw))


def read_parsed(
    message: Message, parts: tuple[Part, ...] | None = None, *, attachments: bool = True
) -> Reading:
    """Read a message whose header (and structure) is known already.

    Without ``attachments`` nothing but the text parts is decoded, which is all that intake needs.
    """
    parts = walk(message) if parts is None else parts
    subject, subject_guessed = _subject(message)
    choice = TextParts(message, parts)
    text, flags = _text(message, choice.chosen)
    signed = None if text else _signed(message, parts)
    if signed is not None:
        inner = TextParts(signed, walk(signed))
        text, more = _text(signed, inner.chosen)
        flags |= more
    tnef = tnef_of(message, parts) if attachments or not text else ()
    if not text and tnef:
        text = text_of_tnef(tnef)[:MAX_TEXT]
        if any(one.rtf_is_cut for one in tnef):
            flags.add(ReadingFlag.TEXT_CUT)
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
    if choice.returned:
        returned, more = _text(message, choice.returned)
        text = f"{text}\n{returned}"[:MAX_TEXT]
        flags |= more - {ReadingFlag.HTML_ONLY}
    if Defect.NOT_A_FIELD in message.defects and (stray := _below_header(message)):
        text = f"{stray}\n{text}"
    own_ids = _ids(message, b"message-id")
    return Reading(
        kind=kind,
        subject=subject,
        author=address,
        message_id=own_ids[0] if own_ids else None,
        in_reply_to=_ids(message, b"in-reply-to"),
        references=_ids(message, b"references"),
        body=split_text(text),
        attachments=_attachments(choice, text, tnef, signed) if attachments else None,
        inner_messages=sum(map(is_attached_message, parts)),
        bounce=bounce,
        flags=tuple(sorted(flags)),
    )


def _subject(message: Message) -> tuple[str, bool]:
    for field in message.named(b"subject")[:1]:
        text, guessed = text_of(field.value[: _MAX_LINE * 4], "utf-8")
        if "=?" in text:
            text, doubtful = decoded_words(_UNFOLD.sub("", text))
            guessed = guessed or doubtful
        return " ".join(text.split())[:_MAX_LINE], guessed
    return "", False


def _ids(message: Message, name: bytes) -> tuple[str, ...]:
    found = message.named(name)
    return message_ids(found[0].value) if found else ()


def _text(message: Message, chosen: list[Part]) -> tuple[str, set[ReadingFlag]]:
    """The text of some parts, one below the other with LF line ends, and flags."""
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
    return "\n".join(texts).replace("\r\n", "\n").replace("\r", "\n"), flags


def _part_text(message: Message, part: Part) -> tuple[str, bool]:
    if part.encoding == "base64":
        start = message.raw[part.body_start : part.body_end][:_MAX_LINE].strip()
        if start.count(b" ") > _MOST_BLANKS:
            return text_of(message.raw[part.body_start : part.body_end][:MAX_PART_BYTES], part.charset)
    return text_of(body_bytes(message, part, MAX_PART_BYTES), part.charset)


def _reports(parts: tuple[Part, ...]) -> set[int]:
    return {part.number for part in parts if part.content_type in REPORT_TYPES}


def _signed(message: Message, parts: tuple[Part, ...]) -> Message | None:
    """The message inside the first opaque signature, which programs show as if it were the whole."""
    for part in parts:
        if part.content_type in _SMIME_TYPES:
            content = signed_content(body_bytes(message, part, MAX_PART_BYTES))
            if content is not None:
                return read_message(content)
    return None


def _attachments(
    choice: TextParts, text: str, tnef: tuple[Tnef, ...], signed: Message | None
) -> tuple[Attachment, ...]:
    found = attachments_of(choice.message, choice.parts, choice.shown | _reports(choice.parts), text, tnef)
    if signed is None:
        return found
    inner = TextParts(signed, walk(signed))
    return found + attachments_of(signed, inner.parts, inner.shown | _reports(inner.parts), "", ())


def _below_header(message: Message) -> str:
    """What stands in the header from its first line on that is no field: text whose empty line above was left out."""
    position = 0
    for number, line in enumerate(message.raw[: message.body_start].splitlines(keepends=True)):
        field = _FIELD.match(line) is not None or line[:1] in (b" ", b"\t", b"\r", b"\n")
        if not field and not (number == 0 and _ENVELOPE_LINE.match(line)):
            text, _ = text_of(message.raw[position : message.body_start][:MAX_PART_BYTES], None)
            return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        position += len(line)
    return ""


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
        flags |= _NAMED_BY_TYPE.get(part.content_type, _NOTHING)
        if part.content_type in _ENCRYPTED_TYPES or (
            part.content_type in _SMIME_TYPES
            and (part.parameter("smime-type") or "enveloped-data").lower() not in _SMIME_SIGNED
        ):
            flags.add(ReadingFlag.ENCRYPTED)
        if (
            part.content_type in _SMIME_TYPES
            and (part.parameter("smime-type") or "").lower() == "signed-data"
        ):
            flags.add(ReadingFlag.SIGNED)
    if "begin " in text and uuencoded_files(text):
        flags.add(ReadingFlag.UUENCODED)
    if "-----BEGIN PGP " in text:
        flags = flags.union(*(known for begin, known in _NAMED_BY_TEXT.items() if begin in text))
    return flags
