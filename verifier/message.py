"""A message as its bytes: header fields with order and folding kept, and the body. Nothing is reserialised."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Defect(StrEnum):
    """What is wrong with the bytes of a header (RFC 5322 2.2, 2.3)."""

    NO_HEADER = "no-header"
    LEADING_WSP = "leading-wsp"  # the first line is a continuation of nothing
    NOT_A_FIELD = "not-a-field"  # a line without a colon, or a name with forbidden characters
    WSP_BEFORE_COLON = "wsp-before-colon"  # obsolete; still read as that field
    NUL = "nul"
    BARE_CR = "bare-cr"
    BARE_LF = "bare-lf"
    LINE_TOO_LONG = "line-too-long"
    NON_ASCII_HEADER = "non-ascii-header"
    TOO_MANY_FIELDS = "too-many-fields"
    HEADER_TOO_LARGE = "header-too-large"


@dataclass(frozen=True, slots=True)
class Field:
    """One header field as it stands. ``raw`` holds name, colon, folded value and the final CRLF."""

    name: bytes  # as written, without blanks before the colon
    lower: bytes
    value: bytes  # after the colon, folding kept, without the final CRLF
    raw: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A message: ``raw`` bytes, header ``fields`` top first, and where the body starts in ``raw``."""

    raw: bytes
    fields: tuple[Field, ...]
    body_start: int
    defects: tuple[Defect, ...] = ()

    def named(self, name: bytes) -> tuple[Field, ...]:
        """Fields of that lower-case name, top first."""
        return tuple(f for f in self.fields if f.lower == name)
