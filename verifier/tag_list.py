"""Tag lists of DKIM (RFC 6376 3.2), read strictly: what is not in the grammar is an error."""

from __future__ import annotations

from typing import Final

MAX_TAGS: Final = 100  # the RFCs know 16; more is an attempt to cost time

_VALUE_OCTETS: Final = bytes(range(0x20, 0x7F)) + b"\t"
# Only to spare these the look at their letters: every message has a dozen.
_KNOWN: Final = frozenset(b"v a b bh c d h i l q s t x z k n p".split())


class TagListError(ValueError):
    """Not a tag list; the text is for people and holds nothing that the sender wrote."""


def read_tags(value: bytes, *, utf8: bool = False) -> dict[bytes, bytes]:
    """Tags by name, their order kept; values without the blanks around them. Raises ``TagListError``.

    ``utf8`` lets UTF-8 stand in values, as RFC 8616 4 does in signatures.
    """
    value = value.replace(b"\r\n", b"")  # FWS: a field's CRLF stands before a blank only
    odd = value.translate(None, _VALUE_OCTETS)
    if odd and not (utf8 and _is_text(value, odd)):
        raise TagListError("control or 8-bit characters in a tag list")
    specs = value.split(b";", MAX_TAGS)
    if not specs[-1].strip():
        specs.pop()  # the final semicolon is optional
    if len(specs) > MAX_TAGS:
        raise TagListError(f"more than {MAX_TAGS} tags")
    tags: dict[bytes, bytes] = {}
    for spec in specs:
        name, equals, content = spec.partition(b"=")
        name = name.strip()
        if (name not in _KNOWN and not _is_tag_name(name)) or not equals:
            raise TagListError("something that is no tag in a tag list")
        tags[name] = content.strip()
    if len(tags) < len(specs):
        raise TagListError("a tag occurs twice")
    return tags


def _is_text(value: bytes, odd: bytes) -> bool:
    """Whether what is odd about a value is UTF-8 text and nothing else."""
    if min(odd) < 0x80:  # noqa: PLR2004 - ASCII: a control character
        return False
    try:
        return value.replace(b"\t", b" ").decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return False


def _is_tag_name(name: bytes) -> bool:
    return name.replace(b"_", b"a").isalnum() and name[:1].isalpha()


def without_blanks(value: bytes) -> bytes:
    """A value of base64 or a list without its folding white space."""
    return value.replace(b" ", b"").replace(b"\t", b"")
