"""Puts a letter into the queue from the server: composed and signed in a thread, judged where the server's judge is at home."""

from __future__ import annotations

import asyncio
from datetime import datetime

from expertmail.console.api_work import Places
from expertmail.letters import Letter, Posted, post_letter
from expertmail.world import World
from outbound.dispatch import SelfChecker
from outbound.model import SelfCheck
from threads.store.engine import Database


async def post(
    places: Places,
    database: Database,
    letter: Letter,
    now: datetime,
    *,
    world: World,
    check: SelfChecker,
) -> Posted:
    """What became of it; HTTPException for what is refused."""
    checked = across(check)
    return await places.run(lambda: asyncio.run(post_letter(world, database, letter, now, checked)))


def across(check: SelfChecker) -> SelfChecker:
    """The same judge for a thread's own loop; call it where the judge is at home."""
    loop = asyncio.get_running_loop()

    async def checked(raw: bytes) -> SelfCheck:
        async def judged() -> SelfCheck:
            return await check(raw)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(judged(), loop))

    return checked
