"""The queue itself: a mail goes in once, is leased for each try, and its fate is recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, case, or_, select, true, update

from outbound.approval import NOT_YET, OWN_WORD, Terms, window_of
from outbound.disclosure import (
    NO_DETAILS,
    UNRULED,
    Disclosure,
    DisclosureRules,
    Standing,
    disclosure_by_now,
    includes_details,
)
from outbound.model import (
    Delivery,
    DeliveryState,
    LeasedOrder,
    MailKind,
    OrderState,
    Queued,
    SelfCheck,
    Signed,
    Unreadable,
)
from outbound.schema import ON_LEASE, WAITING, approvals, automatic_orders, deliveries, outgoing
from outbound.store.approvals import AUTOMATION, LEASED, await_person, record_basis, unapproved
from outbound.store.orders import close_order
from outbound.store.quiet import refuse_quiet
from outbound.store.reminders import refuse_needless
from outbound.store.rows import (
    LEASE,
    ORDERED,
    change,
    note,
    outgoing_row,
    put_in_queue,
    queued_before,
    read_each,
    state_of,
    take_turn,
)
from outbound.store.suppression import suppressed_among
from outbound.store.untrusted import refuse_untrusted
from outbound.thread_root import root_in
from threads.model import Direction, Mark, State, Tlp
from threads.schema import contacts, threads
from threads.store.row_reading import well_typed
from threads.store.thread import know_message_id, record_outgoing, set_state
from threads.store.values import MAX_LINE, storable
from verifier.canonical import BodyHashes
from verifier.message import read_message
from verifier.own_records import body_hash

# A mail that our verifier could not judge, for DNS did not answer, is judged again after this time.
RECHECK = timedelta(minutes=1)
# For so long after it was written, or approved; a day outlasts a fault of DNS, and an expert has to hear of a longer one.
RECHECK_FOR = timedelta(hours=24)
FORBIDDEN = "its details may not go to its recipient by mail any more"
"""Why a mail waits whose contact's TLP or permission was changed since it was written."""


def queue_outgoing(
    conn: Connection,
    signed: Signed,
    *,
    idempotency_key: str,
    actor: str,
    checked: SelfCheck,
    now: datetime,
    terms: Terms = OWN_WORD,
) -> Queued:
    """Put a signed mail in the queue, once for each idempotency key.

    One that is of a kind which ``terms`` lets a second person approve waits for that person first, and one whose send
    window has not begun waits for that; it is judged again then. RefusedRecord for a window in which it cannot go.

    A genuine one is due at once, its Message-ID is known for its thread, and the timeline has what it says;
    any other is withheld with the reason, and the timeline says so; one that could not be judged for now
    waits to be judged again. A known key changes nothing. RefusedRecord for mail that may not go to its recipient's
    organisation (``outbound.store.untrusted``).
    """
    mail = signed.rendered
    take_turn(conn, idempotency_key)
    before = queued_before(conn, idempotency_key)
    if before is not None:
        return before
    refuse_untrusted(conn, mail.kind, mail.rcpt_to, mail.contact_id)
    values = {
        "idempotency_key": idempotency_key,
        "raw": signed.raw,
        "sha256": hashlib.sha256(signed.raw).hexdigest(),
        "body_sha256": body_hash(BodyHashes(read_message(signed.raw))),
        "message_id": mail.message_id.strip("<>"),
        "kind": mail.kind.value,
        "template_version": mail.template_version,
        "language": mail.language,
        "selector": signed.selector,
        "thread_id": mail.thread_id,
        "contact_id": mail.contact_id,
        "mail_from": mail.mail_from,
        "rcpt_to": mail.rcpt_to,
        "subject": mail.subject,
        "said": storable(mail.said),
        "actor": storable(actor, MAX_LINE),
        "created_at": mail.created,
        "code_key": mail.code_key,
        "disclosure": mail.disclosure.words,
        "needs_tls": mail.disclosure.needs_tls,
    }
    made = put_in_queue(conn, values, now, checked_at=None)
    if record_basis(conn, made, signed, now, actor=actor, terms=terms) and not checked.withheld:
        await_person(conn, made, now)  # judged when it is approved: the timeline tells what is sent
    elif (begin := window_of(terms, now).not_before) > now and not checked.withheld:
        change(conn, made, now, next_attempt_at=begin)  # and judged when it goes, for the same reason
    else:
        record_check(conn, made, checked, now)
    return Queued(made, duplicate=False)


