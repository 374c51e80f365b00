"""The Message-ID that all mail on a thread refers to first, so that mail programs show one conversation. Pure.

No mail bears it: each contact's mail has its own, and who joins late has none of the earlier ones. It stays the same for the
life of the oldest secret, and cannot be made up without that. So who names it has a mail of ours on the thread: it is recorded
with the first one, for an answer whose program cut everything else off.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from threads.match import message_ids
from verifier.message import read_message

_LENGTH = 26  # hexadecimal digits: 104 bits, as in our reply addresses


@dataclass(frozen=True, slots=True)
class ThreadRoots:
    """Makes them at ``domain``, which is ours, from a secret."""

    secret: bytes = field(repr=False)
    domain: str

    def __call__(self, thread_id: int) -> str:
        """The root of a thread (RFC 5322 3.6.4), without angle brackets."""
        named = b"expertmail thread root 1\0" + self.domain.lower().encode() + b"\0" + str(thread_id).encode()
        return f"thread.{hmac.digest(self.secret, named, 'sha256').hex()[:_LENGTH]}@{self.domain.lower()}"


_ROOT: Final = re.compile(rf"thread\.[0-9a-f]{{{_LENGTH}}}@(.+)", re.ASCII)


def root_in(raw: bytes, message_id: str) -> str | None:
    """The root that a mail of ours refers to, without angle brackets; None where it refers to none.

    It is what the mail refers to first, at the domain of its own ``message_id``: what a customer's mail referred to stands behind.
    """
    for field_ in read_message(raw).named(b"references")[:1]:
        for first in message_ids(field_.value)[:1]:
            found = _ROOT.fullmatch(first)
            if found is not None and found[1] == message_id.rpartition("@")[2].lower():
                return first
    return None
