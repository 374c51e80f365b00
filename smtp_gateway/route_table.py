"""The admin's table of routes: patterns of recipients, in order, and where each leads. Pure.

A pattern is ``local@domain``; ``*`` stands for any letters in the local part, and a domain with a leading dot for all
subdomains. The domain is always spelt out, so that no pattern can make the gateway an open relay (RFC 5321 7.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from smtp_gateway.next_hop import NextHop
from smtp_gateway.paths import Path
from smtp_gateway.route_kind import RouteKind
from smtp_gateway.route_policy import BY_DEFAULT, RoutePolicy

_PATTERN: Final = re.compile(
    r"(?P<local>[^@\s]{1,64})@(?P<domain>\.?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)+)"
)


class PatternError(ValueError):
    """A pattern that cannot be used; the text is one sentence for the admin."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. A REPLY row is about reply addresses that are ours anyway; without ``kind`` recipients are refused."""

    pattern: str
    kind: RouteKind | None
    policy: RoutePolicy = BY_DEFAULT
    next_hop: NextHop | None = None
    _local: tuple[str, ...] = field(init=False, repr=False, compare=False)  # what stands between the stars
    _domain: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raise PatternError for a pattern that is none."""
        read = _PATTERN.fullmatch(self.pattern.lower())
        if read is None:
            raise PatternError(
                f"“{self.pattern}” is no pattern of recipients; write local@domain, with * in the local part only, "
                "and .domain for all its subdomains."
            )
        object.__setattr__(self, "_local", tuple(read["local"].split("*")))
        object.__setattr__(self, "_domain", read["domain"])

    def matches(self, path: Path) -> bool:
        """Whether the row is for this recipient. Local parts are compared without regard to case."""
        return self.serves(path.domain) and _fits(path.local.lower(), self._local)

    def serves(self, domain: str) -> bool:
        """Whether the row is for recipients at this domain (lower case)."""
        if self._domain.startswith("."):
            return domain.endswith(self._domain)
        return domain == self._domain


def _fits(text: str, pieces: tuple[str, ...]) -> bool:
    """Whether the pieces stand in the text in their order, the first at its start and the last at its end.

    Each is taken where it comes first; as a regular expression many stars would take time without end.
    """
    first, *between = pieces
    if not between:
        return text == first
    last = between.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in between:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def row_for(table: tuple[Row, ...], path: Path) -> Row | None:
    """The first row for a recipient."""
    return next((row for row in table if row.matches(path)), None)
