"""A customer asks the verify mailbox about the code of a mail: nobody learns from the answer, or its time, whether there is such a code."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from outbound.mail_code import MailCodes
from outbound.sign import SigningKey
from tests.smtp_gateway.world import message, signed, whole_gateway
from threads.model import Disposition

CODE = MailCodes([b"s" * 32]).of("<m@experts.test>").text


def test_a_contacts_question_about_a_code_is_ordered_without_a_look_at_whether_there_is_one(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = signed(message(f"Is this from you?\r\n\r\n> Code: {CODE.lower()}\r\n"), key)
            assert (await world.send(raw, "verify@experts.test")).startswith("250")
            (copy,) = world.copies()
            assert copy.disposition is Disposition.ANSWERED
            report, asked = world.orders()
            assert (report.kind, json.loads(report.params)) == ("verdict-report", {"examined": 0, "codes": 1})
            assert (asked.kind, asked.address) == ("code-answer", "alex@contoso.test")
            assert json.loads(asked.params) == {"code_1": CODE.replace("-", "")}

    asyncio.run(scenario())


def test_a_stranger_and_another_mailbox_learn_nothing_of_codes(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            strange = message(f"{CODE}\r\n", author="eve@stranger.test")
            await world.send(
                signed(strange, key, "stranger.test"), "verify@experts.test", "eve@stranger.test"
            )
            await world.send(
                message(f"{CODE}\r\n", message_id="<m2@contoso.test>"), "verify@experts.test", "x@silent.test"
            )
            await world.send(
                signed(message(f"{CODE}\r\n", message_id="<m3@contoso.test>"), key), "query@experts.test"
            )
            assert {order.kind for order in world.orders()} <= {"acknowledgement"}

    asyncio.run(scenario())


def test_a_code_with_a_wrong_character_is_no_question(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            wrong = CODE[:-1] + ("0" if CODE[-1] != "0" else "1")
            await world.send(signed(message(f"{wrong}\r\n"), key), "verify@experts.test")
            (report,) = world.orders()
            assert json.loads(report.params) == {"examined": 0}

    asyncio.run(scenario())
