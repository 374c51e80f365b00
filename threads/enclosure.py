"""What is enclosed in a message: its attached files, those inside its text, and those inside Outlook's winmail.dat. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from threads.html_text import html_to_text
from threads.tnef import Tnef, read_tnef
from threads.uuencoded import uuencoded_files
from verifier.message import Message
from verifier.parts import Part, body_bytes

MAX_ATTACHMENTS: Final = 500
TNEF_TYPES: Final = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attached file: its name as the sender wrote it (never a path to trust), size and hash once decoded."""

    name: str | None
    type: str
    size: int
    sha256: str


def tnef_of(message: Message, parts: tuple[Part, ...]) -> tuple[Tnef, ...]:
    """What each winmail.dat holds, in order; damaged ones are left out."""
    held = (read_tnef(body_bytes(message, part)) for part in parts if part.content_type in TNEF_TYPES)
    return tuple(tnef for tnef in held if tnef is not None)


def text_of_tnef(held: tuple[Tnef, ...]) -> str:
    """The text in them, with LF line ends; RTF only where nothing else says it, and of the first that has it.

    Outlook attaches one such file, and RTF takes long to read.
    """
    texts = [tnef.text if tnef.text.strip() else html_to_text(tnef.html) for tnef in held]
    if not any(texts):
        first = next((tnef for tnef in held if tnef.rtf), None)
        texts = [] if first is None else [first.rtf_text]
    return "\n".join(text for text in texts if text).replace("\r\n", "\n").replace("\r", "\n")


def attachments_of(
    message: Message, parts: tuple[Part, ...], not_files: AbstractSet[int], text: str, held: tuple[Tnef, ...]
) -> tuple[Attachment, ...]:
    """The attached files in their order, then those inside ``text`` and inside Outlook's files.

    ``not_files`` holds the numbers of the parts that are the message's text or a report of a machine.
    """
    found: list[Attachment] = []
    for part in parts:
        if len(found) >= MAX_ATTACHMENTS:
            break
        if part.multipart or part.number in not_files:
            continue
        if part.number == 0 and part.content_type.startswith("text/") and part.disposition != "attachment":
            continue
        data = body_bytes(message, part)
        if data or part.filename is not None:
            found.append(_attachment(part.filename, part.content_type, data))
    found += [_attachment(file.name, "application/octet-stream", file.data) for file in uuencoded_files(text)]
    found += [_attachment(file.name, file.type, file.data) for tnef in held for file in tnef.files]
    return tuple(found[:MAX_ATTACHMENTS])


def _attachment(name: str | None, kind: str, data: bytes) -> Attachment:
    return Attachment(name, kind, len(data), hashlib.sha256(data).hexdigest())
