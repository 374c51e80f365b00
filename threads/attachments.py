"""The files attached to a message: name, type by content, size, hash, and what speaks against them. Pure.

Nothing is opened: a file's octets are hashed and looked at once, an archive's own list of names is read. What is on
record is this list; the octets stay where they came, in the raw message. Work is linear in the message, and no input raises.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from threads.archive_listing import Entry, Listing, listing_of
from threads.attachment_name import (
    ARCHIVES,
    MACRO_DOCUMENTS,
    double_extension,
    extension,
    leads_out,
    runs_by_name,
    safe_name,
    turns_direction,
)
from threads.attachment_octets import octets_of
from threads.attachment_type import (
    DISK_IMAGES,
    EXECUTABLE,
    NOT_LISTED,
    OLE,
    PDF,
    ZIP,
    breaks_promise,
    has_script,
    ole_has_macros,
    pdf_is_encrypted,
    type_of,
)
from verifier.message import Message, read_message
from verifier.parts import Part, is_attached_message, walk


class FileFlag(StrEnum):
    """What speaks against a file, or should be known before it is opened."""

    EXECUTABLE = "executable"  # a double click runs or installs it, by content, name or declared type
    EXECUTABLE_INSIDE = "executable-inside"  # an archive lists one, or an attached message holds one
    DISK_IMAGE = "disk-image"
    MACROS = "macros"
    SCRIPT = "script"  # a page or drawing with a script in it
    ENCRYPTED = "encrypted"  # archive, document or PDF: nobody on the way can look into it
    DOUBLE_EXTENSION = "double-extension"
    BIDI_NAME = "bidi-name"  # its name shows in another order than it is written
    TYPE_MISMATCH = "type-mismatch"  # not what its ending or its declared type promises
    ARCHIVE_INSIDE = "archive-inside"  # named only
    LEADS_OUT = "leads-out"  # an archive lists a path outside its folder
    NOT_LISTED = "not-listed"  # a container whose content is not listed
    LISTING_CUT = "listing-cut"  # more names than are read
    DAMAGED = "damaged"  # an archive whose directory does not add up
    EXPANDS = "expands"  # an archive that claims to unpack to many times its size


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """One attached file. ``number`` counts from 1 in the order of the message, ``part`` is its MIME part.

    ``name`` is safe to write under, ``declared`` the sender's media type, ``type`` the one by content; ``size`` in octets
    and ``sha256`` are those of the decoded file.
    """

    number: int
    part: int
    name: str
    declared: str
    type: str
    size: int
    sha256: str
    flags: tuple[FileFlag, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether a program is attached, or lies in a listed archive."""
        return not _RUNS.isdisjoint(self.flags)


MAX_MESSAGES_DEEP: Final = 5
"""Attached messages inside each other that are looked into: a forward of a forward has two."""
_NOTHING: Final[frozenset[FileFlag]] = frozenset()
_RUNS: Final = frozenset({FileFlag.EXECUTABLE, FileFlag.EXECUTABLE_INSIDE, FileFlag.DISK_IMAGE})

# Texts of reports and the reports themselves: they are read as what they are (RFC 3464, RFC 5965, RFC 8098).
_REPORTS: Final = frozenset(
    {
        *("message/delivery-status", "message/global-delivery-status", "message/disposition-notification"),
        *("message/feedback-report", "text/rfc822-headers", "message/global-headers"),
        "message/global-disposition-notification",
    }
)
_PROGRAM_TYPES: Final = frozenset(
    {
        *("application/x-msdownload", "application/x-msdos-program", "application/x-ms-installer"),
        *("application/hta", "application/java-archive", "application/x-sh"),
    }
)


def is_program(part: Part) -> bool:
    """Whether a part is a file that a double click would run, by its ending or its declared type."""
    return part.content_type in _PROGRAM_TYPES or (part.filename is not None and runs_by_name(part.filename))


def is_file(part: Part) -> bool:
    """Whether a part is attached, and not the message's own text, a container or a report for programs."""
    if part.multipart or part.content_type in _REPORTS:
        return False
    if part.filename is not None or part.disposition == "attachment":
        return True
    return not part.content_type.startswith("text/")


def has_files(parts: tuple[Part, ...]) -> bool:
    """Whether a message has attached files at all. Asked of every message, so that its usual parts are passed over at once."""
    for part in parts:
        plain = part.filename is None and part.disposition != "attachment"
        if not (plain and part.content_type.startswith(("text/", "multipart/"))) and is_file(part):
            return True
    return False


def attached_files(message: Message, parts: tuple[Part, ...], depth: int = 0) -> tuple[AttachedFile, ...]:
    """All attached files; ``parts`` are the message's own. There are as many as parts are opened (``verifier.parts``).

    An attached message is one file, with the flags of the files in it; ``depth`` counts messages around this one.
    """
    found: list[AttachedFile] = []
    for part in parts:
        if is_file(part):
            data = octets_of(message, part)
            if data or part.filename is not None:
                found.append(_described(len(found) + 1, part, data, depth))
    return tuple(found)


def file_octets(message: Message, parts: tuple[Part, ...], number: int) -> bytes | None:
    """The octets of the file with that number; None where there is none."""
    count = 0
    for part in parts:
        if is_file(part):
            data = octets_of(message, part)
            if data or part.filename is not None:
                count += 1
                if count == number:
                    return data
    return None


def archive_entries(data: bytes) -> tuple[Entry, ...]:
    """The names that an archive lists; none for a file of another kind."""
    return listing_of(data, type_of(data)).entries


