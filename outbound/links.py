"""Where our mail may lead: to configured hosts, and to nothing that a program would fetch by itself. Pure."""

from __future__ import annotations

import re

# What programs turn into a link. Not what is written defanged (hxxps).
_LINK = re.compile(r"(?:\b(?!hxx)[a-z][a-z0-9+.-]{1,20}://|\bwww\.)[^\s/?#<>\"\\]*", re.IGNORECASE)
# RFC 3986 2.2 and 2.3 without quotes, brackets and "*": what needs no escape in HTML and ends in no text by accident.
_ADDRESS = re.compile(
    r"https://(?P<host>[a-z0-9.-]+)(:\d{1,5})?(/[A-Za-z0-9._~!$&()+,;=:@%/?#-]*)?", re.ASCII
)
_TAG = re.compile(r"<[A-Za-z!][^>]*>")
_TAG_NAME = re.compile(r"<([A-Za-z][A-Za-z0-9]*)")
_LEADS = re.compile(
    r"\b(?:href|src|srcset|action|formaction|background|data|poster|cite|longdesc)\s*=\s*", re.IGNORECASE
)
_HREF = re.compile(r"""href="([^"]*)\"""", re.IGNORECASE)
_FETCHES = re.compile(r"url\s*\(|@import|expression\s*\(|\bon[a-z]+\s*=", re.IGNORECASE)
_TAGS = frozenset(
    ["html", "head", "meta", "title", "style", "body", "div", "span", "h1", "h2", "h3", "p", "br", "ol", "ul", "li", "strong", "em", "code", "a", "table", "tbody", "tr", "th", "td"]
)
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


class LinkError(ValueError):
    """A mail would lead where it must not; the text is one sentence."""


def hosts_in(text: str) -> frozenset[str]:
    """The hosts that links in a text lead to, lower case; what follows an "@" decides, as it does in browsers."""
    return frozenset(
        found[0].rpartition("/")[2].rpartition("@")[2].partition(":")[0].rstrip(".,;)]}").lower()
        for found in _LINK.finditer(text)
    )


def defanged(domain: str) -> str:
    """A domain or link that no mail program turns into something to click on."""
    text = str(domain).replace("://", "[:]//").replace(".", "[.]")
    return re.sub(r"^http", "hxxp", text, flags=re.IGNORECASE)


def without_links(text: str) -> str:
    """The text with each link defanged."""
    return _LINK.sub(lambda found: defanged(found[0]), text)


def is_address(text: str, hosts: frozenset[str]) -> bool:
    """Whether the whole text is an https address at one of these hosts."""
    read = _ADDRESS.fullmatch(text)
    return read is not None and read["host"] in hosts


def check_text(text: str, hosts: frozenset[str]) -> None:
    """LinkError if a text links to a host that is not one of these."""
    for host in sorted(hosts_in(text) - hosts):
        raise LinkError(f"The mail links to {host[:80]!r}, which is not a configured host.")


def check_html(html: str, hosts: frozenset[str]) -> None:
    """LinkError if HTML holds a link to another host, or anything that a mail program would load, run or send.

    Reads what our own templates wrote: every "<" that a variable brought is escaped by then.
    """
    check_text(html, hosts)
    for style in _STYLE.findall(html):
        if _FETCHES.search(style):
            raise LinkError("The HTML's style would load something.")
    for tag in _TAG.findall(html):
        name = _TAG_NAME.match(tag)
        if name is not None and name[1].lower() not in _TAGS:
            raise LinkError(f"The HTML holds a {name[1].lower()!r} element, which our mail does not use.")
        if "=" not in tag:
            continue
        if _FETCHES.search(tag):
            raise LinkError("The HTML would load or run something.")
        leads = len(_LEADS.findall(tag))
        if leads and leads != sum(is_address(to.replace("&amp;", "&"), hosts) for to in _HREF.findall(tag)):
            raise LinkError("The HTML leads to something that is not an https address at a configured host.")
