"""Where the signature begins in the last text that its author wrote: a closing formula, a name, a notice of the server.

Looks at a bounded number of lines from the end, so it is linear whatever the text holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from threads.signature_words import (
    BANNER_WORDS,
    BANNERS,
    CLOSINGS,
    CONFIDENTIAL,
    DISCLAIMERS,
    NOTICE_HEADINGS,
)

# Written lines from the end that are looked at: a notice has seldom more paragraphs.
MAX_LINES: Final = 40
# Below a closing formula stand a name, a title and a few numbers, none of them long; more is text.
MAX_BELOW_CLOSING: Final = 10
MAX_NAME_LINE: Final = 80
_MAX_CLOSING: Final = 45  # characters of a closing formula with what follows it, such as "🎉"
_NOTICE_LINES: Final = 4  # lines of a notice in which it says that it is one
_NOTICE_HEAD: Final = 500  # characters of each of them: HTML makes a paragraph one line

# "-Alex Doe", "/Alex", "– Alex": no blank behind a hyphen, which would be a list.
_DASHED_NAME: Final = re.compile(r"(?:-|/|[–—]\s?)[^\W\d_](?:[^\W\d_]|[.'’])*(?:\s(?:[^\W\d_]|[.'’])+){0,3}")
# What was thought of last stands below the name, and is text: "PS: please call me". "PS C:\\>" is a shell's prompt.
_POSTSCRIPT: Final = re.compile(
    r"p\.?\s?(?:p\.?\s?)?s\.?\s?[:：—–-]|p\.\s?s\.\s|n\.?b\.?\s?[:：]|p\.?d\.?\s?[:：]", re.IGNORECASE
)


def signature_start(lines: Sequence[str], short: Sequence[str | None], start: int, end: int) -> int:
    """The line at which the signature begins that ends ``lines[start:end]``; ``end`` where there is none.

    ``short`` holds each line without blanks around it, and None for one that is too long for any part of a signature but
    a notice.
    """
    floor = _notice(lines, short, start, end)
    floor = _dashed_name(short, start, floor)
    return _closing(short, start, floor)


def is_banner(short: str) -> bool:
    """Whether a line is what a server puts above mail from outside ("CAUTION: This email originated from outside …")."""
    lowered = short.casefold()
    return lowered.startswith(BANNERS) and any(words in lowered for words in BANNER_WORDS)


def _notice(lines: Sequence[str], short: Sequence[str | None], start: int, end: int) -> int:
    found = end
    solid = 0
    for number in range(end - 1, start, -1):
        line = short[number]
        if line == "":
            continue
        solid += 1
        if solid > MAX_LINES:
            break
        if short[number - 1] == "" and _is_notice(lines, number, end):
            found = number  # and on: a notice may have several paragraphs
    return found


def _is_notice(lines: Sequence[str], number: int, end: int) -> bool:
    lowered = lines[number][:_NOTICE_HEAD].strip().casefold().strip("*_:#>- ")
    if lowered in NOTICE_HEADINGS:
        return True
    if not lowered.startswith(DISCLAIMERS):
        return False
    paragraph = " ".join(
        part[:_NOTICE_HEAD] for part in lines[number : min(number + _NOTICE_LINES, end)]
    ).casefold()
    return any(word in paragraph for word in CONFIDENTIAL)


def _dashed_name(short: Sequence[str | None], start: int, end: int) -> int:
    number = end - 1
    while number > start and short[number] == "":
        number -= 1
    line = short[number] if number > start else None
    if (
        line
        and short[number - 1] == ""
        and _DASHED_NAME.fullmatch(line)
        and line.lstrip("-/–— ")[:1].isupper()
    ):
        return number
    return end


def _closing(short: Sequence[str | None], start: int, end: int) -> int:
    below = 0
    for number in range(end - 1, start, -1):
        line = short[number]
        if line == "":
            continue
        if line is None or len(line) > MAX_NAME_LINE or below > MAX_BELOW_CLOSING:
            return end
        if _POSTSCRIPT.match(line):
            return end
        if below and len(line) <= _MAX_CLOSING and _is_closing(line):
            return number
        below += 1
    return end


def _is_closing(line: str) -> bool:
    """A formula, or the same in two languages: "Mit freundlichen Grüßen / Best regards"."""
    if _bare(line) in CLOSINGS:
        return True
    return "/" in line and all(_bare(half) in CLOSINGS for half in line.split("/"))


def _bare(line: str) -> str:
    """A formula without marks around it and pictures behind it."""
    lowered = line.casefold()
    last = len(lowered)
    while last and not lowered[last - 1].isalpha():
        last -= 1
    return lowered[:last].lstrip("*_ \t")
