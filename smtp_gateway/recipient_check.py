"""Whether the next hop knows a recipient, asked at RCPT, so that an unknown one is refused there and nobody is bounced.

Only a clear no refuses: a permanent reply to RCPT that is about the mailbox (RFC 3463 3.2, 3.3). Everything else
means that we do not know, and the recipient is taken: a next hop that is away, slow or full, that limits or
greylists questions, or dislikes their empty return path. The transaction itself finds out then, and our client
hears what the next hop says to it; a 451 here would shut out mail that the next hop takes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from smtp_gateway.next_hop import HopAnswer, NextHop, Step, Trouble, our_reply
from smtp_gateway.next_hop_session import Times, ask_recipient
from smtp_gateway.replies import SmtpReply

KNOWN_SECONDS: Final = 3_600.0
"""A mailbox that is there seldom goes; should it, the transaction is refused by the next hop itself."""
UNKNOWN_SECONDS: Final = 300.0
"""A new mailbox has to work soon after it was made, and a guesser must not make us ask for each guess again."""
UNSURE_SECONDS: Final = 30.0
"""After no answer, for the address; after none at all, for the whole next hop, so that a dead one costs no session time."""
ENTRIES_MAX: Final = 50_000
"""Addresses remembered, at some 300 octets each; the one that was longest not asked for goes first."""
QUESTIONS_MAX: Final = 8
"""Questions to one next hop at one time: guessers must not use up the connections that mail needs (``relay.PLACES``)."""
TIMES: Final = Times(connect=3.0, command=4.0, total=5.0, quit=0.5)
"""A client waits five minutes for the reply to RCPT (RFC 5321 4.5.3.2.3), but has many recipients."""

_ABOUT_THE_MAILBOX: Final = ("5.1.", "5.2.")

_log = structlog.get_logger("smtp_gateway")

Ask = Callable[[str, NextHop], Awaitable[HopAnswer]]
_Key = tuple[NextHop, str]


def asks_next_hop(hostname: str) -> Ask:
    """Asks by SMTP; ``hostname`` is our own name for EHLO."""

    async def ask(recipient: str, hop: NextHop) -> HopAnswer:
        return await ask_recipient(recipient, hop, hostname, TIMES)

    return ask


def refuses(answer: HopAnswer) -> bool:
    """Whether the answer is a clear no about the mailbox, or the next hop takes no address of its kind (RFC 6531 3.2)."""
    if answer.trouble is Trouble.NO_SMTPUTF8_PATH:
        return True
    if answer.step is not Step.RCPT or not answer.permanent or answer.trouble is not None:
        return False
    return answer.enhanced is None or answer.enhanced.startswith(_ABOUT_THE_MAILBOX)


@dataclass(frozen=True, slots=True)
class _Remembered:
    refusal: SmtpReply | None
    until: float


class RecipientCheck:
    """Asks the next hops and remembers what they said; one for the whole process."""

    def __init__(self, ask: Ask, monotonic: Callable[[], float]) -> None:
        """``monotonic`` gives seconds that never go back."""
        self._ask = ask
        self._monotonic = monotonic
        self._remembered: OrderedDict[_Key, _Remembered] = OrderedDict()
        self._asking: dict[_Key, asyncio.Task[SmtpReply | None]] = {}
        self._silent_until: dict[NextHop, float] = {}  # as many as the settings name
        self._places: defaultdict[NextHop, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(QUESTIONS_MAX)
        )

    async def refusal(self, recipient: str, hop: NextHop) -> SmtpReply | None:
        """The reply that refuses the recipient, or None where it is taken. Never raises for what the other side does."""
        key = (hop, recipient)
        known = self._remembered.get(key)
        if known is not None and known.until > self._monotonic():
            self._remembered.move_to_end(key)
            return known.refusal
        if self._silent_until.get(hop, 0.0) > self._monotonic():
            return None
        task = self._asking.get(key)
        if task is None:
            task = asyncio.ensure_future(self._asked(key))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # Whoever asked first may go away; the others still want the answer.
        return await asyncio.shield(task)

    def forget(self, recipient: str, hop: NextHop) -> None:
        """The next hop refused in a transaction whom it had taken before: ask anew the next time."""
        self._remembered.pop((hop, recipient), None)

    async def _asked(self, key: _Key) -> SmtpReply | None:
        hop, recipient = key
        async with self._places[hop]:
            if self._silent_until.get(hop, 0.0) > self._monotonic():
                return None  # it fell silent while this question waited
            answer = await self._ask(recipient, hop)
        now = self._monotonic()
        if refuses(answer):
            reply = our_reply(answer)
            _log.info(
                "recipient refused by the next hop",
                recipient=recipient,
                next_hop=str(hop),
                answer=str(answer),
            )
            self._remember(key, _Remembered(reply, now + UNKNOWN_SECONDS))
            return reply
        if answer.accepted:
            self._remember(key, _Remembered(None, now + KNOWN_SECONDS))
            return None
        _log.warning("recipient not verified", recipient=recipient, next_hop=str(hop), answer=str(answer))
        if answer.step in (Step.RCPT, Step.MAIL) and answer.trouble is None:
            self._remember(key, _Remembered(None, now + UNSURE_SECONDS))
        else:
            self._silent_until[hop] = now + UNSURE_SECONDS
        return None

    def _remember(self, key: _Key, what: _Remembered) -> None:
        self._remembered[key] = what
        self._remembered.move_to_end(key)
        while len(self._remembered) > ENTRIES_MAX:
            self._remembered.popitem(last=False)
