"""Everything in a message that names a thread, collected and ranked. Pure; ``match`` chooses by it.

Three strengths. A proof is what only somebody can bring who has a mail of ours: our reply address, a Message-ID that we
sent (also as our smarthost renamed it), or a message that an expert has moved. A record is a reference to a mail that came in.
A hint anybody can write: a tag in the subject, or a reference to a message that we never saw but that another mail on record
refers to as well (siblings in a conversation that began elsewhere).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from threads.model import (
    Candidates,
    Direction,
    KnownMessage,
    MatchRule,
    ReplyToken,
    Signal,
    SignalStrength,
    ThreadKeys,
)

ADDRESS_LIFETIME: Final = timedelta(days=400)
"""How long a reply address is a proof. Each mail of ours carries a new one; a yearly review answers last year's."""

# The best word that is on record for a Message-ID counts: a customer may put any Message-ID on a mail, one of ours too.
_RANK: Final = (Direction.MOVED, Direction.OUT, Direction.HOP, Direction.IN, Direction.REF)
BY_WORTH: Final = (Direction.WAS, *_RANK)
"""What a Message-ID on record can be to a thread, what only we or an expert can have put there first."""
_OURS: Final = (Direction.OUT, Direction.HOP)
_STRENGTH: Final = {
    Direction.MOVED: SignalStrength.PROOF,
    Direction.OUT: SignalStrength.PROOF,
    Direction.HOP: SignalStrength.PROOF,
    Direction.IN: SignalStrength.RECORD,
    Direction.REF: SignalStrength.HINT,
}


@dataclass(frozen=True, slots=True)
class Signals:
    """What was found, by where it stands. ``chain`` runs from the nearest ancestor back to the oldest one.

    ``left`` are the threads that an expert moved an ancestor away from.
    """

    address: Signal | None
    chain: tuple[Signal, ...]
    tags: tuple[Signal, ...]
    left: frozenset[int]

    @property
    def all(self) -> tuple[Signal, ...]:
        """The strongest rule first, and each rule's in their order."""
        found = () if self.address is None else (self.address,)
        return (*found, *self.chain, *self.tags)


def signals(keys: ThreadKeys, candidates: Candidates, at: datetime | None) -> Signals:
    """Every key that names a thread on record. Without a clock no reply address is too old."""
    chain: list[Signal] = []
    left: set[int] = set()
    for message_id in _nearest_first(keys):
        _of_reference(message_id, candidates, chain, left)
    tags = tuple(
        Signal(MatchRule.SUBJECT_TAG, tag, candidates.threads[candidates.tagged[tag]].id)
        for tag in keys.tags
        if tag in candidates.tagged
    )
    return Signals(_of_address(keys.reply, candidates, at), tuple(chain), tags, frozenset(left))


def _nearest_first(keys: ThreadKeys) -> list[str]:
    """In-Reply-To names the parent, References the way to it from the oldest ancestor on (RFC 5322 3.6.4)."""
    return list(dict.fromkeys((*reversed(keys.in_reply_to), *reversed(keys.references))))


def _of_address(token: ReplyToken | None, candidates: Candidates, at: datetime | None) -> Signal | None:
    thread = None if token is None else candidates.thread(token.thread_id)
    if token is None or thread is None:
        return None
    if at is not None and token.made_on is not None and at.date() - token.made_on > ADDRESS_LIFETIME:
        note = (
            f"the address was made on {token.made_on} and proves nothing after {ADDRESS_LIFETIME.days} days"
        )
        return Signal(MatchRule.REPLY_ADDRESS, "reply address", thread.id, note=note)
    return Signal(MatchRule.REPLY_ADDRESS, "reply address", thread.id, strength=SignalStrength.PROOF)


def _of_reference(message_id: str, candidates: Candidates, chain: list[Signal], left: set[int]) -> None:
    hits = candidates.known.get(message_id)
    if not hits:
        return
    best = _best(hits, candidates)
    for hit in hits:
        thread = candidates.thread(hit.thread_id)
        if thread is None:
            continue
        if hit.direction is Direction.WAS:
            left.add(thread.id)
        elif hit.direction is best:
            rule = MatchRule.ANCESTOR if best is Direction.REF else MatchRule.REFERENCES
            chain.append(Signal(rule, message_id, thread.id, best, _STRENGTH[best]))
        elif best is Direction.MOVED and hit.direction in _OURS:
            # The move says where the conversation goes on; that the mail is ours, who else can bring its Message-ID.
            chain.append(
                Signal(MatchRule.REFERENCES, message_id, thread.id, hit.direction, SignalStrength.PROOF)
            )


def _best(hits: Sequence[KnownMessage], candidates: Candidates) -> Direction | None:
    """The best word on record for a Message-ID, of threads that are there."""
    words = {hit.direction for hit in hits if hit.thread_id in candidates.threads}
    for direction in _RANK:
        if direction in words:
            return direction
    return None


def unknown_ancestors(keys: ThreadKeys, candidates: Candidates) -> tuple[str, ...]:
    """Message-IDs that a message refers to and that nothing on record has named before, oldest first."""
    if not keys.references and not keys.in_reply_to:
        return ()
    known = candidates.known
    return tuple(
        message_id
        for message_id in dict.fromkeys((*keys.references, *keys.in_reply_to))
        if message_id not in known
    )
