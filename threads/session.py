"""Sessions of the console: what a cookie holds, how long it counts, and the token that forms carry. Pure.

A session is 256 random bits, of which a digest is stored. The token in forms (against cross-site request forgery) is made from
the session's secret, so it is another one after each sign-in, and nobody who has not the cookie can make it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

SECRET_BYTES: Final = 32
"""Random octets of a session's secret, and of a link's."""
LASTS: Final = timedelta(hours=12)
"""From sign-in: a working day."""
IDLE: Final = timedelta(hours=1)
"""Without a request: somebody left the desk."""
SEEN_EVERY: Final = timedelta(minutes=1)
"""The last request is written down at most so often: a page that asks for news must not cost a commit each time."""
LINK_LASTS: Final = timedelta(hours=24)
"""A link that sets a password: until somebody gets round to it, and no longer."""

_FORM: Final = re.compile(r"[0-9a-f]{64}")


class Way(StrEnum):
    """How a session was begun."""

    PASSWORD = "password"
    PASSWORD_TOTP = "password-totp"
    OIDC = "oidc"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Session:
    """A session on record."""

    id: int
    account_id: int
    began_at: datetime
    seen_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    way: Way
    client_ip: str
    user_agent: str
    digest: str = field(repr=False)

    def counts(self, now: datetime) -> bool:
        """Whether it is in force."""
        return self.ended_at is None and now < self.ends_at and now < self.seen_at + IDLE


def secret_text(secret: bytes) -> str:
    """What the cookie or the link holds of SECRET_BYTES random octets."""
    return secret.hex()


def is_secret(text: str) -> bool:
    """Whether a text has the form of a secret of ours."""
    return _FORM.fullmatch(text) is not None


def digest_of_secret(text: str) -> str:
    """What is stored of a cookie or a link."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def form_token(secret: str) -> str:
    """What each form of a session carries."""
    return hmac.digest(secret.encode(), b"expertmail form token 1", "sha256").hex()


def is_form_token(secret: str, presented: str) -> bool:
    """Whether a form was made for that session."""
    return hmac.compare_digest(form_token(secret).encode(), presented.encode("utf-8", "replace"))


def notice_seal(secret: str, text: str) -> str:
    """Binds what a page is to tell after a redirect to the session, so that nobody else puts words there."""
    return hmac.digest(secret.encode(), b"expertmail notice 1\0" + text.encode(), "sha256").hex()
