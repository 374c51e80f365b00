"""The server's part in chats: what an expert writes there goes by mail to contacts who read mail only, to each once.

It looks every other second for messages that somebody has not got yet, and keeps nothing in memory that a restart would miss. Where
the customer's mail is untrusted, the mail says to see the portal and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from expertmail.console.api_notifications import Outgoing
from expertmail.console.posting import across
from expertmail.letters import Letter, LetterRefused, Posted, post_letter
from expertmail.rounds import Rounds
from outbound.model import MailKind
from outbound.store.chat import Untold, give_up, untold_chat
from outbound.store.inquiry_answers import untold_answers
from threads.store.engine import Database
from threads.store.writer import Writer

LOOK_SECONDS: Final = 2.0
"""Between two looks: a mail takes longer than that anyway."""

_log = structlog.get_logger("expertmail")


def letter_of(one: Untold) -> Letter:
    """The mail that tells one contact of one message."""
    if one.untrusted:
        return Letter(MailKind.PORTAL_NOTICE, one.reference, (one.address,), actor=one.expert, key=one.key)
    return Letter(
        MailKind.REPLY_POSTED,
        one.reference,
        (one.address,),
        {"title": one.title, "place": one.place, "text": one.text, "expert": one.expert},
        actor=one.expert,
        key=one.key,
        copy_of=one.entry_id,
    )


class ChatMailKeeper:
    """Run it as one task of one process; ``stop`` it and await ``run``.

    ``outgoing`` gives what is in force. Call ``run`` in the loop of the server that has it.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        outgoing: Callable[[], Outgoing],
        clock: Callable[[], datetime],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._writer = writer
        self._outgoing = outgoing
        self._clock = clock
        self._rounds = Rounds(look_seconds)

    async def run(self) -> None:
        """Look, write, wait, and again, until stopped."""
        await self._rounds.run(
            self.step,
            waits=lambda why: _log.warning("mail of chats waits", why=why),
            failed=lambda: _log.exception("mail of chats failed"),
        )

    def stop(self) -> None:
        """Begin nothing new."""
        self._rounds.stop()

    async def step(self) -> None:
        """One look, and the mails that are due by now, one after the other."""
        due = await asyncio.to_thread(self._due, self._clock())
        await self._rounds.each(
            range(len(due)),
            lambda number: self._tell(due[number]),
            failed=lambda number: _log.exception("mail of chats failed", entry=due[number].entry_id),
        )

    async def _tell(self, one: Untold) -> None:
        now, outgoing = self._clock(), self._outgoing()
        check = across(outgoing.check)

        def work() -> Posted:
            return asyncio.run(post_letter(outgoing.world, self._database, letter_of(one), now, check))

        try:
            posted = await asyncio.to_thread(work)
        except LetterRefused as refused:
            if not await asyncio.to_thread(self._as_it_was, one):
                return  # it changed meanwhile: the next look decides anew
            why = refused.sentence
            await self._writer.submit(lambda conn: give_up(conn, one, why, now))
            _log.warning("a chat message is not told by mail", entry=one.entry_id, contact=one.contact_id)
            return
        if not posted.known:
            _log.info("a chat message is told by mail", entry=one.entry_id, contact=one.contact_id)
            outgoing.queued()

    def _due(self, now: datetime) -> tuple[Untold, ...]:
        with self._database.reading() as conn:
            return (*untold_chat(conn, now), *untold_answers(conn, now))

    def _as_it_was(self, one: Untold) -> bool:
        return one in self._due(self._clock())
