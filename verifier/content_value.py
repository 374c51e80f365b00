"""Values of Content-Type and Content-Disposition: a token and parameters (RFC 2045 5.1, RFC 2183, RFC 2231)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from verifier.charset import to_text

MAX_VALUE = 16_384  # bytes of one field value that are read; real ones stay under 1 KB
MAX_PARAMETERS = 128  # RFC 2231 continuations included; the longest file names seen use 20

# A quoted string that is never closed runs to the end, so that no byte is looked at twice. No group here or elsewhere is
# repeated possessively: before 3.11.5 Python's re then took what is not there (its issue 106052). Each is written so that
# there is one way to read it, and giving back takes no longer than taking.
_PIECE = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*(?:"|$)|\([^()]*+\)|[^;"(]++|[;(]', re.DOTALL)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"([^*]+)\*(?:(\d{1,3})(\*?))?")
_BLANKS = " \t\r\n"


class ContentValue(NamedTuple):
    """``token`` in lower case; ``parameters`` by lower-case name, RFC 2231 forms joined and decoded."""

    token: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """The first parameter of that name."""
        return next((value for key, value in self.parameters if key == name), None)


# The form of nearly all values: a token and parameters, plain or in quotes, in ASCII, without comments, escapes and
# RFC 2231. It gives what the full reader gives, in a third of the time.
_USUAL = re.compile(
    r'[ \t]*([^\s;"(*\\]+)[ \t]*((?:;[ \t]*[^\s=;"(*\\]+=(?:"[^"\\]*"|[^\s;"(\\]+)[ \t]*)*);?[ \t]*'
)
_PARAMETER = re.compile(r';[ \t]*([^\s=;"]+)=(?:"([^"]*)"|([^\s;"]+))')
_MAX_USUAL = 500


def read_content_value(value: bytes) -> ContentValue:
    """Read a raw field value, folding and all; odd input gives an odd value, never an exception."""
    if len(value) < _MAX_USUAL and value.isascii():
        text = value.decode("ascii")
        if "\n" in text:
            text = text.replace("\r\n ", " ").replace("\r\n\t", "\t")
        usual = _USUAL.fullmatch(text)
        if usual is not None:
            token, rest = usual.groups()
            if not rest:
                return ContentValue(token.lower())
            named = _PARAMETER.findall(rest)
            return ContentValue(
                token.lower(), tuple([(name.lower(), quoted or plain) for name, quoted, plain in named])
            )
    return _read(value)


def _read(value: bytes) -> ContentValue:
    flat = _FOLD.sub(b"", value[:MAX_VALUE]).strip()
    text, _ = to_text(flat, "utf-8")
    first, *rest = _segments(text)
    plain: list[tuple[str, str]] = []
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for segment in rest[:MAX_PARAMETERS]:
        name, equals, content = segment.partition("=")
        name = name.strip(_BLANKS).lower()
        if not equals or not name:
            continue
        extended = _SECTION.fullmatch(name)
        if extended is None:
            plain.append((name, _unquote(content)))
            continue
        base, number, star = extended.groups()
        held = sections.setdefault(base, {})
        held.setdefault(int(number or 0), (_unquote(content), number is None or star == "*"))
    joined = [(base, _join(parts)) for base, parts in sections.items()]
    token = first.strip(_BLANKS).lower()
    return ContentValue(token, (*joined, *plain))


def _segments(text: str) -> list[str]:
    """Split at semicolons outside quotes; comments outside quotes are left out (RFC 5322 3.2.2)."""
    segments: list[str] = []
    current: list[str] = []
    for piece in _PIECE.findall(text):
        if piece == ";":
            segments.append("".join(current))
            current = []
        elif not (piece[0] == "(" and piece[-1] == ")"):
            current.append(piece)
    segments.append("".join(current))
    return segments


def _unquote(content: str) -> str:
    content = content.strip(_BLANKS)
    if not content.startswith('"'):
        return content
    inner = content[1:-1] if len(content) > 1 and content.endswith('"') else content[1:]
    return _ESCAPE.sub(r"\1", inner)


def _join(parts: dict[int, tuple[str, bool]]) -> str:
    """RFC 2231 3 and 4: sections 0, 1, 2 … joined; the first extended one names charset and language."""
    charset: str | None = None
    raw = bytearray()
    for number in range(len(parts)):
        if number not in parts:
            break
        text, extended = parts[number]
        if extended and number == 0:
            named, first_tick, rest = text.partition("'")
            _, second_tick, value = rest.partition("'")
            if first_tick and second_tick:
                charset, text = named or None, value
        data = text.encode("utf-8", "surrogateescape")
        raw += unquote_to_bytes(data) if extended else data
    return to_text(bytes(raw), charset)[0]
