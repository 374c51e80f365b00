"""Who the author of a message is: the one mailbox of its one From field, or why there is none (RFC 5322 3.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from verifier.address import AuthorField, Mailbox, addresses_in, read_author_field
from verifier.address_domain import domain_of
from verifier.address_text import AddressCode, AddressError, Kind, Token
from verifier.encoded_word import decode
from verifier.interpreter_turn import let_others_run
from verifier.message import Defect, Message

MAX_SEEN: Final = 20  # addresses looked at in a From field that was refused


@dataclass(frozen=True, slots=True)
class AuthorRefusal:
    """Why a message has no one author. ``mailboxes`` and ``seen`` are what a lenient reader might show."""

    code: AddressCode
    text: str
    mailboxes: tuple[Mailbox, ...] = ()
    seen: str = ""  # the From fields' text, decoded


# Defects after which two readers may disagree about which fields there are.
_CUT: Final = frozenset({Defect.TOO_MANY_FIELDS, Defect.HEADER_TOO_LARGE})
# One line and its folds; what is longer than a From field may be is cut there.
_FROM_LINE: Final = re.compile(rb"(?i)from[ \t]*:([^\n]{0,4096}(?:\n[ \t][^\n]{0,4096}){0,16})")
_STEP: Final = 1 << 18  # octets behind the cut that are searched by one call: a fraction of a millisecond
_MALFORMED: Final = frozenset(
    {
        Defect.LEADING_WSP,
        Defect.NOT_A_FIELD,
        Defect.BARE_CR,
        Defect.TOO_MANY_FIELDS,
        Defect.HEADER_TOO_LARGE,
    }
)


def author_of(message: Message) -> AuthorField | AuthorRefusal:
    """The author as the one From field names him, or why there is none (RFC 5322 3.6: exactly one)."""
    fields = message.named(b"from")
    defects = message.defects
    if defects and Defect.NUL in defects:
        code, text = AddressCode.NUL, "the header holds a NUL"
    elif len(fields) > 1:
        code, text = AddressCode.MULTIPLE_FROM, f"{len(fields)} From fields"
    elif defects and not _MALFORMED.isdisjoint(defects):
        code, text = AddressCode.MALFORMED_HEADER, "a line of the header is no field"
    elif not fields:
        code, text = AddressCode.NO_FROM, "no From field"
    elif not fields[0].line.startswith(fields[0].name + b":"):
        code, text = AddressCode.MALFORMED_HEADER, "blanks between From and its colon"
    else:
        try:
            return read_author_field(fields[0].value)
        except AddressError as error:
            code, text = error.code, error.text
    values = [field.value for field in fields[:MAX_SEEN]]
    if not _CUT.isdisjoint(message.defects):
        values += _behind_the_cut(message)
    mailboxes: list[Mailbox] = []
    for value in values:
        try:
            mailboxes += read_author_field(value).mailboxes
        except AddressError:
            mailboxes += _seen(_lenient(value))
    seen = "\n".join(_lenient(value).strip() for value in values)
    return AuthorRefusal(code, text, tuple(mailboxes[:MAX_SEEN]), seen)


def _behind_the_cut(message: Message) -> list[bytes]:
    """From fields in what a header over its limits holds: other programs may show what we leave unread."""
    return list(islice(_from_lines(message.raw, message.body_start), MAX_SEEN))


def _from_lines(raw: bytes, stop: int) -> Iterator[bytes]:
    """Values of the lines in ``raw[:stop]`` that begin with From and a colon."""
    found = _FROM_LINE.match(raw, 0, stop)
    if found:
        yield found[1].rstrip(b"\r")
    for start in range(0, stop, _STEP):
        let_others_run()
        piece = raw[start : min(start + _STEP + len(b"from"), stop)].lower()
        at = -1
        while (at := piece.find(b"\nfrom", at + 1)) >= 0:
            found = _FROM_LINE.match(raw, start + at + 1, stop)
            if found:
                yield found[1].rstrip(b"\r")


def _lenient(value: bytes) -> str:
    return decode(value.decode("utf-8", "replace"))


def _seen(text: str) -> list[Mailbox]:
    """What claims can be looked for in a refused field; the domain stands as written when it is none."""
    seen: list[Mailbox] = []
    for address in addresses_in(text)[:MAX_SEEN]:
        local, _, domain = address.rpartition("@")
        try:
            name = domain_of([Token(Kind.ATOM, domain)])
        except AddressError:
            name = domain.lower()
        seen.append(Mailbox(local, name, None))
    return seen
