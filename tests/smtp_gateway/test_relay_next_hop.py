"""The dialogue with the next hop: each step fails in each way, and nothing but the message is ever sent."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from smtp_gateway.next_hop import HopAnswer, HopTls, Mail, NextHop, Step, Trouble, answered, our_reply
from smtp_gateway.next_hop_session import (
    PIECE,
    MailError,
    Times,
    ask_recipient,
    hand_over,
    is_clean,
    stuffed,
)
from tests.proofs.served import free_port
from tests.smtp_gateway.scripted_hop import EXTENSIONS, HOST, Hop, in_a_loop, scripted_hop

OURS = "mx.experts.test"
RAW = b"From: Ana <ana@contoso.test>\r\nSubject: dots\r\n\r\n.\r\n..two\r\n.x\r\n" + b"line\r\n" * 60
FAST = Times(connect=0.7, command=0.7, end=0.7, total=3.0, quit=0.2)
PATIENT = Times(connect=10, command=10, end=20, total=40, quit=1)
"""For what must not depend on how busy the machine is."""


def mail(raw=RAW, recipients=("bob@customer.test",), mail_from="ana@contoso.test", **more):
    return Mail(mail_from, tuple(recipients), raw, **more)


def at(hop: Hop, tls: HopTls = HopTls.NONE) -> NextHop:
    return NextHop(HOST, hop.port, tls)


async def reply_of(faults, **how):
    """Our reply when one thing is wrong, and the hop."""
    times = FAST if "stall" in faults.values() else PATIENT
    async with scripted_hop(faults=faults, **how) as hop:
        done = await hand_over(mail(), at(hop), OURS, times)
    return ("250" if done.answer.accepted else str(our_reply(done.answer))), done, hop


@in_a_loop
async def test_a_message_arrives_as_it_is_with_dots_doubled_on_the_wire_only() -> None:
    _, done, hop = await reply_of({})
    assert done.answer.accepted
    assert done.refused == ()
    (taken,) = hop.taken
    assert taken.raw == RAW
    assert taken.mail == f"MAIL FROM:<ana@contoso.test> SIZE={len(RAW)}"
    assert taken.recipients == ["bob@customer.test"]
    assert hop.commands[-1] == "QUIT"


# step x fault -> what our client hears. "permanent" stands for a reply with a code of the hop's own.
STEPS = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "end")
FAULTS = {
    "450 4.2.1 mailbox busy": dict.fromkeys(("MAIL", "RCPT", "DATA", "end"), "450 4.2.1")
    | dict.fromkeys(("greeting", "EHLO"), "450 4.2.1"),
    "421 4.3.2 going down": dict.fromkeys(STEPS, "451 4.3.2"),
    "451 no enhanced code": dict.fromkeys(STEPS, "451 4.0.0"),
    "550 5.7.1 no": dict.fromkeys(("MAIL", "RCPT", "DATA", "end"), "550 5.7.1")
    | dict.fromkeys(("greeting", "EHLO"), "451 4.3.5"),
    "554 4.7.1 the classes differ": dict.fromkeys(("MAIL", "RCPT", "DATA", "end"), "554 5.0.0")
    | dict.fromkeys(("greeting", "EHLO"), "451 4.3.5"),
    "530 5.7.0 log in first": dict.fromkeys(STEPS, "451 4.3.5"),
    "503 5.5.1 sequence": dict.fromkeys(STEPS, "451 4.3.5"),
    "501 5.1.7 bad path": dict.fromkeys(("MAIL", "RCPT"), "550 5.1.7")
    | dict.fromkeys(("greeting", "EHLO", "DATA", "end"), "451 4.3.5"),
    "drop": dict.fromkeys(STEPS, "451 4.4.2"),
    "reset": dict.fromkeys(STEPS, "451 4.4.2"),
    "half": dict.fromkeys(STEPS, "451 4.4.2"),
    "stall": dict.fromkeys(STEPS, "451 4.4.2"),
    "twice": dict.fromkeys(("greeting", "MAIL", "RCPT"), "451 4.5.0"),
    "what is this": dict.fromkeys(STEPS, "451 4.5.0"),
    "354 go ahead": dict.fromkeys(("greeting", "EHLO", "MAIL", "RCPT", "end"), "451 4.5.0"),
    "250 ok": {"DATA": "451 4.5.0"},
    "251 elsewhere": {"RCPT": "250", "DATA": "451 4.5.0", "end": "451 4.5.0"},
}


@pytest.mark.parametrize(
    ("step", "fault", "wanted"),
    [(step, fault, wanted) for fault, at_steps in FAULTS.items() for step, wanted in at_steps.items()],
)
@in_a_loop
async def test_each_fault_at_each_step_has_its_reply(step, fault, wanted) -> None:
    faults = {step: fault}
    if step == "EHLO" and fault[0] == "5":
        faults["HELO"] = fault  # it knows neither
    said, done, hop = await reply_of(faults)
    assert said.startswith(wanted), (said, done)
    assert "mailbox busy" not in said
    assert "log in" not in said
    assert bool(hop.taken) is (wanted == "250")
    if fault in {"drop", "stall"}:
        assert done.answer.unsure is (step == "end")


@in_a_loop
async def test_a_hop_that_knows_no_ehlo_is_greeted_with_helo() -> None:
    _, done, hop = await reply_of({"EHLO": "502 5.5.1 what"}, extensions=())
    assert done.answer.accepted
    assert hop.taken[0].mail == "MAIL FROM:<ana@contoso.test>"


@in_a_loop
async def test_a_doubled_answer_to_ehlo_or_the_dot_loses_nothing() -> None:
    said, _, hop = await reply_of({"EHLO": "twice"})
    assert (said[:9], hop.taken) == ("451 4.5.0", [])
    # After the message's own 250 more words harm nobody, but which of them was meant is not known: it comes again.
    said, _, hop = await reply_of({"end": "twice"})
    assert said.startswith("451 4.5.0")


@in_a_loop
async def test_a_250_that_came_before_the_message_is_not_taken_for_its_answer() -> None:
    said, _, _ = await reply_of({"DATA": "354 go ahead\r\n250 2.0.0 queued", "end": "drop"})
    assert said.startswith("451")


@in_a_loop
async def test_a_connection_that_breaks_within_the_message_is_451() -> None:
    async with scripted_hop(faults={"end": "drop-within"}) as hop:
        big = b"Subject: x\r\n\r\n" + b"x" * 70 * 1000 + b"\r\n" + b"line\r\n" * 2_000_000
        done = await hand_over(mail(big), at(hop), OURS, PATIENT)
    assert str(our_reply(done.answer)).startswith("451 4.4.2")
    assert hop.taken == []


@in_a_loop
async def test_nobody_there_is_451_4_4_1() -> None:
    done = await hand_over(mail(), NextHop(HOST, free_port(), HopTls.NONE), OURS, PATIENT)
    assert done.answer == HopAnswer(Step.CONNECT, trouble=Trouble.UNREACHABLE)
    assert str(our_reply(done.answer)).startswith("451 4.4.1")


@pytest.mark.parametrize("name", ["no-such-name.invalid", "x" * 64 + ".invalid", "a..b", ""])
@in_a_loop
async def test_a_name_that_does_not_resolve_is_451_4_4_1(name) -> None:
    done = await hand_over(mail(), NextHop(name, free_port(), HopTls.NONE), OURS, PATIENT)
    assert str(our_reply(done.answer)).startswith("451 4.4.1")


@in_a_loop
async def test_a_hop_that_reads_nothing_ends_at_the_deadline_and_holds_up_nobody() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"220 hop\r\n")
        try:
            await over.wait()
        finally:
            writer.transport.abort()

    over = asyncio.Event()
    server = await asyncio.start_server(deaf, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    started, longest, last = time.monotonic(), 0.0, time.monotonic()
    task = asyncio.create_task(hand_over(mail(), NextHop(HOST, port, HopTls.NONE), OURS, FAST))
    while not task.done():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    assert str(our_reply(task.result().answer)).startswith("451 4.4.2")
    assert time.monotonic() - started < FAST.total + 1
    assert longest < 0.5
    over.set()
    server.close()
    await asyncio.sleep(0.01)


@in_a_loop
async def test_the_whole_dialogue_has_a_deadline_however_lively_the_hop_is() -> None:
    slow = Times(connect=1, command=1, end=1, total=0.8, quit=0.1)
    async with scripted_hop(faults={"MAIL": "250 ok"}) as hop:
        many = tuple(f"u{n}@customer.test" for n in range(100))

        async def late(*_: object) -> str:
            await asyncio.sleep(0.05)
            return await say(*_)

        say, hop._say = hop._say, late  # type: ignore[method-assign]
        done = await hand_over(mail(recipients=many), at(hop), OURS, slow)
    assert done.answer.trouble is Trouble.TIMEOUT
    assert hop.taken == []


# -- several recipients ---------------------------------------------------------------------------------
@in_a_loop
async def test_the_message_goes_to_those_that_are_taken_and_the_others_are_told() -> None:
    async with scripted_hop(faults={"RCPT no@customer.test": "550 5.1.1 who"}) as hop:
        done = await hand_over(
            mail(recipients=("bob@customer.test", "no@customer.test")), at(hop), OURS, FAST
        )
    assert done.answer.accepted
    assert [(who, str(our_reply(why))[:9]) for who, why in done.refused] == [
        ("no@customer.test", "550 5.1.1")
    ]
    assert hop.taken[0].recipients == ["bob@customer.test"]


@in_a_loop
async def test_when_all_are_refused_one_that_may_come_again_decides() -> None:
    faults = {"RCPT a@customer.test": "550 5.1.1 who", "RCPT b@customer.test": "452 4.2.2 full"}
    async with scripted_hop(faults=faults) as hop:
        done = await hand_over(
            mail(recipients=("a@customer.test", "b@customer.test")), at(hop), OURS, PATIENT
        )
    assert str(our_reply(done.answer)).startswith("452 4.2.2")
    assert "DATA" not in hop.commands


# -- extensions -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("lacking", "message", "wanted"),
    [
        ("8BITMIME", mail("Subject: ä\r\n\r\nx\r\n".encode()), "554 5.6.3"),
        ("SMTPUTF8", mail(mail_from="ä@contoso.test", smtputf8=True), "550 5.6.7"),
        ("SMTPUTF8", mail("Subject: ä\r\n\r\nx\r\n".encode(), smtputf8=True), "554 5.6.9"),
        ("SIZE 50000000", mail(), None),
    ],
)
@in_a_loop
async def test_what_the_hop_does_not_offer_is_not_used(lacking, message, wanted) -> None:
    offered = tuple(word for word in EXTENSIONS if word != lacking)
    async with scripted_hop(extensions=offered) as hop:
        done = await hand_over(message, at(hop), OURS, PATIENT)
    if wanted is None:
        assert done.answer.accepted
        assert "SIZE" not in hop.taken[0].mail
    else:
        assert str(our_reply(done.answer)).startswith(wanted)
        assert not [command for command in hop.commands if command.startswith("MAIL")]


@in_a_loop
async def test_what_it_offers_is_asked_for() -> None:
    async with scripted_hop() as hop:
        await hand_over(
            mail("Subject: ä\r\n\r\nx\r\n".encode(), mail_from="ä@contoso.test", smtputf8=True), at(hop), OURS
        )
    assert hop.taken[0].mail == "MAIL FROM:<ä@contoso.test> SIZE=18 BODY=8BITMIME SMTPUTF8"


@in_a_loop
async def test_a_message_over_its_size_is_552_and_is_not_sent() -> None:
    async with scripted_hop(extensions=("SIZE 100",)) as hop:
        done = await hand_over(mail(), at(hop), OURS, PATIENT)
    assert str(our_reply(done.answer)).startswith("552 5.3.4")
    assert hop.taken == []


# -- TLS ------------------------------------------------------------------------------------------------
@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for 127.0.0.1, and the file that makes a client trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hop.test")])
    now = datetime.now(UTC)
    import ipaddress

    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context, tmp_path / "cert.pem"


@in_a_loop
async def test_required_tls_takes_a_certificate_that_is_trusted_and_no_other(
    certificate, monkeypatch
) -> None:
    context, trusted = certificate
    async with scripted_hop(tls=context) as hop:
        done = await hand_over(mail(), at(hop, HopTls.REQUIRED), OURS, PATIENT)
        assert str(our_reply(done.answer)).startswith("451 4.7.5")
        assert hop.taken == []
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        done = await hand_over(mail(), at(hop, HopTls.REQUIRED), OURS, PATIENT)
        assert (done.answer.accepted, done.tls) == (True, True)
        assert hop.taken[0].raw == RAW


@in_a_loop
async def test_required_tls_that_is_not_offered_sends_nothing() -> None:
    async with scripted_hop() as hop:
        done = await hand_over(mail(), at(hop, HopTls.REQUIRED), OURS, PATIENT)
    assert str(our_reply(done.answer)).startswith("451 4.7.5")
    assert not [command for command in hop.commands if command.startswith("MAIL")]


@in_a_loop
async def test_opportunistic_tls_is_used_unchecked_and_done_without_where_it_breaks(certificate) -> None:
    context, _ = certificate
    async with scripted_hop(tls=context) as hop:
        done = await hand_over(mail(), at(hop, HopTls.OPPORTUNISTIC), OURS, PATIENT)
        assert (done.answer.accepted, done.tls) == (True, True)
    for fault in ("454 4.7.0 not now", "drop", "220 go ahead\r\n250 injected"):
        async with scripted_hop(tls=context, faults={"STARTTLS": fault}) as hop:
            done = await hand_over(mail(), at(hop, HopTls.OPPORTUNISTIC), OURS, PATIENT)
            assert done.answer.accepted, fault


# -- recipients asked for -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("faults", "wanted"),
    [
        ({}, "accepted"),
        ({"RCPT": "550 5.1.1 no such user"}, "550 5.1.1"),
        ({"RCPT": "450 4.7.1 greylisted"}, "450 4.7.1"),
        ({"MAIL": "550 5.7.1 no empty paths"}, "550 5.7.1"),
        ({"greeting": "drop"}, "451 4.4.2"),
    ],
)
@in_a_loop
async def test_a_recipient_is_asked_for_without_a_message(faults, wanted) -> None:
    async with scripted_hop(faults=faults) as hop:
        answer = await ask_recipient("bob@customer.test", at(hop), OURS, PATIENT)
    assert ("accepted" if answer.accepted else str(our_reply(answer))).startswith(wanted)
    assert "DATA" not in hop.commands
    assert [c for c in hop.commands if c.startswith("MAIL")] in (
        [],
        ["MAIL FROM:<>"],
        ["MAIL FROM:<> SIZE=0"],
    )


# -- bytes ----------------------------------------------------------------------------------------------
SMUGGLING = [
    b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n.\n", b"\r\r\n.\r\r\n", b"\n\n.\r\n",
    b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\x00", b"\r", b"\n",
]  # fmt: skip


@pytest.mark.parametrize("ending", SMUGGLING)
@in_a_loop
async def test_nothing_that_could_end_the_data_early_is_ever_emitted(ending) -> None:
    raw = (
        b"Subject: x\r\n\r\nfirst"
        + ending
        + b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nevil\r\n"
    )
    async with scripted_hop() as hop:
        if is_clean(raw):
            done = await hand_over(mail(raw), at(hop), OURS, PATIENT)
            assert done.answer.accepted
            assert hop.taken[0].raw == raw
            assert len(hop.taken) == 1
        else:
            with pytest.raises(MailError):
                await hand_over(mail(raw), at(hop), OURS, PATIENT)
            assert hop.connections == 0


@in_a_loop
async def test_the_true_end_of_data_within_a_message_is_content_and_arrives_as_such() -> None:
    raw = b"Subject: x\r\n\r\nfirst\r\n.\r\nMAIL FROM:<a@b.test>\r\n.\r\n"
    async with scripted_hop() as hop:
        assert (await hand_over(mail(raw), at(hop), OURS, PATIENT)).answer.accepted
    assert [taken.raw for taken in hop.taken] == [raw]


def unstuffed(wire: bytes) -> bytes:
    return b"\r\n".join(line.removeprefix(b".") for line in wire.split(b"\r\n"))


@given(
    st.lists(st.sampled_from([b"\r\n", b".", b"x", b"..", b"\r\n.", b"y" * 50])).map(b"".join),
    st.integers(1, 9),
)
def test_stuffing_is_undone_by_unstuffing_wherever_the_pieces_are_cut(raw, piece) -> None:
    from smtp_gateway import next_hop_session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(next_hop_session, "PIECE", piece)
        wire = b"".join(stuffed(raw))
    assert b"\r\n.\r\n" not in b"\r\n" + wire
    assert wire.endswith(b"\r\n")
    assert unstuffed(wire) == (raw if raw.endswith(b"\r\n") else raw + b"\r\n")


def test_large_messages_are_stuffed_in_pieces() -> None:
    raw = b".line\r\n" * 200_000
    pieces = list(stuffed(raw))
    assert max(map(len, pieces)) < 2 * PIECE
    assert unstuffed(b"".join(pieces)) == raw


# -- its words ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("code", "text", "enhanced", "words"),
    [
        (550, "5.1.1 <bob@x.test>: unknown", "5.1.1", "<bob@x.test>: unknown"),
        (550, "4.1.1 other class", None, "4.1.1 other class"),
        (550, "5.1.1", "5.1.1", ""),
        (550, "5.1.1234 x", None, "5.1.1234 x"),
        (550, "x\x1b[31m\x00\ud83dred\nnext", None, "x [31m red next"),
        (451, "", None, ""),
        (550, "y" * 5_000, None, "y" * 300),
    ],
)
def test_a_reply_is_read_for_its_codes_and_its_words_are_made_harmless(code, text, enhanced, words) -> None:
    assert answered(Step.RCPT, code, text) == HopAnswer(Step.RCPT, code, enhanced, words)


@given(st.sampled_from(list(Step)), st.integers(-1, 999), st.text(max_size=30))
def test_whatever_the_hop_says_we_never_say_more_than_our_own_words(step, code, text) -> None:
    answer = answered(step, code, text)
    if answer.accepted:
        return
    reply = our_reply(answer)
    assert reply.code in {450, 451, 452, 550, 552, 553, 554}
    assert reply.enhanced
    assert reply.enhanced[0] == str(reply.code)[0]
    assert not reply.closes
    if reply.code >= 500:
        assert 500 <= code < 600
