"""Which refusals say that a mailbox does not exist, so that mail to it never helps anybody. Pure."""

from __future__ import annotations

import re
from typing import Final

# RFC 3463 3.2, 3.3 and RFC 7505 5: no such mailbox, no such domain, an address that cannot be one, moved without a forward,
# a domain that takes no mail, a mailbox that is disabled. A mailbox that is full, or a policy that refuses, may change.
_NO_MAILBOX: Final = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
_STATUS: Final = re.compile(r"\A(5\.\d{1,3}\.\d{1,3})(?!\S)")


def no_mailbox(status: str | None) -> bool:
    """Whether a status code (RFC 3463), at the start of ``status``, says that nobody is there."""
    found = _STATUS.match(status or "")
    return found is not None and found[1] in _NO_MAILBOX
