"""The base subject: what is left when replies' and forwards' prefixes are taken away (RFC 5256 2.1)."""

from __future__ import annotations

import re

# Longer subjects are cut first; a line of mail is 998 octets.
MAX_SUBJECT = 2_000

# What mail programs put before a subject, in the languages seen in public mail.
_PREFIXES = (
    *("re", "fw", "fwd", "aw", "antw", "antwort", "wg", "sv", "vs", "vb", "vl", "odp", "pd", "ynt", "ilt"),
    *("enc", "res", "rv", "tr", "réf", "ref", "rif", "r", "i", "doorst", "betr", "atb", "ang", "bls", "trs"),
    *("vá", "továbbítás", "yml", "yönl", "na", "σχετ", "πρθ", "на", "отв", "пересл", "ha", "resp"),
    *(
        "回复",
        "答复",
        "转发",
        "回覆",
        "轉寄",
        "返信",
        "転送",
        "답장",
        "전달",
        "trả lời",
        "chuyển tiếp",
        "autoreply",
        "auto",
    ),
)
_PREFIX = re.compile(
    rf"\s*(?:{'|'.join(map(re.escape, sorted(_PREFIXES, key=len, reverse=True)))})\s{{0,3}}(?:[\[(^]?\d{{1,3}}[\])]?)?\s{{0,3}}[:：]",
    re.IGNORECASE,
)
_BLOB = re.compile(r"\s*\[[^\[\]]{0,100}\]")
_TRAILER = re.compile(r"\(fwd\)\s*\Z", re.IGNORECASE)
_FORWARDED = re.compile(r"\[fwd?:(.*)\]\Z", re.IGNORECASE | re.DOTALL)


def base_subject(subject: str) -> str:
    """``subject`` without prefixes such as "Re:" or "AW:", tags in brackets, and "(fwd)"; blanks collapsed."""
    text = " ".join(subject[:MAX_SUBJECT].split())
    while (found := _TRAILER.search(text[-16:])) is not None:
        text = text[: len(text) - len(text[-16:]) + found.start()].rstrip()
    start = 0
    while start < len(text):
        found = _PREFIX.match(text, start) or _BLOB.match(text, start)
        if found is None or found.end() == start or not text[found.end() :].strip():
            break
        start = found.end()
    text = text[start:].strip()
    wrapped = _FORWARDED.fullmatch(text)
    return wrapped.group(1).strip() if wrapped else text
