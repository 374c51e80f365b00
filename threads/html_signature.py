"""Signatures that mail programs mark in HTML: set off by the delimiter of plain text, so that all else finds them. Pure.

Only where nothing but the quoted message stands below one, and it holds nothing but what signatures hold: who answers with the
cursor inside it writes into it, and anybody can mark anything.
"""

from __future__ import annotations

import html as entities
import re
from typing import Final

from threads.new_text import SpanKind, split_text
from threads.signature_words import CONFIDENTIAL, DISCLAIMERS, SENT_FROM

MAX_MARKS: Final = 10
"""Elements looked at: one mail has one or two, its quotes the others."""
MAX_SIGNATURE: Final = 20_000
"""Characters of HTML of a signature, and of what is looked at of the message below it: Outlook writes under 10,000."""

# Outlook on the web and mobile, new Outlook, Apple Mail, Gmail, Thunderbird, Yahoo; "x_" where Outlook quotes its own.
_IDS: Final = frozenset({"signature", "ms-outlook-mobile-signature", "applemailsignature"})
_CLASSES: Final = frozenset(
    {
        *("ms-outlook-mobile-signature", "applemailsignature", "apple-mail-signature", "gmail_signature"),
        *("moz-signature", "ymail_android_signature", "yahoo-signature", "protonmail_signature_block"),
    }
)
_OPENS: Final = re.compile(
    r"<(?P<tag>div|span|table|p|pre)(?=\s)(?P<attributes>[^<>]{0,2000})>", re.IGNORECASE
)
_ATTRIBUTE: Final = re.compile(
    r"""([^\s"'=<>/]{1,100})(?:\s{0,3}=\s{0,3}("[^"]*(?:"|$)|'[^']*(?:'|$)|[^\s"'<>]{1,300}))?"""
)
# Where the message begins that is answered.
_QUOTE_BEGINS: Final = re.compile(
    r"<blockquote\b|<hr\b|<[a-z]{1,10}\b[^<>]{0,500}?\b(?:id|class)\s{0,3}=\s{0,3}[\"']?(?:x_)?"
    r"(?:divRplyFwdMsg|appendonsend|mail-editor-reference-message-container|gmail_quote|gmail_attr|moz-cite-prefix|yahoo_quoted|protonmail_quote)",
    re.IGNORECASE,
)
_TAG: Final = re.compile(r"<[a-zA-Z/!?][^<>]{0,2000}>")  # "< x" and "<3" are text
_INLINE: Final = re.compile(
    r"</?(?:a|b|i|u|em|strong|span|font|big|small|o:p)(?:\s[^<>]{0,2000})?>", re.IGNORECASE
)
_BLANK: Final = re.compile(r"(?:\s|&nbsp;|&#160;|&#xA0;|\u200b|\ufeff)+", re.IGNORECASE)
_QUOTE_SIGN: Final = "\ufdd0"  # see html_text: a quotation that will be shown as one begins
_DELIMITER: Final = "<div>-- </div>"

# What no name, title or address is, and a sentence may be.
_MAX_LINE: Final = 80
_SENTENCE: Final = 4  # words, from which on what is mostly in small letters says something
_MARKS: Final = "!?。！？؟…"
_LATER: Final = re.compile(r"p\.?\s?(?:p\.?\s?)?s\b|n\.?b\b", re.IGNORECASE)


def with_signature_set_off(html: str) -> str:
    """The HTML with "-- " above the signature that ends what its author wrote; as it is where none is marked."""
    if "ignature" not in html and "SIGNATURE" not in html:
        return html
    found = _QUOTE_BEGINS.search(html)
    end = len(html) if found is None else found.start()
    number = 0
    for opened in _OPENS.finditer(html, 0, end):
        if not _is_marked(opened["attributes"]):
            continue
        number += 1
        if number > MAX_MARKS:
            break
        closes = _closes(html, opened.end(), end, opened["tag"])
        if closes < 0 or closes - opened.end() > MAX_SIGNATURE or _visible(html[closes:end]):
            continue
        content = html[opened.end() : closes]
        if not _is_signature(content) or not _visible(html[: opened.start()]):
            continue
        before = _visible(html[max(0, opened.start() - 200) : opened.start()])
        if before.endswith("--") or _visible(content).startswith("--"):
            return html  # Gmail and Thunderbird write it themselves
        if not _is_quoted(html[end : end + MAX_SIGNATURE]):
            return html
        return html[: opened.start()] + _DELIMITER + html[opened.start() :]
    return html


def _is_marked(attributes: str) -> bool:
    """Whether an element's id or class is one of a signature; the same words in other attributes are not."""
    if "ignature" not in attributes and "SIGNATURE" not in attributes:
        return False
    for name, value in _ATTRIBUTE.findall(attributes):
        words = value.strip("\"'").lower().split()
        if name.lower() == "id":
            if words and words[0].removeprefix("x_") in _IDS:
                return True
        elif name.lower() == "class" and any(word.removeprefix("x_") in _CLASSES for word in words):
            return True
    return False


def _closes(html: str, start: int, end: int, tag: str) -> int:
    """Where the element ends whose content begins at ``start``; -1 where it is not closed before ``end``."""
    depth = 1
    for found in re.compile(rf"<(/?){tag}(?=[\s/>])", re.IGNORECASE).finditer(html, start, end):
        depth += -1 if found[1] else 1
        if depth == 0:
            return found.start()
    return -1


def _is_signature(html: str) -> bool:
    """Whether all lines are such as stand in signatures, or a notice that says that it is one."""
    lines = [line for line in _lines(html) if line]
    for line in lines:
        lowered = line.casefold()
        if lowered.startswith(DISCLAIMERS) and any(word in lowered for word in CONFIDENTIAL):
            continue
        if _says_something(line):
            return False
    return bool(lines)


def _says_something(line: str) -> bool:
    """A sentence or a postscript, and not a name, a title, an address or a number."""
    if line.casefold().startswith(SENT_FROM) and line[-1] not in ".:":  # "Sent from Outlook for Android"
        return len(line) > _MAX_LINE or any(mark in line for mark in _MARKS)
    words = [word for word in line.split() if word[:1].isalpha()]
    if len(line) > _MAX_LINE or any(mark in line for mark in _MARKS) or _LATER.match(line) is not None:
        return True
    if len(words) < _SENTENCE:
        return False
    return line.endswith((".", ":")) or sum(word[:1].isupper() for word in words) * 2 < len(words)


def _is_quoted(html: str) -> bool:
    """Whether what stands below is told to be the message that is answered; True where nothing does."""
    below = "\n".join(_lines(html)).replace(_QUOTE_SIGN, "\n> ").strip()
    return not below or split_text(below).spans[0].kind is SpanKind.QUOTED


def _lines(html: str) -> list[str]:
    """What is seen, line by line: each element that is no part of a line begins one."""
    text = _TAG.sub("\n", _INLINE.sub("", _BLANK.sub(" ", html)))
    return [line.strip() for line in entities.unescape(text).split("\n")]


def _visible(html: str) -> str:
    """The text without tags and blanks around it."""
    return _BLANK.sub(" ", _TAG.sub(" ", html)).strip()
