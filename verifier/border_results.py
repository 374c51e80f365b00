"""What a border server that the operator trusts noted about a message when it came in (RFC 8601). Told, never proof.

Anybody can write an Authentication-Results field. Believed is one only if it bears a configured authserv-id and stands
in the block on top of the header that the border's own organisation wrote, since all that stands below may have come with
the message. The block ends before the first Received field of anybody else, and before the one that follows the message's
entry from outside, whoever that says it is from. Servers differ in whether they write their results above or below their
own Received field: those below are looked at only where there are none above.
"""

from __future__ import annotations

from typing import Final

from verifier.authres import AuthresError, MethodResult, read_field
from verifier.message import Message
from verifier.received_field import ReceivedError, read_received
from verifier.received_walk import is_trusted, stays_within, trusted_names

MAX_FIELDS: Final = 60  # looked at from the top; a border and its inner hops write under 30
MAX_RESULTS: Final = 8  # told in one sentence

_METHODS: Final = ("dkim", "spf", "dmarc", "arc")
_ABOUT: Final = ("header.d", "header.from", "header.i", "smtp.mailfrom", "smtp.helo")


def border_results(message: Message, authserv_ids: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """The authserv-id and its results as words ("dkim=pass experts.test"), or None where nobody trusted says anything."""
    trusted = trusted_names(authserv_ids)
    if not trusted:
        return None
    above, below = _block(message, trusted)
    return _told(above, trusted) or _told(below, trusted)


def _block(message: Message, trusted: frozenset[str]) -> tuple[list[bytes], list[bytes]]:
    """The values of Authentication-Results fields above the message's entry, and of those right below it."""
    above: list[bytes] = []
    below: list[bytes] = []
    into = above
    for field in message.fields[:MAX_FIELDS]:
        if field.lower == b"authentication-results":
            into.append(field.value)
        elif field.lower == b"received":
            if into is below:
                break
            try:
                hop = read_received(field.value)
            except ReceivedError:
                break
            if not is_trusted(hop.by, trusted):
                break
            if not stays_within(hop, trusted):
                into = below
    return above, below


def _told(values: list[bytes], trusted: frozenset[str]) -> tuple[str, tuple[str, ...]] | None:
    """What the first trusted server says in these fields."""
    words: list[str] = []
    said_by: str | None = None
    for value in values:
        try:
            read = read_field(value)
        except AuthresError:
            continue
        name = read.authserv_id.rstrip(".").lower()
        if name in trusted and said_by in (None, name):
            said_by = name
            words += [_word(result) for result in read.results if result.method in _METHODS]
    return None if said_by is None else (said_by, tuple(dict.fromkeys(words))[:MAX_RESULTS])


def _word(result: MethodResult) -> str:
    about = next((value for name, value in result.properties if name in _ABOUT), "")
    return f"{result.method}={result.result}" + (f" {about}" if about else "")
