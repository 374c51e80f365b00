"""A Received field of each usual server is read, and one that can be read in two ways is not read at all."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest

from verifier.received_field import MAX_VALUE, Received, ReceivedError, address_of, read_received

DATE = b"; Wed, 25 Nov 2026 09:00:00 +0000"


@pytest.mark.parametrize(
    ("value", "client"),
    [
        pytest.param(
            b" from hello.test (mail.evil.test [192.0.2.1])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
            b"\r\n\t key-exchange X25519)\r\n\t(No client certificate requested)\r\n\tby mx.contoso.test (Postfix) with ESMTPS id 4X"
            b"\r\n\tfor <dana@contoso.test>",
            ("hello.test", "mail.evil.test", "192.0.2.1", "ESMTPS"),
            id="Postfix",
        ),
        pytest.param(
            b"from hello.test (unknown [192.0.2.1]) by mx.contoso.test (Postfix) with SMTP id 4X",
            ("hello.test", "unknown", "192.0.2.1", "SMTP"),
            id="Postfix, no reverse name",
        ),
        pytest.param(
            b"from hello.test (mail.evil.test [IPv6:2001:DB8::1]) by mx.contoso.test (Postfix) with ESMTP id 4X",
            ("hello.test", "mail.evil.test", "2001:db8::1", "ESMTP"),
            id="Postfix, IPv6",
        ),
        pytest.param(
            b"from hello.test (root@mail.evil.test [192.0.2.1] (may be forged)) by mx.contoso.test (8.18.1/8.18.1) with ESMTP id 4AP",
            ("hello.test", "mail.evil.test", "192.0.2.1", "ESMTP"),
            id="Sendmail, identd",
        ),
        pytest.param(
            b"from mail.evil.test ([192.0.2.1]:44321 helo=hello.test) by mx.contoso.test with esmtps (TLS1.3) (Exim 4.96) (envelope-from <a@b.test>) id 1rX",
            ("hello.test", "mail.evil.test", "192.0.2.1", "ESMTPS"),
            id="Exim",
        ),
        pytest.param(
            b"from [192.0.2.1] (helo=hello.test) by mx.contoso.test with esmtp (Exim 4.96) id 1rX",
            ("hello.test", "unknown", "192.0.2.1", "ESMTP"),
            id="Exim, no reverse name",
        ),
        pytest.param(
            b"from unknown (HELO hello.test) (192.0.2.1)\r\n  by mx.contoso.test with SMTP",
            ("hello.test", "unknown", "192.0.2.1", "SMTP"),
            id="qmail",
        ),
        pytest.param(
            b"from mail.evil.test (HELO hello.test) ([192.0.2.1]) by mx.contoso.test with DHE-RSA-AES256-SHA encrypted SMTP",
            ("hello.test", "mail.evil.test", "192.0.2.1", "DHE-RSA-AES256-SHA"),
            id="qmail, TLS",
        ),
        pytest.param(
            b"from 127.0.0.1 (EHLO hello.test) (192.0.2.1) by mx.contoso.test with SMTPS",
            ("hello.test", "unknown", "192.0.2.1", "SMTPS"),
            id="Yahoo",
        ),
        pytest.param(
            b"from hello.test (192.0.2.1) by\r\n MX.Contoso.Test. (10.1.2.3) with Microsoft SMTP Server (version=TLS1_2,\r\n"
            b" cipher=TLS_ECDHE) id 15.20.8.1 via Frontend Transport",
            ("hello.test", None, "192.0.2.1", "MICROSOFT"),
            id="Exchange",
        ),
        pytest.param(
            b"from hello.test (2001:db8:0::1) by mx.contoso.test (2001:db8:1::2) with Microsoft SMTP Server id 15.20.8.1",
            ("hello.test", None, "2001:db8::1", "MICROSOFT"),
            id="Exchange, IPv6",
        ),
        pytest.param(
            b"from hello.test ([192.0.2.1]) by mx.contoso.test over TLS secured channel with Microsoft SMTPSVC(8.5.9600)",
            ("hello.test", None, "192.0.2.1", "MICROSOFT"),
            id="SMTPSVC",
        ),
        pytest.param(
            b"from hello.test (mail.evil.test. [192.0.2.1])\r\n        by mx.contoso.test with ESMTPS id a1\r\n        for <d@contoso.test>"
            b"\r\n        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256)",
            ("hello.test", "mail.evil.test", "192.0.2.1", "ESMTPS"),
            id="Gmail",
        ),
        pytest.param(
            b" from hello.test ([192.0.2.1])\r\n\tby mx.contoso.test with UTF8SMTPS (TLSv1.3, TLS_AES_256_GCM_SHA384) id 01J\r\n\tfor <d@contoso.test>",
            ("hello.test", None, "192.0.2.1", "UTF8SMTPS"),
            id="ours",
        ),
        pytest.param(
            b"from hello.test (mail.evil.test [::ffff:192.0.2.1]) by mx.contoso.test with ESMTP",
            ("hello.test", "mail.evil.test", "192.0.2.1", "ESMTP"),
            id="Courier, mapped address",
        ),
        pytest.param(
            b"from [10.0.0.1] (mail.evil.test [192.0.2.1]) by mx.contoso.test with ESMTP",
            ("[10.0.0.1]", "mail.evil.test", "192.0.2.1", "ESMTP"),
            id="a greeting that is an address is not the address",
        ),
        pytest.param(
            b"FROM hello.test (comment (that (nests) and \\) escapes)) ([192.0.2.1]) BY (here) mx.contoso.test WITH ESMTP",
            ("hello.test", None, "192.0.2.1", "ESMTP"),
            id="comments everywhere",
        ),
        pytest.param(
            b"from hello.test by mx.contoso.test with SMTP id 1", ("hello.test", None, None, "SMTP"), id="no address"
        ),
        pytest.param(
            b"from [192.0.2.1] by mx.contoso.test with SMTP id 1",
            ("[192.0.2.1]", None, None, "SMTP"),
            id="an address that may be the greeting",
        ),
        pytest.param(
            b"from by (x.test [192.0.2.1]) by mx.contoso.test with SMTP",
            ("by", "x.test", "192.0.2.1", "SMTP"),
            id="a greeting that is a keyword",
        ),
        pytest.param(b"by mx.contoso.test (Postfix) id 4X", (None, None, None, ""), id="nobody handed it over"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("date", [DATE, b""])
def test_each_usual_form_is_read(
    value: bytes, client: tuple[str | None, str | None, str | None, str], date: bytes
) -> None:
    read = read_received(value + date)
    assert read.by == "mx.contoso.test"
    assert (read.greeting, read.name, read.address, read.protocol) == client
    assert not read.logged_in


@pytest.mark.parametrize(
    "value",
    [
        b"from a ([192.0.2.1]) by mx.contoso.test with ESMTPSA id 1",
        b"from a ([192.0.2.1]) by mx.contoso.test with esmtpa id 1",
        b"from a (b [192.0.2.1]) (Authenticated sender: dana) by mx.contoso.test (Postfix) with ESMTP id 1",
        b"from a (b [192.0.2.1]) (authenticated bits=0) by mx.contoso.test (8.18.1) with ESMTP id 1",
        b"from a (b [192.0.2.1]) (AUTH: LOGIN dana) by mx.contoso.test with ESMTP id 1",
    ],
)
def test_a_client_that_had_logged_in_is_told(value: bytes) -> None:
    assert read_received(value + DATE).logged_in


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" \r\n ",
        b"x",
        b"(qmail 2022 invoked from network)",
        b"from a ([192.0.2.1])",
        b"from",
        b"by",
        b"from a ([192.0.2.1]) by",
        b"from a ([192.0.2.1]) by (mx.contoso.test)",
        b"from a ([192.0.2.1]) by mx.contoso.test by mx.contoso.test",
        b"from evil by mx.contoso.test (x) by relay.test",  # a greeting that a careless server took as it came
        b"by mx.contoso.test from a ([192.0.2.1])",
        b"from a ([192.0.2.1]) (b [192.0.2.2]) by mx.contoso.test",  # which of them?
        b"from a (b [192.0.2.1] by mx.contoso.test",
        b"from a b) by mx.contoso.test",
        b'from "a by mx.contoso.test',
        b"from a ([192.0.2.1]) by mx.contoso.test\0",
        b"from a ([192.0.2.1]) by mx.contoso.test \x1b[0m",
        b"from " + b"a" * MAX_VALUE + b" by mx.contoso.test",
        b"(" * 4_000,
        b'"' * 3_999,
    ],
)
def test_what_can_be_read_in_two_ways_or_in_none_is_not_read(value: bytes) -> None:
    with pytest.raises(ReceivedError):
        read_received(value)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("IPv6:2001:DB8::1", "2001:db8::1"),
        ("ipv6:::1", "::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("192.0.2.256", None),
        ("192.0.2", None),
        ("0xC0000201", None),
        ("3221225985", None),
        ("192.000.002.001", None),
        ("１９２.0.2.1", None),
        ("unknown", None),
        ("", None),
        ("1" * 5_000, None),
    ],
)
def test_only_an_address_is_an_address(text: str, address: str | None) -> None:
    assert address_of(text) == address


FULL = (
    b" from hello.test (u@mail.evil.test [IPv6:2001:db8::1] (may be forged))\r\n\tby mx.contoso.test (Postfix) with ESMTPS"
    b' id 4X for <"a b"@contoso.test>; Wed, 25 Nov 2026 09:00:00 +0000'
)


def test_a_field_cut_off_anywhere_is_read_or_refused_and_never_gives_another_client() -> None:
    for end in range(len(FULL)):
        try:
            read = read_received(FULL[:end])
        except ReceivedError:
            continue
        assert "mx.contoso.test".startswith(read.by)
        assert read.address == "2001:db8::1"


def test_any_bytes_are_read_or_refused() -> None:
    chance = random.Random(5321)
    words = [b"from", b"by", b"with", b"(", b")", b"[", b"]", b'"', b"\\", b";", b" ", b"\r\n ", b"192.0.2.1", b"\0", b"\xff"]
    words += [b"IPv6:", b"helo=", b"HELO ", b"mx.contoso.test", b"a@b", b"::1"]  # fmt: skip
    for _ in range(4_000):
        value = b"".join(chance.choices(words, k=chance.randrange(30)))
        if chance.random() < 0.3:
            value = bytearray(FULL)
            for _ in range(chance.randrange(1, 6)):
                value[chance.randrange(len(value))] = chance.randrange(256)
        with suppress(ReceivedError):
            assert isinstance(read_received(bytes(value)), Received)


@pytest.mark.parametrize("piece", [b"(a)", b'"a" ', b'"\\" ', b"a ", b"(helo=a) ", b"([1.1.1.1]) ", b"\\", b"("])
def test_the_longest_field_takes_no_time(piece: bytes) -> None:
    value = b"from a " + piece * (MAX_VALUE // len(piece))
    started = time.process_time()
    for _ in range(10):
        with suppress(ReceivedError):
            read_received(value[: MAX_VALUE - 10] + b" by mx.a")
    assert time.process_time() - started < 5
