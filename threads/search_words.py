"""Text as words that can be looked for: the same on every database, for what is stored and for what is asked.

A word is a run of letters and digits, without case, accents and width: "Müller-Straße" is ``muller``, ``strasse``. Scripts
that put no blanks between words (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese) give one word for each character, so that
any part of a text is found as a phrase, and nothing has to know where their words end. Work is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

MAX_WORD: Final = 64
"""Characters of a word that count. Longer ones are encoded data, which nobody types; their beginning is found."""

# Thai, Lao; Burmese; Khmer; radicals, kana, Bopomofo and Han; Hangul syllables; compatibility and further Han.
_SPACELESS: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c"
    "\u3041-\u3096\u3099-\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
# Accents, Hebrew points and Arabic vowel signs, which people leave out, and invisible joiners; and the vowel signs of
# India's scripts, which are part of a word but no letters for Python.
_DROPPED: Final = "\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u0610-\u061a\u0640\u064b-\u065f\u0670\u200c\u200d"
_SIGNS: Final = "\u0900-\u0963\u0966-\u0dff"

_WORD: Final = re.compile(f"[{_SPACELESS}]|(?:[^\\W_{_SPACELESS}]|[{_DROPPED}{_SIGNS}])+")
_ASCII_WORD: Final = re.compile("[0-9a-z]+")
_DROP: Final = re.compile(f"[{_DROPPED}]+")
_SINGLE: Final = re.compile(f"[{_SPACELESS}]")


def words_of(text: str, limit: int) -> list[str]:
    """The first ``limit`` words of a text, in their order, each as it is compared."""
    if text.isascii():
        found = _ASCII_WORD.findall(text.lower())[:limit]
        return [word[:MAX_WORD] for word in found] if len(text) > MAX_WORD else found
    words: list[str] = []
    for _, _, word in placed_words(text):
        words.append(word)
        if len(words) >= limit:
            break
    return words


def placed_words(text: str) -> Iterator[tuple[int, int, str]]:
    """The words with the places in the text, from and to, where each stands; several may come of one place (½)."""
    for found in _WORD.finditer(text):
        written = found[0]
        if written.isascii():
            yield found.start(), found.end(), written[:MAX_WORD].lower()
        else:
            for word in _folded(written):
                yield found.start(), found.end(), word


def stands_alone(word: str) -> bool:
    """Whether a word is one character of a script without blanks."""
    return _SINGLE.fullmatch(word) is not None


def _folded(written: str) -> list[str]:
    # Cut first: putting marks in order takes more than linear time (Unicode 3.11 D109), and a word is short.
    bare = _DROP.sub("", written[: MAX_WORD * 4])[:MAX_WORD]
    plain = _DROP.sub("", unicodedata.normalize("NFKD", bare).casefold())
    return [word[:MAX_WORD] for word in _WORD.findall(unicodedata.normalize("NFKC", plain))]
