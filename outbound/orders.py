"""Orders for automatic mail, and the facts they may hold. Pure.

Automatic mail holds no text that a sender chose. That is decided here: these functions take our own facts,
typed, and each is checked again when the mail is composed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from outbound.model import Attempt, AutomaticOrder, Failure, Finding, MailKind, Scalar

# A report on more messages than this says how many it left out; a forward seldom holds more than one.
MAX_FINDINGS = 5
# Codes of one verdict that a report shows.
MAX_REASONS = 8

VERDICTS = ("genuine", "authentic-unpinned", "forged", "unproven", "no-claim")

_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+){0,9}", re.ASCII)
_MAX_CODE = 48
_DOMAIN = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,30}", re.ASCII)
_MAX_DOMAIN = 253  # RFC 1035 2.3.4
_LOCAL = re.compile(r"[A-Za-z0-9_+=-]+(\.[A-Za-z0-9_+=-]+)*", re.ASCII)
_MAX_LOCAL = 64  # RFC 5321 4.5.3.1.1


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


def attachment_held(
    *,
    thread_id: int | None,
    contact_id: int,
    address: str,
    idempotency_key: str,
    ordered_at: datetime,
    in_reply_to: str | None = None,
) -> AutomaticOrder:
    """The order to tell a known contact that a file waits for an expert, and which way such files should take.

    ``address`` is the authenticated, aligned author. Which file it is, is not said: its name is the sender's text.
    """
    return AutomaticOrder(
        kind=MailKind.ATTACHMENT_HELD,
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
    codes: int = 0,
) -> AutomaticOrder:
    """The order to tell a known contact what was found in the messages that they attached.

    ``codes``: about how many codes they asked, too; whether any mail bears them is not said. No finding at all means that nothing was attached; the report then says how to attach. An author domain
    that is not plain A-labels is left out, a reason that is not a plain code too: neither makes intake fail.
    """
    found = tuple(findings)
    params: dict[str, Scalar] = {"examined": len(found)}
    if codes:
        params["codes"] = codes
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
    known = {"examined", "codes"}
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


def codes_in_order(params: Mapping[str, Scalar]) -> int:
    """About how many codes was asked, too; OrderError unless it is a count."""
    count = params.get("codes", 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise OrderError("The order does not say about how many codes was asked.")
    return count


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


# -- delivery status (RFC 3464) -----------------------------------------------------------------------
_STATUS = re.compile(r"[45]\.\d{1,3}\.\d{1,3}(?=\s|$)", re.ASCII)
_EXPIRED = "4.4.7"  # RFC 3463 3.5: delivery time expired
_UNDEFINED = "5.0.0"
_UNKNOWN_LOCAL = "unknown"  # stands for a local part that is not plain


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """What a notification says: a plain recipient, its codes (``code`` 0: there was no reply), and two times."""

    recipient: str
    status: str
    code: int
    arrived: datetime
    tried: datetime

    @property
    def domain(self) -> str:
        """Where the recipient is."""
        return self.recipient.rpartition("@")[2]


def delivery_status(
    *,
    address: str,
    recipient: str,
    attempt: Attempt,
    arrived: datetime,
    idempotency_key: str,
    in_reply_to: str | None,
) -> AutomaticOrder:
    """The order to tell ``address``, a return path that passed SPF, that its mail to ``recipient`` failed."""
    reply = attempt.reply
    found = _STATUS.match(reply.text)
    status = _EXPIRED
    if attempt.failure in (Failure.REFUSED, Failure.NO_MAIL):
        status = found.group() if found and found.group().startswith("5") else _UNDEFINED
    params: dict[str, Scalar] = {
        "recipient": _plain_recipient(recipient),
        "status": status,
        "code": reply.code if reply.permanent or reply.for_now else 0,
        "arrived": arrived.isoformat(),
        "tried": attempt.finished.isoformat(),
    }
    return AutomaticOrder(
        kind=MailKind.DELIVERY_STATUS,
        thread_id=None,
        contact_id=None,
        address=address,
        idempotency_key=idempotency_key,
        ordered_at=attempt.finished,
        params=MappingProxyType(params),
        in_reply_to=in_reply_to,
    )


def status_facts(params: Mapping[str, Scalar]) -> StatusFacts:
    """The facts of such an order; OrderError for one that is none of ours."""
    if set(params) != {"recipient", "status", "code", "arrived", "tried"}:
        raise OrderError("The order does not hold the facts of a delivery status, and only those.")
    recipient, status, code = str(params["recipient"]), str(params["status"]), params["code"]
    if recipient != _plain_recipient(recipient) or not _STATUS.fullmatch(status):
        raise OrderError("The order holds a recipient or a status that is not plain.")
    if not isinstance(code, int) or isinstance(code, bool) or not (code == 0 or 400 <= code < 600):  # noqa: PLR2004 -- RFC 5321 4.2.1
        raise OrderError("The order holds no reply code.")
    try:
        times = [datetime.fromisoformat(str(params[name])) for name in ("arrived", "tried")]
    except ValueError as error:
        raise OrderError("The order holds a time that is none.") from error
    if any(time.tzinfo is None for time in times):
        raise OrderError("The order holds a time without a zone.")
    return StatusFacts(recipient, status, code, *times)


def _plain_recipient(address: str) -> str:
    local, _, domain = address.rpartition("@")
    plain = len(local) <= _MAX_LOCAL and _LOCAL.fullmatch(local)
    return f"{local if plain else _UNKNOWN_LOCAL}@{_plain_domain(domain) or 'unknown.invalid'}"
