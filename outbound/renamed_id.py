"""By which Message-ID a smarthost passed our mail on, where it does not keep the one that we wrote. Pure.

Amazon SES replaces it (its documentation of header fields) and says the new one in its 250, without the domain; Microsoft's
submission servers replace it for some accounts, keep ours as X-Microsoft-Original-Message-ID, and say the new one in their 250.
Answers name the new one. Gmail keeps a Message-ID that is well-formed, as ours are.

Only these services' own submission hosts are believed: any other server could name the Message-ID of a stranger's mail.
"""

from __future__ import annotations

import re
from typing import Final

_SES: Final = re.compile(
    r"email-smtp(?:-fips)?\.([a-z]{2}(?:-[a-z]{2,5})?-[a-z]{4,12}-[0-9])\.amazonaws\.com", re.ASCII
)
_SES_ANSWER: Final = re.compile(r"(?:2\.\d\.\d{1,3} )?ok ([0-9a-z-]{20,100})\s*", re.IGNORECASE | re.ASCII)
_SES_FIRST_REGION: Final = "us-east-1"  # its domain has no name of a region
_MICROSOFT: Final = frozenset(
    {"smtp.office365.com", "smtp-legacy.office365.com", "smtp-hve.office365.com", "smtp-mail.outlook.com"}
)
_MICROSOFT_ANSWER: Final = re.compile(
    r"2\.0\.0 ok <([^<>@\s]{1,200}@[a-z0-9.-]{1,250})>", re.IGNORECASE | re.ASCII
)


def renamed_id(host: str, answer: str) -> str | None:
    """The Message-ID (without angle brackets) that ``answer``, the text of a 250 of ``host``, tells; else None."""
    host = host.lower().rstrip(".")
    region = _SES.fullmatch(host)
    if region is not None:
        found = _SES_ANSWER.fullmatch(answer)
        place = "email" if region.group(1) == _SES_FIRST_REGION else region.group(1)
        return None if found is None else f"{found.group(1)}@{place}.amazonses.com"
    if host in _MICROSOFT:
        found = _MICROSOFT_ANSWER.match(answer)
        return None if found is None else found.group(1)
    return None
