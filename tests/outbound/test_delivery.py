from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import stat
import subprocess

import pytest
from aiosmtpd.smtp import SMTP

from outbound.delivery import Credentials, Timeouts, Tls, plain_reply, smarthost
from outbound.file_delivery import FileTransport
from outbound.model import Delivery, Failure
from outbound.mx import Exchanger, MxTransport, NoRouteError, exchangers, reachable
from tests.outbound.conftest import NOW
from verifier.evidence import Answer, AnswerStatus, Question

RAW = (
    b"From: <a@experts.test>\r\nSubject: dots\r\n\r\n.\r\n..two\r\nFrom here\r\n"
    + (b"x" * 900 + b"\r\n") * 20
)
FAST = Timeouts(connect=1.0, command=1.0, data=1.0, quit=0.2)
HELLO = "mx.experts.test"


def mail(raw=RAW, mail_from="r+x@reply.experts.test", rcpt_to="ana@contoso.test"):
    return Delivery(7, raw, "t1@experts.test", mail_from, rcpt_to, NOW, 1, checked=True)


class Sink:
    """A handler that keeps what it is given, and answers as told."""

    def __init__(self, **answers):
        self.answers = answers
        self.taken = []
        self.tls = None
        self.options = []

    async def handle_MAIL(self, _server, _session, envelope, address, options):  # noqa: N802 -- aiosmtpd's name
        if (answer := self.answers.get("mail")) is not None:
            return answer
        envelope.mail_from = address
        self.options = options
        return "250 OK"

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 -- aiosmtpd's name
        if (answer := self.answers.get("rcpt")) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, session, envelope):  # noqa: N802 -- aiosmtpd's name
        if (answer := self.answers.get("data")) is not None:
            return answer
        self.tls = session.ssl is not None
        self.taken.append((envelope.mail_from, tuple(envelope.rcpt_tos), envelope.original_content))
        return "250 2.0.0 taken"


@contextlib.asynccontextmanager
async def sink(handler, **options):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, hostname="mx.contoso.test", enable_SMTPUTF8=True, **options), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def script(*lines, after=None):
    """A server that says each line after one line from the client, then does ``after`` (drop or hang)."""
    tasks = set()

    async def talk(reader, writer):
        tasks.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            for number, line in enumerate(lines):
                if number and not await reader.readline():
                    break
                if line is not None:
                    writer.write(line.encode() + b"\r\n")
                    await writer.drain()
            if after == "hang":
                await asyncio.sleep(60)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for task in tasks:
            task.cancel()
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def to(port, tls=Tls.NONE, **more):
    return smarthost("127.0.0.1", port, tls=tls, hostname=HELLO, timeouts=FAST, **more)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=mx.contoso.test",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def run(coroutine):
    return asyncio.run(coroutine)


def test_a_mail_arrives_byte_for_byte_with_its_envelope():
    async def scenario():
        handler = Sink()
        async with sink(handler) as port:
            done = await to(port).deliver(mail())
        return handler, done

    handler, done = run(scenario())
    assert done.failure is None
    assert done.reply.code == 250
    assert handler.taken == [("r+x@reply.experts.test", ("ana@contoso.test",), RAW)]
    assert f"SIZE={len(RAW)}" in handler.options


def test_the_empty_reverse_path_goes_as_such():
    async def real():
        handler = Sink()
        async with sink(handler) as port:
            done = await to(port).deliver(mail(mail_from=""))
        return handler, done

    handler, done = run(real())
    assert done.failure is None
    assert handler.taken[0][0] in ("", "<>")


@pytest.mark.parametrize(
    ("answers", "failure", "code"),
    [
        ({"mail": "451 4.3.0 later"}, Failure.REFUSED_FOR_NOW, 451),
        ({"mail": "550 5.7.1 no"}, Failure.REFUSED, 550),
        ({"rcpt": "450 4.2.0 greylisted"}, Failure.REFUSED_FOR_NOW, 450),
        ({"rcpt": "550 5.1.1 nobody"}, Failure.REFUSED, 550),
        ({"data": "452 4.3.1 full"}, Failure.REFUSED_FOR_NOW, 452),
        ({"data": "554 5.6.0 no"}, Failure.REFUSED, 554),
    ],
)
def test_a_refusal_at_each_step_is_what_the_server_said(answers, failure, code):
    async def scenario():
        async with sink(Sink(**answers)) as port:
            return await to(port).deliver(mail())

    done = run(scenario())
    assert (done.failure, done.reply.code) == (failure, code)


