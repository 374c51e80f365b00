"""Under which digests a message may be on record that somebody has saved elsewhere. Pure.

A mail program, or a server after ours, puts trace fields on top of a message (RFC 5321 4.4) and may end it otherwise; the stored
copy is as it came. Only fields that servers put there are taken off: any other is part of what was said, and makes another message.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final

MAX_TAKEN_OFF: Final = 15
"""Fields: five servers that write three each."""
MAX_OCTETS: Final = 1024 * 1024
"""Of a message that is tried without them: each try reads all of it."""
_TRACE: Final = re.compile(
    rb"(?:received(?:-spf)?|return-path|delivered-to|x-original-to|x-envelope-to|authentication-results"
    rb"|arc-(?:seal|message-signature|authentication-results)|dkim-signature):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*",
    re.IGNORECASE,
)


def digests_of(raw: bytes) -> Iterator[tuple[str, int]]:
    """SHA-256 digests, the likeliest first, each with how many trace fields on top were taken off for it."""
    seen: set[str] = set()
    start = 0
    for taken in range(MAX_TAKEN_OFF + 1):
        for digest in _digests(raw[start:]):
            if digest not in seen:
                seen.add(digest)
                yield digest, taken
        found = _TRACE.match(raw, start)
        if found is None or len(raw) > MAX_OCTETS:
            return
        start = found.end()


def _digests(raw: bytes) -> Iterator[str]:
    """As it is, and as a text that was saved or pasted may have ended before: with one line end, or with none. Reads it once."""
    bare = raw.rstrip(b"\r\n")
    begun = hashlib.sha256(bare)
    for end in (raw[len(bare) :], b"\r\n", b""):
        whole = begun.copy()
        whole.update(end)
        yield whole.hexdigest()
