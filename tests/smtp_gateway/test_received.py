"""Our Received field holds what we know, and nothing that breaks out of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smtp_gateway.envelope import Envelope, Peer, Recipient, TlsFacts, copy_id, sortable_id
from smtp_gateway.paths import Path
from smtp_gateway.received import looping, received_field
from smtp_gateway.routes import Route, RouteKind
from verifier.message import read_message

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
QUERY = Recipient(Path("query", "experts.test"), Route(RouteKind.QUERY))


def envelope(peer: Peer, *recipients: Recipient, utf8: bool = False) -> Envelope:
    return Envelope("ID26", peer, Path("a", "b.test"), recipients or (QUERY,), utf8, b"", b"", AT)


def test_the_field_says_who_gave_it_to_whom_and_how() -> None:
    peer = Peer("c", "192.0.2.1", 25, "mail.b.test", extended=True, tls=TlsFacts("TLSv1.3", "TLS_AES"))
    assert received_field(envelope(peer), "mx.experts.test") == (
        b"Received: from mail.b.test ([192.0.2.1])\r\n"
        b"\tby mx.experts.test with ESMTPS (TLSv1.3, TLS_AES) id ID26\r\n"
        b"\tfor <query@experts.test>;\r\n"
        b"\tWed, 25 Nov 2026 12:00:00 +0000\r\n"
    )


def test_ipv6_smtp_and_utf8_have_their_own_words() -> None:
    six = received_field(envelope(Peer("c", "2001:db8::1", 25, "x", extended=False)), "mx.test")
    assert b"([IPv6:2001:db8::1])" in six
    assert b" with SMTP id" in six
    utf8 = received_field(envelope(Peer("c", "::1", 25, "x", extended=True), utf8=True), "mx.test")
    assert b" with UTF8SMTP id" in utf8


def test_several_recipients_are_not_told_to_each_other() -> None:
    other = Recipient(Path("service", "experts.test"), Route(RouteKind.SERVICE))
    field = received_field(envelope(Peer("c", "::1", 25, "x", extended=True), QUERY, other), "mx.test")
    assert b"for <" not in field


@pytest.mark.parametrize("helo", ["a;b", "x(y", "a)b", "<>", '"'])
def test_a_strange_helo_does_not_get_into_the_field(helo: str) -> None:
    field = received_field(envelope(Peer("c", "nonsense", 25, helo, extended=True)), "mx.test")
    assert field.startswith(b"Received: from unknown ([unknown])\r\n")


def test_loops_are_counted_by_received_fields() -> None:
    hop = b"Received: from a by b; x\r\n"
    assert not looping(read_message(hop * 50 + b"\r\n"), 50)
    assert looping(read_message(hop * 51 + b"\r\n"), 50)
    assert not looping(read_message(b"\r\n" + hop * 99), 50)


def test_ids_sort_by_time_and_name_each_copy() -> None:
    ids = [sortable_id(AT.replace(second=n), bytes(10)) for n in range(60)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 60
    assert {len(i) for i in ids} == {26}
    assert (copy_id("X", 0), copy_id("X", 1)) == ("X", "X-2")
    with pytest.raises(ValueError, match="ten random bytes"):
        sortable_id(AT, b"")
