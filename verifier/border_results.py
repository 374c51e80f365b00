"""What a border server that the operator trusts noted about a message when it came in (RFC 8601). Told, never proof.

Anybody can write an Authentication-Results field. Believed is one only if it bears a configured authserv-id and stands
in the block on top of the header that the border's own organisation wrote: above the first Received field of anybody
else, since all that stands below may have come with the message.
"""

from __future__ import annotations

import re
from typing import Final

from verifier.authres import AuthresError, MethodResult, read_field
from verifier.message import Field, Message

MAX_FIELDS: Final = 60  # looked at from the top; a border and its inner hops write under 30
MAX_RESULTS: Final = 8  # told in one sentence

# RFC 5321 4.4: who wrote a Received field stands after "by".
_BY: Final = re.compile(rb"(?:^|[\s)])by\s+([A-Za-z0-9.-]{1,253})(?=[\s;(]|$)", re.IGNORECASE)
_METHODS: Final = ("dkim", "spf", "dmarc", "arc")
_ABOUT: Final = ("header.d", "header.from", "header.i", "smtp.mailfrom", "smtp.helo")


def border_results(message: Message, authserv_ids: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """The authserv-id and its results as words ("dkim=pass experts.test"), or None where nobody trusted says anything."""
    trusted = {name.rstrip(".").lower() for name in authserv_ids}
    if not trusted:
        return None
    words: list[str] = []
    said_by: str | None = None
    for field in message.fields[:MAX_FIELDS]:
        if field.lower == b"received" and not _written_by(field, trusted):
            break
        if field.lower != b"authentication-results":
            continue
        try:
            read = read_field(field.value)
        except AuthresError:
            continue
        name = read.authserv_id.rstrip(".").lower()
        if name in trusted and said_by in (None, name):
            said_by = name
            words += [_word(result) for result in read.results if result.method in _METHODS]
    return None if said_by is None else (said_by, tuple(dict.fromkeys(words))[:MAX_RESULTS])


def _written_by(field: Field, trusted: set[str]) -> bool:
    """Whether a Received field was written by a trusted server, or by a host below its name or domain."""
    found = _BY.search(field.value)
    if found is None:
        return False
    host = found[1].decode("ascii").rstrip(".").lower()
    return any(host == name or host.endswith("." + name) for name in trusted)


def _word(result: MethodResult) -> str:
    about = next((value for name, value in result.properties if name in _ABOUT), "")
    return f"{result.method}={result.result}" + (f" {about}" if about else "")
