"""What an SPF record will make its evaluation ask (RFC 7208 5, 6), found without evaluating it. Pure.

Evaluation asks one question after the other; knowing them beforehand turns rounds into one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from verifier.evidence import Question

MAX_PREFETCH: Final = 24  # questions named by one record: RFC 7208 4.6.4 lets it have ten terms that ask

# qualifier, mechanism or modifier, target, prefix lengths (RFC 7208 4.6.1, 12)
_TERM: Final = re.compile(
    r"[+?~-]?(include|a|mx|exists|redirect|exp)(?:[:=]([^ /]{1,253}))?(?:/[0-9/]{1,8})?\Z", re.IGNORECASE
)
_MACRO: Final = re.compile(r"%\{([a-z])\}", re.IGNORECASE)
_SPF: Final = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)


def is_record(text: str) -> bool:
    """Whether a TXT value is an SPF record (RFC 7208 4.5)."""
    return _SPF.match(text) is not None


def named_by(record: str, domain: str, macros: dict[str, str], address_type: str) -> Iterator[Question]:
    """The questions that a record of ``domain`` names, in order; at most `MAX_PREFETCH`.

    ``macros`` holds the values of plain macros by letter ("d" is set here); terms with others are left out.
    ``address_type`` is A or AAAA.
    """
    values = {**macros, "d": domain}
    count = 0
    for term in record.split(" ")[1:]:
        match = _TERM.match(term)
        if match is None:
            continue
        kind = match[1].lower()
        target = _expanded(match[2], values) if match[2] else domain
        if target is None or "." not in target or (match[2] is None and kind not in {"a", "mx"}):
            continue
        yield Question.of(target, _TYPE.get(kind, address_type))
        count += 1
        if count == MAX_PREFETCH:
            return


_TYPE: Final = {"include": "TXT", "redirect": "TXT", "exp": "TXT", "mx": "MX", "exists": "A"}


def _expanded(target: str, values: dict[str, str]) -> str | None:
    if "%" not in target:
        return target
    expanded = _MACRO.sub(lambda macro: values.get(macro[1].lower(), "%"), target)
    return None if "%" in expanded else expanded
