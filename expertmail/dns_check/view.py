"""What ``dns check`` prints: a table of everything, then what to do, or one JSON object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from expertmail.dns_check.check import exit_code
from expertmail.dns_check.codes import Severity
from expertmail.dns_check.facts import Operated
from expertmail.dns_check.finding import Finding, Findings, Published
from expertmail.tables import MARK_STYLES, plain, say, show_table
from verifier.zone import Record, write_zone

TTL: Final = 3_600  # of records to publish: a mistake is corrected within the hour
_WORST_FIRST: Final = (Severity.FAULT, Severity.UNCHECKED, Severity.ADVICE)


def show(findings: Findings, operated: Operated, source: str) -> None:
    """Print the table, then each fault, gap and advice with its reason and records."""
    say(f"Asked: {source}")
    say()
    show_table(
        ("STATE", "CHECK", "NAME", "FOUND"),
        [(one.severity, one.area, one.subject, one.found) for one in findings],
        "There was nothing to check.",
    )
    for severity in _WORST_FIRST:
        for one in findings:
            if one.severity is severity:
                _show_one(one, operated)
    say()
    say(summary(findings), MARK_STYLES[str(worst(findings))])


def _show_one(one: Finding, operated: Operated) -> None:
    say()
    say(f"{one.severity}: {one.subject}: {one.found}", MARK_STYLES[str(one.severity)])
    say(f"  {one.why} [{one.code}, {one.rfc}]")
    for line in zone_lines(one.publish):
        say(f"  {line}")
    if one.serve:
        # Only the admin knows which web server that is, so that no address record can be told.
        domain = one.subject if one.subject in operated.all_domains else operated.sender_domain
        say(
            f"  serve at https://mta-sts.{domain}/.well-known/mta-sts.txt (the host needs an A or AAAA record)"
        )
        for line in one.serve.splitlines():
            say(f"    {line}")


def zone_lines(records: Iterable[Published]) -> list[str]:
    """Records as lines of a zone file (RFC 1035 5.1), TXT in strings of at most 255 octets."""
    held = [Record(record.name, record.type, record.text, TTL) for record in records]
    return write_zone(held).splitlines()[1:] if held else []  # the first line is $ORIGIN


def worst(findings: Findings) -> Severity:
    """The gravest of the severities."""
    held = {one.severity for one in findings}
    return next((severity for severity in _WORST_FIRST if severity in held), Severity.OK)


def summary(findings: Findings) -> str:
    """How many of each, in one line."""
    count = Counter(one.severity for one in findings)
    faults, advice = count[Severity.FAULT], count[Severity.ADVICE]
    said = [f"{faults} fault{'' if faults == 1 else 's'}" if faults else "No fault"]
    if count[Severity.UNCHECKED]:
        said.append(f"{count[Severity.UNCHECKED]} could not be checked")
    if advice:
        said.append(f"{advice} piece{'' if advice == 1 else 's'} of advice")
    return ", ".join((*said, f"{count[Severity.OK]} as it should be")) + "."


def as_object(findings: Findings, operated: Operated, source: str) -> dict[str, Any]:
    """The same for programs."""
    return {
        "at": plain(operated.at),
        "source": source,
        "domains": list(operated.all_domains),
        "exit": exit_code(one.severity for one in findings),
        "findings": [
            {
                "severity": str(one.severity),
                "code": str(one.code),
                "check": str(one.area),
                "name": one.subject,
                "found": one.found,
                "why": one.why or None,
                "rfc": one.rfc or None,
                "publish": [
                    {"name": record.name, "type": record.type, "text": record.text, "line": line}
                    for record, line in zip(one.publish, zone_lines(one.publish), strict=True)
                ],
                "serve": one.serve or None,
            }
            for one in findings
        ],
    }
