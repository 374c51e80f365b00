"""Tokens of a structured field, read strictly (RFC 5322 3.2, RFC 6532 3.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, StrEnum
from typing import Final, NamedTuple

MAX_OCTETS: Final = 65_536  # real From fields stay under 1 KB; the largest refused ones are attacks
MAX_COMMENT_DEPTH: Final = 100


class AddressCode(StrEnum):
    """Why a From field, or a header's set of them, is refused."""

    # the field's bytes
    TOO_LONG = "too-long"
    NUL = "nul"
    NOT_UTF8 = "not-utf8"
    BARE_NEWLINE = "bare-newline"
    CONTROL_CHAR = "control-char"
    EMPTY = "empty"
    # tokens
    UNTERMINATED_COMMENT = "unterminated-comment"
    UNTERMINATED_QUOTE = "unterminated-quote"
    TOO_DEEP = "too-deep"
    STRAY_BACKSLASH = "stray-backslash"
    # grammar
    SYNTAX = "syntax"
    EMPTY_ELEMENT = "empty-element"
    TRAILING_JUNK = "trailing-junk"
    MISSING_CLOSE_ANGLE = "missing-close-angle"
    MISSING_LOCAL = "missing-local"
    MISSING_DOMAIN = "missing-domain"
    UNTERMINATED_GROUP = "unterminated-group"
    NO_MAILBOX = "no-mailbox"
    TOO_MANY = "too-many"
    OBS_ROUTE = "obs-route"
    OBSOLETE_SYNTAX = "obsolete-syntax"
    # local part and domain
    BAD_DOTS = "bad-dots"
    LOCAL_TOO_LONG = "local-too-long"
    UNSAFE_CHAR = "unsafe-char"
    DOMAIN_LITERAL = "domain-literal"
    ENCODED_WORD_IN_ADDRESS = "encoded-word-in-address"
    BAD_DOMAIN = "bad-domain"
    BAD_IDN = "bad-idn"
    # the header
    MULTIPLE_FROM = "multiple-from"
    NO_FROM = "no-from"
    MALFORMED_HEADER = "malformed-header"


class AddressError(Exception):
    """A refusal: ``code`` is stable, ``text`` is for people and holds nothing that the sender wrote."""

    def __init__(self, code: AddressCode, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class Kind(Enum):
    """Kinds of tokens."""

    ATOM = "atom"
    QUOTED = "quoted"
    LITERAL = "[]"
    DOT = "."
    AT = "@"
    LEFT_ANGLE = "<"
    RIGHT_ANGLE = ">"
    COMMA = ","
    COLON = ":"
    SEMICOLON = ";"
    END = ""


class Token(NamedTuple):
    """A token; ``text`` of a quoted string is without quotes and escapes; ``spaced``: CFWS stands before it."""

    kind: Kind
    text: str
    spaced: bool = False

    @property
    def encoded_word(self) -> bool:
        """Whether an atom has the outer form of an encoded-word (RFC 2047 2)."""
        return self.kind is Kind.ATOM and self.text.startswith("=?") and self.text.endswith("?=")


class Tokens:
    """A cursor over tokens. ``comments`` are those of the whole field."""

    def __init__(self, tokens: list[Token], comments: list[str]) -> None:
        self.comments = comments
        self._tokens = tokens
        self._at = 0

    @property
    def all(self) -> Sequence[Token]:
        """All tokens of the field, the END last."""
        return self._tokens

    def peek(self) -> Kind:
        """Kind of the next token."""
        return self._tokens[self._at].kind

    def advance(self) -> None:
        """Step over the next token."""
        self._at += 1

    def take_words(self) -> list[Token]:
        """Step over atoms, quoted strings and dots, and return them."""
        start = self._at
        while self.peek() in (Kind.ATOM, Kind.QUOTED, Kind.DOT):
            self._at += 1
        return self._tokens[start : self._at]

    def take_domain(self) -> list[Token]:
        """Step over an address literal, or atoms joined by dots; two atoms without a dot are two things."""
        start = self._at
        if self.peek() is Kind.LITERAL:
            self._at += 1
        else:
            after_atom = False
            while self.peek() is Kind.DOT or (self.peek() is Kind.ATOM and not after_atom):
                after_atom = self.peek() is Kind.ATOM
                self._at += 1
        return self._tokens[start : self._at]

    def has_before(self, wanted: Kind, stop: Kind) -> bool:
        """Whether a token of kind ``wanted`` comes before the next ``stop``."""
        for token in self._tokens[self._at :]:
            if token.kind is wanted:
                return True
            if token.kind is stop:
                return False
        return False


_FOLD: Final = re.compile(r"\r\n(?=[ \t])")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# RFC 5322 3.2.3 atext and RFC 6532 3.2, by what is none of it: a class of all Unicode takes 8 ms to compile.
_ATOM: Final = re.compile(r"[^\x00-\x20\"(),.:;<>@\[\\\]\x7f-\x9f]++")
_BLANKS: Final = re.compile(r"[ \t]++")
_QUOTED: Final = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*)"')
_LITERAL: Final = re.compile(r"\[[^\[\]\\]*+\]")
_COMMENT_PIECE: Final = re.compile(r"[^()\\]++|\\.|[()]")
_ESCAPE: Final = re.compile(r"\\(.)")
_DELIMITERS: Final = {kind.value: kind for kind in Kind if len(kind.value) == 1}


