"""What a letter of an expert is, and what becomes of it. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from outbound.model import DeliveryState, MailKind, Rendered, Value
from outbound.template import DEFAULT_LANGUAGE


@dataclass(frozen=True, slots=True)
class Letter:
    """What an expert wants to send.

    ``reference`` names its thread. Where it is empty, ``organisation`` names the customer instead, and the mail is on no
    thread: only some kinds can be (``MailKind.needs_thread``).

    ``words`` are the variables of the kind's template as it declares their types (``expertmail compose kinds``); what the
    record knows may be left out (``expertmail.compose_facts``). ``key``: the same request with it is queued once.
    ``break_glass``: why it cannot wait for a second person; empty: it can. ``test_to``: an address of ours that gets the
    mails instead, on no thread. ``outside``: why the mail goes to addresses that are no contact of the thread's customer;
    empty: it does not. ``language`` is that of those addresses. ``not_before``, ``not_after``: aware times between which it
    may go; None: from now, for ``outbound.approval.SEND_WINDOW``. ``customers``: the ids of the only ones that its writer may
    hear of; None: all. ``copy_of``: the timeline's entry whose words the mails carry, so that nobody is shown them twice.
    """

    kind: MailKind
    reference: str
    to: tuple[str, ...]
    words: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    actor: str = ""
    key: str | None = None
    break_glass: str = ""
    test_to: str | None = None
    outside: str = ""
    language: str = DEFAULT_LANGUAGE
    not_before: datetime | None = None
    not_after: datetime | None = None
    organisation: str = ""
    customers: frozenset[int] | None = None
    copy_of: int | None = None

    def may_tell_of(self, organisation_id: int) -> bool:
        """Whether its writer may hear of a customer."""
        return self.customers is None or organisation_id in self.customers


class RefusalKind(StrEnum):
    """Why a letter is not sent, for whoever turns it into an exit code or an HTTP status."""

    NOT_FOUND = "not-found"  # no such thread, or an address that is no contact of its customer
    BAD_DATA = "bad-data"  # a word that is missing or unfit, a window in which nothing can go
    CONFLICT = "conflict"  # the idempotency key belongs to a request with other content
    WITHHELD = "withheld"  # the recipient gets no such mail: untrusted, or suppressed


class LetterRefused(Exception):  # noqa: N818 -- what happened, as RefusedRecord of the store
    """A letter that is not sent: one sentence, which holds no secret. Nothing was queued."""

    def __init__(self, sentence: str, kind: RefusalKind) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Composed:
    """One frozen mail for each address, not yet signed; ``notes`` are what its writer should look at again."""

    mails: tuple[Rendered, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PostedMail:
    """A mail in the queue. ``verdict`` and ``reason`` are our own verifier's; empty for one that was queued before."""

    number: int
    address: str
    message_id: str
    subject: str
    state: DeliveryState
    verdict: str = ""
    reason: str = ""

    @property
    def withheld(self) -> bool:
        """Whether it stays here until what ``reason`` names was repaired: customers could not verify it."""
        return self.state is DeliveryState.WITHHELD


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a letter. ``known``: the same request was queued before, and nothing was now."""

    mails: tuple[PostedMail, ...]
    known: bool
    notes: tuple[str, ...] = ()