@pytest.mark.parametrize(
    ("lines", "after", "failure", "begun"),
    [
        (["554 go away"], None, Failure.REFUSED_FOR_NOW, False),
        (["421 busy"], None, Failure.REFUSED_FOR_NOW, False),
        ([None], "hang", Failure.TIMEOUT, False),
        ([None], None, Failure.CONNECTION, False),
        (["220 hi"], None, Failure.CONNECTION, False),
        (["220 hi", "250 mx"], None, Failure.CONNECTION, False),
        (["220 hi", "250 mx"], "hang", Failure.TIMEOUT, False),
        (["220 hi", "250 mx", "250 ok"], None, Failure.CONNECTION, True),
        (["220 hi", "250 mx", "250 ok", "250 ok", "354 go"], "hang", Failure.TIMEOUT, True),
        (["220 hi", "250 mx", "250 ok", "250 ok", "354 go"], None, Failure.CONNECTION, True),
        (["HTTP/1.1 400 Bad Request"], None, Failure.PROTOCOL, False),
        (["220 hi", "250 mx", "999 what"], None, Failure.PROTOCOL, False),
    ],
)
def test_a_server_that_breaks_off_or_is_slow_or_speaks_something_else(lines, after, failure, begun):
    async def scenario():
        async with script(*lines, after=after) as port:
            return await asyncio.wait_for(to(port).deliver(mail()), 10)

    done = run(scenario())
    assert done.failure is failure, done
    assert done.begun is begun


def test_nobody_listening_is_a_connection_failure():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    done = run(to(port).deliver(mail()))
    assert done.failure is Failure.CONNECTION


def test_a_server_that_does_not_answer_quit_has_the_mail_all_the_same():
    async def scenario():
        lines = ["220 hi", "250 mx", "250 ok", "250 ok", "354 go"]
        body = b"A: b\r\n\r\nx\r\n"
        silent = [None] * body.count(b"\n")
        async with script(*lines, *silent, "250 taken", after="hang") as port:
            return await asyncio.wait_for(to(port).deliver(mail(body)), 10)

    done = run(scenario())
    assert done.failure is None
    assert done.reply.text == "taken"


def test_starttls_is_used_where_offered_without_asking_for_a_trusted_certificate(certificate):
    async def scenario():
        handler = Sink()
        async with sink(handler, tls_context=certificate) as port:
            done = await to(port, Tls.OPPORTUNISTIC).deliver(mail())
        return handler, done

    handler, done = run(scenario())
    assert done.failure is None
    assert done.tls
    assert handler.tls


def test_required_starttls_refuses_an_unknown_certificate_and_a_server_without_it(certificate):
    async def scenario(**options):
        handler = Sink()
        async with sink(handler, **options) as port:
            done = await to(port, Tls.STARTTLS).deliver(mail())
        return handler, done

    for options in ({"tls_context": certificate}, {}):
        handler, done = run(scenario(**options))
        assert done.failure is Failure.PROTOCOL
        assert handler.taken == []


def test_opportunistic_tls_falls_back_to_plaintext_when_the_handshake_fails():
    talks = set()

    async def talk(reader, writer):
        talks.add(asyncio.current_task())
        lines = {b"EHLO": b"250-mx\r\n250 STARTTLS\r\n", b"STAR": b"220 go\r\n"}
        writer.write(b"220 hi\r\n")
        with contextlib.suppress(ConnectionError):
            while command := await reader.readline():
                if command[:4] == b"STAR":
                    writer.write(lines[b"STAR"] + b"this is not TLS\r\n")
                    await writer.drain()
                    break
                if command == b"DATA\r\n":
                    writer.write(b"354 go\r\n")
                    await reader.readuntil(b"\r\n.\r\n")
                writer.write(lines.get(command[:4], b"250 ok\r\n"))
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def scenario():
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        try:
            return await to(server.sockets[0].getsockname()[1], Tls.OPPORTUNISTIC).deliver(mail())
        finally:
            server.close()
            await asyncio.gather(*talks)
            await server.wait_closed()

    done = run(scenario())
    assert done.failure is None, done
    assert not done.tls


def test_an_address_beyond_ascii_asks_for_smtputf8_and_others_do_not():
    async def scenario(rcpt_to, raw):
        handler = Sink()
        async with sink(handler) as port:
            done = await to(port).deliver(mail(raw, rcpt_to=rcpt_to))
        return handler, done

    handler, done = run(scenario("jörg@contoso.test", RAW.replace(b"dots", "Jörg".encode())))
    assert done.failure is None
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(handler.options)
    handler, _ = run(scenario("ana@contoso.test", RAW))
    assert not {"SMTPUTF8", "BODY=8BITMIME"} & set(handler.options)


def test_a_server_without_smtputf8_cannot_have_such_a_mail():
    async def scenario():
        async with script("220 hi", "250 mx", "221 bye") as port:
            return await to(port).deliver(mail(rcpt_to="jörg@contoso.test"))

    done = run(scenario())
    assert done.failure is Failure.REFUSED
    assert "RFC 6531" in done.reply.text


