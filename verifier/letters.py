"""How a name looks: letters that look alike made equal, letters of one outline, and names one letter apart."""

from __future__ import annotations

import re
import unicodedata

import disarm

_FOLD = str.maketrans(
    {
        "i": "l",
        "1": "l",
        "0": "o",
        "3": "e",
        "4": "a",
        "5": "s",
        "7": "t",
        "8": "b",
        "9": "g",
        "-": None,
        "_": None,
    }
)
# Letters of about the same outline: what a hasty eye takes for each other. Only whole names are compared so.
_OUTLINE = str.maketrans(
    {
        "d": "b",
        "q": "g",
        "m": "n",
        "r": "n",
        "h": "n",
        "e": "c",
        "o": "c",
        "j": "l",
        "k": "l",
        "v": "u",
        "y": "u",
        "z": "s",
    }
)
_OUTLINE_PAIRS = (
    ("rn", "m"),
    ("nn", "m"),
    ("rr", "m"),
    ("nl", "m"),
    ("ln", "m"),
    ("vv", "w"),
    ("uu", "w"),
    ("cl", "d"),
    ("lb", "b"),
    ("lc", "k"),
    ("lk", "k"),
    ("lh", "h"),
)
_STROKES = re.compile(r"([nl])\1+")  # how many strokes stand side by side is not counted by eye


def unicode_label(label: str) -> str:
    """An A-label as the letters that people are shown (RFC 5890 2.3.2.1); what is none stays as it is."""
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return label


def letters_of(label: str) -> str:
    """A label with look-alike letters made equal and hyphens left out (UTS 39 4)."""
    if not label.isascii():
        folded = disarm.skeleton_key(unicodedata.normalize("NFKC", label), digit_policy="tr39")
        decomposed = unicodedata.normalize("NFKD", folded)
        label = "".join(c for c in decomposed if not unicodedata.combining(c))
    return label.casefold().translate(_FOLD)


def key_of(label: str) -> str:
    """The letters, with pairs that look like one letter made into it."""
    return paired(letters_of(label))


def paired(letters: str) -> str:
    """Pairs that look like one letter made into it."""
    return letters.replace("rn", "m").replace("nn", "m").replace("vv", "w").replace("cl", "d")


def outline_of(letters: str) -> str:
    """Letters by their outline, pairs first."""
    for pair, letter in _OUTLINE_PAIRS:
        letters = letters.replace(pair, letter)
    return _STROKES.sub(r"\1", letters.translate(_OUTLINE))


def one_edit(one: str, other: str) -> bool:
    """Whether one letter was added, left out, changed, or swapped with its neighbour. One pass."""
    more = len(other) - len(one)
    if not -1 <= more <= 1 or one == other:
        return False
    short, long = (one, other) if more >= 0 else (other, one)
    first = 0
    for a, b in zip(short, long, strict=False):
        if a != b:
            break
        first += 1
    if more:
        return short[first:] == long[first + 1 :]
    if short[first + 1 :] == long[first + 1 :]:
        return True
    swapped = short[first + 1 : first + 2] + short[first : first + 1]
    return swapped == long[first : first + 2] and short[first + 2 :] == long[first + 2 :]


def plural(letters: str, target: str) -> bool:
    """Whether "es" was put in somewhere (a single "s" is one letter)."""
    if len(letters) != len(target) + 2:
        return False
    places = (at for at in range(len(letters) - 1) if letters.startswith("es", at))
    return any(letters[:at] + letters[at + 2 :] == target for at in places)
