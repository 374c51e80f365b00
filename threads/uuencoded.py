"""Files that old programs put into the text of a mail: "begin 644 name", lines of uuencode, "end" (POSIX uuencode)."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from typing import Final

MAX_FILES: Final = 100  # in one text
_BEGIN: Final = re.compile(r"^begin [0-7]{3,4} (\S[^\n]{0,254})$", re.MULTILINE)
_LONGEST: Final = 80  # a line holds at most 45 octets: 61 characters, and what programs add


@dataclass(frozen=True, slots=True)
class UuencodedFile:
    """One such file."""

    name: str
    data: bytes


def uuencoded_files(text: str) -> tuple[UuencodedFile, ...]:
    """The files in a text with LF line ends. Only what has its "end" is one. Never raises; linear."""
    found: list[UuencodedFile] = []
    position = 0
    while len(found) < MAX_FILES and (begin := _BEGIN.search(text, position)) is not None:
        pieces: list[bytes] = []
        position = begin.end() + 1
        while (line_end := text.find("\n", position, position + _LONGEST)) >= 0 or (
            len(text) - position == len("end") and text.endswith("end")  # no copy of the rest at each "begin"
        ):
            line = text[position:line_end] if line_end >= 0 else "end"
            position += len(line) + 1
            if line.rstrip() == "end":
                found.append(UuencodedFile(begin[1].strip(), b"".join(pieces)))
                break
            octets = _line(line)
            if octets is None:
                break
            pieces.append(octets)
    return tuple(found)


def _line(line: str) -> bytes | None:
    """The octets of one line; its blanks at the end may have been lost."""
    try:
        return binascii.a2b_uu(line)
    except (binascii.Error, ValueError):
        return None