def test_a_wrong_account_keeps_the_mail_for_later_and_shows_no_password():
    async def scenario():
        async with script("220 hi", "250-mx\r\n250 AUTH PLAIN", "535 5.7.8 wrong", "221 bye") as port:
            return await to(port, credentials=Credentials("us", "hunter2")).deliver(mail())

    done = run(scenario())
    assert (done.failure, done.reply.code) == (Failure.LOCAL, 535)
    assert "hunter2" not in repr(
        smarthost("h", 25, tls=Tls.TLS, hostname="x", credentials=Credentials("u", "hunter2"))
    )


def test_a_servers_words_become_one_harmless_line():
    assert plain_reply("a\r\nb\x1b[31m\tc" + "x" * 900).startswith("a b [31m c")
    assert len(plain_reply("x" * 900)) == 500


def found(*records):
    return Answer(AnswerStatus.ANSWER, records)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (found("20 b.test.", "10 a.test."), ["a.test", "b.test"]),
        (found("10 B.test"), ["b.test"]),
        (found("garbage", "5 c.test."), ["c.test"]),
        (Answer(AnswerStatus.NODATA), ["contoso.test"]),
        (found("10 a.test.", "20 mx.experts.test.", "30 c.test."), ["a.test"]),
        (found(*[f"{n} h{n}.test." for n in range(50)]), [f"h{n}.test" for n in range(5)]),
    ],
)
def test_exchangers_are_taken_best_first_and_never_past_ourselves(answer, expected):
    assert [one.host for one in exchangers("contoso.test", answer, "mx.experts.test")] == expected


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (found("0 ."), Failure.NO_MAIL),
        (Answer(AnswerStatus.NXDOMAIN), Failure.NO_MAIL),
        (Answer(AnswerStatus.SERVFAIL), Failure.DNS),
        (Answer(AnswerStatus.TIMEOUT), Failure.DNS),
        (found("10 mx.experts.test."), Failure.DNS),
        (found("garbage"), Failure.DNS),
    ],
)
def test_a_domain_without_a_usable_exchanger(answer, failure):
    with pytest.raises(NoRouteError) as told:
        exchangers("contoso.test", answer, "mx.experts.test")
    assert told.value.failure is failure


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "::1",
        "fe80::1",
        "224.0.0.1",
        "0.0.0.0",
        "::ffff:127.0.0.1",
        "x",
    ],
)
def test_an_mx_record_does_not_lead_into_our_own_network(address):
    assert not reachable(address, private_networks=False)
    assert reachable("93.184.216.34", private_networks=False)


def dns(table):
    async def ask(questions):
        return {q: table.get((q.name, q.type), Answer(AnswerStatus.NODATA)) for q in questions}

    return ask


def test_mail_goes_to_the_next_exchanger_when_the_first_does_not_answer():
    async def scenario():
        handler = Sink()
        async with sink(handler) as port:
            ask = dns(
                {
                    ("contoso.test.", "MX"): found("10 down.test.", "20 up.test."),
                    ("down.test.", "A"): found("127.0.0.77"),
                    ("up.test.", "A"): found("127.0.0.1"),
                }
            )
            transport = MxTransport(ask, HELLO, port, private_networks=True, timeouts=FAST)
            done = await transport.deliver(mail())
            blocked = await MxTransport(ask, HELLO, port, timeouts=FAST).deliver(mail())
        return handler, done, blocked

    handler, done, blocked = run(scenario())
    assert done.failure is None
    assert done.host == "up.test"
    assert len(handler.taken) == 1
    assert blocked.failure is Failure.DNS


def test_a_refusal_by_the_first_exchanger_is_final_and_no_other_is_asked():
    async def scenario():
        handler = Sink(rcpt="550 5.1.1 nobody")
        async with sink(handler) as port:
            ask = dns(
                {
                    ("contoso.test.", "MX"): found("10 a.test.", "20 b.test."),
                    ("a.test.", "A"): found("127.0.0.1"),
                }
            )
            return await MxTransport(ask, HELLO, port, private_networks=True, timeouts=FAST).deliver(mail())

    done = run(scenario())
    assert (done.failure, done.host) == (Failure.REFUSED, "a.test")


def test_a_question_names_the_domain_absolutely():
    assert Question.of("contoso.test", "MX").name == "contoso.test."
    assert Exchanger(1, "a") == Exchanger(1, "a")


def test_a_mail_is_written_to_a_file_whole_and_private(tmp_path):
    transport = FileTransport(tmp_path / "var" / "outbox")
    for _ in range(2):
        done = run(transport.deliver(mail()))
        assert done.failure is None
    (path,) = (tmp_path / "var" / "outbox").iterdir()
    assert path.name == "7.eml"
    assert path.read_bytes() == RAW
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert done.reply.text == "kept as the file 7.eml"
    assert str(tmp_path) not in done.reply.text, "whoever sees the mail learns no path of the server"


def test_a_folder_that_cannot_be_written_is_a_failure_of_ours(tmp_path):
    (tmp_path / "file").write_text("x")
    done = run(FileTransport(tmp_path / "file" / "outbox").deliver(mail()))
    assert done.failure is Failure.LOCAL
    assert str(tmp_path) not in done.reply.text
