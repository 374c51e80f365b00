"""Receivers that are slow, failing, redirecting or lying: each call ends in time, and in one sentence."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from outbound.https_post import MAX_BODY, MAX_LINE, post
from outbound.subscriber import Answer
from tests.channels.receiver import Got, Receiver, certificate, receiver, says

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    served, vouching = certificate(tmp_path_factory.mktemp("tls"))
    return served, ssl.create_default_context(cafile=str(vouching))


@pytest.fixture
def there(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[Receiver]:
    with receiver(tls[0]) as made:
        yield made


def asked(
    there: Receiver, trust: ssl.SSLContext | None, url: str = "", deadline: float = 5.0, body: bytes = b"{}"
) -> Answer:
    call = post(
        url or there.url, body, {"webhook-id": "evt_1"}, allowed=LOOPBACK, trust=trust, deadline=deadline
    )
    return asyncio.run(call)


def test_it_is_given_the_body_as_it_is(there: Receiver, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    body = '{"text":"Grüße"}'.encode() * 10_000
    assert asked(there, tls[1], body=body) == Answer(204, "204")
    (got,) = there.got
    assert got.body == body
    assert got.fields["webhook-id"] == "evt_1"
    assert got.fields["content-length"] == str(len(body))
    assert "accept-encoding" not in got.fields
    assert "cookie" not in got.fields


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "200"),
        (b"HTTP/1.0 200 OK\r\n\r\nok until the end", 200, "200"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 500, "500"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", 302, "302: it points elsewhere, where we do not go"),
        (b"HTTP/1.1 307 X\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n", 307, "307: it points elsewhere, where we do not go"),
        # It promises more than it sends: what it said stands.
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort", 200, "200"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 0, "its answer is no HTTP"),
        (b"", 0, "it ended the connection without an answer"),
        (b"\x16\x03\x01 no http at all\r\n\r\n", 0, "its answer is no HTTP"),
        (b"HTTP/1.1 abc OK\r\n\r\n", 0, "its answer is no HTTP"),
        (b"220 mail.example ESMTP\r\n", 0, "its answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * (2 * MAX_LINE) + b"\r\n\r\n", 0, "its answer is no HTTP"),
    ],
    ids=["ok", "http-1.0", "fault", "redirect", "redirect-307", "short", "bad-chunks", "silence", "binary", "no-status", "smtp", "long-field"],
)  # fmt: skip
def test_whatever_it_says_is_one_answer(
    there: Receiver, tls: tuple[ssl.SSLContext, ssl.SSLContext], answer: bytes, status: int, words: str
) -> None:
    there.behave = says(answer)
    found = asked(there, tls[1])
    assert (found.status, found.words) == (status, words)
    assert there.connections == 1, "a redirect is not followed, and nothing is tried twice"


@pytest.mark.parametrize(
    ("field", "wait"),
    [
        ("120", timedelta(minutes=2)),
        ("0", timedelta(0)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", timedelta(0)),
        ("99999999999999999999999", timedelta(seconds=10**6)),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_what_it_asks_us_to_wait_is_read(
    there: Receiver, tls: tuple[ssl.SSLContext, ssl.SSLContext], field: str, wait: timedelta | None
) -> None:
    there.behave = says(
        b"HTTP/1.1 503 Busy\r\nRetry-After: " + field.encode() + b"\r\nContent-Length: 0\r\n\r\n"
    )
    assert asked(there, tls[1]).retry_after == wait


def never(link: socket.socket, _got: Got) -> None:
    time.sleep(20)


def drips(link: socket.socket, _got: Got) -> None:
    for octet in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1_000:
        link.sendall(bytes([octet]))
        time.sleep(0.2)


def drips_its_body(link: socket.socket, _got: Got) -> None:
    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    for _ in range(100):
        link.sendall(b"a")
        time.sleep(0.2)


@pytest.mark.parametrize("slow", [never, drips, drips_its_body])
def test_one_that_takes_too_long_is_left(
    there: Receiver, tls: tuple[ssl.SSLContext, ssl.SSLContext], slow: object
) -> None:
    there.behave = slow
    begun = time.monotonic()
    assert asked(there, tls[1], deadline=1.0) == Answer(0, "no answer within 1 seconds")
    assert time.monotonic() - begun < 10


def endless(link: socket.socket, _got: Got) -> None:
    link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        link.sendall(b"a" * 65_536)


def bomb(link: socket.socket, _got: Got) -> None:
    packed = gzip.compress(b"\0" * 50_000_000)
    link.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
    )


@pytest.mark.parametrize("large", [endless, bomb])
def test_of_a_large_answer_the_beginning_is_read_and_nothing_unpacked(
    there: Receiver, tls: tuple[ssl.SSLContext, ssl.SSLContext], large: object
) -> None:
    there.behave = large
    found = asked(there, tls[1])
    assert found.status == 200
    assert len(found.body) <= MAX_BODY


def many_fields(link: socket.socket, _got: Got) -> None:
    link.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(1_000_000):
        link.sendall(b"X-%d: a\r\n" % number)


def test_an_endless_header_ends_in_time(there: Receiver, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    there.behave = many_fields
    assert asked(there, tls[1], deadline=2.0).status == 0


def test_only_certificates_that_count_for_that_name_are_spoken_to(
    there: Receiver, tls: tuple[ssl.SSLContext, ssl.SSLContext], tmp_path: Path
) -> None:
    assert asked(there, None).words == "its certificate does not count"
    assert asked(there, tls[1], f"https://127.0.0.1:{there.port}/").words == "its certificate does not count"
    other, vouching = certificate(tmp_path, "other.test")
    with receiver(other) as elsewhere:
        trust = ssl.create_default_context(cafile=str(vouching))
        assert asked(elsewhere, trust).words == "its certificate does not count"
    assert there.got == []


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001", "2130706433", "127.1", "0177.0.0.1", "0", "localhost."],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_loopback_is_not_called_however_it_is_spelt(there: Receiver, host: str, scheme: str) -> None:
    found = asyncio.run(post(f"{scheme}://{host}:{there.port}/", b"{}", {}, deadline=5))
    assert found.status == 0
    assert found.words.startswith("not called: ") or found.words == "its name has no address", found
    assert there.connections == 0


def test_a_name_without_an_address_and_a_port_where_nobody_is(
    there: Receiver, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    assert asked(there, tls[1], "https://nobody.invalid/").words == "its name has no address"
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert asked(there, tls[1], f"https://localhost:{port}/").words == "no connection"


def test_a_name_is_asked_once_and_the_connection_goes_to_what_was_checked(
    there: Receiver, tls: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, *rest: object, **more: object) -> object:
        questions.append(str(host))
        shown = "127.0.0.1" if len(questions) == 1 else "10.0.0.1"
        return real(shown if host == "portal.test" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    found = asked(there, tls[1], f"https://portal.test:{there.port}/")
    assert found.words == "its certificate does not count", "it came to the one that was checked"
    assert questions.count("portal.test") == 1
