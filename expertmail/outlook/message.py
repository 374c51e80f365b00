"""A message as Outlook keeps it in a .msg file: the properties that a mail has, as a frozen value ([MS-OXMSG], [MS-OXOMSG]).

What is missing stays empty. What is too much, too large or of a kind that no mail has is left out, and noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from expertmail.message_notes import Note
from expertmail.outlook.container import Container, ContainerError, Storage
from expertmail.outlook.properties import (
    HEADER_OF_EMBEDDED,
    HEADER_OF_MESSAGE,
    HEADER_OF_PART,
    Properties,
)
from threads.compressed_rtf import RtfError, decompress
from threads.rtf_text import text_of

MAX_ATTACHMENTS: Final = 500  # of one message; a rebuilt message is opened to 1,000 parts
MAX_RECIPIENTS: Final = 2_000  # of one message; Exchange Online allows 1,000
MAX_DEPTH: Final = 5  # messages in messages; people forward a forward, hardly more
MAX_HEADER: Final = 1024 * 1024  # bytes of the transport header, and no more than any message may have
MAX_BODY: Final = 32 * 1024 * 1024  # bytes of a text or HTML body, which Unicode doubles
MAX_DATA: Final = 64 * 1024 * 1024  # bytes of one attachment: no more than a file may have

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_RECIPIENTS: Final = "__recip_version1.0_#"
_ATTACHMENTS: Final = "__attach_version1.0_#"
_KINDS: Final = {1: "To", 2: "Cc"}  # PidTagRecipientType; blind copies were not in the header either
_BY_VALUE, _EMBEDDED = 1, 5  # PidTagAttachMethod


@dataclass(frozen=True, slots=True)
class Person:
    """A name and a mail address; either may be empty. An address of Exchange's own kind (X.500) is none."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment: ``data`` of a file, or an embedded ``message`` of Outlook's."""

    name: str
    media_type: str
    content_id: str
    data: bytes = b""
    message: OutlookMessage | None = None


@dataclass(frozen=True, slots=True)
class OutlookMessage:
    """What a .msg file says of one message. ``header`` is the transport header as it stands, empty if there is none."""

    header: bytes
    author: Person  # PidTagSentRepresenting*: whom Outlook shows as the sender
    sender: Person  # PidTagSender*: who sent it, perhaps on the author's behalf
    recipients: tuple[tuple[str, Person], ...]  # with "To" or "Cc"
    subject: str
    date: datetime | None
    message_id: str
    in_reply_to: str
    references: str
    text: str | None
    html: bytes | None
    html_charset: str | None
    attachments: tuple[Attachment, ...]
    notes: frozenset[Note]


def read_outlook(data: bytes) -> OutlookMessage:
    """The message in a .msg file's bytes. Raises ContainerError for a file that cannot be read at all."""
    return _read_file(data, 0)


def _read_file(data: bytes, depth: int) -> OutlookMessage:
    container = Container(data)
    root = container.root()
    if root.size("__properties_version1.0") is None:
        raise ContainerError("holds no message of Outlook's")
    return _Reading(container, depth).message(root, HEADER_OF_MESSAGE)


