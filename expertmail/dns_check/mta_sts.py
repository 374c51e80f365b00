"""MTA-STS (RFC 8461): the TXT record, the policy's host, and the policy itself where a copy is given.

Nothing is fetched over HTTPS: the policy's content comes from the admin.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from expertmail.dns_check.codes import Area, Code
from expertmail.dns_check.facts import Operated
from expertmail.dns_check.finding import (
    MAX_RECORD,
    Finding,
    Findings,
    Published,
    fetch,
    finding,
    fine,
    quoted,
    shown,
    unchecked,
)
from expertmail.dns_check.hosts import Route, Survey, look_up
from expertmail.dns_check.mta_sts_policy import check_policy, policy_for
from verifier.evidence import NOTHING, Check, Question, together

# RFC 8461 3.1: the version first, then an id of 1 to 32 letters and digits; extensions may follow.
_VERSION: Final = re.compile(r"v=STSv1[ \t]*;")
_RECORD: Final = re.compile(
    r"v=STSv1[ \t]*;[ \t]*id=[A-Za-z0-9]{1,32}"
    r"(?:[ \t]*;[ \t]*[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[!-:<>-~]+)*[ \t]*;?[ \t]*\Z"
)
_NEARLY: Final = re.compile(r"[\s\"']*v?\s*=?\s*STSv1", re.IGNORECASE)


def check_mta_sts(operated: Operated, found: Survey) -> Check[Findings]:
    """Check the record, host and policy of every domain."""
    yield NOTHING
    parts = yield from together(_check_domain(operated, route) for route in found.routes)
    return tuple(one for findings in parts for one in findings)


def _check_domain(operated: Operated, route: Route) -> Check[Findings]:
    domain = route.domain
    question = Question.of(f"_mta-sts.{domain}", "TXT")
    (answer,) = yield from fetch(question)
    if answer.temporary:
        return (unchecked(Area.MTA_STS, domain, (question,)),)
    right, content = (record_for(domain, operated.at),), policy_for(operated, route)
    texts = [text for text in answer.records if _VERSION.match(text)]
    if len(texts) > 1:
        text = f"{len(texts)} records: {quoted(texts)}"
        return (finding(Code.MTA_STS_SEVERAL, domain, text, right),)
    if not texts:
        meant = next(filter(_NEARLY.match, answer.records), None)
        if meant is not None:
            return (finding(Code.MTA_STS_SYNTAX, domain, shown(meant), right),)
        return (finding(Code.MTA_STS_MISSING, domain, "no MTA-STS record", right, content),)
    if len(texts[0]) > MAX_RECORD or not _RECORD.match(texts[0]):
        return (finding(Code.MTA_STS_SYNTAX, domain, shown(texts[0]), right),)
    findings: list[Finding] = []
    host = yield from look_up(f"mta-sts.{domain}")
    if not host.addresses:
        problem = (
            unchecked(Area.MTA_STS, domain, host.open)
            if host.open
            else finding(Code.MTA_STS_HOST, domain, f"{host.name} has no A or AAAA record")
        )
        findings.append(problem)
    policy = operated.policy_of(domain)
    if policy is None:
        findings.append(finding(Code.MTA_STS_NO_POLICY, domain, "the policy was not looked at", (), content))
    else:
        findings += check_policy(domain, policy, route, content)
    return tuple(findings) or (fine(Area.MTA_STS, domain, shown(texts[0])),)


def record_for(domain: str, at: datetime) -> Published:
    """The TXT record to publish; its id is the time, so that it changes with each policy (RFC 8461 3.1)."""
    return Published(f"_mta-sts.{domain}", "TXT", f"v=STSv1; id={at:%Y%m%d%H%M%S}")
