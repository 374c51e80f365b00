"""The bytes that go to the next hop: our fields on top, forged ones taken out, all else as it came. Pure.

From the top: the ARC set (RFC 8617 5.1) where we seal, X-Expertmail-Verdict, X-Expertmail-Flag where the route
says so, Authentication-Results (RFC 8601 4), Received (RFC 5321 4.4). Taken out are Authentication-Results with
our own authserv-id, which only we may write (RFC 8601 5), and whatever calls itself X-Expertmail-…; where a
signature covered such a field it no longer holds at the next hop, and our results say that it did.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final

from smtp_gateway.authentication_results import is_forged, write_field
from smtp_gateway.envelope import Envelope
from smtp_gateway.received import received_field
from verifier.arc_seal import Sealer, seal
from verifier.message import Defect, Field, Message, read_message
from verifier.report import Report

OWN_PREFIX: Final = b"x-expertmail-"
VERDICT_FIELD: Final = "X-Expertmail-Verdict"
FLAG_FIELD: Final = "X-Expertmail-Flag"
REASONS_MAX: Final = 20
"""Codes in the field: more than any verdict has, and short of the 998 octets of a line (RFC 5322 2.1.1)."""
PASSAGES_MAX: Final = 3
"""How often mail may have been here before. Honest mail comes again when a mailbox behind us forwards to another one
behind us; what has been here three times goes round."""

_CODE: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_LINE_END: Final = re.compile(rb"\r\n(?![ \t])")
_UNFIT: Final = {
    # A relay that wrote its fields above these would be misread itself, or would vouch for what it could not read.
    Defect.LEADING_WSP: "its first line would continue our own field",
    Defect.HEADER_TOO_LARGE: "its header is larger than we read",
    Defect.TOO_MANY_FIELDS: "it has more fields than we read",
    Defect.BARE_LF: "a bare LF in its header",
    Defect.BARE_CR: "a bare CR in its header",
    Defect.NUL: "a NUL in its header",
}


class UnfitError(ValueError):
    """A message that may not be relayed (550 5.6.0): the text says why, for the log."""


@dataclass(frozen=True, slots=True)
class Border:
    """Who writes the fields; ``sealer`` is None where nothing is sealed."""

    hostname: str
    authserv_id: str
    sealer: Sealer | None = None


def relayed(message: Message, report: Report, envelope: Envelope, border: Border, *, flagged: bool) -> bytes:
    """The message as the next hop gets it. ``message`` has to be ``envelope.raw`` as read. Raises UnfitError."""
    results = write_field(report, border.authserv_id, envelope.mail_from, envelope.peer.helo)
    codes = (reason.code for reason in report.reasons)
    verdict = _verdict(report.verdict.value, codes, envelope.id, flagged=flagged)
    trace = verdict + results + received_field(envelope, border.hostname)
    return _finished(message, trace, border, envelope.received_at)


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What is on record of a held message: its id, its verdict with the reasons' codes, and our trace of that day."""

    id: str
    verdict: str
    codes: tuple[str, ...]
    trace: bytes


def released(message: Message, record: OnRecord, border: Border, at: datetime) -> bytes:
    """A message that was held, as the next hop gets it at last: with the verdict and the trace of its receipt.

    Sealed as of ``at``. Raises UnfitError.
    """
    verdict = _verdict(record.verdict, record.codes, record.id, flagged=False)
    return _finished(message, verdict + record.trace, border, at)


def _finished(message: Message, trace: bytes, border: Border, at: datetime) -> bytes:
    below = trace + without_forged(message, border.authserv_id)
    if border.sealer is None:
        return below
    # After the removal, and over our own results: what is sealed is what the next hop gets (RFC 8617 5.1).
    finished = read_message(below)
    if not _UNFIT.keys().isdisjoint(finished.defects):
        return (
            below  # our own fields made it one that is not read to its end; a seal over a part would not hold
        )
    return seal(finished, border.authserv_id, border.sealer, at) + below


def without_forged(message: Message, authserv_id: str) -> bytes:
    """The message's bytes without the fields that only we may write; every other octet as it came. Raises UnfitError."""
    for defect in message.defects:
        if defect in _UNFIT:
            raise UnfitError(_UNFIT[defect])
    forged = {at for at, field in enumerate(message.fields) if _is_ours_alone(field, authserv_id)}
    if not forged:
        return message.raw
    end = message.raw.find(b"\r\n\r\n")
    head = message.raw[:end] if end >= 0 else message.raw.removesuffix(b"\r\n")
    kept: list[bytes] = []
    at = 0
    for line in _LINE_END.split(head):
        # A line that is no field stands between those that are, and stays.
        is_field = at < len(message.fields) and message.fields[at].line == line
        if not (is_field and at in forged):
            kept += (line, b"\r\n")
        at += is_field
    if at != len(message.fields):
        raise UnfitError("its fields cannot be told apart")
    return b"".join(chain(kept, (message.raw[len(head) + 2 :],)))


def _is_ours_alone(field: Field, authserv_id: str) -> bool:
    if field.lower == b"authentication-results":
        return is_forged(field.value, authserv_id)
    return field.lower.startswith(OWN_PREFIX)


def _verdict(verdict: str, codes: Iterable[str], message_id: str, *, flagged: bool) -> bytes:
    """Words of ours only: the verdict, stable codes, the id that finds the message in our log and record."""
    plain = dict.fromkeys(code for code in codes if _CODE.fullmatch(code))
    lines = [f"{VERDICT_FIELD}: {verdict}"]
    if plain:
        lines.append(f"reasons={','.join(list(plain)[:REASONS_MAX])}")
    lines.append(f"id={message_id}")
    flag = f"{FLAG_FIELD}: YES\r\n" if flagged else ""
    return (";\r\n\t".join(lines) + "\r\n" + flag).encode("ascii")


def passages(message: Message, hostname: str) -> int:
    """How many Received fields say that the message has been here (RFC 5321 4.4, 6.3)."""
    by_us = re.compile(rb"(?:^|\s)by\s+" + re.escape(hostname.lower().encode()) + rb"(?:[\s;(]|$)")
    return sum(by_us.search(field.value.lower()) is not None for field in message.named(b"received"))
