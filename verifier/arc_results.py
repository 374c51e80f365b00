"""What a sealer says that it saw (RFC 8617 4.1.1), and whether somebody whom we trust says so."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from verifier.report import ArcResult, AuthResult

MAX_RESULTS: Final = 16_384  # octets of one set's results that are looked at; real ones stay under 2 KB

_COMMENT: Final = re.compile(r"\([^()]*\)")
_DMARC: Final = re.compile(r"dmarc\s*=\s*([a-z]+)(?![^\s;])")
_FROM: Final = re.compile(r"(?<!\S)header\.from\s*=\s*\"?([^\s\";]+)")


class ArcClaims(NamedTuple):
    """``dmarc`` is None where nothing, or more than one thing, is said of it."""

    authserv_id: str | None
    dmarc: str | None
    author_domain: str | None


def claims_of(payload: bytes) -> ArcClaims:
    """Read the results of a set. Lenient, since the largest sealers write words of their own between the results.

    It may be: the seal covers the field, so that whoever is trusted wrote each word of it.
    """
    text = payload[:MAX_RESULTS].decode("utf-8", "replace").lower()
    text = _COMMENT.sub(" ", text)
    head, *results = [part.strip() for part in text.split(";")]
    found = [(match[1], part) for part in results if (match := _DMARC.match(part))]
    identity = head.split()[0] if head.split() else None
    if len(found) != 1:
        return ArcClaims(identity, None, None)
    word, part = found[0]
    author = _FROM.search(part)
    return ArcClaims(identity, word, author[1].rstrip(".") if author else None)


def vouched_for(arc: ArcResult, trusted_sealers: tuple[str, ...], author_domain: str | None) -> bool:
    """Whether a sealer whom we trust says that the author's domain vouched for the message when it came in.

    The chain has to pass. Hops count from the newest down, as long as each sealer is a trusted one: what stands below
    a stranger's seal is the stranger's word, who could have made it up, however well known the names in it are.
    """
    if arc.result is not AuthResult.PASS or author_domain is None:
        return False
    for hop in arc.hops:
        if not _trusted(hop.domain, trusted_sealers):
            return False
        if hop.dmarc == "pass" and hop.author_domain in (None, author_domain):
            return True
    return False


def _trusted(domain: str, sealers: tuple[str, ...]) -> bool:
    return any(domain.endswith(own) if own.startswith(".") else domain == own for own in sealers)
