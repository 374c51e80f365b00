"""Saved messages as bytes: .eml files, mbox files, Outlook .msg files, folders, standard input.

A .msg file holds no mail as it was sent: one is rebuilt from it, and judged as rebuilt. What another mail program saved is repaired in one way only: a file without any CRLF is read as if its lines ended
in CRLF, since signatures are computed so (RFC 6376 3.4). Everything else stays as it is, and is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from expertmail.faults import ExitCode, FaultError
from expertmail.message_notes import NOTE_TEXT, Note
from expertmail.saved_files import files_in

__all__ = ["NOTE_TEXT", "Note", "SavedMessage", "load", "repaired", "split_mbox"]

MAX_FILE: Final = 64 * 1024 * 1024  # bytes of one message; larger than any server accepts
MAX_MBOX: Final = 1024 * 1024 * 1024  # bytes of one mbox file
FROM_LINE_OCTETS: Final = 1_000  # of a line, to see whether it is a From_ line

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the container of an Outlook .msg file
_FROM_LINE: Final = re.compile(rb"From \S.*\d\d:\d\d")
_QUOTED_FROM: Final = re.compile(rb"^>(>*From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SavedMessage:
    """A message as read: the name shown for it, its bytes after repair, and what was noticed.

    ``rebuilt`` holds the bytes of the messages that are not as they were sent: of a .msg file itself and embedded ones.
    """

    file: str
    raw: bytes
    notes: tuple[Note, ...] = ()
    rebuilt: frozenset[bytes] = frozenset()


def load(path: str, stdin: BinaryIO) -> Iterator[SavedMessage]:
    """All messages of a path: a file, an mbox file, a folder with both, or ``-`` for standard input.

    Raises FaultError (exit code 66) with one sentence for what cannot be read.
    """
    if path == "-":
        yield from messages_in("-", stdin.read(MAX_FILE + 1))
        return
    place = Path(path)
    if not place.is_dir():
        yield from messages_in(path, _bytes_of(place, path))
        return
    for inside in files_in(place, path):
        yield from messages_in(str(inside), _bytes_of(inside, str(inside)))


def _bytes_of(place: Path, shown: str) -> bytes:
    try:
        size = place.stat().st_size
        if size > MAX_MBOX:
            raise FaultError(f"{shown} is larger than {MAX_MBOX >> 20} MB.", ExitCode.NO_INPUT)
        return place.read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise FaultError(f"Cannot read {shown}: {reason}.", ExitCode.NO_INPUT) from None


def messages_in(file: str, data: bytes) -> Iterator[SavedMessage]:
    """The messages of a file's octets, as ``load`` reads them; ``file`` is the name shown. Raises FaultError."""
    if data.startswith(_OLE):
        yield _from_outlook(file, data)
        return
    if starts_mbox(data):
        for number, raw in enumerate(split_mbox(data), 1):
            yield _saved(f"{file}:{number}", raw, Note.MBOX)
        return
    yield _saved(file, data)


def _from_outlook(file: str, data: bytes) -> SavedMessage:
    try:
        from expertmail.outlook.container import ContainerError  # noqa: PLC0415 - of an extra, and for .msg only
        from expertmail.outlook.message import read_outlook  # noqa: PLC0415
        from expertmail.outlook.rebuild import rebuild  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if missing.name != "olefile":
            raise
        raise FaultError(
            f"{file} is an Outlook .msg file; to read it, run: pip install 'expertmail[msg]'. "
            "Better ask for the original as .eml: a .msg file does not hold the message as it was sent.",
            ExitCode.NO_INPUT,
        ) from None
    if len(data) > MAX_FILE:
        raise FaultError(f"{file} is larger than {MAX_FILE >> 20} MB.", ExitCode.NO_INPUT)
    try:
        raw, rebuilt, notes = rebuild(read_outlook(data))
    except ContainerError as error:
        raise FaultError(
            f"{file} cannot be read as an Outlook .msg file: it {error}. Ask for the original as .eml.",
            ExitCode.NO_INPUT,
        ) from None
    return SavedMessage(file, raw, notes, rebuilt)


def _saved(file: str, data: bytes, *notes: Note) -> SavedMessage:
    if len(data) > MAX_FILE:
        raise FaultError(f"{file} is larger than {MAX_FILE >> 20} MB.", ExitCode.NO_INPUT)
    raw, repair = repaired(data)
    return SavedMessage(file, raw, (*notes, *repair))


def repaired(data: bytes) -> tuple[bytes, tuple[Note, ...]]:
    """Apply the one repair. A message with any CRLF stays byte for byte as it is."""
    if not data:
        return data, (Note.EMPTY,)
    line_feeds = data.count(b"\n")
    pairs = data.count(b"\r\n")
    if line_feeds and not pairs:
        return data.replace(b"\n", b"\r\n"), (Note.LF_ONLY,)
    if line_feeds != pairs:
        return data, (Note.MIXED_LINE_ENDS,)
    return data, ()


def starts_mbox(data: bytes) -> bool:
    """RFC 4155: the first line is a From_ line, with a time in it. The first FROM_LINE_OCTETS of a file will do."""
    line = data[:FROM_LINE_OCTETS].partition(b"\n")[0]
    return _FROM_LINE.match(line) is not None


def split_mbox(data: bytes) -> Iterator[bytes]:
    """The messages of an mbox file (mboxrd): split at From_ lines after a blank line, ``>From `` unquoted once."""
    start = data.find(b"\n") + 1
    if start == 0:
        return
    position = start
    while True:
        found = data.find(b"\nFrom ", position)
        if found < 0:
            yield _unquoted(data[start:])
            return
        line_end = data.find(b"\n", found + 1)
        line = data[found + 1 : line_end if line_end >= 0 else len(data)]
        after_blank = (
            data[max(start - 1, found - 1) : found + 1] == b"\n\n" or data[found - 2 : found + 1] == b"\n\r\n"
        )
        if not after_blank or _FROM_LINE.match(line[:FROM_LINE_OCTETS]) is None:
            position = found + 1
            continue
        yield _unquoted(data[start : found + 1])
        if line_end < 0:
            return
        start = position = line_end + 1
        position -= 1  # an empty message is followed at once by the next From_ line


def _unquoted(raw: bytes) -> bytes:
    """Undo the quoting, and drop the blank line that the file format adds at the end of each message."""
    for ending in (b"\r\n\r\n", b"\n\n"):
        if raw.endswith(ending):
            raw = raw[: -len(ending) // 2]
            break
    return _QUOTED_FROM.sub(rb"\1", raw) if b">From " in raw else raw
