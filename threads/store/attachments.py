"""The list of attached files of each stored message. Their octets are in the raw message, and nowhere a second time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from threads.attachments import AttachedFile, FileFlag, attached_files, file_octets
from threads.schema import attachments, messages, threads
from threads.store.errors import UnknownRecord
from threads.store.read import raw_message
from threads.store.statements import insert_or_keep
from threads.store.values import MAX_LINE, storable
from verifier.message import read_message
from verifier.parts import walk

MAX_TYPE: Final = 255
"""Of a declared type: the reader takes 127 on each side of the slash (RFC 6838 4.2)."""
SEEN_LIMIT: Final = 1_000
"""Messages that are listed for one hash."""
_KNOWN: Final = {flag.value: flag for flag in FileFlag}


@dataclass(frozen=True, slots=True)
class FileSeen:
    """One message that a file came with. ``thread`` is the reference of where it is filed or held, if anywhere."""

    copy_id: str
    number: int
    name: str
    received_at: datetime
    author: str | None
    disposition: str
    thread: str | None


def store_files(conn: Connection, raw_sha256: str, files: Iterable[AttachedFile]) -> None:
    """Keep the list of a raw message's files; one that is there already stays."""
    for file in files:
        insert_or_keep(
            conn,
            attachments,
            {
                "raw_sha256": raw_sha256,
                "number": file.number,
                "part": file.part,
                "name": storable(file.name, MAX_LINE),
                "declared": storable(file.declared, MAX_TYPE),
                "type": file.type,
                "size": file.size,
                "sha256": file.sha256,
                "flags": " ".join(file.flags),
            },
        )


def files_of(conn: Connection, copy_id: str) -> tuple[AttachedFile, ...]:
    """The files of a stored message, in its order; UnknownRecord when there is no such message.

    Of mail that was stored before there were lists, the list is made from the bytes.
    """
    rows = conn.execute(
        select(attachments)
        .join(messages, messages.c.sha256 == attachments.c.raw_sha256)
        .where(messages.c.id == storable(copy_id, MAX_LINE))
        .order_by(attachments.c.number)
    ).all()
    if rows:
        return tuple(map(_file_of, rows))
    message = read_message(raw_message(conn, copy_id))
    return attached_files(message, walk(message))


def files_on(conn: Connection, copy_ids: Collection[str]) -> Mapping[str, tuple[AttachedFile, ...]]:
    """The files of several stored messages by their ids, as their lists have them."""
    rows = conn.execute(
        select(messages.c.id.label("copy_id"), attachments)
        .join(messages, messages.c.sha256 == attachments.c.raw_sha256)
        .where(messages.c.id.in_(list(copy_ids)))
        .order_by(messages.c.id, attachments.c.number)
    )
    found: dict[str, list[AttachedFile]] = {}
    for row in rows:
        found.setdefault(row.copy_id, []).append(_file_of(row))
    return {copy_id: tuple(files) for copy_id, files in found.items()}


def octets_of_file(conn: Connection, copy_id: str, number: int) -> bytes:
    """One file's octets, as the sender's program encoded them; UnknownRecord when there is no such message or file."""
    message = read_message(raw_message(conn, copy_id))
    octets = file_octets(message, walk(message), number)
    if octets is None:
        raise UnknownRecord(
            f"Message {storable(copy_id, 40)} has no attachment {number}; see `expertmail attachments list`."
        )
    return octets


def messages_with(conn: Connection, sha256: str) -> tuple[FileSeen, ...]:
    """The messages that a file with this hash (hexadecimal) came with, the newest first."""
    rows = conn.execute(
        select(
            messages.c.id,
            messages.c.received_at,
            messages.c.author,
            messages.c.disposition,
            threads.c.reference,
            attachments.c.number,
            attachments.c.name,
        )
        .select_from(attachments)
        .join(messages, messages.c.sha256 == attachments.c.raw_sha256)
        .outerjoin(threads, threads.c.id == messages.c.thread_id)
        .where(attachments.c.sha256 == storable(sha256.strip().lower(), MAX_LINE))
        .order_by(messages.c.received_at.desc(), messages.c.id.desc(), attachments.c.number)
        .limit(SEEN_LIMIT)
    )
    return tuple(
        FileSeen(
            copy_id=row.id,
            number=row.number,
            name=row.name,
            received_at=row.received_at,
            author=row.author,
            disposition=row.disposition,
            thread=row.reference,
        )
        for row in rows
    )


def _file_of(row: Row[Any]) -> AttachedFile:
    return AttachedFile(
        number=row.number,
        part=row.part,
        name=row.name,
        declared=row.declared,
        type=row.type,
        size=row.size,
        sha256=row.sha256,
        # A word that a later version wrote is left out: this one has no name for it.
        flags=tuple(_KNOWN[word] for word in row.flags.split() if word in _KNOWN),
    )