def queue_ordered(
    conn: Connection,
    leased: LeasedOrder,
    signed: Signed,
    *,
    checked: SelfCheck,
    now: datetime,
    terms: Terms = OWN_WORD,
) -> Queued:
    """Queue the mail of an order and close the order, both or neither: the order's key is the mail's key."""
    key = f"{ORDERED}{leased.order.idempotency_key}"
    refuse_needless(conn, leased.order)
    refuse_quiet(conn, leased.order)
    queued = queue_outgoing(
        conn, signed, idempotency_key=key, actor=AUTOMATION, checked=checked, now=now, terms=terms
    )
    close_order(conn, leased.order_id, OrderState.COMPOSED, outgoing_id=queued.outgoing_id)
    return queued


def record_check(conn: Connection, outgoing_id: int, checked: SelfCheck, now: datetime) -> SelfCheck:
    """Record what our own verifier said of a mail: it may be sent from now on, or is withheld, or waits.

    A request that may be sent lets its thread await the customer. Returns what stands: a mail that could not
    be judged for ``RECHECK_FOR`` is withheld, one that was withheld meanwhile stays so. A check after which nothing is
    sent is no try.
    """
    mail = outgoing_row(conn, outgoing_id)
    if state_of(conn, outgoing_id) is DeliveryState.WITHHELD:
        return replace(checked, genuine=False, temporary=False, reason="it was withheld meanwhile")
    if checked.temporary and now - _since(conn, mail) >= RECHECK_FOR:
        hours = RECHECK_FOR // timedelta(hours=1)
        checked = replace(
            checked, temporary=False, reason=f"could not be judged for {hours} hours: {checked.reason}"
        )
    leased = deliveries.c.state == DeliveryState.LEASED.value
    tries = case((leased, deliveries.c.attempts - 1), else_=deliveries.c.attempts)
    if checked.temporary:
        change(
            conn,
            outgoing_id,
            now,
            attempts=tries,
            state=DeliveryState.QUEUED.value,
            next_attempt_at=now + RECHECK,
            lease_owner=None,
            lease_until=None,
            last_reply=storable(checked.reason, MAX_LINE),
        )
        return checked
    if checked.genuine:
        change(conn, outgoing_id, now, checked_at=now)
        if mail.thread_id is not None:
            record_outgoing(
                conn,
                mail.thread_id,
                mail.message_id,
                now,
                actor=mail.actor,
                text=mail.said,
                mark=Mark.AUTOMATION if MailKind(mail.kind).automatic else Mark.EXPERT,
            )
            raw = conn.execute(select(outgoing.c.raw).where(outgoing.c.id == outgoing_id)).scalar_one()
            root = root_in(bytes(raw), mail.message_id)
            if root is not None:
                know_message_id(conn, root, mail.thread_id, Direction.OUT)
            if MailKind(mail.kind) is MailKind.REQUEST_FOR_CONTEXT:
                set_state(conn, mail.thread_id, State.AWAITING_CUSTOMER, now, actor=mail.actor)
        return checked
    change(
        conn,
        outgoing_id,
        now,
        attempts=tries,
        state=DeliveryState.WITHHELD.value,
        next_attempt_at=None,
        lease_owner=None,
        lease_until=None,
        last_reply=storable(checked.reason, MAX_LINE),
    )
    note(conn, mail, now, f"Not sent to {mail.rcpt_to}: {checked.reason}")
    return checked


