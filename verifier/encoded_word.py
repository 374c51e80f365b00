"""Encoded-words of header fields, for people to read (RFC 2047). Nothing is decided by their text alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from verifier.charset import codec_of, to_text
from verifier.transfer import decode_base64

MAX_TEXT: Final = 1 << 18  # characters looked at; a longer text is no field that a person reads

# The parts hold no "?", so that an attempt ends at the next one and the search stays linear.
_WORD: Final = re.compile(r"=\?([^?\s]{1,64})\?([BbQq])\?([^?\r\n]*)\?=")
_FOLD: Final = re.compile(r"\r?\n(?=[ \t])")
_ESCAPE: Final = re.compile(rb"=([0-9A-Fa-f]{2})")


def decode(text: str) -> str:
    """Decode every encoded-word in an unstructured value; never raises, linear.

    Folds are undone (RFC 5322 2.2.3). Blanks between two encoded-words go (RFC 2047 6.2), and neighbours
    of one charset are joined as bytes, since senders do split characters. Words glued to other text are
    decoded as well, as mail programs do. Bytes that do not fit their charset become U+FFFD.
    """
    text = _FOLD.sub("", text)
    if "=?" not in text:
        return text
    out: list[str] = []
    run: list[tuple[str, bytes]] = []
    end = 0
    for found in _WORD.finditer(text, 0, MAX_TEXT):
        between = text[end : found.start()]
        if run and (not between or between.isspace()):
            between = ""
        else:
            out.append(_joined(run))
            run = []
        out.append(between)
        run.append(_bytes_of(found))
        end = found.end()
    out.extend((_joined(run), text[end:]))
    return "".join(out)


def decode_strictly(words: Iterable[str]) -> str | None:
    """Decode neighbouring encoded-words, each exactly one word; None if any is malformed (RFC 2047 2, 4).

    Malformed means: another encoding than B or Q, an unknown charset, or bytes that do not decode.
    """
    parts: list[tuple[str, bytes]] = []
    for word in words:
        found = _WORD.fullmatch(word)
        if found is None:
            return None
        parts.append(_bytes_of(found))
    out: list[str] = []
    for charset, data in _merged(parts):
        codec = codec_of(charset)
        if codec is None:
            return None
        text, guessed = to_text(data, charset)
        if guessed:
            return None
        out.append(text)
    return "".join(out)


def _bytes_of(word: re.Match[str]) -> tuple[str, bytes]:
    charset = word[1].partition("*")[0].lower()  # RFC 2231 5: a language may follow
    content = word[3].encode("utf-8", "surrogatepass")
    if word[2] in "Bb":
        return charset, decode_base64(content)
    spaced = content.replace(b"_", b" ")  # RFC 2047 4.2 (2)
    return charset, _ESCAPE.sub(lambda hexed: bytes((int(hexed[1], 16),)), spaced)


def _merged(parts: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    merged: list[tuple[str, list[bytes]]] = []
    for charset, data in parts:
        if merged and merged[-1][0] == charset:
            merged[-1][1].append(data)
        else:
            merged.append((charset, [data]))
    return [(charset, b"".join(pieces)) for charset, pieces in merged]


def _joined(parts: list[tuple[str, bytes]]) -> str:
    return "".join(to_text(data, charset)[0] for charset, data in _merged(parts))
