"""Signatures that mail programs mark in HTML: set off by the delimiter of plain text, so that all else finds them. Pure.

Only where nothing but the quoted message stands below one: what somebody wrote under a signature is no part of it.
"""

from __future__ import annotations

import re
from typing import Final

MAX_MARKS: Final = 10
"""Elements looked at: one mail has one or two, its quotes the others."""

# Outlook on the web and mobile, new Outlook, Apple Mail, Gmail, Thunderbird, Yahoo; "x_" where Outlook quotes its own.
_OPENS: Final = re.compile(
    r"<(?P<tag>div|span|table|p|pre)\b(?=[^<>]{0,500}?\b(?:id|class)\s{0,3}=\s{0,3}[\"']?(?:[^\"'<>]{0,200}\s)?"
    r"(?:x_)?(?:Signature|ms-outlook-mobile-signature|AppleMailSignature|apple-mail-signature|gmail_signature"
    r"|moz-signature|ymail_android_signature|yahoo-signature|protonmail_signature_block)(?=[\s\"'>]))[^<>]{0,2000}>",
    re.IGNORECASE,
)
# Where the message begins that is answered.
_QUOTE_BEGINS: Final = re.compile(
    r"<blockquote\b|<hr\b|<[a-z]{1,10}\b[^<>]{0,500}?\b(?:id|class)\s{0,3}=\s{0,3}[\"']?(?:x_)?"
    r"(?:divRplyFwdMsg|appendonsend|mail-editor-reference-message-container|gmail_quote|gmail_attr|moz-cite-prefix|yahoo_quoted|protonmail_quote)",
    re.IGNORECASE,
)
_TAG: Final = re.compile(r"<[^<>]{0,2000}>")
_BLANK: Final = re.compile(r"(?:\s|&nbsp;|&#160;|&#xA0;|\u200b|\ufeff)+", re.IGNORECASE)
_DELIMITER: Final = "<div>-- </div>"


def with_signature_set_off(html: str) -> str:
    """The HTML with "-- " above the signature that ends what its author wrote; as it is where none is marked."""
    if "ignature" not in html and "SIGNATURE" not in html:
        return html
    found = _QUOTE_BEGINS.search(html)
    end = len(html) if found is None else found.start()
    for number, opened in enumerate(_OPENS.finditer(html, 0, end)):
        if number == MAX_MARKS:
            break
        closes = _closes(html, opened.end(), end, opened["tag"])
        content = _visible(html[opened.end() : closes])
        if not content or _visible(html[closes:end]):
            continue
        before = _visible(html[max(0, opened.start() - 200) : opened.start()])
        if before.endswith("--") or content.startswith("--"):
            return html  # Gmail and Thunderbird write it themselves
        return html[: opened.start()] + _DELIMITER + html[opened.start() :]
    return html


def _closes(html: str, start: int, end: int, tag: str) -> int:
    """Where the element ends whose content begins at ``start``; ``end`` where it is not closed before."""
    depth = 1
    for found in re.compile(rf"<(/?){tag}\b", re.IGNORECASE).finditer(html, start, end):
        depth += -1 if found[1] else 1
        if depth == 0:
            return found.start()
    return end


def _visible(html: str) -> str:
    """The text without tags and blanks around it."""
    return _BLANK.sub(" ", _TAG.sub(" ", html)).strip()