def _described(number: int, part: Part, data: bytes, depth: int) -> AttachedFile:
    name = part.filename or ""
    found = type_of(data)
    listing = listing_of(data, found)
    if found == ZIP:
        found = _zip_type(data, listing)
    carried = _carried(data, depth) if is_attached_message(part) else _NOTHING
    return AttachedFile(
        number=number,
        part=part.number,
        name=safe_name(part.filename, number),
        declared=part.content_type,
        type=found,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        flags=_flags(part, name, data, found, listing, carried),
    )


def _carried(data: bytes, depth: int) -> frozenset[FileFlag]:
    """What an attached message's own files bring with them."""
    message = read_message(data)
    parts = walk(message)
    if not has_files(parts):
        return _NOTHING
    if depth >= MAX_MESSAGES_DEEP:
        return frozenset({FileFlag.NOT_LISTED})
    flags: set[FileFlag] = set()
    for file in attached_files(message, parts, depth + 1):
        flags.update(file.flags)
    if not _RUNS.isdisjoint(flags):
        flags.add(FileFlag.EXECUTABLE_INSIDE)
    return frozenset(flags - {FileFlag.EXECUTABLE, FileFlag.DISK_IMAGE})


def _flags(  # noqa: PLR0917 - one call, each argument a different type
    part: Part, name: str, data: bytes, found: str, listing: Listing, carried: frozenset[FileFlag]
) -> tuple[FileFlag, ...]:
    ending = extension(name)
    found_here = (
        (FileFlag.EXECUTABLE, found in EXECUTABLE or is_program(part)),
        (FileFlag.EXECUTABLE_INSIDE, False),
        (FileFlag.DISK_IMAGE, found in DISK_IMAGES),
        (FileFlag.MACROS, _has_macros(data, found, ending, listing)),
        (FileFlag.SCRIPT, found in {"text/html", "image/svg+xml"} and has_script(data)),
        (FileFlag.ENCRYPTED, listing.encrypted or _is_encrypted_document(data, found)),
        (FileFlag.DOUBLE_EXTENSION, double_extension(name)),
        (FileFlag.BIDI_NAME, turns_direction(name)),
        (FileFlag.TYPE_MISMATCH, bool(data) and breaks_promise(ending, part.content_type, found)),
        (FileFlag.ARCHIVE_INSIDE, False),
        (FileFlag.LEADS_OUT, False),
        (FileFlag.NOT_LISTED, found in NOT_LISTED),
        (FileFlag.LISTING_CUT, listing.cut),
        (FileFlag.DAMAGED, listing.damaged),
        (FileFlag.EXPANDS, listing.expands),
    )
    more = carried | _inside(listing) if carried or listing.entries else _NOTHING
    return tuple([flag for flag, holds in found_here if holds or (more and flag in more)])


def _is_encrypted_document(data: bytes, found: str) -> bool:
    return found == "application/x-encrypted-office" or (found == PDF and pdf_is_encrypted(data))


def _inside(listing: Listing) -> frozenset[FileFlag]:
    flags: set[FileFlag] = set()
    for entry in listing.entries:
        ending = extension(entry.name.replace("\\", "/").rpartition("/")[2])
        if runs_by_name(entry.name):
            flags.add(FileFlag.EXECUTABLE_INSIDE)
            if double_extension(entry.name):
                flags.add(FileFlag.DOUBLE_EXTENSION)
        if ending in ARCHIVES:
            flags.add(FileFlag.ARCHIVE_INSIDE)
        if turns_direction(entry.name):
            flags.add(FileFlag.BIDI_NAME)
        if leads_out(entry.name):
            flags.add(FileFlag.LEADS_OUT)
    return frozenset(flags)


def _has_macros(data: bytes, found: str, ending: str, listing: Listing) -> bool:
    if ending in MACRO_DOCUMENTS:
        return True
    if found in _OLE_TYPES:
        return ole_has_macros(data)
    # ECMA-376 part names; [MS-OFFMACRO] 2.2.1.1 and 2.2.1.4; OpenDocument keeps its Basic in a folder.
    return any(
        name.endswith("vbaproject.bin") or "/macrosheets/" in name or name.startswith("basic/")
        for name in (entry.name.lower() for entry in listing.entries)
    )


_OLE_TYPES: Final = frozenset(
    {OLE, "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"}
)
_OOXML: Final = "application/vnd.openxmlformats-officedocument."
_MIMETYPE_AT: Final = 38  # OpenDocument 1.2 part 3, 3.3: the first file, stored, is named "mimetype"


def _zip_type(data: bytes, listing: Listing) -> str:
    """The type of what is a ZIP underneath, by the names in it."""
    if data[30:_MIMETYPE_AT] == b"mimetype":
        kind = data[_MIMETYPE_AT : _MIMETYPE_AT + 100].partition(b"PK")[0]
        if kind.startswith((b"application/vnd.oasis.opendocument.", b"application/epub+zip")) and kind.isascii():
            return kind.decode("ascii") if kind.decode("ascii").isprintable() else ZIP
    names = {entry.name for entry in listing.entries}
    if "[Content_Types].xml" in names:  # ECMA-376 part 2, 10.1.2.2
        for folder, kind_of in (("word/", "wordprocessingml"), ("xl/", "spreadsheetml"), ("ppt/", "presentationml")):
            if any(name.startswith(folder) for name in names):
                return f"{_OOXML}{kind_of}"
        return "application/appx" if "AppxManifest.xml" in names else ZIP
    if "AndroidManifest.xml" in names:
        return "application/vnd.android.package-archive"
    if "META-INF/MANIFEST.MF" in names and any(name.endswith(".class") for name in names):
        return "application/java-archive"
    return ZIP
