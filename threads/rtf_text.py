r"""The text of an RTF document, and of HTML that Outlook wrapped in RTF (``\fromhtml1``, [MS-OXRTFEX]). One pass, linear."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from threads.code_pages import DEFAULT, charset_of
from verifier.charset import to_text

MAX_NESTING: Final = 200  # groups in groups; Outlook's stay under 20

_TOKEN: Final = re.compile(
    rb"\\([A-Za-z]{1,32})(-?[0-9]{1,9})? ?|\\'([0-9A-Fa-f]{2})|\\(.)|([{}])|[\r\n]+|([^\\{}\r\n]+)|\\",
    re.DOTALL,
)
_DESTINATIONS: Final = frozenset(  # groups that hold no text of the document
    b"fonttbl colortbl stylesheet listtable listoverridetable info pict object header headerl headerr headerf footer footerl "
    b"footerr footerf themedata datastore generator xmlnstbl rsidtbl fldinst".split()
)
_BREAKS: Final = frozenset((b"par", b"line", b"row", b"sect", b"page"))
_LETTERS: Final = {
    b"tab": "\t",
    b"cell": "\t",
    b"emdash": "\u2014",
    b"endash": "\u2013",
    b"lquote": "\u2018",
    b"rquote": "\u2019",
    b"ldblquote": "\u201c",
    b"rdblquote": "\u201d",
    b"bullet": "\u2022",
}
# Words that any reader knows: a "\*" before one hides nothing.
_KNOWN: Final = frozenset(
    b"b cb cf f fs highlight htmlrtf i lang line ltrch ltrpar pard par plain qc qj ql qr rtlch rtlpar tab u uc ul ulnone v".split()
)
_WIDE: Final = frozenset({1200, 1201})  # UTF-16: no page of RTF, which would make other letters of ASCII
_SYMBOLS: Final = {b"~": "\u00a0", b"_": "\u2011", b"{": "{", b"}": "}", b"\\": "\\"}


class _Group(NamedTuple):
    r"""What holds until a group ends: whether its text counts, and what stands in for a Unicode character.

    ``rtf_only``: between \htmlrtf and \htmlrtf0, which is not in the HTML that was wrapped ([MS-OXRTFEX] 2.1.3.1.4).
    """

    silent: bool = False
    rtf_only: bool = False
    stand_ins: int = 1


class _Reader:
    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.waiting = bytearray()  # 8-bit text that is not decoded yet: a character may have two octets
        self.charset = DEFAULT
        self.group = _Group()
        self.outer: list[_Group] = []
        self.too_deep = 0
        self.starred = False  # after "\\*": a destination follows that readers may not know
        self.wraps_html = (
            False  # \fromhtml1; elsewhere readers show what stands between \htmlrtf and \htmlrtf0
        )
        self.skip = 0  # stand-ins of a Unicode character that are still to come

    def flush(self) -> None:
        if self.waiting:
            if self.waiting.isascii() and self.charset.startswith("windows-"):  # often one letter at a time
                self.pieces.append(self.waiting.decode("ascii"))
            else:
                self.pieces.append(to_text(bytes(self.waiting), self.charset)[0])
            self.waiting.clear()

    def write(self, text: str) -> None:
        if not self.group.silent and not self.group.rtf_only:
            self.flush()
            self.pieces.append(text)

    def octets(self, octets: bytes) -> None:
        self.starred = False
        skipped = min(self.skip, len(octets))
        self.skip -= skipped
        if not self.group.silent and not self.group.rtf_only:
            self.waiting += octets[skipped:]

    def brace(self, brace: bytes) -> None:
        self.starred = False
        self.skip = 0
        if brace == b"{":
            if len(self.outer) >= MAX_NESTING:
                self.too_deep += 1
            else:
                self.outer.append(self.group)
        elif self.too_deep:
            self.too_deep -= 1
        elif self.outer:
            self.group = self.outer.pop()

    def word(self, word: bytes, number: int | None) -> None:  # noqa: C901 -- one case for each word
        starred, self.starred = self.starred, False
        if word in _DESTINATIONS or (starred and word not in _KNOWN):
            self.group = self.group._replace(silent=True)
        elif word == b"fromhtml":
            self.wraps_html = number != 0
        elif word == b"htmlrtf":
            self.group = self.group._replace(rtf_only=self.wraps_html and number != 0)
        elif word in _BREAKS:
            if not self.group.silent:  # kept from \htmlrtf too: the wrapped HTML breaks its lines by tags
                self.flush()
                self.pieces.append("\n")
        elif word == b"u" and number is not None:
            self.write(chr(number & 0xFFFF))
            self.skip = self.group.stand_ins
        elif word == b"uc" and number is not None:
            self.group = self.group._replace(stand_ins=max(0, number))
        elif word == b"ansicpg":
            self.flush()  # what came before is of the page before
            if number not in _WIDE:
                self.charset = charset_of(number) or self.charset
        elif word in _LETTERS:
            self.write(_LETTERS[word])

    def symbol(self, symbol: bytes) -> None:
        self.starred = symbol == b"*"
        if symbol in (b"\r", b"\n"):
            self.word(b"par", None)
        elif symbol in _SYMBOLS:
            self.write(_SYMBOLS[symbol])

    def take(self, token: re.Match[bytes]) -> int:
        """Read a token; returns how many octets of binary data follow it, which are no tokens."""
        word, digits, octet, symbol, brace, plain = token.groups()
        if plain is not None:
            self.octets(plain)
        elif word is not None:
            number = None if digits is None else int(digits)
            if word == b"bin":
                return max(0, number or 0)
            self.word(word, number)
        elif octet is not None:
            self.octets(bytes((int(octet, 16),)))
        elif brace is not None:
            self.brace(brace)
        elif symbol is not None:
            self.symbol(symbol)
        return 0


def text_of(rtf: bytes) -> str:
    r"""The text, lines ended by LF. Never raises; fonts that name a charset of their own are not followed."""
    reader = _Reader()
    position = 0
    while token := _TOKEN.match(rtf, position):
        position = token.end() + reader.take(token)
    reader.flush()
    joined = "".join(reader.pieces)
    return joined.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # pairs become one
