"""Tokens with which programs use the HTTP interface: their form, what they may do, and when they count. Pure.

``em1_ID_SECRET``: the id finds the row and is no secret; the secret has 256 random bits, so that a plain SHA-256 of the whole
token is all that has to be stored: nothing can be tried that is not as hard as guessing the token itself.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

ID_BYTES: Final = 8
"""Random octets of the id: enough that no two are ever alike."""
SECRET_BYTES: Final = 32
"""Random octets of the secret."""
USED_EVERY: Final = timedelta(minutes=1)
"""The last use is written down at most so often: a busy portal must not cost a commit for each request."""
NOBODY: Final = "0" * 64
"""Compared with where there is no such token, so that this takes as long. No SHA-256 that anybody knows."""

_FORM: Final = re.compile(r"em1_([0-9a-f]{16})_[0-9a-f]{64}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,59}")


class Scope(StrEnum):
    """What a token may be used for."""

    VERIFY = "verify"  # ask for verdicts, also from another machine
    READ_INCIDENTS = "incidents:read"  # incidents, their tasks and timelines, and how far their mail got
    WRITE_INCIDENTS = "incidents:write"  # open and change incidents and tasks
    READ_CHAT = "chat:read"  # an incident's conversation, as its chat shows it
    WRITE_CHAT = "chat:write"  # put messages of the portal's chat on the timeline
    SEND_NOTIFICATIONS = (
        "notifications:send"  # write to customers, and let such mail go at once (break-glass)
    )
    READ_MAIL = "mail:read"  # search and read all mail, also what is held or unproven
    READ_HELD = "held:read"  # mail that waits for a decision, with what it says
    DECIDE_HELD = "held:decide"  # release and discard it
    READ_OUTBOX = "outbox:read"  # all outgoing mail, and what waits for approval or review
    WRITE_OUTBOX = "outbox:write"  # try a mail again, cancel it
    DECIDE_APPROVALS = "approvals:decide"  # let go what another one has written or wants to release
    READ_CONTACTS = "contacts:read"  # customers and their contacts
    WRITE_CONTACTS = "contacts:write"  # add, change and remove contacts
    WRITE_DOMAINS = "domains:write"  # say which domains are a customer's: whose users may speak for it
    SET_MODE = "customers:mode"  # begin and end compromised-customer mode
    READ_AUDIT = "audit:read"  # the audit trail
    READ_CODES = "codes:read"  # which mail of ours bears a code
    READ_INQUIRIES = "inquiries:read"  # questions to the experts and their answers
    WRITE_INQUIRIES = "inquiries:write"  # ask for a customer, and answer
    READ_REPORTS = "reports:read"  # what came in and went out, counted


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token on record. ``organisations``: the ids of the only customers it may touch; None: all."""

    id: int
    public_id: str
    name: str
    scopes: frozenset[Scope]
    organisations: frozenset[int] | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None
    digest: str = field(repr=False)

    def may_touch(self, organisation_id: int | None) -> bool:
        """Whether what belongs to a customer (None: to none) is there for it."""
        return self.organisations is None or organisation_id in self.organisations


def token_text(public_id: bytes, secret: bytes) -> str:
    """A token of ID_BYTES and SECRET_BYTES random octets."""
    return f"em1_{public_id.hex()}_{secret.hex()}"


def public_id_of(text: str) -> str | None:
    """The id in what may be a token; None for what has not its form."""
    found = _FORM.fullmatch(text)
    return found[1] if found else None


def digest_of_token(text: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def why_refused(token: ApiToken | None, text: str, now: datetime) -> str | None:
    """Why a token does not count, in a clause for the log; None: it does. Takes as long whether there is such a token."""
    same = hmac.compare_digest(digest_of_token(text), NOBODY if token is None else token.digest)
    if token is None or not same:
        return "unknown"
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= now:
        return "expired"
    return None


def name_refusal(name: str) -> str | None:
    """Why a token cannot have that name, as a sentence; None if it can."""
    if _NAME.fullmatch(name):
        return None
    return "A token's name is up to 60 of a-z, 0-9, dot and hyphen, such as portal-1."
