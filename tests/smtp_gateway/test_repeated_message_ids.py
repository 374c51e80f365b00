"""Many mails with one Message-ID, over real SMTP: who answers it gets no more onto the record than for any other mail."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import select

from outbound.sign import SigningKey
from tests.smtp_gateway.world import message, signed, whole_gateway
from threads import store
from threads.model import Disposition, MatchRule
from threads.schema import messages
from threads.store.lookup import MAX_NAMED


def test_an_answer_to_a_message_id_of_many_inquiries_is_held_with_a_short_reason(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            for number in range(MAX_NAMED + 10):
                await world.send(signed(message(f"Question {number}."), key), "query@experts.test")
            assert len(world.inquiries()) == MAX_NAMED + 10
            raw = message(
                author="x@attack.test", extra="In-Reply-To: <m1@contoso.test>\r\n", message_id="<a@attack.test>"
            )
            reply = await world.send(raw, "query@experts.test", "x@attack.test")
            with world.database.reading() as conn:
                copy = store.stored_copy(conn, reply.split()[-1])
                row = select(messages.c.signals).where(messages.c.id == copy.id)
                signals = conn.execute(row).scalar_one()
            assert (copy.disposition, copy.rule) == (Disposition.HELD, MatchRule.CONFLICT)
            assert copy.match_reason.startswith("it names INQ-000001, INQ-000002, INQ-000003 and ")
            assert signals.count('"rule"') == MAX_NAMED
            assert len(signals) < MAX_NAMED * 300

    asyncio.run(scenario())