def tokens_of(value: bytes) -> Tokens:
    """Split a field body into tokens; raises ``AddressError`` for bytes and tokens that RFC 5322 does not know."""
    text = _text_of(value)
    tokens: list[Token] = []
    comments: list[str] = []
    at = 0
    spaced = False
    while at < len(text):
        char = text[at]
        if char in " \t":
            at = _end(_BLANKS, text, at)
            spaced = True
            continue
        if char == "(":
            end = _comment_end(text, at)
            comments.append(_ESCAPE.sub(r"\1", text[at + 1 : end - 1]))
            at = end
            spaced = True
            continue
        token, at = _token(text, at, spaced)
        tokens.append(token)
        spaced = False
    tokens.append(Token(Kind.END, "", spaced))
    return Tokens(tokens, comments)


def _token(text: str, at: int, spaced: bool) -> tuple[Token, int]:
    char = text[at]
    if char in _DELIMITERS:
        return Token(_DELIMITERS[char], char, spaced), at + 1
    if char == '"':
        found = _QUOTED.match(text, at)
        if found is None:
            raise AddressError(AddressCode.UNTERMINATED_QUOTE, "a quoted string is not closed")
        return Token(Kind.QUOTED, _ESCAPE.sub(r"\1", found[1]), spaced), found.end()
    if char == "[":
        found = _LITERAL.match(text, at)
        if found is None:
            raise AddressError(AddressCode.SYNTAX, "a bracket is not closed")
        return Token(Kind.LITERAL, found[0], spaced), found.end()
    found = _ATOM.match(text, at)
    if found is None:
        if char == "\\":
            raise AddressError(AddressCode.STRAY_BACKSLASH, "a backslash outside quotes")
        raise AddressError(AddressCode.SYNTAX, "a closing parenthesis or bracket without its opening one")
    return Token(Kind.ATOM, found[0], spaced), found.end()


def _text_of(value: bytes) -> str:
    if len(value) > MAX_OCTETS:
        raise AddressError(AddressCode.TOO_LONG, f"over {MAX_OCTETS} octets")
    if b"\0" in value:
        raise AddressError(AddressCode.NUL, "a NUL")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AddressError(AddressCode.NOT_UTF8, "8-bit bytes that are not UTF-8 (RFC 6532 3.2)") from error
    text = _FOLD.sub("", text)  # RFC 5322 2.2.3
    if "\r" in text or "\n" in text:
        raise AddressError(AddressCode.BARE_NEWLINE, "a line end that is no fold")
    if _CONTROL.search(text):
        raise AddressError(AddressCode.CONTROL_CHAR, "a control character")
    if not text.strip(" \t"):
        raise AddressError(AddressCode.EMPTY, "an empty field")
    return text


def _comment_end(text: str, at: int) -> int:
    """RFC 5322 3.2.2: comments nest; counted, so that no depth can exhaust the stack."""
    depth = 0
    for piece in _COMMENT_PIECE.finditer(text, at):
        if piece[0] == "(":
            depth += 1
            if depth > MAX_COMMENT_DEPTH:
                raise AddressError(AddressCode.TOO_DEEP, f"comments nested over {MAX_COMMENT_DEPTH} deep")
        elif piece[0] == ")":
            depth -= 1
            if not depth:
                return piece.end()
    raise AddressError(AddressCode.UNTERMINATED_COMMENT, "a comment is not closed")


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