def _since(conn: Connection, mail: Row[Any]) -> datetime:
    """From when a mail could be sent; what waited for a person could not before."""
    query = select(approvals.c.not_before).where(approvals.c.outgoing_id == mail.id)
    approved: datetime | None = conn.execute(query).scalar()
    written: datetime = mail.created_at
    return written if approved is None else max(written, approved)


def lease_due(
    conn: Connection, now: datetime, owner: str, n: int, disclosure: DisclosureRules = UNRULED
) -> tuple[Delivery | Unreadable, ...]:
    """Lease up to ``n`` mails whose lease ran out, or that are due, oldest first.

    One whose row is damaged is given as such, to be put away with ``set_aside``. Each counts as a try from here on. Of one
    whose lease ran out nobody knows how its try ended, so that this one may make a second copy: it is marked. On PostgreSQL
    rows that another node is leasing are skipped; on SQLite the transaction itself is the lock. Mail with details that its
    recipient may not get any more, by what is recorded of them and ``disclosure`` now, is given as unapproved.
    """
    run_out = conn.execute(_run_out(now).limit(n).with_for_update(skip_locked=True)).scalars().all()
    waiting = conn.execute(_waiting(now).limit(n - len(run_out)).with_for_update(skip_locked=True))
    due = [*run_out, *waiting.scalars()]
    if not due:
        return ()
    leased = deliveries.c.outgoing_id.in_(due)
    conn.execute(
        update(deliveries)
        .where(leased)
        .values(
            maybe_twice=case(
                (deliveries.c.state == DeliveryState.LEASED.value, true()), else_=deliveries.c.maybe_twice
            ),
            state=DeliveryState.LEASED.value,
            attempts=deliveries.c.attempts + 1,
            lease_owner=owner,
            lease_until=now + LEASE,
            updated_at=now,
        )
    )
    query = (
        select(*_DELIVERY, *LEASED, *_RECIPIENT, threads.c.id.label("thread"))
        .select_from(
            deliveries.outerjoin(outgoing, outgoing.c.id == deliveries.c.outgoing_id)
            .outerjoin(threads, threads.c.id == outgoing.c.thread_id)
            .outerjoin(approvals, approvals.c.outgoing_id == outgoing.c.id)
            .outerjoin(contacts, contacts.c.id == outgoing.c.contact_id)
        )
        .where(leased)
        .order_by(deliveries.c.next_attempt_at, deliveries.c.outgoing_id)
    )
    read = read_each(conn, query, deliveries.c.outgoing_id, lambda row: _delivery_of(row, now, disclosure))
    found = _in_time(conn, read, owner, now)
    ours = [one.rcpt_to for one in found if isinstance(one, Delivery) and one.next_hop is None]
    if not (nobody := suppressed_among(conn, ours)):
        return found
    return tuple(
        replace(one, suppressed=True)
        if isinstance(one, Delivery) and one.next_hop is None and one.rcpt_to in nobody
        else one
        for one in found
    )


def _in_time(
    conn: Connection, found: Sequence[Delivery | Unreadable], owner: str, now: datetime
) -> tuple[Delivery | Unreadable, ...]:
    """Without mail that is early, which goes back until its window begins: somebody made it due before."""
    in_time: list[Delivery | Unreadable] = []
    for one in found:
        if isinstance(one, Delivery) and one.unapproved == NOT_YET:
            release(conn, [one.outgoing_id], owner, now, one.approved)
        else:
            in_time.append(one)
    return tuple(in_time)


# Times are compared by the database and never decoded here, so that a damaged one harms nobody.
def _waiting(now: datetime) -> Select[Any]:
    """Mails whose time has come, by the index of those that wait, whatever else the queue holds."""
    return (
        select(deliveries.c.outgoing_id)
        .where(WAITING, deliveries.c.next_attempt_at <= now)
        .order_by(deliveries.c.next_attempt_at, deliveries.c.outgoing_id)
    )


