"""Orders for automatic mail, and the facts they may hold. Pure.

Automatic mail holds no text that a sender chose. That is decided here: these functions take our own facts,
typed, and each is checked again when the mail is composed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from outbound.model import AutomaticOrder, Finding, MailKind, Scalar

# A report on more messages than this says how many it left out; a forward seldom holds more than one.
MAX_FINDINGS = 5
# Codes of one verdict that a report shows.
MAX_REASONS = 8

VERDICTS = ("genuine", "authentic-unpinned", "forged", "unproven", "no-claim")

_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+){0,9}", re.ASCII)
_MAX_CODE = 48
_DOMAIN = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,30}", re.ASCII)
_MAX_DOMAIN = 253  # RFC 1035 2.3.4


class OrderError(ValueError):
    """The facts of an order are not facts of ours; the text is one sentence."""


def acknowledgement(
    *,
    thread_id: int,
    contact_id: int | None,
    address: str,
    idempotency_key: str,
    ordered_at: datetime,
    in_reply_to: str | None = None,
) -> AutomaticOrder:
    """The order to confirm that a new inquiry was opened. ``address`` is the authenticated, aligned author."""
    return AutomaticOrder(
        kind=MailKind.ACKNOWLEDGEMENT,
        thread_id=thread_id,
        contact_id=contact_id,
        address=address,
        idempotency_key=idempotency_key,
        ordered_at=ordered_at,
        in_reply_to=in_reply_to,
    )


def verdict_report(
    *,
    contact_id: int,
    address: str,
    findings: Iterable[Finding],
    idempotency_key: str,
    ordered_at: datetime,
    thread_id: int | None = None,
    in_reply_to: str | None = None,
) -> AutomaticOrder:
    """The order to tell a known contact what was found in the messages that they attached.

    No finding at all means that nothing was attached; the report then says how to attach. An author domain
    that is not plain A-labels is left out, a reason that is not a plain code too: neither makes intake fail.
    """
    found = tuple(findings)
    params: dict[str, Scalar] = {"examined": len(found)}
    for number, finding in enumerate(found[:MAX_FINDINGS], start=1):
        params[f"verdict_{number}"] = finding.verdict
        params[f"identity_{number}"] = finding.identity
        params[f"author_domain_{number}"] = _plain_domain(finding.author_domain)
        params[f"reasons_{number}"] = " ".join(_plain_codes(finding.reasons))
    return AutomaticOrder(
        kind=MailKind.VERDICT_REPORT,
        thread_id=thread_id,
        contact_id=contact_id,
        address=address,
        idempotency_key=idempotency_key,
        ordered_at=ordered_at,
        params=MappingProxyType(params),
        in_reply_to=in_reply_to,
    )


def findings_of(params: Mapping[str, Scalar]) -> tuple[Finding, ...]:
    """The findings in an order's facts; OrderError for a fact that is none of ours."""
    known = {"examined"}
    found = []
    for number in range(1, min(examined_in(params), MAX_FINDINGS) + 1):
        names = {part: f"{part}_{number}" for part in ("verdict", "identity", "author_domain", "reasons")}
        known.update(names.values())
        values = {part: str(params.get(name, "")) for part, name in names.items()}
        if values["verdict"] not in VERDICTS:
            raise OrderError("The order names a verdict that does not exist.")
        if values["author_domain"] != _plain_domain(values["author_domain"]):
            raise OrderError("The order holds an author domain that is not plain.")
        reasons = tuple(values["reasons"].split())
        if reasons != _plain_codes(reasons):
            raise OrderError("The order holds a reason that is not a code.")
        if not values["identity"].isprintable():
            raise OrderError("The order holds an identity name with control characters.")
        found.append(Finding(values["verdict"], values["identity"], values["author_domain"], reasons))
    if strange := sorted(set(params) - known):
        raise OrderError(f"The order holds a fact that automatic mail may not state: {strange[0][:40]!r}.")
    return tuple(found)


def examined_in(params: Mapping[str, Scalar]) -> int:
    """How many messages were examined; OrderError unless it is a count."""
    count = params.get("examined", 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise OrderError("The order does not say how many messages were examined.")
    return count


def _plain_domain(domain: str) -> str:
    lowered = domain.lower().rstrip(".")
    return lowered if len(lowered) <= _MAX_DOMAIN and _DOMAIN.fullmatch(lowered) else ""


def _plain_codes(codes: Iterable[str]) -> tuple[str, ...]:
    plain = (code for code in codes if len(code) <= _MAX_CODE and _CODE.fullmatch(code))
    return tuple(dict.fromkeys(plain))[:MAX_REASONS]
