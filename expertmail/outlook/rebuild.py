"""A message of Outlook's as a mail (RFC 5322, RFC 2045): the transport header as it stands, and a body of our own.

The body that was sent is not in the file, so the rebuilt message is no copy of it, and is judged as rebuilt. Only an
attached mail that was kept as a file stands in it byte for byte, and can be judged as what it is.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from email.utils import format_datetime
from typing import Final, NamedTuple
from urllib.parse import quote

from expertmail.message_notes import Note
from expertmail.outlook.message import MAX_HEADER, Attachment, OutlookMessage, Person
from outbound.header import HeaderError, field, is_control, mailbox, name_addr, unstructured
from verifier.message import read_message
from verifier.part import MESSAGE_TYPES

MAX_NAME: Final = 250  # characters of an attachment's name; file systems take 255 bytes
MAX_VALUE: Final = 20_000  # characters of a field that is made from properties; References may be long
MAX_PEOPLE: Final = 2_000  # in one To or Cc field that is made

# What some versions of Outlook write above the header, and no field.
_NOT_HEADER: Final = b"Microsoft Mail Internet Headers"
_OF_BODY: Final = (b"content-", b"mime-version")  # they describe the body that is not there any more
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_IDENTIFIER: Final = re.compile(r"[!-~]{1,500}")
_OPAQUE: Final = "application/octet-stream"


class Rebuilt(NamedTuple):
    """A rebuilt message, and all that were rebuilt: it and those embedded in it, by their bytes."""

    raw: bytes
    rebuilt: frozenset[bytes]
    notes: tuple[Note, ...]


class _Entity(NamedTuple):
    """A MIME entity: its header fields, each with its CRLF, and its body."""

    header: bytes
    body: bytes


def rebuild(message: OutlookMessage) -> Rebuilt:
    """Rebuild a message and those embedded in it. Pure; the same properties give the same bytes."""
    rebuilt: set[bytes] = set()
    raw, notes = _rebuilt(message, rebuilt)
    return Rebuilt(raw, frozenset(rebuilt), notes)


def _rebuilt(message: OutlookMessage, rebuilt: set[bytes]) -> tuple[bytes, tuple[Note, ...]]:
    header = kept_header(message.header)
    present = read_message(header + b"\r\n").by_name
    notes = {Note.REBUILT, *message.notes}
    shown = message.author.address or message.sender.address
    if b"from" not in present:  # whatever travelled had one
        header += b"".join(
            made for name, made in _made_header(message) if name.lower().encode() not in present
        )
        notes.add(Note.MSG_NO_HEADER)
        if not shown and (message.author.name or message.sender.name):
            notes.add(Note.MSG_NO_ADDRESS)
    elif shown and not _names(header, shown):
        notes.add(Note.MSG_OTHER_SENDER)
    parts = [_attached(attachment, rebuilt) for attachment in message.attachments]
    body = _text(message)
    entity = _multipart("mixed", [body, *parts]) if parts else body
    raw = b"".join((header, b"MIME-Version: 1.0\r\n", entity.header, b"\r\n", entity.body))
    rebuilt.add(raw)
    return raw, tuple(note for note in Note if note in notes)


def kept_header(transport: bytes) -> bytes:
    """The transport header up to its first empty line, lines ended by CRLF, without what describes the body."""
    kept: list[bytes] = []
    keeping = True
    lines = transport[:MAX_HEADER].replace(b"\r\n", b"\n").lstrip(b"\n").split(b"\n")
    if lines[0].startswith(_NOT_HEADER):
        del lines[0]
    for line in lines:
        if not line.strip(b" \t"):
            break
        if not line.startswith((b" ", b"\t")):
            keeping = not line[:20].lower().startswith(_OF_BODY)
        if keeping:
            kept.append(line + b"\r\n")
    return b"".join(kept)


def _names(header: bytes, address: str) -> bool:
    """Whether one of the fields that name who wrote or sent it holds the address."""
    message = read_message(header + b"\r\n")
    wanted = address.encode("utf-8", "replace").lower()
    names = (b"from", b"sender", b"resent-from", b"resent-sender")
    return any(wanted in one.value.lower() for name in names for one in message.named(name))


def _made_header(message: OutlookMessage) -> Iterator[tuple[str, bytes]]:
    """The fields that properties tell, each with its name."""
    author = message.author if message.author.address else message.sender
    if author.address:
        yield "From", field("From", _mailbox(author))
    if message.sender.address and message.sender.address.lower() != author.address.lower():
        yield "Sender", field("Sender", _mailbox(message.sender))
    for kind in ("To", "Cc"):
        people = [person for which, person in message.recipients if which == kind][:MAX_PEOPLE]
        known = [_mailbox(person) for person in people if person.address]
        if people:
            # A group without members is how a field names nobody that mail could reach (RFC 5322 3.4, RFC 6854).
            yield kind, field(kind, ", ".join(known) or "undisclosed-recipients:;")
    yield "Subject", field("Subject", unstructured(_line(message.subject)))
    if message.date is not None:
        yield "Date", field("Date", format_datetime(message.date))
    for name, value in (
        ("Message-ID", message.message_id),
        ("In-Reply-To", message.in_reply_to),
        ("References", message.references),
    ):
        words = _line(value).split()
        if words and all(map(_IDENTIFIER.fullmatch, words)):
            yield name, field(name, " ".join(words))


def _mailbox(person: Person) -> str:
    """The mailbox; an address that is none is written as it stands, so that a strict reader can say so."""
    try:
        address = mailbox(person.address)
    except HeaderError:
        address = _line(person.address)
    return name_addr(_line(person.name), address)


def _line(text: str) -> str:
    """Text on one line: no control can end a field or turn what follows."""
    return "".join(" " if is_control(character) else character for character in text[:MAX_VALUE]).strip()


def _text(message: OutlookMessage) -> _Entity:
    """The body: text, HTML, or both as alternatives."""
    bodies = []
    if message.text or not message.html:
        text = (message.text or "").encode("utf-8", "replace")
        bodies.append(_encoded('Content-Type: text/plain; charset="utf-8"\r\n', text))
    if message.html:
        charset = message.html_charset or "utf-8"
        bodies.append(_encoded(f'Content-Type: text/html; charset="{charset}"\r\n', message.html))
    return bodies[0] if len(bodies) == 1 else _multipart("alternative", bodies)


def _attached(attachment: Attachment, rebuilt: set[bytes]) -> _Entity:
    name = _line(attachment.name)[:MAX_NAME]
    about = _disposition(name) + _content_id(attachment.content_id)
    kept = attachment.data
    media_type = attachment.media_type.strip().lower()
    if attachment.message is not None:
        kept, _ = _rebuilt(attachment.message, rebuilt)
    elif media_type not in MESSAGE_TYPES and not name.lower().endswith(".eml"):
        if not _MEDIA_TYPE.fullmatch(media_type) or media_type.startswith(("multipart/", "message/")):
            media_type = _OPAQUE
        return _encoded(f"Content-Type: {media_type}\r\n{about}", attachment.data)
    # RFC 2046 5.2.1: a message is never encoded; so its bytes stand here as they were.
    header = f"Content-Type: message/rfc822\r\n{about}Content-Transfer-Encoding: binary\r\n"
    return _Entity(header.encode(), kept)


def _disposition(name: str) -> str:
    if not name:
        return "Content-Disposition: attachment\r\n"
    if name.isascii():
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'Content-Disposition: attachment;\r\n filename="{escaped}"\r\n'
    return (
        f"Content-Disposition: attachment;\r\n filename*=utf-8''{quote(name, safe='', errors='replace')}\r\n"
    )


def _content_id(text: str) -> str:
    plain = text.strip().removeprefix("<").removesuffix(">")
    return f"Content-ID: <{plain}>\r\n" if _IDENTIFIER.fullmatch(plain) else ""


def _encoded(header: str, data: bytes) -> _Entity:
    body = base64.encodebytes(data).replace(b"\n", b"\r\n")
    return _Entity(header.encode() + b"Content-Transfer-Encoding: base64\r\n", body)


def _multipart(kind: str, entities: list[_Entity]) -> _Entity:
    """A multipart (RFC 2046 5.1). Its boundary is a digest of all that it separates, so none of that can hold it."""
    digest = hashlib.sha256(kind.encode())
    for entity in entities:
        digest.update(entity.header)
        digest.update(entity.body)
    boundary = b"=_" + digest.hexdigest()[:48].encode()
    pieces: list[bytes] = []
    for entity in entities:
        pieces += (b"--", boundary, b"\r\n", entity.header, b"\r\n", entity.body, b"\r\n")
    pieces += (b"--", boundary, b"--\r\n")
    header = f'Content-Type: multipart/{kind};\r\n boundary="{boundary.decode()}"\r\n'
    return _Entity(header.encode(), b"".join(pieces))
