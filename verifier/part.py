"""One MIME part as a value, and what its header says of it (RFC 2045, RFC 2183)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from verifier.content_value import read_content_value
from verifier.encoded_word import decode
from verifier.transfer import IDENTITY

MESSAGE_TYPES = frozenset({"message/rfc822", "message/global", "message/news"})
_ENCODINGS = IDENTITY | {"base64", "quoted-printable"}
_NO_PARAMETERS: Final[tuple[tuple[str, str], ...]] = ()
_MEDIA_TYPE = re.compile(r"[!#$&^_.+a-z0-9-]{1,127}/[!#$&^_.+a-z0-9-]{1,127}")


class PartDefect(StrEnum):
    """What was wrong with a part's structure."""

    NO_FINAL_BOUNDARY = "no-final-boundary"  # RFC 2046 5.1.2
    NO_BOUNDARY = "no-boundary"  # multipart without a usable boundary parameter
    BOUNDARY_IN_USE = "boundary-in-use"  # the same boundary as an enclosing multipart
    ENCODED_MULTIPART = "encoded-multipart"  # RFC 2045 6.4 allows 7bit, 8bit and binary only
    BAD_CONTENT_TYPE = "bad-content-type"
    UNKNOWN_ENCODING = "unknown-encoding"
    SEVERAL_CONTENT_TYPES = "several-content-types"
    BAD_HEADER = "bad-header"  # a line that is no field: the body starts there
    HEADER_TOO_LARGE = "header-too-large"
    TOO_DEEP = "too-deep"
    TOO_MANY_PARTS = "too-many-parts"  # on the part after which no more were opened


class Part(NamedTuple):
    """One part. Spans index the message's ``raw``: ``raw[header_start:header_end]``, ``raw[body_start:body_end]``.

    The line end before a boundary belongs to the boundary (RFC 2046 5.1.1) and so to no part. ``parent`` is
    the number of another, None for the message itself, which is part 0 with depth 0; numbers count from 0 in the
    order of the message.
    """

    number: int
    parent: int | None
    depth: int
    content_type: str  # lower case, "text/plain" when absent or unreadable
    parameters: tuple[tuple[str, str], ...]  # of Content-Type
    charset: str | None
    disposition: str | None  # lower case, such as "attachment"
    filename: str | None  # decoded, as written otherwise: never a path to trust
    encoding: str  # lower case, "7bit" when absent
    header_start: int
    header_end: int
    body_start: int
    body_end: int
    defects: tuple[PartDefect, ...] = ()

    @property
    def multipart(self) -> bool:
        """Whether this part is a container of parts."""
        return self.content_type.startswith("multipart/")

    def parameter(self, name: str) -> str | None:
        """A parameter of Content-Type by its lower-case name."""
        return next((value for key, value in self.parameters if key == name), None)


Described = tuple[
    tuple[str, tuple[tuple[str, str], ...], str | None, str | None, str | None, str], tuple[PartDefect, ...]
]
"""A part's values from content type to transfer encoding, in the order of ``Part``, and defects."""


def describe(
    types: Sequence[bytes], dispositions: Sequence[bytes], encodings: Sequence[bytes], default: str
) -> Described:
    """What a header's Content-Type, Content-Disposition and Content-Transfer-Encoding say; the first of each counts.

    Given are the values of all fields of each name, ``default`` is the type where none is named.
    """
    defects: list[PartDefect] = []
    media, parameters = default, _NO_PARAMETERS
    charset = filename = alternative = disposition = None
    if types:
        if len(types) > 1:
            defects.append(PartDefect.SEVERAL_CONTENT_TYPES)
        media, parameters = read_content_value(types[0])
        for key, value in parameters:
            if key == "charset":
                charset = value if charset is None else charset
            elif key == "name":
                alternative = value if alternative is None else alternative
    if dispositions:
        read = read_content_value(dispositions[0])
        disposition, filename = read.token or None, read.get("filename")
    if not _MEDIA_TYPE.fullmatch(media):
        defects.append(PartDefect.BAD_CONTENT_TYPE)
        media = "text/plain"  # RFC 2045 5.2
    encoding = _encoding(encodings[0]) if encodings else "7bit"
    if encoding not in _ENCODINGS:
        defects.append(PartDefect.UNKNOWN_ENCODING)
    filename = filename or alternative
    if filename and "=?" in filename:
        filename = decode(filename)  # not allowed inside quotes (RFC 2047 5), but usual
    return (
        (media, parameters, charset, disposition, filename or None, encoding),
        tuple(dict.fromkeys(defects)) if defects else (),
    )


def _encoding(value: bytes) -> str:
    """The mechanism of Content-Transfer-Encoding, lower case (RFC 2045 6.1)."""
    word = value.strip().lower().decode("latin-1")
    return word if word in _ENCODINGS else read_content_value(value).token or "7bit"
