"""Filling lines of text to a width that people's mail programs show whole, in any script. Pure.

Chinese and Japanese are written without blanks and each of their characters is two columns wide (Unicode Standard
Annex 11). A line of them may end nearly anywhere, but no line begins with a closing mark and none ends with an opening
one (JIS X 4051; the classes CL, NS, EX and OP of Unicode Standard Annex 14).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

WIDTH = 72
"""Columns of a line (RFC 3676 4.2: no more than 78, with room to be quoted a few times)."""

# Scripts that break between any two letters: kana, ideographs, and the marks and wide forms used with them.
_DENSE = "\u2e80-\u2fff\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60\uffe0-\uffe6\U00020000-\U0003ffff"
_PIECE = re.compile(rf"[{_DENSE}]|[^\s{_DENSE}]+|\s+")
_NEVER_FIRST = frozenset(
    "、。，．・：；？！゛゜ヽヾゝゞ々ー’”）〕］｝〉》」』】〟〗〙°′″℃％‰ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ,.:;?!)]}»›…"
)
_NEVER_LAST = frozenset("‘“（〔［｛〈《「『【〝〖〘＃￥＄([{«‹")


def fill(text: str, first: str = "", rest: str = "", width: int = WIDTH) -> str:
    """One paragraph as lines of at most ``width`` columns: ``first`` before the first line, ``rest`` before the others.

    What cannot be broken (a long word, an address) stays whole on a line of its own, however long.
    """
    lines: list[str] = []
    line, used, blank = "", columns(first), ""
    for unit, wide in _words(text) if text.isascii() else _units(text):
        if unit == " ":
            blank = " "
            continue
        if line and used + len(blank) + wide > width:
            lines.append(line)
            line, used, blank = "", columns(rest), ""
        if line:
            line, used = line + blank, used + len(blank)
        line, used, blank = line + unit, used + wide, ""
    lines.append(line)
    return "\n".join((rest if at else first) + one for at, one in enumerate(lines))


def columns(text: str) -> int:
    """How many columns a terminal or a fixed font needs: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


@lru_cache(maxsize=4_096)  # the letters in use; looking them up takes longer than all the rest
def _width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _words(text: str) -> Iterator[tuple[str, int]]:
    """Words and the blanks between them, with their columns: all that there is in ASCII."""
    for word in text.split():
        yield word, len(word)
        yield " ", 1


def _units(text: str) -> Iterator[tuple[str, int]]:
    """The stretches that must stay together, with their columns: words, and dense letters with the marks that cling to them."""
    held, wide = "", 0
    for piece in _PIECE.findall(text):
        if piece.isspace():
            if held:
                yield held, wide
            held, wide = "", 0
            yield " ", 1
        elif held and (piece[0] in _NEVER_FIRST or held[-1] in _NEVER_LAST):
            held, wide = held + piece, wide + columns(piece)
        else:
            if held:
                yield held, wide
            held, wide = piece, columns(piece)
    if held:
        yield held, wide
