"""The queue of outgoing mail, as functions on a connection inside the caller's transaction.

What the queue promises:

- Nothing is queued twice for one idempotency key, and nothing is delivered again once it is known to be
  delivered. Between the moment the next server says 250 and the moment that is recorded a crash can make a
  second copy: the mail is tried again when the lease runs out. That window is at-least-once, as SMTP itself
  is (RFC 5321 4.1.1.4, 6.1); both copies are the same bytes with the same Message-ID, each such try makes one
  more at most, and the mail is marked as possibly delivered twice. So is one whose server broke off after the final dot.
- Every try sends the stored bytes. No lock is held while one runs: a try is a lease (owner, until) that is
  taken in one transaction and closed in another.
- A mail that our own verifier did not call genuine is kept and shown, and never leased for sending.

Times are aware datetimes in UTC and come in as arguments.
"""

from __future__ import annotations

from outbound.store.mail_events import events_of, notice_of, record_event, undelivered
from outbound.store.orders import CAPS, close_order, list_orders, next_orders, order_automatic
from outbound.store.outbox import (
    cancel,
    count_outbox,
    list_outbox,
    organisation_of_mail,
    retry_now,
    show_outbox,
)
from outbound.store.queue import (
    RECHECK,
    RECHECK_FOR,
    lease_due,
    queue_ordered,
    queue_outgoing,
    record_check,
    release,
    set_aside,
    work_waits,
)
from outbound.store.relay import queue_relayed
from outbound.store.rows import LEASE, LIST_LIMIT
from outbound.store.suppression import allow_again, close_suppressed, list_suppressed, suppress
from outbound.store.tries import record_attempt
from outbound.store.untrusted import WHY, refuse_untrusted, withhold_waiting

__all__ = [
    "CAPS",
    "LEASE",
    "LIST_LIMIT",
    "RECHECK",
    "RECHECK_FOR",
    "WHY",
    "allow_again",
    "cancel",
    "close_order",
    "close_suppressed",
    "count_outbox",
    "events_of",
    "lease_due",
    "list_orders",
    "list_outbox",
    "list_suppressed",
    "next_orders",
    "notice_of",
    "order_automatic",
    "organisation_of_mail",
    "queue_ordered",
    "queue_outgoing",
    "queue_relayed",
    "record_attempt",
    "record_check",
    "record_event",
    "refuse_untrusted",
    "release",
    "retry_now",
    "set_aside",
    "show_outbox",
    "suppress",
    "undelivered",
    "withhold_waiting",
    "work_waits",
]
