"""The code in each mail of ours: by it we can tell later which mail it was. It proves nothing, since it can be copied. Pure.

Twelve characters of Crockford's base32 in three groups, the last one a check character: 55 bits, so that with a million mails on
record one guess in thirty thousand million hits one. A code is made from the Message-ID by a secret, and looked up by a keyed
hash: the index says nothing to who reads it, and takes as long for a code that there is as for any other.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: they are misread, or make words
_DATA: Final = 11
_BITS: Final = 5
MAX_CODES: Final = 3
"""Codes that are read from one message; a person asks about one."""
MAX_TEXT: Final = 100_000  # characters that are looked through for codes
# Hyphens as programs write them; letters that are taken for digits count as these.
_HYPHENS: Final = "-\u2010\u2011\u2012\u2013\u2014\u2212"
_CODE: Final = re.compile(
    rf"(?<![\w-])(?:\w{{4}}[{_HYPHENS}]\w{{4}}[{_HYPHENS}]\w{{4}}|\w{{12}})(?![\w-])", re.ASCII
)
_MISREAD: Final = str.maketrans({"O": "0", "I": "1", "L": "1", **dict.fromkeys(_HYPHENS + " ")})
_POLYNOMIAL: Final = 0b100101  # x^5 + x^2 + 1, which makes a field of 32 elements


@dataclass(frozen=True, slots=True)
class MailCode:
    """A code as it stands in a mail, and the keyed hash that it is found by."""

    text: str
    key: str


@dataclass(frozen=True, slots=True)
class MailCodes:
    """Makes codes by the first secret; by all of them they are found."""

    secrets: Sequence[bytes] = field(repr=False)

    def of(self, message_id: str) -> MailCode:
        """The code of the mail with that Message-ID."""
        digest = hmac.digest(self.secrets[0], b"expertmail mail code 1\0" + message_id.encode(), "sha256")
        number = int.from_bytes(digest[:8], "big")
        data = "".join(ALPHABET[number >> shift & 31] for shift in range(0, _DATA * _BITS, _BITS))
        plain = data + _check(data)
        return MailCode("-".join((plain[:4], plain[4:8], plain[8:])), _key(self.secrets[0], plain))

    def keys_of(self, plain: str) -> tuple[str, ...]:
        """What a code (as ``plain_code`` gives it) may be found by."""
        return tuple(_key(secret, plain) for secret in self.secrets)


def _key(secret: bytes, plain: str) -> str:
    return hmac.digest(secret, b"expertmail mail code key 1\0" + plain.encode(), "sha256").hex()


def plain_code(text: str) -> str | None:
    """The twelve characters that somebody wrote, in any case and grouping; None for what is no code of ours."""
    plain = text.strip().upper().translate(_MISREAD)
    if len(plain) != _DATA + 1 or not set(plain) <= set(ALPHABET) or _check(plain[:_DATA]) != plain[_DATA]:
        return None
    return plain


def codes_in(text: str) -> tuple[str, ...]:
    """The codes in a text, each once and ``MAX_CODES`` at most; without hyphens only where a digit is among them."""
    found: dict[str, None] = {}
    for match in _CODE.finditer(text[:MAX_TEXT]):
        written = match[0]
        if len(written) > _DATA + 1 or any(map(str.isdigit, written)):
            plain = plain_code(written)
            if plain is not None:
                found[plain] = None
        if len(found) == MAX_CODES:
            break
    return tuple(found)


def _check(data: str) -> str:
    """One character that finds every wrong one and every two that changed places: a Reed-Solomon code over 32 elements."""
    total = 0
    for character in data:
        total = _doubled(total ^ ALPHABET.index(character))
    return ALPHABET[total]


def _doubled(element: int) -> int:
    shifted = element << 1
    return shifted ^ _POLYNOMIAL if shifted > 31 else shifted  # noqa: PLR2004 -- the field has 32 elements
