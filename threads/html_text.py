"""HTML mail as plain text. Nothing is fetched, nothing is run; never raises."""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterable, Iterator

from threads.html_signature import with_signature_set_off

# Beyond either, layout is given up for a reader that only drops tags and is linear whatever it gets.
MAX_LAID_OUT = 150_000  # characters; newsletters stay under, and laying this much out takes 0.2 s
MAX_NESTED = 150  # open tags inside each other; the library recurses for each
MAX_INDENT = 4  # a layout that makes the text so many times longer than its HTML is all indentation
MAX_HTML = 500_000  # characters that are read at all

_HIDDEN = re.compile(r"<(script|style|head|title)\b", re.IGNORECASE)
_BREAKING = frozenset(
    {
        "br",
        "p",
        "div",
        "tr",
        "li",
        "table",
        "ul",
        "ol",
        "blockquote",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "pre",
    }
)
_NAME = re.compile(r"/?([a-zA-Z][a-zA-Z0-9]{0,15})")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})")
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "area", "base", "col", "wbr", "source"})
_BLANK_LINES = re.compile(r"\n[ \t\r]*+(?:\n[ \t\r]*+){2,}")
_CLOSED = re.compile(r"</(?:body|html)\s{0,8}>", re.IGNORECASE)
# A line across the page: Outlook and others draw one above the message that is answered.
_RULE = re.compile(r"<hr\b[^<>]{0,500}>", re.IGNORECASE)
_RULE_AS_TEXT = "<div>-----</div>"
# What is quoted becomes lines marked as in plain text, so that answers between and below the quotes are told apart.
_QUOTE = re.compile(r"<(/?)blockquote\b[^<>]{0,2000}>", re.IGNORECASE)
_QUOTE_OPENS, _QUOTE_CLOSES = "\ufdd0", "\ufdd1"  # noncharacters: no text holds them (Unicode 23.7)
MAX_MARKS = 10  # of a deeper quotation more marks tell nothing
_TAG_END = re.compile(r"[<>]")
_TAG_START = re.compile(r"<(?=[a-zA-Z/!?])")


def html_to_text(html: str) -> str:
    """The text that a reader of this HTML sees, in lines."""
    # What servers put below the closing tags is seen by people, and would be dropped.
    html = _CLOSED.sub("<br>", html[:MAX_HTML].replace("\0", ""))
    shown = _RULE.sub(_RULE_AS_TEXT, with_signature_set_off(_with_quotes_shown(html)))
    quoted, html = _QUOTE_OPENS in shown, shown
    if len(html) <= MAX_LAID_OUT and deepest(html) <= MAX_NESTED:
        try:
            text = _laid_out(html)
        except (SyntaxError, ValueError, TypeError, AttributeError, LookupError, RecursionError):
            # What the library or lxml below it (its errors are SyntaxErrors) raises on odd HTML; the plain reader takes anything.
            text = _without_tags(html)
        if len(text) > MAX_INDENT * len(html):
            text = _without_tags(html)
    else:
        text = _without_tags(html)
    lines: Iterable[str] = (line.rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    if quoted:
        lines = _marked(lines)
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def _with_quotes_shown(html: str) -> str:
    """Each blockquote with a sign of its own where it begins and ends; as it is where they are not in pairs."""
    html = html.replace(_QUOTE_OPENS, "").replace(_QUOTE_CLOSES, "")
    depth = 0
    for found in _QUOTE.finditer(html):
        depth += -1 if found.group(1) else 1
        if depth < 0:
            return html
    return _QUOTE.sub(_shown, html) if depth == 0 else html


def _shown(found: re.Match[str]) -> str:
    if found.group(1):
        return f"<div>{_QUOTE_CLOSES}</div>{found.group()}"
    return f"{found.group()}<div>{_QUOTE_OPENS}</div>"


def _marked(lines: Iterable[str]) -> Iterator[str]:
    """The lines, those between the signs with a ">" for each quotation around them; the signs are gone."""
    depth = 0
    blanks = 0
    for line in lines:
        opened, closed = line.count(_QUOTE_OPENS), line.count(_QUOTE_CLOSES)
        bare = line.replace(_QUOTE_OPENS, "").replace(_QUOTE_CLOSES, "") if opened or closed else line
        depth += opened
        marks = ">" * min(depth, MAX_MARKS)
        depth -= closed
        if bare.strip():
            blanks = 0
            yield f"{marks} {bare.strip()}" if marks else bare.rstrip()
        elif not (opened or closed):
            blanks += 1
            if not marks or blanks == 1:
                yield marks
        elif not depth:
            yield ""


def _laid_out(html: str) -> str:
    # Imported late: with what it pulls in it takes a third of a second, which most commands do not need.
    from inscriptis import get_text  # noqa: PLC0415 -- see above
    from inscriptis.model.config import ParserConfig  # noqa: PLC0415 -- see above

    return str(get_text(html, ParserConfig(display_links=False, display_images=False)))


def deepest(html: str) -> int:
    """How deep tags are nested at most, taking each opened one that is never closed for nesting."""
    depth = most = 0
    for closing, name in _TAG.findall(html):
        if name.lower() in _VOID:
            continue
        depth = max(0, depth - 1) if closing else depth + 1
        most = max(most, depth)
    return most


def _without_tags(html: str) -> str:
    """Text between tags; scripts, styles and comments left out."""
    out: list[str] = []
    position = 0
    lowered: str | None = None
    while True:
        opened = _TAG_START.search(html, position)
        if opened is None:
            out.append(html[position:])
            break
        start = opened.start()
        out.append(html[position:start])
        if html.startswith("<!--", start):
            end = html.find("-->", start + 4)
            position = len(html) if end < 0 else end + 3
            continue
        hidden = _HIDDEN.match(html, start)
        if hidden is not None:
            if lowered is None:
                lowered = html.lower()
            end = lowered.find(f"</{hidden.group(1).lower()}", start)
            position = len(html) if end < 0 else end
            if end < 0:
                break
            start = end
        found = _TAG_END.search(html, start + 1)
        if found is None:
            break
        name = _NAME.match(html, start + 1)
        position = found.end() if found.group() == ">" else found.start()
        if name is not None and name.group(1).lower() in _BREAKING:
            out.append("\n")
    return entities.unescape("".join(out))
