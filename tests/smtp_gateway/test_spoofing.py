"""The public sender-spoofing cases over real SMTP: malformed ones are refused, none is ever believed."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

from outbound.sign import SigningKey
from tests.smtp_gateway.world import client, whole_gateway
from threads.model import Disposition
from verifier.identity import Identity
from verifier.zone import read_zone

PROTECTED = Identity(
    name="legitimate",
    display_names=("Legitimate",),
    domains=("legitimate.com", "example.com"),
    addresses=("admin@legitimate.com", "admin@example.com"),
    signing_domains=("legitimate.com", "example.com"),
)
ZONE = "\n".join(
    f'{name}. 300 IN SOA a. b. 1 1 1 1 1\n{name}. 300 IN TXT "v=spf1 ip4:{net} -all"'
    for name, net in (
        ("legitimate.com", "192.0.2.1"),
        ("attack.com", "127.0.0.0/8"),
        ("example.com", "127.0.0.0/8"),
        ("local", "192.0.2.1"),
    )
) + (
    '\n_dmarc.legitimate.com. 300 IN TXT "v=DMARC1; p=reject"'
    '\n_dmarc.example.com. 300 IN TXT "v=DMARC1; p=reject"\n'
)
BAD_PATHS = {"server_a2", "server_a5", "server_a6", "server_a7"}
# More than one author, or one that two readers read differently.
BAD_AUTHORS = {f"server_a{n}" for n in (8, 9, 10, 11, 14, 15, 16, 17, 18, 19)} | {"client_a1", "client_a2"}


def test_spoofed_senders_are_refused_or_held_and_never_believed(
    tmp_path: Path, key: SigningKey, shared_data: Path
) -> None:
    cases = json.loads((shared_data / "espoofer" / "cases.json").read_text())
    answers = {}

    async def scenario() -> None:
        async with whole_gateway(tmp_path, key, identities=(PROTECTED,), zone=read_zone(ZONE)) as world:
            for case in cases:
                async with client(world.server.port) as talk:
                    await talk.ask(f"EHLO {case['helo']}")
                    answer = await talk.ask(f"MAIL FROM:{case['mailfrom']}")
                    if answer.startswith("250"):
                        await talk.ask("RCPT TO:<query@experts.test>")
                        await talk.ask("DATA")
                        answer = await talk.data(base64.b64decode(case["message_b64"]))
                    answers[case["id"]] = answer
            for copy in world.copies():
                assert copy.disposition in (Disposition.HELD, Disposition.TRIAGE)
                assert copy.verdict not in ("genuine", "authentic-unpinned")
            assert world.orders() == []
            assert world.inquiries() == ()

    asyncio.run(scenario())
    assert len(answers) == 22
    assert {name for name, answer in answers.items() if answer.startswith("501 5.1.7")} == BAD_PATHS
    refused = {name for name, answer in answers.items() if answer.startswith("550 5.7.1")}
    assert refused >= BAD_AUTHORS, (BAD_AUTHORS - refused, {n: answers[n] for n in BAD_AUTHORS - refused})
