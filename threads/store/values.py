"""Making text from mail fit for a database."""

from __future__ import annotations

import re

# Characters that a database or its driver refuses: NUL (PostgreSQL) and lone surrogates (both, and UTF-8).
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# One line of mail is at most 998 octets (RFC 5322 2.1.1); longer values are cut, for the bytes are kept anyway.
MAX_LINE = 998
# A path is at most 256 octets (RFC 5321 4.5.3.1.3); a parser upstream refused longer ones.
MAX_PATH = 512
# A Message-ID in octets: one line of mail at most, and within what PostgreSQL can index (2,704 octets).
MAX_ID = 998
# The number of a row (a 32-bit integer on PostgreSQL, which refuses to compare it with a larger one).
MAX_ROW = 2**31 - 1
# The timeline shows this much of one message; the stored bytes have the rest.
MAX_TEXT = 1_000_000


def storable(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` without what a database refuses (each replaced by U+FFFD), cut at ``limit`` characters."""
    if len(text) > limit:
        text = text[:limit]
    if text.isascii() and "\0" not in text:  # nearly all, twenty times a message
        return text
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def address_key(address: str) -> str:
    """The form in which addresses are compared.

    Domains are case-insensitive, and nobody's mailboxes differ by case only (RFC 5321 2.4): all lower case.
    """
    return address.strip().lower()


MAX_ABOVE = 8
"""Domains above one that are asked for; names of mailboxes have seldom more labels."""


def domains_above(domain: str) -> tuple[str, ...]:
    """The domains that a domain is below of, the nearest first and none of one label: "a.b.test" is below "b.test"."""
    labels = domain.split(".")[-MAX_ABOVE - 2 :]
    return tuple(".".join(labels[number:]) for number in range(1, len(labels) - 1))
