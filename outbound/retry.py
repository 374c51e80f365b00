"""When a mail is tried again, and when it is given up (RFC 5321 4.5.4.1). Pure: time and jitter come in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from outbound.model import DeliveryState, Failure, Reply

# Waits after the first, second, … try. RFC 5321 4.5.4.1 asks for at least 30 minutes after the first
# failures or soon after; a greylisting server wants a few minutes, and an incident cannot wait for half an hour.
WAITS = (
    timedelta(minutes=2),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
)
# RFC 5321 4.5.4.1: "the give-up time generally needs to be at least 4-5 days".
MAX_AGE = timedelta(days=5)
# What the give-up time may be set to. An hour has five tries or more, so that greylisting does not end a mail; the longest ends
# before an approval does (outbound.approval.SEND_WINDOW), so that no mail is left over without a word to anybody.
LEAST_AGE = timedelta(hours=1)
MOST_AGE = timedelta(days=6)
# A wait is stretched by up to this share, so that what failed together does not come back together.
JITTER_SHARE = 0.2

_FINAL = frozenset({Failure.REFUSED, Failure.NO_MAIL})


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a try: the new state, the next time if there is one, and why."""

    state: DeliveryState
    next_attempt_at: datetime | None
    reason: str


def decide(
    *,
    attempts: int,
    failure: Failure | None,
    reply: Reply,
    created: datetime,
    now: datetime,
    jitter: float,
    give_up: timedelta = MAX_AGE,
) -> Decision:
    """What follows from try number ``attempts`` (1 is the first) that ended at ``now``.

    ``created`` is when the mail was written, or approved if that was later: the give-up time ``give_up`` runs from there.
    ``jitter`` is a number from 0 to 1 that the caller drew.
    """
    said = describe(failure, reply)
    if failure is None:
        return Decision(DeliveryState.DELIVERED, None, said)
    if failure in _FINAL:
        return Decision(DeliveryState.FAILED, None, said)
    if now - created >= give_up:
        return Decision(DeliveryState.EXPIRED, None, f"Given up after {_in_words(give_up)}; last: {said}")
    wait = WAITS[min(max(attempts, 1), len(WAITS)) - 1]
    stretched = wait * (1 + JITTER_SHARE * min(max(jitter, 0.0), 1.0))
    # The last try falls on the give-up time and not hours past it.
    return Decision(DeliveryState.DEFERRED, min(now + stretched, created + give_up), said)


def _in_words(age: timedelta) -> str:
    hours = age // timedelta(hours=1)
    number, unit = (hours, "hour") if hours % 24 else (hours // 24, "day")
    return f"{number} {unit}{'' if number == 1 else 's'}"


def describe(failure: Failure | None, reply: Reply) -> str:
    """One line for a person: what the server said, or what kept us from hearing it."""
    answer = f"{reply.code} {reply.text}".strip() if reply.code else reply.text
    if failure is None or reply.code:
        return answer
    return f"{failure.value}: {answer}"
