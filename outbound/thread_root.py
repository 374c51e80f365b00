"""The Message-ID that all mail on a thread refers to first, so that mail programs show one conversation. Pure.

No mail bears it: each contact's mail has its own, and who joins late has none of the earlier ones. It stays the same for the
life of the oldest secret, and cannot be made up without that.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

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
