"""Domain names of addresses as lower-case A-labels (RFC 5321 2.3.5, RFC 5890, RFC 5891 5)."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import idna

from verifier.address_text import AddressCode, AddressError, Kind, Token

MAX_LABEL: Final = 63  # RFC 1035 2.3.4
MAX_NAME: Final = 253  # octets of text without the final dot

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


def domain_of(tokens: list[Token]) -> str:
    """The name that tokens spell; raises ``AddressError``. No mapping is done but that of case."""
    if tokens[0].kind is Kind.LITERAL:
        raise AddressError(AddressCode.DOMAIN_LITERAL, "an address literal instead of a domain")
    text = "".join(token.text for token in tokens)
    if "=?" in text:
        raise AddressError(AddressCode.ENCODED_WORD_IN_ADDRESS, "an encoded-word as a domain (RFC 2047 5)")
    labels = text.split(".")
    if not all(labels):
        raise AddressError(AddressCode.BAD_DOTS, "a domain with a leading, trailing or doubled dot")
    if len(text) > MAX_NAME:
        raise AddressError(AddressCode.BAD_DOMAIN, f"a domain over {MAX_NAME} octets")
    name = ".".join(_label(label) for label in labels)
    if len(name) > MAX_NAME:
        raise AddressError(AddressCode.BAD_DOMAIN, f"a domain over {MAX_NAME} octets")
    return name


def _label(label: str) -> str:
    if label.isascii():
        label = label.lower()
        if not label.startswith("xn--"):
            if not _LABEL.fullmatch(label) or len(label) > MAX_LABEL:
                raise AddressError(AddressCode.BAD_DOMAIN, "a domain with a label that no host has")
            return label
    try:
        return a_label(label)
    except (idna.IDNAError, UnicodeError, ValueError, IndexError) as error:
        raise AddressError(AddressCode.BAD_IDN, "a label that is not valid in IDNA2008") from error


def a_label(label: str) -> str:
    """One label that is not plain ASCII as its A-label; raises IDNAError or ValueError for what IDNA2008 does not allow."""
    if label.isascii():
        unicode_form = idna.ulabel(label)
        if unicode_form.isascii() or idna.alabel(unicode_form).decode() != label:
            raise ValueError(label)
        return label
    # Case is the one mapping that is done; a letter that is only a compatible form (Kelvin sign) stays, and fails.
    lowered = "".join(c.lower() if unicodedata.normalize("NFKC", c) == c else c for c in label)
    return idna.alabel(lowered).decode()
