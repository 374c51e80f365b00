"""Characters that a person cannot see, or that turn a text around (Unicode categories Cc and Cf, UAX 9)."""

from __future__ import annotations

import unicodedata
from typing import Final

_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Letters and marks by category, but nothing by sight: fillers of Hangul, the grapheme joiner, Khmer vowels.
_BLANK_LETTERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800")


def has_bidi(text: str) -> bool:
    """Whether a text holds marks, embeddings, overrides or isolates of direction (UAX 9 2)."""
    return not text.isascii() and not _BIDI.isdisjoint(text)


def has_control(text: str) -> bool:
    """Whether a text holds control characters."""
    return not text.isprintable() and any(unicodedata.category(c) == "Cc" for c in text)


def has_invisible(text: str) -> bool:
    """Whether a text holds characters without a shape (other than those of direction, and blanks)."""
    return not text.isascii() and any(_shapeless(c) and c not in _BIDI for c in text)


def visible(text: str) -> str:
    """The text as a person sees it: compatibility forms folded (NFKC), what has no shape removed."""
    if text.isascii():
        return text
    kept = "".join(c for c in text if not _shapeless(c) and not "\ufe00" <= c <= "\ufe0f")
    return unicodedata.normalize("NFKC", kept)


def _shapeless(char: str) -> bool:
    return char > "\x7f" and (unicodedata.category(char) == "Cf" or char in _BLANK_LETTERS)
