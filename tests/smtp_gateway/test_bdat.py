"""CHUNKING (RFC 3030): BDAT over real sockets, cut anywhere, in every state, and what must never be stored."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound.sign import SigningKey
from smtp_gateway import replies
from smtp_gateway.bdat import Chunk, read_bdat
from smtp_gateway.content import Content
from smtp_gateway.envelope import Envelope
from smtp_gateway.gateway_settings import Limits
from smtp_gateway.replies import SmtpRefusal, SmtpReply
from smtp_gateway.routes import RouteKind
from tests.fuzz.fuzzing import fuzz, inputs
from tests.smtp_gateway.world import bare_gateway, client, message, signed, whole_gateway

RAW = b"Subject: x\r\n\r\n.\r\n..two\r\n\r\n.\r\nMAIL FROM:<evil@b.test>\r\nno end"
BEGIN = b"EHLO me.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<query@experts.test>\r\n"


def bdat(octets: bytes, last: bool = False) -> bytes:
    return b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"") + octets


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [
        (b"0", Chunk(0, last=False)),
        (b"0 LAST", Chunk(0, last=True)),
        (b"86 last", Chunk(86, last=True)),
        (b"007  LaSt", Chunk(7, last=True)),
        (b"99999999999999999999", Chunk(99999999999999999999, last=False)),
    ],
)
def test_a_chunk_is_announced_by_its_size_and_last(argument: bytes, chunk: Chunk) -> None:
    assert read_bdat(argument) == chunk


@pytest.mark.parametrize(
    "argument",
    [
        *(b"", b"LAST", b"-1", b"+1", b"1.0", b"0x10", b"1 LASTLY", b"1 2", b"1LAST", b"1 LAST x", b"1\tLAST"),
        *(b"999999999999999999999", b"\xc2\xb2", b"1\xff", b"1 LAST\0"),
    ],
)
def test_anything_else_is_501(argument: bytes) -> None:
    with pytest.raises(SmtpRefusal) as refused:
        read_bdat(argument)
    assert str(refused.value.reply).startswith("501 5.5.4")


@fuzz(300)
@given(
    soup=inputs((b"\r\n", b"\r", b"\n", b"\0", b".", b"a", b"\r\n.\r\n", b"\r\r", b"\n\n")),
    cuts=st.lists(st.integers(0, 5), min_size=1).filter(any),
)
def test_content_is_judged_alike_wherever_it_is_cut(soup: bytes, cuts: list[int]) -> None:
    """Whole or in pieces, bare CR, bare LF and NUL are the same, and so are the octets and their digest."""
    whole, pieces = Content(1_000), Content(1_000)
    whole.add(soup)
    at = turn = 0
    while at < len(soup):
        size = cuts[turn % len(cuts)]
        pieces.add(soup[at : at + size])
        at, turn = at + size, turn + 1
    for content in (whole, pieces):
        content.end()
    lines = soup.replace(b"\r\n", b"")
    assert whole.bare_control == pieces.bare_control == (b"\r" in lines or b"\0" in lines)
    assert whole.bare_lf == pieces.bare_lf == (b"\n" in lines)
    assert whole.size == pieces.size == len(soup)
    if not whole.lost:
        assert whole.take() == pieces.take() == soup
        assert whole.digest == pieces.digest == hashlib.sha256(soup).digest()


def test_a_message_in_two_chunks_cut_at_every_place_arrives_byte_for_byte() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            assert "CHUNKING" in await talk.ehlo()
            for cut in range(len(RAW) + 1):
                talk.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<query@experts.test>\r\n")
                talk.send(bdat(RAW[:cut]) + bdat(RAW[cut:], last=True))
                answers = [await talk.reply() for _ in range(4)]
                assert answers[2] == f"250 2.0.0 {cut} octets received"
                assert answers[3] == f"250 2.0.0 OK {got[-1].id}"
            assert {(envelope.raw, envelope.digest) for envelope in got} == {
                (RAW, hashlib.sha256(RAW).digest())
            }

    asyncio.run(scenario())


def test_a_chunk_cut_at_every_place_on_the_wire_arrives_byte_for_byte() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            await talk.ehlo()
            wire = bdat(RAW[:20]) + bdat(b"") + bdat(RAW[20:]) + bdat(b"", last=True)
            for cut in range(1, len(wire)):
                talk.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<query@experts.test>\r\n" + wire[:cut])
                await asyncio.sleep(0.001)
                talk.send(wire[cut:])
                answers = [await talk.reply() for _ in range(6)]
                assert {answer[:3] for answer in answers} == {"250"}
            assert {envelope.raw for envelope in got} == {RAW}

    asyncio.run(scenario())


def test_octet_by_octet_in_chunks_of_one_octet() -> None:
    async def scenario() -> None:
        async with bare_gateway(limits=Limits(idle_commands=10)) as (server, got), client(server.port) as talk:
            wire = BEGIN + b"".join(bdat(RAW[n : n + 1]) for n in range(len(RAW))) + bdat(b"", last=True)
            for n in range(len(wire)):
                talk.send(wire[n : n + 1])
                if n % 50 == 0:
                    await talk.writer.drain()
                    await asyncio.sleep(0)
            for _ in range(3 + len(RAW) + 1):
                assert (await talk.reply()).startswith("250")
            assert got[0].raw == RAW

    asyncio.run(scenario())


async def _said(wire: bytes, limits: Limits | None = None, **changes: Any) -> tuple[list[str], list[Envelope]]:
    """Reply codes with enhanced codes to all that is sent in one packet, and the messages taken."""
    async with bare_gateway(limits=limits, **changes) as (server, got), client(server.port) as talk:
        talk.send(wire)
        talk.writer.write_eof()
        lines = (await talk.rest()).decode().splitlines()
        return [" ".join(line.split()[:2]) for line in lines if line[3:4] == " "], got


OK, CHUNK = "250 2.0.0", "250 2.0.0"
GREETED = ["250 ENHANCEDSTATUSCODES", "250 2.1.0", "250 2.1.5"]
X = b"Subject: x\r\n\r\nx\r\n"
SEQUENCES: dict[str, tuple[bytes, list[str], int]] = {
    "without anything": (bdat(b"NOOP\r\n"), ["503 5.5.1"], 0),
    "before MAIL": (b"EHLO x\r\n" + bdat(b"NOOP\r\n", last=True) + b"NOOP\r\n", [GREETED[0], "503 5.5.1", OK], 0),
    "before RCPT": (
        b"EHLO x\r\nMAIL FROM:<>\r\n" + bdat(b"NOOP\r\n") + bdat(b"QUIT\r\n", last=True) + b"MAIL FROM:<>\r\n",
        [GREETED[0], "250 2.1.0", "503 5.5.1", "503 5.5.1", "250 2.1.0"],
        0,
    ),
    "with every recipient refused": (
        b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@experts.test>\r\n" + bdat(b"QUIT\r\n") + bdat(b"x", last=True),
        [GREETED[0], "250 2.1.0", "550 5.1.1", "554 5.5.1", "554 5.5.1"],
        0,
    ),
    "a recipient after a refused chunk does not make the rest a message": (
        b"EHLO x\r\nMAIL FROM:<>\r\n" + bdat(b"lost") + b"RCPT TO:<query@experts.test>\r\n" + bdat(X, last=True),
        [GREETED[0], "250 2.1.0", "503 5.5.1", "503 5.5.1", "503 5.5.1"],
        0,
    ),
    "a recipient between chunks": (
        BEGIN + bdat(X) + b"RCPT TO:<query+2@experts.test>\r\n" + bdat(b"", last=True),
        [*GREETED, CHUNK, "503 5.5.1", OK],
        1,
    ),
    "MAIL between chunks": (
        BEGIN + bdat(X) + b"MAIL FROM:<>\r\n" + bdat(b"", last=True),
        [*GREETED, CHUNK, "503 5.5.1", OK],
        1,
    ),
    "NOOP between chunks": (
        BEGIN + bdat(X) + b"NOOP\r\n" + bdat(b"", last=True),
        [*GREETED, CHUNK, OK, OK],
        1,
    ),
    "DATA after BDAT": (
        BEGIN + bdat(X) + b"DATA\r\n" + bdat(b"y", last=True) + b"MAIL FROM:<>\r\n",
        [*GREETED, CHUNK, "503 5.5.1", "503 5.5.1", "250 2.1.0"],
        0,
    ),
    "BDAT after DATA is text": (
        BEGIN + b"DATA\r\n" + bdat(b"y\r\n", last=True) + b".\r\n",
        [*GREETED, "354 End", OK],
        1,
    ),
    "BDAT after the end of DATA": (
        BEGIN + b"DATA\r\n" + X + b".\r\n" + bdat(b"NOOP\r\n", last=True),
        [*GREETED, "354 End", OK, "503 5.5.1"],
        1,
    ),
    "RSET between chunks": (
        BEGIN + bdat(b"lost") + b"RSET\r\n" + bdat(b"lost", last=True) + BEGIN[14:] + bdat(X, last=True),
        [*GREETED, CHUNK, OK, "503 5.5.1", *GREETED[1:], OK],
        1,
    ),
    "EHLO between chunks": (
        BEGIN + bdat(b"lost") + BEGIN + bdat(X, last=True),
        [*GREETED, CHUNK, *GREETED, OK],
        1,
    ),
    "QUIT between chunks": (BEGIN + bdat(b"lost") + b"QUIT\r\n", [*GREETED, CHUNK, "221 2.0.0"], 0),
    "the end in the middle of a chunk": (BEGIN + b"BDAT 100 LAST\r\nlost", GREETED, 0),
    "the end between chunks": (BEGIN + bdat(X), [*GREETED, CHUNK], 0),
    "nothing but the end": (BEGIN + b"BDAT 0 LAST\r\n", [*GREETED, OK], 1),
    "an argument that is none": (
        BEGIN + bdat(X) + b"BDAT x\r\n" + bdat(b"", last=True) + BEGIN[14:] + bdat(X, last=True),
        [*GREETED, CHUNK, "501 5.5.4", "501 5.5.4", *GREETED[1:], OK],
        1,
    ),
    "two messages": (
        BEGIN + bdat(X, last=True) + BEGIN[14:] + bdat(X) + bdat(b"", last=True) + b"QUIT\r\n",
        [*GREETED, OK, *GREETED[1:], CHUNK, OK, "221 2.0.0"],
        2,
    ),
    "a bare CR": (BEGIN + bdat(b"A: b\r\n\r\nx\ry\r\n", last=True) + b"NOOP\r\n", [*GREETED, "550 5.6.0", OK], 0),
    "a CR at the end": (BEGIN + bdat(b"A: b\r\n\r\nx\r", last=True), [*GREETED, "550 5.6.0"], 0),
    "a CR that is cut from its LF": (
        BEGIN + bdat(b"A: b\r\n\r\nx\r") + bdat(b"\n", last=True),
        [*GREETED, CHUNK, OK],
        1,
    ),
    "a NUL in an early chunk": (
        BEGIN + bdat(b"A: b\r\n\r\nx\0y\r\n") + bdat(b"QUIT\r\n", last=True) + b"NOOP\r\n",
        [*GREETED, "550 5.6.0", "550 5.6.0", OK],
        0,
    ),
    "a bare LF in the body": (BEGIN + bdat(b"A: b\r\n\r\nx\ny\r\n", last=True), [*GREETED, OK], 1),
    "a bare LF in the header": (BEGIN + bdat(b"A: b\nC: d\r\n\r\nx\r\n", last=True), [*GREETED, "550 5.6.0"], 0),
    "bare LF and no header's end": (BEGIN + bdat(b"A: b\n\nx\n", last=True), [*GREETED, "550 5.6.0"], 0),
    "no binary": (b"EHLO x\r\nMAIL FROM:<> BODY=BINARYMIME\r\n", [GREETED[0], "501 5.5.4"], 0),
    "too large": (
        BEGIN + bdat(b"x" * 1_500) + bdat(b"QUIT\r\n", last=True) + BEGIN[14:] + bdat(X, last=True),
        [*GREETED, "552 5.3.4", "552 5.3.4", *GREETED[1:], OK],
        1,
    ),
    "too large in sum": (
        BEGIN + bdat(b"x" * 600) + bdat(b"x" * 600) + bdat(b"x" * 600) + bdat(b"x", last=True),
        [*GREETED, CHUNK, "552 5.3.4", "552 5.3.4", "552 5.3.4"],
        0,
    ),
    "a chunk over ten times the cap": (BEGIN + b"BDAT 10001\r\nNOOP\r\n", [*GREETED, "552 5.3.4"], 0),
    "for ever what nobody wants": (bdat(b"x" * 9_000) * 3, ["503 5.5.1", "552 5.3.4"], 0),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_gets_one_reply_each_and_stores_whole_messages_only(name: str) -> None:
    wire, expected, stored = SEQUENCES[name]
    said, got = asyncio.run(_said(wire, Limits(message_bytes=1_000)))
    assert said == expected
    assert len(got) == stored


def test_bare_lf_is_refused_where_mail_may_be_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtp_gateway.transaction.ENDS_HERE", frozenset({RouteKind.VERIFY}))
    wire = BEGIN + bdat(b"A: b\r\n\r\nx\n") + bdat(b"", last=True)
    said, got = asyncio.run(_said(wire))
    assert (said[3:], got) == (["550 5.6.0", "550 5.6.0"], [])


def test_pipelined_chunks_of_a_failed_message_are_one_error_and_not_the_end_of_the_session() -> None:
    wire = BEGIN + bdat(b"x" * 1_500) + bdat(b"y") * 50 + bdat(b"", last=True) + b"NOOP\r\n"
    said, _ = asyncio.run(_said(wire, Limits(message_bytes=1_000, errors=5)))
    assert said[3:] == ["552 5.3.4"] * 52 + [OK]


def test_a_temporary_failure_stays_one_for_all_chunks_on_their_way() -> None:
    wire = BEGIN + bdat(b"x" * 2_000_000) + bdat(b"x" * 2_000_000) + bdat(b"", last=True)
    said, got = asyncio.run(_said(wire, Limits(spool_bytes=2_500_000)))
    assert (said[3:], got) == ([CHUNK, "452 4.3.1", "452 4.3.1"], [])


@pytest.mark.parametrize("chunk", [b"BDAT 0\r\n", b"BDAT 5\r\nhello", b"BDAT x\r\n"])
def test_no_chunk_can_be_repeated_for_ever(monkeypatch: pytest.MonkeyPatch, chunk: bytes) -> None:
    monkeypatch.setattr("smtp_gateway.message_data.CHUNKS_MAX", 40)
    wire = BEGIN + chunk * 200
    said, _ = asyncio.run(_said(wire, Limits(errors=10_000, idle_commands=30)))
    assert said[-1] == "421 4.7.0"
    assert len(said) < 90


@pytest.mark.as_source
def test_after_a_fault_in_a_chunk_nothing_of_it_is_read_as_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("secret")

    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            await talk.ehlo()
            monkeypatch.setattr("smtp_gateway.content.Content.add", broken)
            talk.send(BEGIN[14:] + bdat(b"MAIL FROM:<evil@b.test>\r\nVRFY x\r\n" * 20, last=True) + b"NOOP\r\n")
            said = (await talk.rest()).split(b"\r\n")
            assert said[2].startswith(b"421 4.3.0 Local problem")
            assert said[3:] == [b""]
            assert got == []

    asyncio.run(scenario())


def test_a_fault_in_the_intake_is_a_451_and_the_session_goes_on() -> None:
    async def broken(_: Envelope) -> SmtpReply:
        raise RuntimeError("secret")

    async def scenario() -> None:
        async with bare_gateway(broken) as (server, _), client(server.port) as talk:
            talk.send(BEGIN + bdat(X, last=True) + b"NOOP\r\n")
            answers = [await talk.reply() for _ in range(5)]
            assert [answer[:9] for answer in answers[3:]] == ["451 4.3.0", "250 2.0.0"]

    asyncio.run(scenario())


def test_a_half_close_after_the_last_octet_is_answered() -> None:
    async def slow(envelope: Envelope) -> SmtpReply:
        await asyncio.sleep(0.1)
        return replies.accepted(envelope.id)

    async def scenario() -> None:
        async with bare_gateway(slow) as (server, got), client(server.port) as talk:
            talk.send(BEGIN + bdat(message(), last=True))
            talk.writer.write_eof()
            answers = [await talk.reply() for _ in range(4)]
            assert answers[3] == f"250 2.0.0 OK {got[0].id}"

    asyncio.run(scenario())


def test_a_stop_waits_for_a_message_whose_chunks_have_begun() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            talk.send(BEGIN + bdat(X))
            for _ in range(4):
                await talk.reply()
            stopping = asyncio.create_task(server.stop())
            await asyncio.sleep(0.05)
            talk.send(bdat(b"", last=True))
            assert (await talk.reply()).startswith("250 2.0.0 OK")
            assert (await talk.reply()).startswith("421 4.3.2")
            talk.writer.close()
            await stopping
            assert len(got) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("way", ["BDAT", "DATA"])
@pytest.mark.parametrize("body", [b"first\r\nsecond\r\n", b"first\nsecond\r\n"], ids=["CRLF", "bare LF"])
def test_a_bare_lf_by_bdat_is_stored_as_it_came_and_never_genuine(
    tmp_path: Path, key: SigningKey, way: str, body: bytes
) -> None:
    raw = message(author="Defender Experts <defender-experts@experts.test>").split(b"\r\n\r\n")[0] + b"\r\n\r\n"
    raw = signed(raw + body, key, "experts.test")

    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world, client(world.server.port) as talk:
            await talk.ehlo()
            await talk.ask("MAIL FROM:<defender-experts@experts.test>")
            await talk.ask("RCPT TO:<query@experts.test>")
            if way == "DATA":
                await talk.ask("DATA")
                answer = await talk.data(raw)
            else:
                talk.send(bdat(raw[:100]) + bdat(raw[100:], last=True))
                await talk.reply()
                answer = await talk.reply()
            bare = body.replace(b"\r\n", b"").count(b"\n")
            if bare and way == "DATA":
                assert answer.startswith("550 5.6.0")
                assert world.copies() == ()
                return
            assert answer.startswith("250 2.0.0 OK")
            (copy,) = world.copies()
            assert world.raw(copy.id) == raw
            assert copy.verdict == ("unproven" if bare else "genuine")

    asyncio.run(scenario())