def _run_out(now: datetime) -> Select[Any]:
    """Mails whose worker did not come back; there are never more leases than tries at one time."""
    return (
        select(deliveries.c.outgoing_id)
        .where(ON_LEASE, deliveries.c.lease_until <= now)
        .order_by(deliveries.c.lease_until)
    )


_DELIVERY = (*outgoing.c, deliveries.c.attempts, deliveries.c.checked_at)
_RECIPIENT = (
    contacts.c.tlp,
    contacts.c.external,
    contacts.c.details_allowed_at,
    contacts.c.left_at,
)


def _delivery_of(row: Row[Any], now: datetime, rules: DisclosureRules) -> Delivery:
    well_typed(row, _DELIVERY)
    MailKind(row.kind)  # what is recorded of a try depends on it
    if row.thread_id != row.thread:
        raise LookupError("its thread is not on record")
    disclosure, held = _by_now(row, rules), unapproved(row, now)
    if not disclosure.full and held != NOT_YET:
        held = f"{FORBIDDEN}: {disclosure.reason}"  # what an approval does not help against is told first
    return Delivery(
        outgoing_id=row.id,
        raw=row.raw,
        message_id=row.message_id,
        mail_from=row.mail_from,
        rcpt_to=row.rcpt_to,
        created=row.created_at,
        attempts=row.attempts,
        checked=row.checked_at is not None,
        next_hop=row.next_hop,
        needs_tls=row.needs_tls or disclosure.needs_tls,  # a condition that came later binds, too
        unapproved=held,
        approved=row.approval_from,
        reminder=row.kind == MailKind.REMINDER,
    )


def _by_now(row: Row[Any], rules: DisclosureRules) -> Disclosure:
    """What a mail of ours that holds details may hold by now.

    A contact who has left allows nothing, and is outside. Alerts go to experts, who have no TLP.
    """
    if row.next_hop is not None or row.kind == MailKind.ALERT or not includes_details(row.disclosure):
        return NO_DETAILS
    gone = row.left_at is not None
    standing = Standing(
        None if row.tlp is None else Tlp(row.tlp),
        allowed=row.details_allowed_at is not None and not gone,
        external=gone or row.external is not False,  # also of an address that is no contact
    )
    return disclosure_by_now(row.rcpt_to, standing, rules, needs_tls=row.needs_tls)


def set_aside(conn: Connection, mail: Unreadable, now: datetime) -> None:
    """Let a mail that cannot be read wait for a person; ``retry_now`` brings a corrected one back."""
    change(
        conn,
        mail.number,
        now,
        state=DeliveryState.UNREADABLE.value,
        next_attempt_at=None,
        lease_owner=None,
        lease_until=None,
        last_reply=mail.reason,
    )


def release(
    conn: Connection, outgoing_ids: Sequence[int], owner: str, now: datetime, until: datetime | None = None
) -> None:
    """Give leases back for which no try was begun; they are due again at once, or ``until`` says when.

    A worker that stops does so, and one that may begin no more dialogues with a domain.
    """
    conn.execute(
        update(deliveries)
        .where(
            deliveries.c.outgoing_id.in_(list(outgoing_ids)),
            deliveries.c.state == DeliveryState.LEASED.value,
            deliveries.c.lease_owner == owner,
        )
        .values(
            state=DeliveryState.QUEUED.value,
            attempts=deliveries.c.attempts - 1,
            next_attempt_at=until or now,
            lease_owner=None,
            lease_until=None,
            updated_at=now,
        )
    )


def work_waits(conn: Connection, now: datetime) -> bool:
    """Whether an order is open or a mail is due: a cheap look that takes no lock."""
    table = automatic_orders
    open_order = conn.execute(
        select(table.c.id)
        .where(
            table.c.state == OrderState.ORDERED.value,
            or_(table.c.lease_until.is_(None), table.c.lease_until <= now),
        )
        .limit(1)
    ).scalar()
    return open_order is not None or (
        conn.execute(_waiting(now).limit(1)).scalar() is not None
        or conn.execute(_run_out(now).limit(1)).scalar() is not None
    )
