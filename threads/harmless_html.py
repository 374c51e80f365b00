"""The HTML of a message made harmless, for people who want to see what it looked like. Nothing is fetched; never raises.

What is left is text in its layout: no script, no style sheet, no picture, no form, no address that a click would open.
Where links led is listed below, as text. The page forbids its reader to load anything, for whatever a cleaner may have missed.
"""

from __future__ import annotations

import html
from typing import Final

import nh3

from threads.charset_guess import text_of
from threads.html_text import MAX_NESTED, deepest, html_to_text
from threads.text_parts import MAX_PART_BYTES
from verifier.message import Message, read_message
from verifier.parts import body_bytes, walk

MAX_PARTS: Final = 20  # HTML parts of one message; a digest has more, and is read as text
MAX_HTML: Final = 1_000_000  # characters of all of them; a person's mail has a hundredth, and reading time stays under a second
MAX_LINKS: Final = 200  # listed; a newsletter has some dozens
MAX_LINK: Final = 2_000  # characters of one that are shown

_TAGS: Final = {
    *("p", "br", "hr", "div", "span", "blockquote", "pre", "code", "center", "address"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "b", "strong", "i", "em", "u", "s", "sub", "sup", "small", "big"),
    *("ul", "ol", "li", "dl", "dt", "dd", "a"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th"),
}
_ATTRIBUTES: Final = {"td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}, "a": {"href"}}
_CLEANED_WITH_CONTENT: Final = {
    "script",
    "style",
    "title",
    "head",
    "noscript",
    "template",
    "iframe",
    "object",
    "svg",
    "math",
}
_PAGE: Final = """<!doctype html>
<html lang="und"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'">
<meta name="referrer" content="no-referrer"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>A message, made harmless</title>
<style>body{{font-family:system-ui,sans-serif;margin:1rem;overflow-wrap:anywhere}}pre{{white-space:pre-wrap}}.told{{border:1px solid;padding:.5rem}}</style></head>
<body><p class="told">What a sender wrote, without pictures, scripts and links. It proves nothing of who wrote it.</p>
{content}
{links}</body></html>
"""


def harmless_page(raw: bytes) -> str | None:
    """One HTML page that shows the HTML parts of a saved message, or None where it has none."""
    message = read_message(raw)
    found = [text for text in _html_parts(message) if text.strip()]
    if not found:
        return None
    links: dict[str, None] = {}
    content = "\n<hr>\n".join(_clean(text, links) for text in found)
    return _PAGE.format(content=content, links=_listed(list(links)))


def _html_parts(message: Message) -> list[str]:
    left = MAX_HTML
    texts: list[str] = []
    for part in walk(message):
        if part.content_type == "text/html" and part.disposition != "attachment" and len(texts) < MAX_PARTS:
            text, _ = text_of(body_bytes(message, part, MAX_PART_BYTES), part.charset)
            texts.append(text[:left])
            left -= len(texts[-1])
    return texts


def _clean(text: str, links: dict[str, None]) -> str:
    if deepest(text) > MAX_NESTED:  # the cleaner's time grows with the square of it
        return f"<pre>{html.escape(html_to_text(text))}</pre>"

    def without_targets(tag: str, attribute: str, value: str) -> str | None:
        if (tag, attribute) != ("a", "href"):
            return value
        if len(links) < MAX_LINKS:
            links[value[:MAX_LINK]] = None
        return None

    return nh3.clean(
        text,
        tags=_TAGS,
        clean_content_tags=_CLEANED_WITH_CONTENT,
        attributes=_ATTRIBUTES,
        attribute_filter=without_targets,
        url_schemes={"http", "https", "mailto", "ftp", "tel"},
        link_rel=None,
        strip_comments=True,
    )


def _listed(links: list[str]) -> str:
    if not links:
        return ""
    rows = "".join(f"<li><code>{html.escape(link)}</code></li>" for link in links)
    return f"<hr><p>Where its links led:</p><ol>{rows}</ol>\n"
