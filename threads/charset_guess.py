"""Text of a charset that a sender named wrongly or not at all: the likeliest reading, and whether it was guessed.

The named charset holds where the bytes are what it says. Where they are not, they are read as what mail programs mean by
the name (gb2312 that is GBK, ks_c_5601 that is CP949, iso-8859-1 that is Windows-1252 or UTF-8); bytes without any name
are told apart by the letters that a language writes most. Never raises; linear, and a guess looks at a bounded sample.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from verifier.charset import codec_of, to_text
from verifier.transfer import decode_base64

MAX_SAMPLE: Final = 20_000  # bytes that a guess looks at: enough for the letters of any language to show
MAX_WORD: Final = 1_000  # characters of one encoded word, of which RFC 2047 2 allows 75

# Charset names of which Python knows a narrower codec than mail programs mean.
_MEANT: Final = {"euc_kr": "cp949", "big5": "big5hkscs", "iso8859-9": "cp1254", "gb2312": "gb18030"}
# What a name says strictly, and the wider codec that is read for it.
_STRICT: Final = {
    **dict.fromkeys(("gb2312", "gb_2312-80", "csgb2312", "euc-cn"), "gb2312"),
    **dict.fromkeys(("ks_c_5601-1987", "ks_c_5601", "ksc5601", "euc-kr", "korean"), "euc_kr"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis"), "shift_jis"),
    "big5": "big5",
    "iso-8859-9": "iso8859-9",
}
_WORD: Final = re.compile(rf"=\?([^?\s]{{1,64}})\?([BbQq])\?(.{{0,{MAX_WORD}}}?)(?:\?=|$)", re.DOTALL)
_ESCAPE: Final = re.compile(rb"=([0-9A-Fa-f]{2})")
_C1: Final = re.compile(rb"[\x80-\x9f]")
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
_LETTERS: Final = re.compile(rb"[A-Za-z]+")
_SHIFT: Final = re.compile(rb"\x1b\$[@B(]")  # ISO-2022-JP and -KR leave ASCII so

# The six letters that a language writes most, as bytes: of mail in it they are about half.
_FREQUENT: Final = {
    "cp1251": frozenset("оеаинт".encode("cp1251")),
    "koi8-r": frozenset("оеаинт".encode("koi8-r")),
    "cp1253": frozenset("αοιτεσ".encode("cp1253")),
    "cp1255": frozenset("יוהלאר".encode("cp1255")),
    "cp1256": frozenset("اليمون".encode("cp1256")),
}
_LEAST: Final = 0.3  # of all letters that are not ASCII, so that a language is believed
_POLISH: Final = frozenset("łąśźżŁŚŹŻ".encode("cp1250"))
_TURKISH: Final = frozenset("ğışİŞĞ".encode("cp1254"))
# Shares that tell: no western language writes so many letters beyond ASCII; Japanese holds so much kana, Korean is hangul
# but for a few, and Chinese ideographs but for marks, most of them from the common half of its sets.
_MOST_WESTERN: Final = 0.6
_LEAST_KANA: Final = 0.2
_LEAST_HANGUL: Final = 0.9
_LEAST_HAN: Final = 0.6
_LEAST_COMMON: Final = 0.7


# Windows-1251 and KOI8-R hold Russian at the same bytes, small letters of the one where the other has capitals: either reads as
# words, with the wrong letters.
_OTHER_CYRILLIC: Final = {"cp1251": "koi8-r", "koi8-r": "cp1251", "koi8-u": "cp1251"}
_EITHER_CASE: Final = {
    codec: frozenset("оеаинтОЕАИНТ".encode(codec)) for codec in ("cp1251", "koi8-r", "koi8-u")
}
_CLEARLY: Final = (
    0.15  # of the letters: so many more frequent ones the other charset has, where only capitals tell
)
_LEAST_LETTERS: Final = 8  # a shorter word may be a name
_ENOUGH_LETTERS: Final = 60  # from here on the share alone tells, as of a text in capitals
_INVERTED: Final = re.compile(r"\b[а-яё][А-ЯЁ]{2}")  # "пРИВЕТ"


def text_of(data: bytes, charset: str | None) -> tuple[str, bool]:
    """Decode; the flag is True where the text is not simply what the named charset says."""
    named = (charset or "").strip().strip("\"'").lower()
    codec = codec_of(charset) if charset else None
    if data.isascii():
        if b"\x1b" in data and codec in (None, "utf-8", "cp1252") and _SHIFT.search(data) is not None:
            shifted = _strictly(data, "iso2022_jp_ext")
            if shifted is not None:
                return shifted, True
        return to_text(data, charset)
    if codec is None or codec == "utf-8":
        text = _strictly(data, "utf-8")
        return (text, named not in ("utf-8", "utf8")) if text is not None else (_guessed(data), True)
    if codec == "cp1252":
        return _western(data, named, charset)
    return _named(data, named, charset, _MEANT.get(codec, codec))


def _named(data: bytes, named: str, charset: str | None, codec: str) -> tuple[str, bool]:
    """As the charset says, or what is meant by it."""
    if codec in _OTHER_CYRILLIC and _is_other_cyrillic(data[:MAX_SAMPLE], codec):
        return data.decode(_OTHER_CYRILLIC[codec], "replace"), True
    text = _strictly(data, codec)
    if text is None:
        return to_text(data, charset)
    strict = _STRICT.get(named)
    return text, strict is not None and _strictly(data, strict) is None


def decoded_words(text: str) -> tuple[str, bool]:
    """A header field's text with its encoded words undone, and whether any was broken or its charset guessed (RFC 2047).

    Unlike the strict reader it takes words that hold blanks or a question mark, and one that was cut off at the end.
    """
    if "=?" not in text:
        return text, False
    guessed = False
    out: list[str] = []
    run: list[tuple[str, list[bytes]]] = []
    end = 0

    def told() -> None:
        nonlocal guessed
        for charset, pieces in run:
            part, doubtful = text_of(b"".join(pieces), charset)
            out.append(part)
            guessed = guessed or doubtful
        run.clear()

    for found in _WORD.finditer(text):
        between = text[end : found.start()]
        if between and not (run and between.isspace()):
            told()
            out.append(between)
        charset, data = found[1].partition("*")[0].lower(), _word_bytes(found[2], found[3])
        guessed = guessed or not found[0].endswith("?=")
        if run and run[-1][0] == charset:
            run[-1][1].append(data)  # senders split characters between words
        else:
            run.append((charset, [data]))
        end = found.end()
    told()
    out.append(text[end:])
    return "".join(out), guessed


def _word_bytes(encoding: str, content: str) -> bytes:
    octets = content.encode("utf-8", "surrogatepass")
    if encoding in "Bb":
        return decode_base64(octets)
    return _ESCAPE.sub(lambda hexed: bytes((int(hexed[1], 16),)), octets.replace(b"_", b" "))


def _strictly(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeError, ValueError):
        return None


def _western(data: bytes, named: str, charset: str | None) -> tuple[str, bool]:
    """Named Latin-1 or Windows-1252, or taken for it by many programs."""
    text = _strictly(data, "utf-8")
    if text is not None:
        return text, True
    sample = data[:MAX_SAMPLE]
    high = sum(map(len, _HIGH.findall(sample)))
    letters = sum(map(len, _LETTERS.findall(sample))) + high
    if high > letters * _MOST_WESTERN:
        return _guessed(data), True
    text, guessed = to_text(data, charset)
    return text, guessed or (named not in ("windows-1252", "cp1252") and _C1.search(data) is not None)


def _is_other_cyrillic(sample: bytes, codec: str) -> bool:
    """Whether bytes that are named one charset of Russian are the other: by its letters, and by capitals where none belong."""
    other = _OTHER_CYRILLIC[codec]
    octets = b"".join(_HIGH.findall(sample))
    if len(octets) < _LEAST_LETTERS:
        return False
    share = {
        name: sum(octet in _EITHER_CASE[name] for octet in octets) / len(octets) for name in (codec, other)
    }
    text = sample.decode(codec, "replace")
    capitals = sum("А" <= character <= "Я" for character in text)
    small = sum("а" <= character <= "я" for character in text)
    if capitals <= small or share[other] < _LEAST or share[other] <= share[codec]:
        return False
    if _INVERTED.search(text) is not None:
        return True
    return len(octets) >= _ENOUGH_LETTERS and share[other] >= share[codec] + _CLEARLY


def _guessed(data: bytes) -> str:
    codec = _likeliest(data[:MAX_SAMPLE])
    return data.decode(codec, "replace")


def _likeliest(sample: bytes) -> str:
    runs = _HIGH.findall(sample)
    octets = b"".join(runs)
    if not octets:
        return "cp1252"
    # Two such letters in a row stand in many western words ("łą"), three in hardly any.
    in_rows = sum(len(run) for run in runs if len(run) > 2)  # noqa: PLR2004 -- see above
    if in_rows < len(octets) / 2:
        return _likeliest_western(octets)
    return _likeliest_asian(sample) or _likeliest_alphabet(octets)


def _likeliest_western(octets: bytes) -> str:
    """Single letters between ASCII: a western language, or one of those that share its alphabet."""
    for codec, letters in (("cp1250", _POLISH), ("cp1254", _TURKISH)):
        if sum(octet in letters for octet in octets) > len(octets) / 3:
            return codec
    return "cp1252"


def _likeliest_asian(sample: bytes) -> str | None:
    for codec, least, first, last in (
        ("euc_jp", _LEAST_KANA, "\u3040", "\u30ff"),
        ("cp932", _LEAST_KANA, "\u3040", "\u30ff"),
        ("cp949", _LEAST_HANGUL, "\uac00", "\ud7a3"),
    ):
        text = _of_sample(sample, codec)
        beyond = [character for character in text or "" if character > "\u2000"]
        if beyond and sum(first <= character <= last for character in beyond) >= least * len(beyond):
            return codec
    # Common Chinese characters come first in both sets: GB 2312 rows B0 to D7, Big5 rows A4 to C6.
    for codec, first_row, last_row in (("big5hkscs", 0xA4, 0xC6), ("gb18030", 0xB0, 0xD7)):
        text = _of_sample(sample, codec) or ""
        wide = sum(character > "\x7f" for character in text)
        rows = [
            character.encode(codec, "replace")[0] for character in text if "\u4e00" <= character <= "\u9fff"
        ]
        common = sum(first_row <= row <= last_row for row in rows)
        if rows and len(rows) >= _LEAST_HAN * wide and common >= _LEAST_COMMON * len(rows):
            return codec
    return None


def _likeliest_alphabet(octets: bytes) -> str:
    share = {
        codec: sum(octet in letters for octet in octets) / len(octets) for codec, letters in _FREQUENT.items()
    }
    best = max(share, key=share.__getitem__)
    return best if share[best] >= _LEAST else "cp1252"


def _of_sample(sample: bytes, codec: str) -> str | None:
    """The sample as text where it is valid; its last character may be cut."""
    try:
        return codecs.getincrementaldecoder(codec)().decode(sample)
    except (UnicodeError, ValueError):
        return None
