"""``docs/dns-findings.md``, made from the rules: ``python -m expertmail.dns_check.table > docs/dns-findings.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from expertmail.dns_check.codes import Area, Code, Severity
from expertmail.dns_check.rules import RULES

_HEAD: Final = """# What `dns check` finds

<!-- Made by `python -m expertmail.dns_check.table > docs/dns-findings.md`; a test keeps it up to date. -->

`expertmail dns check` gives each finding a code that programs may rely on: none is ever renamed. A *fault* loses mail, or lets
others forge it; *advice* is about what could be better; *unchecked* is what the DNS gave no answer about just now. What is as
it should be has the code `ok`. Exit codes and options are in [commands.md](commands.md).
"""


def markdown() -> str:
    """The document."""
    return "\n".join(_lines()).rstrip("\n") + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    for area in (*(one for one in Area if one is not Area.DNS), Area.DNS):
        rows = [(code, RULES[code]) for code in Code if code in RULES and RULES[code].area is area]
        yield f"## {'No answer' if area is Area.DNS else area}\n"
        yield "| code | state | why it matters | section |"
        yield "|---|---|---|---|"
        for code, rule in rows:
            state = f"**{rule.severity}**" if rule.severity is Severity.FAULT else str(rule.severity)
            yield f"| `{code}` | {state} | {rule.why} | {rule.rfc} |"
        yield ""


if __name__ == "__main__":
    sys.stdout.write(markdown())
