"""The base subject: what is left when replies' and forwards' prefixes are taken away (RFC 5256 2.1).

Beyond the RFC's "re", "fw" and "fwd" the prefixes of the big mail programs in the languages that they speak count, in any number
and with a counter ("RE[2]:", "Re(3):", "Re^2:"), and so do the marks that gateways put before them ("[EXTERNAL]", "*EXTERN*").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# Longer subjects are cut first; a line of mail is 998 octets.
MAX_SUBJECT: Final = 2_000

_REPLIES: Final = (
    *(
        "re",
        "aw",
        "antw",
        "antwort",
        "sv",
        "vs",
        "odp",
        "odpoveď",
        "odpověď",
        "ynt",
        "yanıt",
        "cevap",
        "res",
        "resp",
    ),
    *(
        "réf",
        "ref",
        "rép",
        "rif",
        "r",
        "bls",
        "balas",
        "atb",
        "ats",
        "vá",
        "válasz",
        "re-",
        "odg",
        "od",
        "rsp",
        "răspuns",
    ),
    *(
        "απ",
        "σχετ",
        "απάντηση",
        "отв",
        "ответ",
        "на",
        "ha",
        "відп",
        "відповідь",
        "отг",
        "одг",
        "ang",
        "betr",
        "ad",
    ),
    *(
        "回复",
        "答复",
        "回覆",
        "答覆",
        "返信",
        "답장",
        "회신",
        "trả lời",
        "tl",
        "ตอบ",
        "ตอบกลับ",
        "رد",
        "תגובה",
        "תשובה",
        "השב",
    ),
    *(
        "autoreply",
        "auto",
        "automatic reply",
        "automatische antwort",
        "réponse automatique",
        "respuesta automática",
    ),
)
_FORWARDS: Final = (
    *(
        "fw",
        "fwd",
        "wg",
        "vb",
        "vl",
        "fs",
        "pd",
        "ilt",
        "i̇lt",
        "enc",
        "rv",
        "tr",
        "i",
        "doorst",
        "trs",
        "yml",
        "na",
        "pr",
    ),
    *(
        "továbbítás",
        "továbbítva",
        "yönl",
        "πρθ",
        "προωθ",
        "пересл",
        "пер",
        "переслано",
        "prosl",
        "fyi",
        "inoltro",
        "mt",
    ),
    *("转发", "轉寄", "轉發", "転送", "전달", "chuyển tiếp", "ส่งต่อ", "إعادة توجيه", "הועבר", "העבר"),
)
# "Ad:" is Norwegian for "concerning", and an advertisement in English: too short a word to take away.
_TOO_SHORT: Final = frozenset({"ad", "od", "re-", "pr", "mt", "tl", "pa"})
_PREFIXES: Final = tuple(sorted({*_REPLIES, *_FORWARDS} - _TOO_SHORT, key=len, reverse=True))
_REFWD: Final = (
    rf"(?:{'|'.join(map(re.escape, _PREFIXES))})\.?\s{{0,3}}"
    r"(?:[\[(^*]?\d{1,3}[\])]?|\[[^\[\]]{0,100}\])?\s{0,3}[:：]"
)
_BLOB: Final = r"\[[^\[\]]{0,100}\]\s{0,3}"
_OUTSIDE: Final = (
    r"(?:e?-?mail\s)?(?:external|extern|externe|externa|externo|esterno|estern[ae]|ekstern|extérieur|zewnętrzn[ye]|внешнее|"
    r"外部|社外|외부|spam)(?:\s(?:e-?mail|mail|sender|message|邮件|郵件|메일))?"
)
_MARK: Final = (
    rf"(?:\*{{1,5}}\s?(?:{_OUTSIDE}|ext)\s?\*{{1,5}}|\(\s?(?:{_OUTSIDE}|ext)\s?\)|\{{\s?(?:{_OUTSIDE}|ext)\s?\}}|"
    rf"<\s?(?:{_OUTSIDE}|ext)\s?>|【[^【】]{{0,100}}】|{_OUTSIDE}\s?[:：])\s{{0,3}}"
)
_LEADER: Final = re.compile(rf"\s*(?:(?:{_BLOB}|{_MARK}){{0,10}}{_REFWD})\s*", re.IGNORECASE)
_BLOBS: Final = re.compile(rf"\s*(?:{_BLOB}|{_MARK})", re.IGNORECASE)
_TRAILER: Final = re.compile(r"\s*\(fwd\)\s*\Z", re.IGNORECASE)
_FORWARDED: Final = re.compile(r"\[\s?fwd?\s{0,3}:(.*)\]\Z", re.IGNORECASE | re.DOTALL)
_TRAILER_WINDOW: Final = 16


@dataclass(frozen=True, slots=True)
class BaseSubject:
    """``text`` without prefixes and marks; ``answers``: there was a prefix, a trailer or a wrapping of a reply or forward."""

    text: str
    answers: bool


def base_of(subject: str) -> BaseSubject:
    """Take a decoded subject apart. Of nothing but prefixes nothing is left; a mark is taken only from before something."""
    text, answers = " ".join(subject[:MAX_SUBJECT].split()), False
    while True:
        while (found := _TRAILER.search(text, max(0, len(text) - _TRAILER_WINDOW))) is not None:
            text, answers = text[: found.start()], True
        text, prefixed = _without_leaders(text)
        answers |= prefixed
        wrapped = _FORWARDED.fullmatch(text)
        if wrapped is None or not wrapped.group(1).strip():
            return BaseSubject(text, answers)
        text, answers = wrapped.group(1).strip(), True


def base_subject(subject: str) -> str:
    """``subject`` without prefixes such as "Re:" or "AW:", marks such as [EXTERNAL], and "(fwd)"; blanks collapsed.

    For people: where nothing would be left it stays as it is.
    """
    return base_of(subject).text or " ".join(subject[:MAX_SUBJECT].split())


def _without_leaders(text: str) -> tuple[str, bool]:
    start, answers = 0, False
    while True:
        leader = _LEADER.match(text, start)
        found = leader or _BLOBS.match(text, start)
        if found is None or (leader is None and not text[found.end() :].strip()):
            return text[start:].strip(), answers
        start, answers = found.end(), answers or leader is not None
