"""Where DMARC reports go: the URIs of rua and ruf, and whether another organisation takes them (RFC 9990, RFC 7489 7.1)."""

from __future__ import annotations

import re
from typing import Final

from expertmail.dns_check.codes import Area, Code
from expertmail.dns_check.finding import Findings, Published, fetch, finding, shown, unchecked
from verifier.dmarc_record import tags_of
from verifier.dmarc_walk import walk, walk_questions
from verifier.evidence import NOTHING, Check, Question, ask, together

MAX_URI: Final = 512  # characters; an address has at most 320 (RFC 5321 4.5.3.1)
MAX_DESTINATIONS: Final = 10  # that are looked at; reporters keep to the first few
# RFC 3986 3.1 and RFC 6068 2; "!" starts the obsolete size limit (RFC 9989 4.7).
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!-+\--:<-~]+\Z")
_MAILTO: Final = re.compile(
    r"mailto:[^@\s]+@([A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)(?:[!?].*)?\Z", re.IGNORECASE
)
_BOTH: Final = ("rua", "ruf")


def _uris(tags: dict[str, str], names: tuple[str, ...]) -> list[str]:
    return [uri.strip(" \t") for name in names for uri in tags.get(name, "").split(",") if uri.strip(" \t")]


def invalid_uris(tags: dict[str, str], names: tuple[str, ...] = _BOTH) -> list[str]:
    """Destinations that nobody can report to: no URI, or a mailto: without an address."""
    return [
        uri
        for uri in _uris(tags, names)
        if len(uri) > MAX_URI
        or not _URI.match(uri)
        or (uri.lower().startswith("mailto:") and not _MAILTO.match(uri))
    ]


def check_destinations(domain: str, tags: dict[str, str]) -> Check[Findings]:
    """Check that each other organisation which reports of a domain go to says that it takes them."""
    yield NOTHING
    matches = (_MAILTO.match(uri) for uri in _uris(tags, _BOTH) if len(uri) <= MAX_URI)
    hosts = dict.fromkeys(match[1].lower() for match in matches if match is not None)
    parts = yield from together(_check_host(domain, host) for host in tuple(hosts)[:MAX_DESTINATIONS])
    return tuple(one for part in parts for one in part)


def _check_host(domain: str, host: str) -> Check[Findings]:
    evidence = yield NOTHING
    if host == domain:
        return ()
    evidence = yield from ask(evidence, (*walk_questions(domain), *walk_questions(host)))
    here, there = walk(domain, evidence), walk(host, evidence)
    if here.organisation == there.organisation and not here.failed and not there.failed:
        return ()
    name = f"{domain}._report._dmarc.{host}"
    question = Question.of(name, "TXT")
    (answer,) = yield from fetch(question)
    if any(tags_of(text) is not None for text in answer.records):
        return ()
    if answer.temporary or here.failed or there.failed:
        failed = [Question.of(f"_dmarc.{n}", "TXT") for n in (*here.failed, *there.failed)]
        return (unchecked(Area.DMARC, domain, (question, *failed) if answer.temporary else failed),)
    text = f"{shown(host)} does not say that it takes reports about {domain}"
    return (finding(Code.DMARC_REPORT_REFUSED, domain, text, (Published(name, "TXT", "v=DMARC1"),)),)
