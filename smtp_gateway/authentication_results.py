"""Authentication-Results (RFC 8601): ours, written from a Report, and the forged ones that bear our name.

A field that bears our own authserv-id and came in from outside is forged (RFC 8601 5).
"""

from __future__ import annotations

import re

from smtp_gateway.paths import Path
from verifier.authres import AuthresError, pvalue, read_field
from verifier.message import Message
from verifier.report import AuthResult, Report

DKIM_WRITTEN_MAX = 20
"""Signatures we write results for; more than the verifier looks at."""


def is_forged(value: bytes, authserv_id: str) -> bool:
    """Whether a field that came in from outside claims to be ours (RFC 8601 5): it must never be believed.

    A field that we cannot read counts when its first word is our id: others may read it more leniently.
    """
    try:
        claimed = read_field(value).authserv_id
    except AuthresError:
        head = re.sub(r"\([^()]*\)", " ", value[:1024].decode("utf-8", "replace"))
        claimed = re.split(r"[;\s/]", head.strip().strip('"'), maxsplit=1)[0].strip('"')
    return claimed.rstrip(".").lower() == authserv_id.rstrip(".").lower()


def forged_fields(message: Message, authserv_id: str) -> int:
    """How many Authentication-Results fields of an incoming message bear our id."""
    return sum(is_forged(f.value, authserv_id) for f in message.named(b"authentication-results"))


def write_field(report: Report, authserv_id: str, mail_from: Path, helo: str) -> bytes:
    """Our own field with its CRLF, from the Report on a message received in a live session (RFC 8601 2.2)."""
    results = []
    for signature in report.dkim[:DKIM_WRITTEN_MAX]:
        parts = [f"dkim={signature.result}"]
        if signature.reason and signature.result is not AuthResult.PASS:
            parts.append(f"reason={pvalue(signature.reason)}")
        if signature.domain:
            parts.append(f"header.d={pvalue(signature.domain)}")
        if signature.selector:
            parts.append(f"header.s={pvalue(signature.selector)}")
        results.append(" ".join(parts))
    if not report.dkim:
        results.append("dkim=none")
    sender = f"smtp.mailfrom={pvalue(str(mail_from))}" if not mail_from.empty else f"smtp.helo={pvalue(helo)}"
    results.append(f"spf={report.spf.result} {sender}")
    dmarc = f"dmarc={report.dmarc.result}"
    if report.author is not None:
        dmarc += f" header.from={pvalue(report.author.domain)}"
    if report.dmarc.policy is not None:
        dmarc += f" policy.dmarc={pvalue(report.dmarc.policy)}"
    results += [dmarc, f"arc={report.arc.result}"]  # RFC 8617 10.2: what a seal of ours will say of the chain
    text = f"Authentication-Results: {authserv_id};\r\n\t" + ";\r\n\t".join(results) + "\r\n"
    return text.encode("utf-8", "replace")
