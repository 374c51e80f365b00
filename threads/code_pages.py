"""Windows code pages by the names that mail uses for them (PidTagInternetCodepage, PidTagMessageCodepage)."""

from __future__ import annotations

from typing import Final

UTF_8: Final = 65001
CODE_PAGES: Final = {
    437: "ibm437",
    850: "ibm850",
    852: "ibm852",
    866: "ibm866",
    874: "windows-874",
    932: "shift_jis",
    936: "gb2312",
    949: "ks_c_5601-1987",
    950: "big5",
    1200: "utf-16le",
    1201: "utf-16be",
    **{page: f"windows-{page}" for page in range(1250, 1259)},
    10000: "macintosh",
    20127: "us-ascii",
    20866: "koi8-r",
    20932: "euc-jp",
    21866: "koi8-u",
    **{28590 + part: f"iso-8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    38598: "iso-8859-8-i",
    50220: "iso-2022-jp",
    50221: "iso-2022-jp",
    50222: "iso-2022-jp",
    50225: "iso-2022-kr",
    51932: "euc-jp",
    51936: "gb2312",
    51949: "euc-kr",
    52936: "hz-gb-2312",
    54936: "gb18030",
    65000: "utf-7",
    UTF_8: "utf-8",
}
DEFAULT: Final = "windows-1252"  # what Outlook writes where no page is named, on most machines


def charset_of(page: int | None) -> str | None:
    """The charset of a code page, or None if it is not named or not known."""
    return None if page is None else CODE_PAGES.get(page)
