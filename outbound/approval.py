"""What an approval approves: a manifest of one copy, by its digest. Any change to it voids the approval. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from enum import StrEnum

# Longer than a mail is tried (outbound.retry.MAX_AGE). What is older says what was true a week ago: a person looks again.
SEND_WINDOW = timedelta(days=7)
# How far ahead a chosen window may reach. What waits for longer is forgotten by whoever wrote it, and
# keeps the keys that signed it from being retired.
MAX_AHEAD = timedelta(days=30)
# So many digits of a digest have to be given by whoever approves: 48 bits that nobody types by mistake.
MIN_DIGITS = 12

_CHECKED_TLS = "under checked TLS only"

_FROM = re.compile(rb"^From:((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE | re.MULTILINE)


class Basis(StrEnum):
    """On what ground a mail may be sent."""

    COMPOSER = "composer"  # its kind asks for no second person: who wrote it sends it
    SECOND = "second"  # somebody other than who wrote it
    STANDING = "standing"  # automatic: its kind, the version of its words and its route were approved once
    BREAK_GLASS = "break-glass"  # at once, for a reason; reviewed afterwards


class ApprovalState(StrEnum):
    """Where an approval stands."""

    AWAITING = "awaiting"
    APPROVED = "approved"
    REFUSED = "refused"
    VOID = "void"  # what was approved is not what would be sent


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms mail is queued: the kinds that ask for a second person, and the way by which mail leaves.

    ``break_glass``: why this mail cannot wait for a second person; empty: it can. ``not_before`` and ``not_after`` are
    the send window, aware times; None: from now, and for SEND_WINDOW.
    """

    second_person: frozenset[str] = frozenset()
    route: str = ""
    break_glass: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None


# As a first start has it: whoever writes a mail sends it.
OWN_WORD = Terms()

NOT_YET = "its time has not come"
"""Why a mail is not sent that has only to wait, and for nobody."""


@dataclass(frozen=True, slots=True)
class Window:
    """When a mail may go; ``end_chosen``: its writer named the end, so that an approval must not put it off."""

    not_before: datetime
    not_after: datetime
    end_chosen: bool = False


def window_of(terms: Terms, now: datetime) -> Window:
    """The window of a mail that is queued ``now``."""
    begin = max(now, terms.not_before or now)
    if terms.not_after is None:
        return Window(begin, begin + SEND_WINDOW)
    return Window(begin, terms.not_after, end_chosen=True)


def odd_window(terms: Terms, now: datetime) -> str | None:
    """Why no mail could go in the window that was chosen, in a sentence for its writer; None when it can."""
    # First, for the calendar has an end: to a time just before it no window can be added.
    if max(terms.not_before or now, terms.not_after or now) - now > MAX_AHEAD:
        return f"The send window is more than {MAX_AHEAD.days} days ahead; write the mail when it is nearer."
    window = window_of(terms, now)
    if window.not_after <= window.not_before:
        return "The send window ends before it begins, or is over already; choose a later end."
    return None


def window_approved(before: Window, now: datetime) -> Window:
    """The window of a mail that is approved ``now``: what was chosen stays where it is still open, else a fresh one."""
    begin = max(now, before.not_before)
    if before.end_chosen and now < before.not_after:
        return Window(begin, before.not_after, end_chosen=True)
    return Window(begin, begin + SEND_WINDOW)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One copy as it is sent: its envelope, the SHA-256 of its signed bytes, whose mail it says it is, and when it may go.

    ``needs_tls``: it goes under checked TLS or not at all.
    """

    mail_from: str
    rcpt_to: str
    sha256: str
    identity: str
    not_before: datetime
    not_after: datetime
    needs_tls: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 over the fields, each after its length, so that no two manifests are written alike.

        The condition is one more of them only where there is one: mail without it has the digest of before schema 0015, and
        mail with it none that an older program, which does not know the condition, would send.
        """
        times = (
            one.astimezone(UTC).isoformat(timespec="microseconds")
            for one in (self.not_before, self.not_after)
        )
        condition = (_CHECKED_TLS,) if self.needs_tls else ()
        return digest_of((self.mail_from, self.rcpt_to, self.sha256, self.identity, *times, *condition))


def manifest_of(  # noqa: PLR0917 -- a mail's own fields, in their order
    raw: bytes,
    mail_from: str,
    rcpt_to: str,
    not_before: datetime,
    not_after: datetime,
    needs_tls: bool = False,
) -> Manifest:
    """The manifest of signed bytes and their envelope."""
    sha256 = hashlib.sha256(raw).hexdigest()
    return Manifest(mail_from, rcpt_to, sha256, _identity(raw), not_before, not_after, needs_tls)


def _identity(raw: bytes) -> str:
    """The address in From (RFC 5322 3.6.2): the identity that the mail claims."""
    found = _FROM.search(raw.partition(b"\r\n\r\n")[0])
    return "" if found is None else parseaddr(found[1].decode("ascii", "replace").replace("\r\n", ""))[1]


def digest_of(parts: Sequence[str]) -> str:
    """SHA-256 over texts, each after its length."""
    whole = hashlib.sha256()
    for part in parts:
        octets = part.encode("utf-8", "surrogateescape")
        whole.update(len(octets).to_bytes(8, "big") + octets)
    return whole.hexdigest()


def request_digest(kind: str, reference: str, recipients: Sequence[str], words: Mapping[str, object]) -> str:
    """What a request asks for, whoever asks and whenever: two with one idempotency key have to be equal in it."""
    named = [f"{name}={words[name]!r}" for name in sorted(words)]
    return digest_of((kind, reference, *sorted({one.lower() for one in recipients}), "", *named))


def why_not(manifest: Manifest, state: ApprovalState, approved: str, now: datetime) -> str | None:
    """Why a copy is not sent under an approval, in words for experts; None when it is.

    ``manifest`` is made of what would be sent this moment, ``approved`` is the digest on record.
    """
    if state is not ApprovalState.APPROVED:
        return f"its approval is {state.value}"
    if not hmac.compare_digest(manifest.digest, approved):
        return "what was approved is not what would be sent: its bytes, recipient, return path, time or TLS were changed"
    if not manifest.not_before <= now <= manifest.not_after:
        return "the time for which it was approved is over" if now > manifest.not_after else NOT_YET
    return None


def names_digest(given: str, digest: str) -> bool:
    """Whether the beginning of a digest that a person gave is that of this one."""
    given = given.strip().lower()
    return len(given) >= MIN_DIGITS and digest.startswith(given)
