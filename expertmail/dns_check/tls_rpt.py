"""TLS-RPT (RFC 8460 3): one record that names where reports about TLS go."""

from __future__ import annotations

import re
from typing import Final

from expertmail.dns_check.codes import Area, Code
from expertmail.dns_check.facts import Operated
from expertmail.dns_check.finding import (
    MAX_RECORD,
    Findings,
    Published,
    fetch,
    finding,
    fine,
    quoted,
    shown,
    unchecked,
)
from verifier.evidence import NOTHING, Check, Question, together

_VERSION: Final = re.compile(r"v=TLSRPTv1[ \t]*;")
_URI: Final = r"(?:mailto:[!-+\--:<>?A-~]+@[!-+\--:<>?A-~]+|https://[!-+\--:<-~]+)"
_RECORD: Final = re.compile(
    rf"v=TLSRPTv1[ \t]*;[ \t]*rua={_URI}(?:[ \t]*,[ \t]*{_URI})*"
    r"(?:[ \t]*;[ \t]*[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[!-:<>-~]+)*[ \t]*;?[ \t]*\Z"
)
_NEARLY: Final = re.compile(r"[\s\"']*v?\s*=?\s*TLSRPT", re.IGNORECASE)


def check_tls_rpt(operated: Operated) -> Check[Findings]:
    """Check every domain's record."""
    yield NOTHING
    parts = yield from together(_check_domain(domain) for domain in operated.all_domains)
    return tuple(one for findings in parts for one in findings)


def _check_domain(domain: str) -> Check[Findings]:
    name = f"_smtp._tls.{domain}"
    question = Question.of(name, "TXT")
    (answer,) = yield from fetch(question)
    if answer.temporary:
        return (unchecked(Area.TLS_RPT, domain, (question,)),)
    right = (Published(name, "TXT", f"v=TLSRPTv1; rua=mailto:postmaster@{domain}"),)
    texts = [text for text in answer.records if _VERSION.match(text)]
    if len(texts) > 1:
        found = f"{len(texts)} records: {quoted(texts)}"
        return (finding(Code.TLS_RPT_SEVERAL, domain, found, right),)
    meant = texts[0] if texts else next(filter(_NEARLY.match, answer.records), None)
    if meant is None:
        return (finding(Code.TLS_RPT_MISSING, domain, "no TLS-RPT record", right),)
    if len(meant) > MAX_RECORD or not _RECORD.match(meant):
        return (finding(Code.TLS_RPT_SYNTAX, domain, shown(meant), right),)
    return (fine(Area.TLS_RPT, domain, shown(meant)),)
