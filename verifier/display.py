"""Display names as a person sees them: invisible characters gone, look-alike letters made equal (UTS 39 4)."""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate

import disarm

MAX_NAME = 1_000  # characters of a display name that are compared; clients show under 100

_ASCII_WORDS = re.compile(r"[a-z0-9]+")
_WORDS = re.compile(r"\w+")
# UTS 39 makes I, 1 and | equal to l, and 0 to O; the rest is how people write letters as digits.
_FOLD = str.maketrans(
    {
        "i": "l",
        "1": "l",
        "|": "l",
        "!": "l",
        "0": "o",
        "3": "e",
        "4": "a",
        "5": "s",
        "7": "t",
        "$": "s",
        "@": "a",
    }
)
# Default_Ignorable_Code_Point beyond category Cf (Unicode DerivedCoreProperties): drawn as nothing.
_IGNORABLE = frozenset(
    (
        0x034F,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x3164,
        0xFFA0,
        0x2800,
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
    )
)
_CONTROLS = dict.fromkeys((*range(32), 127), " ")
_VARIATION_SUPPLEMENT = range(0xE0000, 0xE1000)


def visible(text: str) -> str:
    """The text as it looks: NFKC, without controls, bidi marks, zero-width and other ignorable characters."""
    text = text[:MAX_NAME]
    if text.isascii():
        return text if text.isprintable() else text.translate(_CONTROLS)
    kept = "".join(c for c in text if not _invisible(c))
    return unicodedata.normalize("NFKC", kept)


def _invisible(character: str) -> bool:
    code = ord(character)
    if code in _IGNORABLE or code in _VARIATION_SUPPLEMENT:
        return True
    return unicodedata.category(character) in ("Cf", "Cc", "Cs", "Co", "Cn")


def fold(text: str) -> str:
    """Letters that look alike made equal, marks dropped, case folded. For comparing only, never for showing."""
    seen = visible(text)
    if not seen.isascii():
        seen = disarm.skeleton_key(seen, digit_policy="tr39")
        decomposed = unicodedata.normalize("NFKD", seen)
        seen = "".join(c for c in decomposed if not unicodedata.combining(c))
    return seen.casefold().translate(_FOLD).replace("rn", "m").replace("vv", "w")


def skeleton(text: str) -> str:
    """A display name as a key: folded words with one blank between them."""
    folded = fold(text)
    words = _ASCII_WORDS.findall(folded) if folded.isascii() else _WORDS.findall(folded.replace("_", " "))
    return " ".join(words)


def names_same(shown: str, protected: str) -> bool:
    """Whether a skeleton equals or contains a protected one.

    A protected name of several words is found as a whole anywhere ("Microsoft Defender Experts via X"), with
    its words spread, run together or in another order; run together it has to be part of one word, or begin and
    end where words do ("Acme Guards" is not "Acme Guard"). A name of one word must be the whole name: "Contoso
    Security" is not "Contoso".
    """
    if not protected:
        return False
    if shown == protected:
        return True
    compact, wanted = shown.replace(" ", ""), protected.replace(" ", "")
    if compact == wanted:
        return True
    if " " not in protected:
        return False
    if wanted in compact:
        words = shown.split()
        return (
            f" {protected} " in f" {shown} "
            or any(wanted in word for word in words)
            or _at_word_ends(words, compact, wanted)
        )
    return len(compact) == len(wanted) and sorted(shown.split()) == sorted(protected.split())


def _at_word_ends(words: list[str], compact: str, wanted: str) -> bool:
    """Whether ``wanted`` stands in ``compact``, the words run together, from a word's beginning to a word's end."""
    ends = set(accumulate(map(len, words), initial=0))
    at = compact.find(wanted)
    while at >= 0:
        if at in ends and at + len(wanted) in ends:
            return True
        at = compact.find(wanted, at + 1)
    return False
