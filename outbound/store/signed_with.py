"""Which mail was signed with which keys: what has to leave before a key's record may go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from outbound.model import DeliveryState
from outbound.schema import attempts, deliveries, outgoing

# Final unless a person acts, and then they leave with the signature that they have.
_MAY_STILL_LEAVE = (DeliveryState.AWAITING_APPROVAL, DeliveryState.WITHHELD)


@dataclass(frozen=True, slots=True)
class SignedWith:
    """Mails of one pair of keys: how many have still to leave or wait for a person who may let them, and when one was last handed over or tried."""

    waiting: int
    last: datetime | None


def signed_with(conn: Connection, selectors: tuple[str, ...]) -> SignedWith:
    """Looks through all outgoing mail once; ``selectors`` as ``Signed.selector`` joins them, or the first alone."""
    mine = outgoing.c.selector.in_({selectors[0], " ".join(selectors)})
    open_states = [one.value for one in DeliveryState if not one.final or one in _MAY_STILL_LEAVE]
    waiting = conn.execute(
        select(func.count())
        .select_from(outgoing.join(deliveries, deliveries.c.outgoing_id == outgoing.c.id))
        .where(mine, deliveries.c.state.in_(open_states))
    ).scalar_one()
    last = conn.execute(
        select(func.max(attempts.c.finished_at))
        .select_from(outgoing.join(attempts, attempts.c.outgoing_id == outgoing.c.id))
        .where(mine)
    ).scalar()
    return SignedWith(int(waiting), last)
