"""What people do with mail that waits for approval: approve it, let it go at once, refuse it, and review it afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update

from outbound.approval import (
    SEND_WINDOW,
    ApprovalState,
    Basis,
    Manifest,
    Window,
    names_digest,
    window_approved,
)
from outbound.model import DeliveryState
from outbound.schema import approvals
from outbound.store.approvals import ApprovalItem, refuse_refused, show_approval
from outbound.store.rows import change, note, outgoing_row, state_of
from outbound.store.untrusted import refuse_untrusted
from threads.store.errors import RefusedRecord
from threads.store.values import MAX_LINE, storable


def approve(conn: Connection, outgoing_id: int, digest: str, now: datetime, *, actor: str) -> datetime:
    """Approve a mail as it is now, by the digest of its manifest as it was shown; it is judged again and then sent.

    Returns from when it may go: a window that its writer chose stays where it is still open. RefusedRecord where the digest
    is another, where whoever wrote it approves it, for mail that does not wait or was refused, and for mail that may not
    go to its recipient's organisation any more.
    """
    item = _shown(conn, outgoing_id, digest)
    actor = storable(actor, MAX_LINE)
    # Also of mail that went on its writer's word: what waits was changed or is late, and needs other eyes.
    if actor.lower() == item.composer.lower():
        raise RefusedRecord(f"{actor} wrote mail {outgoing_id}; somebody else has to approve it.")
    window = window_approved(Window(item.not_before, item.not_after, item.end_chosen), now)
    _let_go(conn, item, window, now, approver=actor, **_ground(item, actor, now))
    return window.not_before


def _ground(item: ApprovalItem, actor: str, now: datetime) -> dict[str, Any]:
    """What an approval makes of a mail's basis. One that broke the glass stays on record as such, and has been looked at."""
    if item.basis is not Basis.BREAK_GLASS:
        return {"basis": Basis.SECOND.value}
    if item.reviewer is not None or actor.lower() == (item.approver or "").lower():
        return {}
    return {"reviewer": actor, "reviewed_at": now, "review": "approved as it is now"}


def break_glass(
    conn: Connection, outgoing_id: int, digest: str, reason: str, now: datetime, *, actor: str
) -> None:
    """Let a mail that waits for approval go at once, on anybody's word and for a reason; it is reviewed afterwards.

    It is judged by our own verifier first, as any other. A chosen window gives way. RefusedRecord where ``approve`` would
    refuse, but for its writer, and without a reason.
    """
    item, reason = _shown(conn, outgoing_id, digest), storable(reason.strip(), MAX_LINE)
    if not reason:
        raise RefusedRecord("Say why it cannot wait; somebody else reviews that afterwards.")
    _let_go(
        conn,
        item,
        Window(now, now + SEND_WINDOW),
        now,
        basis=Basis.BREAK_GLASS.value,
        approver=storable(actor, MAX_LINE),
        reason=reason,
        reviewer=None,  # what was reviewed before was another mail, or another reason
        reviewed_at=None,
        review=None,
    )


def _shown(conn: Connection, outgoing_id: int, digest: str) -> ApprovalItem:
    """What waits under that digest, if it may be sent at all."""
    item = _waiting(conn, outgoing_id)
    refuse_refused(conn, outgoing_id)
    if not names_digest(digest, item.digest):
        raise RefusedRecord(
            f"Mail {outgoing_id} is not what that digest names; look at it again: expertmail approvals show {outgoing_id}"
        )
    refuse_untrusted(conn, item.kind, item.rcpt_to, item.contact_id)
    return item


def _let_go(conn: Connection, item: ApprovalItem, window: Window, now: datetime, **values: Any) -> None:
    approved = Manifest(
        item.mail_from,
        item.rcpt_to,
        item.sha256,
        item.identity,
        window.not_before,
        window.not_after,
        item.needs_tls,
    )
    conn.execute(
        update(approvals)
        .where(approvals.c.outgoing_id == item.outgoing_id)
        .values(
            state=ApprovalState.APPROVED.value,
            decided_at=now,
            not_before=window.not_before,
            not_after=window.not_after,
            end_chosen=window.end_chosen,
            digest=approved.digest,
            **values,
        )
    )
    change(
        conn,
        item.outgoing_id,
        now,
        state=DeliveryState.QUEUED.value,
        next_attempt_at=window.not_before,
        last_reply="",
        checked_at=None,  # the verdict on record may be that of other bytes
    )


def refuse(conn: Connection, outgoing_id: int, reason: str, now: datetime, *, actor: str) -> None:
    """Refuse a mail that waits for approval; it is never sent. RefusedRecord for mail that does not wait."""
    _waiting(conn, outgoing_id)
    reason, actor = storable(reason, MAX_LINE), storable(actor, MAX_LINE)
    mail = outgoing_row(conn, outgoing_id)
    conn.execute(
        update(approvals)
        .where(approvals.c.outgoing_id == outgoing_id)
        .values(state=ApprovalState.REFUSED.value, reason=reason, decided_at=now)
    )
    why = f"refused by {actor}: {reason}"
    change(conn, outgoing_id, now, state=DeliveryState.FAILED.value, next_attempt_at=None, last_reply=why)
    note(conn, mail, now, f"The mail to {mail.rcpt_to} was {why}")


def review(conn: Connection, outgoing_id: int, words: str, now: datetime, *, actor: str) -> None:
    """Record what somebody else found of a mail that went at once. RefusedRecord for any other, and for its writer."""
    item, actor = show_approval(conn, outgoing_id), storable(actor, MAX_LINE)
    if item.basis is not Basis.BREAK_GLASS or item.reviewer is not None:
        raise RefusedRecord(f"Mail {outgoing_id} does not wait for a review.")
    if actor.lower() in {item.composer.lower(), (item.approver or "").lower()}:
        raise RefusedRecord(f"{actor} sent mail {outgoing_id}; somebody else has to review it.")
    conn.execute(
        update(approvals)
        .where(approvals.c.outgoing_id == outgoing_id)
        .values(reviewer=actor, reviewed_at=now, review=storable(words, MAX_LINE))
    )


def _waiting(conn: Connection, outgoing_id: int) -> ApprovalItem:
    item = show_approval(conn, outgoing_id)
    if state_of(conn, outgoing_id) is not DeliveryState.AWAITING_APPROVAL:
        raise RefusedRecord(f"Mail {outgoing_id} does not wait for approval.")
    return item