class _Reading:
    """One file in reading."""

    def __init__(self, container: Container, depth: int) -> None:
        self.container = container
        self.depth = depth

    def message(self, storage: Storage, header: int) -> OutlookMessage:
        found = Properties(storage, header)
        notes: set[Note] = set()
        text = found.text(0x1000, MAX_BODY)
        html, html_charset = _html(found)
        if not text and not html:
            text = _rtf(found, notes)
        attachments = tuple(self._attachments(storage, found.charset, notes))
        recipients = tuple(self._recipients(storage, found.charset, notes))
        message = OutlookMessage(
            header=found.octets_of_text(0x007D, 2 * MAX_HEADER) or b"",
            author=_person(found, 0x0042, (0x5D02,), 0x0064, 0x0065),
            sender=_person(found, 0x0C1A, (0x5D01,), 0x0C1E, 0x0C1F),
            recipients=recipients or _displayed(found),
            subject=found.text(0x0037) or found.text(0x0E1D) or "",
            date=found.time(0x0039) or found.time(0x0E06),
            message_id=found.text(0x1035) or "",
            in_reply_to=found.text(0x1042) or "",
            references=found.text(0x1039) or "",
            text=text,
            html=html,
            html_charset=html_charset,
            attachments=attachments,
            notes=frozenset(),
        )
        if found.left_out:
            notes.add(Note.MSG_LEFT_OUT)
        if self.container.damaged:
            notes.add(Note.MSG_DAMAGED)
        return _noted(message, notes)

    def _recipients(self, storage: Storage, charset: str, notes: set[Note]) -> Iterator[tuple[str, Person]]:
        names = storage.storages(_RECIPIENTS)
        if len(names) > MAX_RECIPIENTS:
            notes.add(Note.MSG_LEFT_OUT)
        for name in names[:MAX_RECIPIENTS]:
            inside = storage.storage(name)
            if inside is None:
                continue
            found = Properties(inside, HEADER_OF_PART, charset)
            kind = _KINDS.get(found.integer(0x0C15) or 0)
            if kind is not None:
                yield kind, _person(found, 0x3001, (0x39FE,), 0x3002, 0x3003)

    def _attachments(self, storage: Storage, charset: str, notes: set[Note]) -> Iterator[Attachment]:
        names = storage.storages(_ATTACHMENTS)
        if len(names) > MAX_ATTACHMENTS:
            notes.add(Note.MSG_LEFT_OUT)
        for name in names[:MAX_ATTACHMENTS]:
            inside = storage.storage(name)
            if inside is None:
                continue
            found = Properties(inside, HEADER_OF_PART, charset)
            attachment = self._attachment(found, notes)
            if attachment is None or found.left_out:
                notes.add(Note.MSG_LEFT_OUT)
            if attachment is not None:
                yield attachment

    def _attachment(self, found: Properties, notes: set[Note]) -> Attachment | None:
        """None for what has no content in the file, or none that a mail can hold."""
        name = found.text(0x3707) or found.text(0x3704) or found.text(0x3001) or ""
        media_type, content_id = found.text(0x370E) or "", found.text(0x3712) or ""
        if found.integer(0x3705) == _EMBEDDED:
            inside = found.object(0x3701) if self.depth < MAX_DEPTH else None
            if inside is None or inside.size("__properties_version1.0") is None:
                return None
            embedded = _Reading(self.container, self.depth + 1).message(inside, HEADER_OF_EMBEDDED)
            return Attachment(name, "message/rfc822", content_id, message=embedded)
        if found.integer(0x3705) not in (None, _BY_VALUE):
            return None
        data = found.octets(0x3701, MAX_DATA)
        if data is None:
            return None
        if data.startswith(_OLE) and name.lower().endswith(".msg") and self.depth < MAX_DEPTH:
            try:
                return Attachment(
                    name, "message/rfc822", content_id, message=_read_file(data, self.depth + 1)
                )
            except ContainerError:
                notes.add(Note.MSG_DAMAGED)
        return Attachment(name, media_type, content_id, data)


def _noted(message: OutlookMessage, notes: set[Note]) -> OutlookMessage:
    """With notes, those of embedded messages included: they are read from the same file."""
    for attachment in message.attachments:
        if attachment.message is not None:
            notes |= attachment.message.notes & {Note.MSG_LEFT_OUT, Note.MSG_DAMAGED}
    return replace(message, notes=frozenset(notes))


def _html(found: Properties) -> tuple[bytes | None, str | None]:
    """PidTagHtml is binary and in the code page of the internet; some writers give a text instead."""
    html = found.octets(0x1013, MAX_BODY)
    if html is not None:
        return html, found.html_charset or found.charset
    text = found.text(0x1013, MAX_BODY)
    return (None, None) if text is None else (text.encode("utf-8", "replace"), "utf-8")


def _rtf(found: Properties, notes: set[Note]) -> str | None:
    compressed = found.octets(0x1009, MAX_BODY)
    if not compressed:
        return None
    try:
        text = text_of(decompress(compressed))
    except RtfError:
        notes.add(Note.MSG_DAMAGED)
        return None
    notes.add(Note.MSG_RTF_ONLY)
    return text


def _person(found: Properties, name: int, smtp: tuple[int, ...], kind: int, address: int) -> Person:
    """The SMTP address if there is one; else the address, if its kind is SMTP or it looks like one."""
    exact = next((text for number in smtp if (text := found.text(number))), "")
    if not exact:
        given = found.text(address) or ""
        exact = given if (found.text(kind) or "SMTP").upper() == "SMTP" and "@" in given else ""
    return Person(found.text(name) or "", exact)


def _displayed(found: Properties) -> tuple[tuple[str, Person], ...]:
    """What Outlook shows as To and Cc, names and perhaps addresses, where no recipients are recorded."""
    shown = (("To", found.text(0x0E04)), ("Cc", found.text(0x0E03)))
    return tuple(
        (kind, Person("", one.strip()) if "@" in one else Person(one.strip(), ""))
        for kind, text in shown
        for one in (text or "").split(";")[:MAX_RECIPIENTS]
        if one.strip()
    )
