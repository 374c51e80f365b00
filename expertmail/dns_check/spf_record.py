"""One SPF record, read by the grammar (RFC 7208 4.6.1, 12) and put right where that can be done."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

MAX_RECORD: Final = 8_192  # characters that are read; published records stay below 2 KB
MAX_TERM: Final = 400  # characters; a name has 253 octets, and macros take a few more to write

_MECHANISMS: Final = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})
# RFC 7208 7.1, 7.2: c, r and t are for explanations only. Macro-literals are visible ASCII without "%".
_MACRO: Final = r"%(?:\{[slodiphvSLODIPHV][0-9]*[rR]?[.+,/_=-]*\}|[%_-])"
_DOMAIN: Final = rf"(?:{_MACRO}|[!-$&-~])+"
_DOMAIN_SPEC: Final = re.compile(rf"(?:{_DOMAIN})\Z")
_BITS: Final = "(?:0|[1-9][0-9]{0,2})"
_TERM: Final = re.compile(
    rf"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::({_DOMAIN}?))?((?:/{_BITS})?(?://{_BITS})?)\Z",
    re.IGNORECASE,
)
_MODIFIER: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9_.-]*)=((?:%(?:\{[A-Za-z][0-9]*[rR]?[.+,/_=-]*\}|[%_-])|[!-$&-~])*)\Z"
)
# RFC 7208 7.1 domain-end: a top label, which is not all digits, or a macro.
_END: Final = re.compile(
    r"(?:\.(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])\.?|%\{[^}]*\})\Z"
)
_VERSION: Final = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)
_NEARLY: Final = re.compile(r"[\s\"']*v?\s*=?\s*spf[12]?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Term:
    """A mechanism or modifier. ``qualifier`` is one of +-~? and empty for modifiers; ``value`` without the prefix."""

    name: str
    value: str
    qualifier: str
    text: str


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """The terms in order, and those that are not in the grammar."""

    terms: tuple[Term, ...]
    wrong: tuple[str, ...]

    @property
    def ending(self) -> Term | None:
        """The first ``all``."""
        return next((term for term in self.terms if term.name == "all"), None)

    @property
    def redirect(self) -> Term | None:
        """The redirect modifier."""
        return next((term for term in self.terms if term.name == "redirect"), None)

    @property
    def is_open(self) -> bool:
        """Whether it lets everybody send: ``+all``."""
        return self.ending is not None and self.ending.qualifier == "+"

    @property
    def is_neutral(self) -> bool:
        """Whether it says nothing of those that it does not list."""
        if self.ending is not None:
            return self.ending.qualifier == "?"
        return self.redirect is None

    @property
    def has_more_after_all(self) -> bool:
        """Whether something is never looked at: mechanisms after ``all``, or a redirect beside it (RFC 7208 5.1)."""
        if self.ending is None:
            return False
        after = self.terms[self.terms.index(self.ending) + 1 :]
        return self.redirect is not None or any(term.qualifier for term in after)

    def lists(self, address: str) -> bool:
        """Whether an ip4 or ip6 term before ``all`` lets an address pass."""
        client = ipaddress.ip_address(address)
        for term in self.terms:
            if term.name == "all":
                return False
            if term.name in {"ip4", "ip6"} and term.qualifier == "+":
                network = ipaddress.ip_network(term.text.partition(":")[2], strict=False)
                if client.version == network.version and client in network:
                    return True
        return False


def is_spf(text: str) -> bool:
    """Whether a TXT value is an SPF record (RFC 7208 4.5)."""
    return _VERSION.match(text) is not None


def nearly_spf(text: str) -> bool:
    """Whether somebody meant a TXT value to be one."""
    return not is_spf(text) and _NEARLY.match(text) is not None


def read_spf(text: str) -> SpfRecord:
    """Read a record that `is_spf`. Linear time, never raises."""
    terms: list[Term] = []
    wrong: list[str] = []
    if len(text) > MAX_RECORD:
        return SpfRecord((), (text,))
    for part in text.split(" ")[1:]:
        if not part:
            continue
        term = _term(part)
        once = term is not None and term.name in {"redirect", "exp"}
        if term is None or (
            once and any(other.name == term.name for other in terms)
        ):  # RFC 7208 6: once each
            wrong.append(part)
        else:
            terms.append(term)
    return SpfRecord(tuple(terms), tuple(wrong))


def _term(part: str) -> Term | None:
    if len(part) > MAX_TERM:
        return None
    modifier = _MODIFIER.match(part)
    if modifier is not None:
        name, value = modifier[1].lower(), modifier[2]
        if name in {"redirect", "exp"} and not _is_domain(value):
            return None
        if name in _MECHANISMS:  # "ip4=…" is an unknown modifier by the grammar, and a slip by any reading
            return None
        return Term(name, value, "", part)
    match = _TERM.match(part)
    if match is None:
        return None
    name, value, prefix = match[2].lower(), match[3] or "", match[4]
    right = {
        "all": not value and not prefix,
        "include": _is_domain(value) and not prefix,
        "exists": _is_domain(value) and not prefix,
        "ptr": (not value or _is_domain(value)) and not prefix,
        "a": (not value or _is_domain(value)) and _is_prefix(prefix),
        "mx": (not value or _is_domain(value)) and _is_prefix(prefix),
        "ip4": _is_network(value, prefix, 4),
        "ip6": _is_network(value, prefix, 6),
    }[name]
    return Term(name, value, match[1] or "+", part) if right else None


def _is_domain(value: str) -> bool:
    return _DOMAIN_SPEC.match(value) is not None and _END.search(value) is not None


def _is_prefix(prefix: str) -> bool:
    four, _, six = prefix.partition("//") if prefix else ("", "", "")
    return int(four.strip("/") or 0) <= 32 and int(six or 0) <= 128  # noqa: PLR2004 - bits of an address


def _is_network(value: str, prefix: str, version: int) -> bool:
    if prefix.startswith("//") or "/" in value:
        return False
    try:
        # RFC 7208 5.6: host bits may be set.
        return ipaddress.ip_network(value + prefix, strict=False).version == version
    except ValueError:
        return False


def repaired(
    records: Iterable[SpfRecord],
    extra: Iterable[str] = (),
    *,
    ending: str | None = None,
    without: Collection[str] = (),
) -> str:
    """One record with the valid terms of several, ``extra`` ones, and an end that refuses all others.

    What stands in ``without`` (a term's text) is left out, and so are ptr and what follows ``all``. The end is ``ending``;
    else that of the mildest record, ~all at least; else the redirect of a single one. Of several a redirect becomes an include.
    """
    held = tuple(records)
    kept: list[str] = []
    redirects: list[str] = []
    for record in held:
        for term in record.terms:
            if term.name == "all":
                break
            if term.qualifier and term.name != "ptr" and term.text not in without:
                kept.append(term.text)
        following = record.redirect if record.ending is None else None
        if following is not None and following.text not in without:
            redirects.append(following.value)
    mild = any(record.ending is not None and record.ending.qualifier in {"~", "?"} for record in held)
    tail = ending or ("~all" if mild else "-all")
    if len(held) == 1 and redirects and ending is None:
        tail = f"redirect={redirects[0]}"
    else:
        kept += [f"include:{domain}" for domain in redirects]
    return " ".join(("v=spf1", *dict.fromkeys((*kept, *extra)), tail))
