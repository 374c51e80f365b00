"""All checks side by side: what is operated and the DNS in, findings out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from expertmail.dns_check.certificate import check_certificate
from expertmail.dns_check.codes import Severity
from expertmail.dns_check.dkim import check_keys
from expertmail.dns_check.dmarc import check_policies
from expertmail.dns_check.facts import Operated
from expertmail.dns_check.finding import Findings
from expertmail.dns_check.hosts import check_reverse, check_routes, survey
from expertmail.dns_check.mta_sts import check_mta_sts
from expertmail.dns_check.spf import check_spf_records
from expertmail.dns_check.tls_rpt import check_tls_rpt
from expertmail.dns_check.tlsa import check_caa, check_tlsa
from verifier.evidence import NOTHING, Check, together

FAULTY: Final = 1
INCOMPLETE: Final = 75  # EX_TEMPFAIL


def check_all(operated: Operated) -> Check[Findings]:
    """Everything, in the order in which a person would look; each finding once."""
    yield NOTHING
    found = yield from survey(operated)
    names = found.own_names
    reverse, spf, dkim, dmarc, sts, reports, tlsa, caa = yield from together(
        (
            check_reverse(operated, found),
            check_spf_records(operated, found),
            check_keys(operated),
            check_policies(operated),
            check_mta_sts(operated, found),
            check_tls_rpt(operated),
            check_tlsa(operated, names),
            check_caa(operated),
        )
    )
    certificate = check_certificate(operated, names)
    routes = check_routes(operated, found)
    parts = (routes, reverse, spf, dkim, dmarc, sts, reports, certificate, tlsa, caa)
    return tuple(dict.fromkeys(one for part in parts for one in part))


def exit_code(severities: Iterable[Severity]) -> int:
    """0 where all is fine (advice is), 1 for a fault, else 75 where something could not be checked."""
    held = set(severities)
    if Severity.FAULT in held:
        return FAULTY
    return INCOMPLETE if Severity.UNCHECKED in held else 0
