"""One MIME part as a value, and what its header says of it (RFC 2045, RFC 2183)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from verifier.content_value import ContentValue, read_content_value
from verifier.encoded_word import decode
from verifier.message import Field
from verifier.transfer import IDENTITY

MESSAGE_TYPES = frozenset({"message/rfc822", "message/global", "message/news"})
_ENCODINGS = IDENTITY | {"base64", "quoted-printable"}
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
    fields: tuple[Field, ...]
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


class Described(NamedTuple):
    """A part's values from content type to transfer encoding, in the order of ``Part``, and defects."""

    values: tuple[str, tuple[tuple[str, str], ...], str | None, str | None, str | None, str]
    defects: tuple[PartDefect, ...]


_PLAIN = ContentValue("")
_DESCRIBING = frozenset({b"content-type", b"content-disposition", b"content-transfer-encoding"})


def describe(fields: tuple[Field, ...], default: str) -> Described:
    """Content-Type, Content-Disposition and Content-Transfer-Encoding of a header; the first of each counts."""
    first: dict[bytes, bytes] = {}
    defects: list[PartDefect] = []
    for field in fields:
        name = field.lower
        if name in _DESCRIBING:
            if name in first:
                if name == b"content-type":
                    defects.append(PartDefect.SEVERAL_CONTENT_TYPES)
            else:
                first[name] = field.value
    raw_type = first.get(b"content-type")
    content_type = _PLAIN if raw_type is None else read_content_value(raw_type)
    raw_disposition = first.get(b"content-disposition")
    disposition = _PLAIN if raw_disposition is None else read_content_value(raw_disposition)
    media = content_type.token if raw_type is not None else default
    if not _MEDIA_TYPE.fullmatch(media):
        defects.append(PartDefect.BAD_CONTENT_TYPE)
        media = "text/plain"  # RFC 2045 5.2
    encoding = _encoding(first.get(b"content-transfer-encoding"))
    if encoding not in _ENCODINGS:
        defects.append(PartDefect.UNKNOWN_ENCODING)
    filename = disposition.get("filename") or content_type.get("name")
    if filename and "=?" in filename:
        filename = decode(filename)  # not allowed inside quotes (RFC 2047 5), but usual
    values = (
        media,
        content_type.parameters,
        content_type.get("charset"),
        disposition.token or None,
        filename or None,
        encoding,
    )
    return Described(values, tuple(dict.fromkeys(defects)) if defects else ())


def _encoding(value: bytes | None) -> str:
    """The mechanism of Content-Transfer-Encoding, lower case (RFC 2045 6.1)."""
    if value is None:
        return "7bit"
    word = value.strip().lower().decode("latin-1")
    return word if word in _ENCODINGS else read_content_value(value).token or "7bit"
