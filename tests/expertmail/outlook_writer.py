"""Writes Outlook .msg files for tests: containers after [MS-CFB], properties after [MS-OXMSG].

No files of Outlook's own are at hand that could be kept here, so all that the tests read was made by this writer.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

SECTOR, MINI, CUTOFF = 512, 64, 4096
FREE, END, FAT_SECTOR, NONE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
UNICODE, STRING_8, BINARY, LONG, TIME = 0x001F, 0x001E, 0x0102, 0x0003, 0x0040

Folder = dict[str, "bytes | Folder"]
Value = str | bytes | int | datetime
Properties = Mapping[int, Value]


def container(root: Folder) -> bytes:
    """A compound file of version 3 with up to 109 FAT sectors (6.8 MB)."""
    entries: list[list[object]] = []  # name, kind, left, right, child, data
    _add_folder(entries, "Root Entry", 5, root)
    mini_fat: list[int] = []
    mini_stream = bytearray()
    sectors: list[bytes] = []
    fat: list[int] = []
    starts: list[tuple[int, int]] = []

    def place(data: bytes) -> int:
        first = len(sectors)
        for at in range(0, len(data), SECTOR):
            sectors.append(data[at : at + SECTOR].ljust(SECTOR, b"\0"))
            fat.append(len(sectors))
        if len(sectors) == first:
            return END
        fat[-1] = END
        return first

    for _, kind, *_, data in entries:
        if kind != 2:
            starts.append((0, 0))
        elif len(data) >= CUTOFF:
            starts.append((place(data), len(data)))
        elif not data:
            starts.append((END, 0))
        else:
            starts.append((len(mini_fat), len(data)))
            count = -(-len(data) // MINI)
            mini_fat += [*range(len(mini_fat) + 1, len(mini_fat) + count), END]
            mini_stream += data.ljust(count * MINI, b"\0")
    starts[0] = (place(bytes(mini_stream)), len(mini_stream))
    mini_at = place(b"".join(struct.pack("<I", n) for n in mini_fat))
    directory = b"".join(_entry(*entry[:5], *start) for entry, start in zip(entries, starts, strict=True))
    directory_at = place(directory + _entry("", 0, NONE, NONE, NONE, 0, 0) * (-len(entries) % 4))
    fat_count = 0
    while fat_count * 128 < len(sectors) + fat_count:
        fat_count += 1
    assert fat_count <= 109
    fat_at = len(sectors)
    table = [*fat, *[FAT_SECTOR] * fat_count]
    table += [FREE] * (fat_count * 128 - len(table))
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII",
        *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6, 0, fat_count, directory_at, 0, CUTOFF),
        *(mini_at, -(-len(mini_fat) * 4 // SECTOR), END, 0),
    )
    places = [*range(fat_at, fat_at + fat_count), *[FREE] * (109 - fat_count)]
    return header + struct.pack("<109I", *places) + b"".join(sectors) + struct.pack(f"<{len(table)}I", *table)


def _add_folder(entries: list[list[object]], name: str, kind: int, folder: Folder) -> int:
    number = len(entries)
    entries.append([name, kind, NONE, NONE, NONE, b""])
    names = sorted(folder, key=lambda n: (len(n), n.upper()))

    def tree(some: list[str]) -> int:
        if not some:
            return NONE
        middle = len(some) // 2
        inside = folder[some[middle]]
        if isinstance(inside, dict):
            at = _add_folder(entries, some[middle], 1, inside)
        else:
            at = len(entries)
            entries.append([some[middle], 2, NONE, NONE, NONE, inside])
        entries[at][2], entries[at][3] = tree(some[:middle]), tree(some[middle + 1 :])
        return at

    entries[number][4] = tree(names)
    return number


def _entry(name: str, kind: int, left: int, right: int, child: int, start: int, size: int) -> bytes:
    text = name.encode("utf-16-le") + b"\0\0" if name else b""
    return struct.pack("<64sHBBIII16s4x16xIQ", text, len(text), kind, 1, left, right, child, b"", start, size)


def storage(properties: Properties, header: int, code_page: str | None = None) -> Folder:
    """Properties as streams; a str is Unicode, or 8-bit where a codec is named."""
    found: Folder = {}
    fixed = b"\0" * header
    for number, value in properties.items():
        if isinstance(value, int):
            fixed += struct.pack("<HHIQ", LONG, number, 6, value)
            continue
        if isinstance(value, datetime):
            ticks = int((value - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000
            fixed += struct.pack("<HHIQ", TIME, number, 6, ticks)
            continue
        kind, data = BINARY, value
        if isinstance(value, str):
            kind = UNICODE if code_page is None else STRING_8
            data = value.encode(code_page or "utf-16-le")
        found[f"__substg1.0_{number:04X}{kind:04X}"] = data
        fixed += struct.pack("<HHIQ", kind, number, 6, len(data))
    found["__properties_version1.0"] = fixed
    return found


def message(
    properties: Properties,
    recipients: Sequence[Properties] = (),
    attachments: Sequence[Properties | Folder] = (),
    *,
    code_page: str | None = None,
    embedded: bool = False,
) -> Folder:
    """The storage of a message; an attachment is its properties, or its ready storage."""
    found = storage(properties, 24 if embedded else 32, code_page)
    if not embedded:  # names of properties beyond the usual: none, but the storage must be there (2.2.3)
        found["__nameid_version1.0"] = {f"__substg1.0_{number:04X}0102": b"" for number in (2, 3, 4)}
    counts = (len(recipients), len(attachments))
    header = struct.pack("<8xIIII", *counts, *counts)
    found["__properties_version1.0"] = header + found["__properties_version1.0"][len(header) :]
    for number, recipient in enumerate(recipients):
        found[f"__recip_version1.0_#{number:08X}"] = storage(recipient, 8, code_page)
    for number, attachment in enumerate(attachments):
        ready = any(isinstance(key, str) for key in attachment)
        inside = attachment if ready else storage(attachment, 8, code_page)
        found[f"__attach_version1.0_#{number:08X}"] = inside
    return found


def embedding(inside: Folder, name: str = "embedded", method: int = 5) -> Folder:
    """An attachment that is a message of Outlook's."""
    found = storage({0x3705: method, 0x3001: name}, 8)
    found["__substg1.0_3701000D"] = inside
    return found


def compressed(rtf: bytes) -> bytes:
    """Compressed RTF that holds literals only."""
    content = b"".join(b"\0" + rtf[at : at + 8] for at in range(0, len(rtf), 8))
    checksum = zlib.crc32(content, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return (
        struct.pack("<III", len(content) + 12, len(rtf), 0x75465A4C) + struct.pack("<I", checksum) + content
    )
