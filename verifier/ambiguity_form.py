"""The forms that readers of mail read differently: a stable code, a person's words and the RFC section of each."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Form(StrEnum):
    """How something is written that readers read differently; none is ever renamed."""

    BARE_LINE_END = "bare-line-end"
    BLANK_BEFORE_COLON = "blank-before-colon"
    BLANK_IN_ADDRESS = "blank-in-address"
    BLANK_LINE = "blank-line"
    COMMENT = "comment"
    CONTROL_CHARACTER = "control-character"
    DIRECTION = "direction"
    DOT_IN_NAME = "dot-in-name"
    DUPLICATE_FIELD = "duplicate-field"
    ENCODED_ADDRESS = "encoded-address"
    ENCODED_SPECIALS = "encoded-specials"
    ENCODED_WORD = "encoded-word"
    GROUP = "group"
    QUOTED_LOCAL_PART = "quoted-local-part"
    QUOTED_NAME = "quoted-name"
    RAW_UTF8 = "raw-utf8"
    ROUTED_LOCAL_PART = "routed-local-part"
    UNREADABLE = "unreadable"


class Words(NamedTuple):
    """``says`` follows the name of the field; ``rfc`` is the section that a strict reader goes by."""

    says: str
    rfc: str


class Ambiguity(NamedTuple):
    """A form and the field that has it, by its lower-case name, or ``header``."""

    field: str
    form: Form


WORDS: Final[dict[Form, Words]] = {
    Form.BARE_LINE_END: Words("has a line end that only some programs see", "RFC 5322 2.3"),
    Form.BLANK_BEFORE_COLON: Words("has blanks before its colon, so some programs do not see it", "RFC 5322 4.5"),
    Form.BLANK_IN_ADDRESS: Words("has blanks, a fold or a comment inside an address", "RFC 5322 3.4.1"),
    Form.BLANK_LINE: Words("has a line of blanks, where some programs end it", "RFC 5322 4.2"),
    Form.COMMENT: Words("has a comment that some programs read as an address or as the end of one", "RFC 5322 3.2.2"),
    Form.CONTROL_CHARACTER: Words("holds a control character", "RFC 5322 4.1"),
    Form.DIRECTION: Words("turns the direction of the text, so that it is shown in another order", "RFC 6532 4"),
    Form.DOT_IN_NAME: Words("has a dot in a name without quotes, which strict programs refuse", "RFC 5322 4.1"),
    Form.DUPLICATE_FIELD: Words("stands there several times, and programs show different ones", "RFC 5322 3.6"),
    Form.ENCODED_ADDRESS: Words("has an address that some programs decode into another one", "RFC 2047 5"),
    Form.ENCODED_SPECIALS: Words("hides signs of an address or a list in encoded words", "RFC 2047 5"),
    Form.ENCODED_WORD: Words("has an encoded word that programs decode differently or not at all", "RFC 2047 2"),
    Form.GROUP: Words("names a group, which some programs show instead of the address in it", "RFC 6854 2.1"),
    Form.QUOTED_LOCAL_PART: Words("has an address with quotes in it, which some programs cut there", "RFC 5322 3.4.1"),
    Form.QUOTED_NAME: Words("has signs of another address inside a quoted name", "RFC 5322 3.2.4"),
    Form.RAW_UTF8: Words("holds raw UTF-8, which programs without RFC 6532 read as something else", "RFC 6532 3.2"),
    Form.ROUTED_LOCAL_PART: Words("has an address that older systems pass on elsewhere (% or !)", "RFC 1123 5.2.16"),
    Form.UNREADABLE: Words("cannot be read as addresses by a strict program", "RFC 5322 3.4"),
}  # fmt: skip
