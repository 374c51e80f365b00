"""When mail on an incident counts as late, and whom the experts turn to then. Pure.

Late is what the customer's server has not accepted so many minutes after it was written, or after its approval or the
window that was chosen for it let it go; for whatever reason: it waits, is refused for now, is held back by ourselves, or
was given up. What to tell is worked out from how things stand at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from outbound.model import DeliveryState, MailKind
from outbound.reminders import person, telephone
from threads.model import Contact, Severity

AFTER: Final[Mapping[Severity, timedelta]] = MappingProxyType(
    {
        # A server that greylists has had two more tries by then, after 2 and 7 minutes (outbound.retry): this is another thing.
        Severity.HIGH: timedelta(minutes=15),
        # The fourth try, half an hour after it was written, has failed: the customer's server is away.
        Severity.MEDIUM: timedelta(minutes=60),
        # Within one shift, so that whoever wrote it hears of it.
        Severity.LOW: timedelta(hours=4),
        Severity.INFORMATIONAL: timedelta(days=1),
    }
)

WATCHED: Final = tuple(
    kind
    for kind in MailKind
    if kind is MailKind.REMINDER
    or (not kind.automatic and kind not in (MailKind.RELAYED, MailKind.TEST_NOTIFICATION))
)
"""Mail that somebody waits for. Nobody is telephoned because an acknowledgement is late."""

_WHY: Final[Mapping[DeliveryState, str]] = MappingProxyType(
    {
        DeliveryState.QUEUED: "it waits to be sent",
        DeliveryState.LEASED: "a try is under way",
        DeliveryState.DEFERRED: "it was refused for now and is tried again",
        DeliveryState.FAILED: "it was refused for good",
        DeliveryState.EXPIRED: "it was given up after days",
        DeliveryState.SUPPRESSED: "its recipient is on the list of addresses that get nothing",
        DeliveryState.AWAITING_APPROVAL: "it awaits a person's approval",
        DeliveryState.WITHHELD: "it is withheld by ourselves",
        DeliveryState.UNREADABLE: "its row in the database is damaged",
    }
)
NOT_ACCEPTED: Final = tuple(_WHY)
"""Every state but these: accepted, accepted and come back (which has an alert of its own), and withdrawn, for nobody needs it."""

_UNTRUSTED: Final = "The customer's mail is marked untrusted: write to nobody there."

GIVEN_UP: Final = ("cancelled by ", "refused by ")
"""How the last word on a mail begins that a person gave up. No server's does: its code, or the kind of failure, comes first."""


@dataclass(frozen=True, slots=True)
class LateRules:
    """After how long mail of each severity is late; a severity that is not named never is."""

    after: Mapping[Severity, timedelta] = field(default_factory=lambda: AFTER)

    def due_before(self, now: datetime) -> Mapping[Severity, datetime]:
        """The time at or before which mail that is late by now could go."""
        return MappingProxyType({severity: now - after for severity, after in self.after.items()})

    def minutes(self, severity: Severity | None) -> int:
        """The same as minutes; an incident without a severity counts as Medium, as for reminders."""
        return self.after[severity or Severity.MEDIUM] // timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LateMail:
    """A mail that is late. ``contacts`` may be written to, ``phones`` can be called, both in the order in which they are turned to.

    ``untrusted``: somebody else may read the customer's mail, so that nobody there is written to.
    """

    outgoing_id: int
    rcpt_to: str
    contact_id: int | None
    severity: Severity | None
    state: DeliveryState
    contacts: tuple[Contact, ...] = ()
    phones: tuple[Contact, ...] = ()
    untrusted: bool = False


def next_contact(mail: LateMail) -> Contact | None:
    """Who is written to instead: the first one who has another address than the mail; nobody whose mail is read by others."""
    return None if mail.untrusted else _first(one for one in mail.contacts if not _is_recipient(one, mail))


def to_telephone(mail: LateMail) -> Contact | None:
    """Who is called: the next contact, or the one whom the mail does not reach, or anybody who has a number."""
    following = next_contact(mail)
    order: Sequence[Contact] = (
        *(one for one in mail.phones if following is not None and one.id == following.id),
        *(one for one in mail.phones if _is_recipient(one, mail)),
        *mail.phones,
    )
    return _first(order)


def _is_recipient(one: Contact, mail: LateMail) -> bool:
    return one.id == mail.contact_id or one.address.lower() == mail.rcpt_to.lower()


def _first(some: Iterable[Contact]) -> Contact | None:
    return next(iter(some), None)


def late_note(mail: LateMail, rules: LateRules) -> str:
    """What the experts' note says, in one line; of what the other server said it holds nothing."""
    following, called = next_contact(mail), to_telephone(mail)
    said = (
        f"Mail {mail.outgoing_id} to {mail.rcpt_to} was not accepted within {rules.minutes(mail.severity)} minutes:"
        f" {_WHY[mail.state]}."
    )
    if following is not None:
        said += f" Next contact: {person(following)}."
    else:
        said += f" {_UNTRUSTED if mail.untrusted else 'There is no other contact.'}"
    if called is None:
        return f"{said} No contact has a telephone number on record; find one, and call."
    return f"{said} {telephone(called)}"
