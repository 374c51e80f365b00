"""What is told about a message but claims nothing: brand words in its new text, a Reply-To that leads elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass

from verifier.charset import to_text
from verifier.claims import Claims, Protection, named_addresses
from verifier.display import MAX_NAME, fold
from verifier.encoded_word import decode
from verifier.inline_forward import holds_inline_forward
from verifier.message import Message
from verifier.parts import Part, body_bytes

MAX_TEXT = 32_768  # bytes of text searched for brand words; a notification's own words come first
MAX_SUBJECT = 1_000
MAX_DISGUISED = 4_096  # characters of it that are also compared by their looks

# Where quoted text begins in the ways common clients write it; all that follows is somebody else's.
_QUOTE_STARTS = re.compile(
    r"^(?:>|-{3,} ?(?:Original|Forwarded)|_{10,}|From: |Von: |De: |On .{1,200} wrote:|Am .{1,200} schrieb)",
    re.MULTILINE,
)
# What a line has to begin with for the pattern above to match there: looking for these first spares most texts it.
_QUOTE_SIGNS = (">", "---", "__________", "From: ", "Von: ", "De: ", "On ", "Am ")
_QUOTE_LINES = tuple("\n" + sign for sign in _QUOTE_SIGNS)
_TAG = re.compile(r"<[^<>]{0,2000}>")
_HTML_QUOTE = re.compile(r"<blockquote|divRplyFwdMsg|gmail_quote|<hr", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mentions:
    """``brands`` are the terms found in subject or new text; ``reply_to`` the domains that lead elsewhere.

    ``forwarded``: the text holds another message inline.
    """

    brands: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    forwarded: bool = False


def mentions_of(
    message: Message, parts: tuple[Part, ...], claims: Claims, protection: Protection
) -> Mentions:
    """Look through subject, new text and Reply-To. Pure, bounded by the caps above."""
    subject = b" ".join(f.value for f in message.named(b"subject")[:1])[:MAX_SUBJECT]
    title = decode(subject.decode("utf-8", "replace"))
    text, starts = _text(message, parts)
    readable = _TAG.sub("\n", text) if starts is _HTML_QUOTE else text
    return Mentions(
        _brands(title, text, starts, protection) if protection.terms else (),
        _reply_to(message, claims, protection),
        holds_inline_forward(title, readable),
    )


def _brands(subject: str, whole: str, starts: re.Pattern[str], protection: Protection) -> tuple[str, ...]:
    title = fold(subject)
    text = whole
    plain = text.casefold()
    possible = any(term.first_word in plain for term in protection.terms)
    if possible or not text.isascii():
        text = _new_text(whole, starts)
        plain = " ".join(text.casefold().split()) if possible else ""
    # Only words in other letters need the dearer comparison, and only where a reader looks first.
    disguised = "" if text.isascii() else " ".join(_fold(text[:MAX_DISGUISED]).split())
    return tuple(
        [
            term.shown
            for term in protection.terms
            if term.folded in title or (possible and term.plain in plain) or term.folded in disguised
        ]
    )


def _new_text(whole: str, starts: re.Pattern[str]) -> str:
    """What stands before the first quoted text, without tags where it is HTML."""
    quoted = None
    if starts is _HTML_QUOTE or whole.startswith(_QUOTE_SIGNS) or any(s in whole for s in _QUOTE_LINES):
        quoted = starts.search(whole)
    text = whole[: quoted.start()] if quoted else whole
    return _TAG.sub(" ", text) if starts is _HTML_QUOTE else text


def _fold(text: str) -> str:
    return "".join(fold(text[start : start + MAX_NAME]) for start in range(0, len(text), MAX_NAME))


def _text(message: Message, parts: tuple[Part, ...]) -> tuple[str, re.Pattern[str]]:
    """The text that people read first, and how quoted text begins in its kind."""
    texts = [
        p for p in parts if p.content_type in ("text/plain", "text/html") and p.disposition != "attachment"
    ]
    part = next((p for p in texts if p.content_type == "text/plain"), texts[0] if texts else None)
    if part is None:
        return "", _QUOTE_STARTS
    text, _ = to_text(body_bytes(message, part, limit=MAX_TEXT), part.charset)
    return text, _HTML_QUOTE if part.content_type == "text/html" else _QUOTE_STARTS


def _reply_to(message: Message, claims: Claims, protection: Protection) -> tuple[str, ...]:
    if not claims.claims:
        return ()
    claimed = [i for c in claims.claims if (i := protection.named(c.identity))]
    elsewhere: dict[str, None] = {}
    for field in message.named(b"reply-to")[:5]:
        for _, domain in named_addresses(field.value[:4_096].decode("utf-8", "replace")):
            if not any(identity.knows(domain) for identity in claimed):
                elsewhere[domain] = None
    return tuple(elsewhere)
