"""Writing header fields: 7-bit, folded, and closed to line breaks (RFC 5322 2.2.3, RFC 2047). Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from functools import lru_cache

import idna

# Lines should be no longer than this (RFC 5322 2.1.1).
_LINE = 78
# A line with an encoded word holds at most this many (RFC 2047 2).
_ENCODED_LINE = 76
# 39 octets are 52 characters in base64, 12 are the word's frame, and "Subject: " fits before them.
_WORD_OCTETS = 39
# Identifiers in References (RFC 5322 3.6.4 sets no limit): the first one and the latest are what threads.
MAX_REFERENCES = 20
# What Exchange is asked not to send ([MS-OXCMAIL] 2.1.3.2.20): reports of delivery, of reading, of not reading. Not "All" or
# "OOF": who is away matters, since somebody else has to act then.
SUPPRESS = "DR, RN, NRN"

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
# dot-atom on both sides (RFC 5322 3.6.4): what we write ourselves, and what we repeat of others.
_MESSAGE_ID = re.compile(rf"{_ATEXT}+(\.{_ATEXT}+)*@[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)
_MAX_MESSAGE_ID = 250
# dot-atom, and beyond ASCII what RFC 6531 3.3 adds.
_LOCAL = re.compile(
    r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]|[^\x00-\x9f])+(?:\.(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]|[^\x00-\x9f])+)*"
)
_MAX_LOCAL = 64  # RFC 5321 4.5.3.1.1

# Embedding, override and isolate characters: they make text read otherwise than it is written.
BIDI = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Controls, lone surrogates, and the separators of lines and paragraphs (Unicode categories Cc, Cs, Zl and Zp).
_CONTROL = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\u2028\\u2029{''.join(sorted(BIDI))}]")


class HeaderError(ValueError):
    """A value cannot stand in a header field; the text is one sentence."""


def is_control(character: str) -> bool:
    """Whether a character breaks lines, is a control or a lone surrogate, or turns the reading direction."""
    return _CONTROL.match(character) is not None


def holds_control(text: str) -> bool:
    """Whether there is such a character in a text."""
    return _CONTROL.search(text) is not None


def plain_message_id(text: str) -> bool:
    """Whether ``text`` (without angle brackets) is a Message-ID that may be repeated in a field of ours."""
    return len(text) <= _MAX_MESSAGE_ID and _MESSAGE_ID.fullmatch(text) is not None


def mailbox(address: str) -> str:
    """An address as it goes on the wire: domain in A-labels (RFC 5891), local part as it is.

    Raises HeaderError for anything but a plain ``local@domain``.
    """
    local, at, domain = address.rpartition("@")
    if not at or len(local.encode()) > _MAX_LOCAL or not _LOCAL.fullmatch(local):
        raise HeaderError("The address is not a plain mail address.")
    if holds_control(address) or any(map(str.isspace, address)):
        raise HeaderError("The address holds a blank or a control character.")
    try:
        return f"{local}@{_a_labels(domain)}"
    except (idna.IDNAError, UnicodeError) as error:
        raise HeaderError("The domain of the address is not a valid domain name.") from error


def spellings(address: str) -> tuple[str, ...]:
    """The forms in which a record may have an address: as it is, and its domain in A-labels and in U-labels (RFC 5890 2.3.2.1)."""
    address = address.strip()
    try:
        wire = mailbox(address)
        local, _, domain = wire.rpartition("@")
        return tuple(dict.fromkeys((address, wire, f"{local}@{idna.decode(domain)}")))
    except (HeaderError, idna.IDNAError, UnicodeError):  # whoever sends to it hears what is wrong
        return (address,)


def wire_key(address: str) -> str:
    """The form in which the addresses that we send to are compared: the domain in A-labels, all in lower case.

    What is no address stays as it is, in lower case.
    """
    try:
        return mailbox(address.strip()).lower()
    except (HeaderError, UnicodeError):
        return address.strip().lower()


@lru_cache(maxsize=1_024)  # our own domains and those of the customers of the day: each mail names three
def _a_labels(domain: str) -> str:
    return idna.encode(domain, uts46=True, std3_rules=True).decode("ascii").lower()


def name_addr(display: str, address: str) -> str:
    """The value of From or To with one mailbox (RFC 5322 3.4)."""
    if holds_control(display):
        raise HeaderError("The display name holds a line break or a control character.")
    if not display:
        return f"<{address}>"
    if display.isascii():
        escaped = display.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{address}>'
    return f"{' '.join(_encoded_words(display))} <{address}>"


def unstructured(text: str) -> str:
    """The value of Subject: ASCII as it is, anything else as encoded words, a leading [tag] kept readable."""
    if holds_control(text):
        raise HeaderError("The subject holds a line break or a control character.")
    if text.isascii() and "=?" not in text and max(map(len, text.split(" ")), default=0) < _LINE - 12:
        return text
    tag, space, rest = text.partition(" ")
    if tag.isascii() and tag.startswith("[") and tag.endswith("]") and "=?" not in tag:
        return tag + space + " ".join(_encoded_words(rest))
    return " ".join(_encoded_words(text))


def _encoded_words(text: str) -> Iterable[str]:
    """RFC 2047 words of whole characters (section 5 forbids to split one)."""
    chunk = b""
    for character in text:
        octets = character.encode()
        if len(chunk) + len(octets) > _WORD_OCTETS:
            yield _encoded(chunk)
            chunk = b""
        chunk += octets
    if chunk:
        yield _encoded(chunk)


def _encoded(octets: bytes) -> str:
    return f"=?utf-8?B?{base64.b64encode(octets).decode('ascii')}?="


def field(name: str, value: str) -> bytes:
    """A whole field, folded at blanks (RFC 5322 2.2.3), with its CRLF. UTF-8 only where an address needs it."""
    if holds_control(value):
        raise HeaderError(f"The field {name} holds a line break or a control character.")
    longest = _ENCODED_LINE if "=?" in value else _LINE
    lines = [f"{name}:"]
    for word in value.split(" "):
        # A line never consists of blanks only (RFC 5322 3.2.2): runs of blanks stay with the word before.
        if (
            len(lines[-1]) + 1 + len(word) > longest
            and lines[-1].strip()
            and word
            and lines[-1] != f"{name}:"
        ):
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines).encode() + b"\r\n"


def references(identifiers: Iterable[str]) -> tuple[str, ...]:
    """Plain identifiers only, each once, capped by leaving out the middle."""
    kept = tuple(dict.fromkeys(i for i in identifiers if plain_message_id(i)))
    return kept if len(kept) <= MAX_REFERENCES else (kept[0], *kept[1 - MAX_REFERENCES :])
