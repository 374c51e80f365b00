"""What a strict reader and common mail programs read differently in a message that the strict one could read.

A field that nobody can read, or that names several authors, is told by ``author`` and ``claims``; here are the forms
that have one strict reading and another one elsewhere. Whoever signed such a message, what was signed is not what
everybody sees. Left out on purpose, since no program takes them for another author: a quoted name with commas, an
encoded name without specials, a comment of plain words outside the address (shown as a name, or not at all), folds
outside the address, the author's own address as his name; and the forms of To and Cc, which say nothing of the author.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from verifier.address import AuthorField, Mailbox, read_author_field
from verifier.address_text import AddressCode, AddressError, Kind, Token, tokens_of
from verifier.ambiguity_form import Ambiguity, Form
from verifier.dkim import ONCE
from verifier.encoded_word import decode, decode_strictly
from verifier.invisible import has_bidi, has_control, visible
from verifier.message import Defect, Message

MAX_AMBIGUITIES: Final = 8  # told of one message; the first says enough
MAX_FIELDS: Final = 5  # Reply-To and Sender fields that are looked at; two are an ambiguity already
MAX_SUBJECT: Final = 4_096  # octets of a subject that are searched for encoded control characters

# From fields that are one thing to everybody: words or quoted words, and an ASCII address without specials.
_ATOM: Final = rb"[A-Za-z0-9#$&'*+/^_`{|}~-]++"
_PLAIN: Final = re.compile(
    rb"[ \t]*+(?:(?:\"[A-Za-z0-9 #$&'*+/^_`{|}~,.()-]*+\"|" + _ATOM + rb"(?: " + _ATOM + rb")*)[ \t]++<|<)?"
    + _ATOM + rb"(?:\." + _ATOM + rb")*@[A-Za-z0-9.-]++>?[ \t]*+"
)  # fmt: skip
_BLANK_LINE: Final = re.compile(rb"\n[ \t]++\r?\n")
_CONTROLS: Final = bytes(c for c in (*range(32), 127) if c not in b"\t\r\n")
_ENCODED: Final = re.compile(r"=\?[^?\s]{1,64}\?[BbQq]\?[^?]*\?=(?:\s*=\?[^?\s]{1,64}\?[BbQq]\?[^?]*\?=)*")
_ENCODED_ONE: Final = re.compile(r"=\?[^?\s]{1,64}\?[BbQq]\?[^?]*\?=")
_PAIR: Final = re.compile(r"\([^()]*\)")
_ADDRESS_SIGNS: Final = frozenset("@<>")
# What ends a name, a mailbox or a quoted string for a program that decodes first, or that knows no comments or escapes.
_SPECIALS: Final = frozenset('@<>,;:"\\')
_IN_COMMENT: Final = frozenset('@<>,;"\\()')
# People see these, or answer by them.
_VISIBLE: Final = (
    b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id",
    b"content-type", b"content-transfer-encoding", b"content-disposition", b"mime-version",
)  # fmt: skip
_ADDRESSED: Final = (b"sender", b"reply-to")


def ambiguities_of(message: Message, author: AuthorField) -> tuple[Ambiguity, ...]:
    """The forms that readers read differently, those of the author first. Pure, never raises, linear."""
    found = [Ambiguity("from", form) for form in _forms(message.named(b"from")[0].value, author)]
    found += _of_header(message)
    for name in _ADDRESSED:
        for field in message.named(name)[:MAX_FIELDS]:
            found += [Ambiguity(name.decode(), form) for form in _forms_of_addresses(field.value)]
    found += _of_controls(message)
    return tuple(dict.fromkeys(found))[:MAX_AMBIGUITIES] if found else ()


def _of_header(message: Message) -> Iterator[Ambiguity]:
    """Forms of the header as a whole: which fields there are, and where it ends."""
    defects = message.defects
    if defects:
        if Defect.WSP_BEFORE_COLON in defects:
            odd = next(f for f in message.fields if not f.line.startswith(f.name + b":"))
            yield Ambiguity(odd.lower.decode(), Form.BLANK_BEFORE_COLON)
        if Defect.BARE_LF in defects or Defect.BARE_CR in defects:
            yield Ambiguity("header", Form.BARE_LINE_END)
    if _BLANK_LINE.search(message.raw, 0, max(message.body_start - 2, 0)):
        yield Ambiguity("header", Form.BLANK_LINE)
    if len(message.by_name) < len(message.fields):
        for name, fields in message.by_name.items():
            if len(fields) > 1 and (name in ONCE or name == b"sender"):
                yield Ambiguity(name.decode(), Form.DUPLICATE_FIELD)


def _of_controls(message: Message) -> Iterator[Ambiguity]:
    """Control characters in what people see, as they stand or encoded."""
    head = message.raw[: message.body_start]
    if len(head.translate(None, _CONTROLS)) < len(head):
        for name in _VISIBLE:
            for field in message.named(name):
                if len(field.value.translate(None, _CONTROLS)) < len(field.value):
                    yield Ambiguity(name.decode(), Form.CONTROL_CHARACTER)
    for field in message.named(b"subject")[:1]:
        value = field.value[:MAX_SUBJECT]
        if b"=?" in value and has_control(decode(value.decode("utf-8", "replace")).replace("\t", "")):
            yield Ambiguity("subject", Form.CONTROL_CHARACTER)


def _forms_of_addresses(value: bytes) -> Iterator[Form]:
    """Those of a field that the strict reader has not read yet; an empty one names nobody to anybody."""
    try:
        field = read_author_field(value)
    except AddressError as error:
        if error.code is not AddressCode.EMPTY:
            yield Form.UNREADABLE
        return
    yield from _forms(value, field)


def _forms(value: bytes, field: AuthorField) -> Iterator[Form]:
    """The forms of an address field that the strict reader has read as ``field``."""
    if _PLAIN.fullmatch(value):
        return
    if not value.isascii():
        yield Form.RAW_UTF8
    tokens = tokens_of(value)
    if any(token.kind is Kind.COLON for token in tokens.all):
        yield Form.GROUP
        return
    for mailbox, part in zip(field.mailboxes, _split(tokens.all), strict=False):
        yield from _of_mailbox(part, mailbox)
    own = field.mailboxes[0]
    for comment in tokens.comments:
        text = _without(own, comment)
        if not _IN_COMMENT.isdisjoint(visible(text)):
            yield Form.COMMENT
        yield from _of_encoded(text)


def _split(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    part: list[Token] = []
    for token in tokens:
        if token.kind is Kind.COMMA or token.kind is Kind.END:
            yield part
            part = []
        else:
            part.append(token)


def _of_mailbox(tokens: list[Token], mailbox: Mailbox) -> Iterator[Form]:
    angle = next((n for n, token in enumerate(tokens) if token.kind is Kind.LEFT_ANGLE), -1)
    if angle > 0:
        yield from _of_name(tokens[:angle], mailbox)
    address = tokens[angle + 1 :]
    # A bare address may have blanks before and after it, one in angle brackets has no room for any.
    if any(token.spaced for token in (address if angle >= 0 else address[1:])):
        yield Form.BLANK_IN_ADDRESS
    local = address[0]
    if local.kind is Kind.QUOTED:
        yield Form.QUOTED_LOCAL_PART
    if "%" in mailbox.local or "!" in mailbox.local:
        yield Form.ROUTED_LOCAL_PART
    if "=?" in mailbox.local:
        yield Form.ENCODED_ADDRESS


def _of_name(phrase: list[Token], mailbox: Mailbox) -> Iterator[Form]:
    text = "".join(f" {token.text}" if token.spaced else token.text for token in phrase)
    if any(token.kind is Kind.DOT for token in phrase):
        yield Form.DOT_IN_NAME
    for token in phrase:
        if token.kind is Kind.QUOTED:
            quoted = visible(_without(mailbox, token.text))
            signs = _SPECIALS if '"' in quoted or "\\" in quoted else _ADDRESS_SIGNS
            # Escaped quotes alone are somebody's nickname; with something to split at behind them they are not.
            if not (signs - {'"', "\\"}).isdisjoint(quoted):
                yield Form.QUOTED_NAME
    if has_bidi(text):
        yield Form.DIRECTION
    yield from _of_encoded(text, mailbox)


def _of_encoded(text: str, mailbox: Mailbox | None = None) -> Iterator[Form]:
    """Encoded-words wherever they stand, as programs decode them (RFC 2047 6.2), and what cannot be decoded."""
    if "=?" not in text:
        return
    for run in _ENCODED.finditer(text):
        decoded = decode_strictly(_ENCODED_ONE.findall(run[0]))
        if decoded is None:
            yield Form.ENCODED_WORD
            decoded = decode(run[0])
        plain = visible(decoded if mailbox is None else _without(mailbox, decoded))
        if not _SPECIALS.isdisjoint(plain) or "(" in (left := _PAIR.sub("", plain)) or ")" in left:
            yield Form.ENCODED_SPECIALS
        if has_control(decoded):
            yield Form.CONTROL_CHARACTER
        if has_bidi(decoded):
            yield Form.DIRECTION
        if "=?" in decoded:
            yield Form.ENCODED_WORD
    if "=?" in _ENCODED.sub("", text):
        yield Form.ENCODED_WORD


def _without(mailbox: Mailbox, text: str) -> str:
    """The text without the mailbox's own address: whoever takes that for the author takes the right one."""
    if "@" not in text:
        return text
    own = re.escape(mailbox.address)
    return re.sub(rf"(?i)(?<![^\s<(])(?:<{own}>|{own})(?![^\s>)])", "", text)
