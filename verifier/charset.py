"""Bytes to text by a charset that a sender named: never raises, and says when it had to guess (RFC 2045 2.2)."""

from __future__ import annotations

import codecs
from functools import lru_cache

_WIDER = {
    # What mail programs mean when they name the narrower one (WHATWG Encoding, section 4.2).
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "unicode-1-1-utf-7": "utf-7",
    "iso-8859-8-i": "iso-8859-8",
    "utf8": "utf-8",
    "cp-850": "cp850",
    "windows-874": "cp874",
    "tis-620": "cp874",
}
_NOT_CHARSETS = frozenset(
    {"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "mbcs", "oem"}
)
_MAX_NAME = 40  # IANA's longest charset name has 40 characters


@lru_cache(maxsize=256)
def codec_of(charset: str) -> str | None:
    """The name of Python's codec for a charset of mail, or None when there is none that is plain text."""
    name = charset.strip().strip("\"'").lower()
    if not name or len(name) > _MAX_NAME or not name.isascii():
        return None
    name = _WIDER.get(name, name)
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    canonical = found.name.replace("_", "-")
    is_text = getattr(found, "_is_text_encoding", True)
    return found.name if is_text and canonical not in _NOT_CHARSETS else None


def to_text(data: bytes, charset: str | None) -> tuple[str, bool]:
    """Decode; the flag is True when the text is not simply what the named charset says.

    No charset means US-ASCII (RFC 2045 5.2); 8-bit bytes are then read as UTF-8, else as Windows-1252.
    """
    codec = codec_of(charset) if charset else "utf-8"
    if codec is not None:
        try:
            return data.decode(codec), charset is None and not data.isascii()
        except (UnicodeError, ValueError, OverflowError):
            pass
    try:
        return data.decode("utf-8"), True
    except UnicodeDecodeError:
        pass
    if codec in (None, "utf-8", "ascii"):
        codec = "cp1252"
    try:
        return data.decode(str(codec), "replace"), True
    except (UnicodeError, ValueError, OverflowError):
        return data.decode("latin-1"), True
