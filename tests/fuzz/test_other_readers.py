"""The readers of the threads and of the gateway: own errors only, the same answer twice, linear time."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp_gateway.authentication_results import is_forged
from smtp_gateway.bdat import read_bdat
from smtp_gateway.data_reader import DataReader, DataState
from smtp_gateway.paths import read_mail, read_rcpt
from smtp_gateway.proxy_protocol import V2_MAX, ProxyHeaderError, read_header
from smtp_gateway.replies import SmtpRefusal
from tests.fuzz.fuzzing import SAMPLES, Target, assert_linear, edits, fuzz, inputs, mutated, target
from threads.model import ReplyToken
from threads.new_text import split_text
from threads.reading import read
from threads.reply_address import ReplyAddresses
from verifier.authres import AuthresError, read_field

ADDRESSES = ReplyAddresses((b"k" * 32, b"old key, still accepted" * 2), "reply.experts.test")
MINTED = ADDRESSES.mint(7, 9).encode()


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@target(
    *(
        b"> ",
        b"\n",
        b"\r\n",
        b"On Mon, 2 Mar 2026 at 09:00, A <a@b.test> wrote:\n",
        b"-- \n",
        b"From: a\nSent: b\nTo: c\n",
        b"-----Original Message-----\n",
    ),
    *(
        b"On ",
        b"a ",
        b"wrote:",
        b"---",
        b"```\n",
        b"Sent from my phone\n",
        "　".encode(),
        b"\xff",
        b" ",
        b"12",
        b"@",
        b":",
        b"x" * 90,
        b"\x0b",
        b"____",
    ),
)
def new_text(data: bytes):
    """split_text never raises, and its spans follow one another over the whole text."""
    split = split_text(text_of(data))
    assert "".join(split.text[span.start : span.end] for span in split.spans) == text_of(data)
    assert [span.end for span in split.spans[:-1]] == [span.start for span in split.spans[1:]]
    assert split.new is not None
    assert split.quoted is not None
    assert split.signature is not None
    return split


@target(
    *(
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n",
        b"--x\r\n",
        b"Content-Type: text/html\r\n\r\n",
        b"<p>",
        b"<",
        b">",
        b"&#x1F600;",
        b"<!--",
    ),
    *(
        b"<table><tr><td>",
        b"<blockquote>",
        b"<div style='",
        b"Content-Type: message/delivery-status\r\n\r\n",
        b"Final-Recipient: rfc822; a@b\r\n",
        b"Action: failed\r\n",
    ),
    *(
        b"Subject: Re: ",
        b"References: <a@b>",
        b"<a@b> ",
        b"Auto-Submitted: auto-replied\r\n",
        b"; charset=utf-7",
        b"=?utf-8?q?=",
        b"\r\n",
        b"\xff",
        b"\0",
        b"> ",
    ),
)
def reading(data: bytes):
    """Read never raises, whatever the message."""
    return read(data)


@target(
    *(
        MINTED,
        b"r+",
        b"@reply.experts.test",
        b"@",
        b"a",
        b"A",
        b"7",
        b"2",
        b"=",
        b"+",
        "ı".encode(),
        b"\xff",
        b".",
    )
)
def reply_address(data: bytes):
    """ReplyAddresses.read never raises, and gives a token for what was minted alone."""
    token = ADDRESSES.read(text_of(data))
    if token is not None:
        assert data.lower() == MINTED
        assert token == ReplyToken(7, 9)
    return token


@target(
    *(
        b"mx.test;",
        b" dkim=pass",
        b" header.d=b.test",
        b" (",
        b")",
        b"\\",
        b'"',
        b"reason=",
        b"smtp.mailfrom=a@b.test",
        b"none",
        b"/1",
        b"=",
        b";",
        b".",
        b"@",
    ),
    *(b"\r\n ", b"\r\n", b"\0", b"\xff", "ä".encode(), b" spf=fail", b"-", b" "),
    errors=(AuthresError,),
)
def authentication_results(data: bytes):
    """read_field raises AuthresError only, and is_forged never raises."""
    assert isinstance(is_forged(data, "mx.test"), bool)
    return read_field(data)


_PATH_PIECES = (
    b"FROM:",
    b"TO:",
    b"<",
    b">",
    b"@",
    b"a@b.test",
    b'"',
    b"\\",
    b".",
    b" ",
    b"[127.0.0.1]",
    b"(",
    b")",
    "ä".encode(),
    b"\xff",
    b"\0",
    b"\t",
)
_PARAMETERS = (
    b" SIZE=1",
    b" SIZE=",
    b"9" * 21,
    b" BODY=8BITMIME",
    b" SMTPUTF8",
    b" AUTH=<>",
    b" RET=HDRS",
    b" NOTIFY=NEVER",
    b" X=",
    b"=",
    b"xn--a",
    b"a" * 64,
    b"postmaster",
)


@target(*_PATH_PIECES, *_PARAMETERS, errors=(SmtpRefusal,))
def mail(data: bytes):
    """read_mail raises SmtpRefusal only, always 5yz, and a path is one that could stand in a log line."""
    try:
        path, parameters = read_mail(data, extended=True, smtputf8_offered=True)
    except SmtpRefusal as refusal:
        if not 500 <= refusal.reply.code <= 559:
            raise AssertionError(f"refused by {refusal.reply}") from refusal
        raise
    assert not any(char < " " or char == "\x7f" for char in str(path))
    assert path.domain.isascii()
    return path, parameters


@target(*_PATH_PIECES, *_PARAMETERS, errors=(SmtpRefusal,))
def rcpt(data: bytes):
    """read_rcpt raises SmtpRefusal only, and never returns the empty path."""
    path = read_rcpt(data, extended=True, smtputf8=True)
    assert not path.empty
    return path


@target(
    *(b"PROXY ", b"TCP4", b"TCP6", b"UNKNOWN", b" ", b"192.0.2.1", b"2001:db8::1", b"65535", b"0", b"\r\n", b":"),
    *(b"\r\n\r\n\x00\r\nQUIT\n", b"\x21\x11\x00\x0c", b"\x21\x21\x00\x24", b"\x20\x00\x00\x00", b"\x00", b"\xff"),
    *(b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0f\xc0\x00\x02\x01\xc0\x00\x02\x02\x10\x00\x00\x19\x04\x00\x00",),
    errors=(ProxyHeaderError,),
)
def proxy(data: bytes):
    """read_header raises ProxyHeaderError only, asks for a bounded number of octets, and reads no octet behind the header."""
    header = read_header(data)
    if header is None:
        assert len(data) < V2_MAX
        return None
    assert header == read_header(data[: header.length] + b"EHLO x\r\n")
    assert header == read_header(data[: header.length])
    if header.length:
        assert read_header(data[: header.length - 1]) is None
    if header.address is not None:
        assert str(ip_address(header.address)) == header.address
        assert 0 <= header.port <= 65_535
    return header


@target(*(b"0", b"9" * 20, b"12", b" ", b"LAST", b"last", b"-", b"\t", b"\0", b"\xff", b"x"), errors=(SmtpRefusal,))
def bdat(data: bytes):
    """read_bdat raises SmtpRefusal 501 only, and a chunk's size is what its digits say."""
    chunk = read_bdat(data)
    assert chunk.size == int(data.split()[0])
    assert chunk.last == (len(data.split()) == 2)
    return chunk


TARGETS = {name: value for name, value in tuple(globals().items()) if isinstance(value, Target)}
SEEDS = {
    "new_text": b"Thanks, that was me.\n\nDana\n-- \nDana Reyes\n\nOn Mon, 2 Mar 2026 at 09:00, Experts <e@e.test> wrote:\n"
    b"> Was it you?\n>\n> Experts\nyes\n\nFrom: a\nSent: b\nTo: c\nSubject: d\n\nold\n",
    "reading": (SAMPLES / "customer-forwards-suspicious.eml").read_bytes(),
    "reply_address": MINTED,
    "authentication_results": b'mx.test (a (b)); spf=pass (x) reason="y" smtp.mailfrom=a@b.test;\r\n dkim/1=fail header.d=b.test',
    "mail": b"FROM:<some.body+tag@example.test> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS",
    "proxy": b"PROXY TCP6 2001:db8::1 2001:db8::2 4096 25\r\n",
    "bdat": b"86 LAST",
    "rcpt": b'TO:<"a b"@example.test> NOTIFY=NEVER ORCPT=rfc822;a@b.test',
}


@pytest.mark.parametrize("name", TARGETS)
@fuzz(120)
@given(data=st.data())
def test_a_reader_keeps_its_word_on_soup_of_its_grammar(name, data):
    """See the docstring of each target."""
    TARGETS[name].test(data.draw(inputs(TARGETS[name].pieces)))


@pytest.mark.parametrize("name", TARGETS)
@fuzz(60)
@given(data=st.data())
def test_a_reader_keeps_its_word_on_a_sound_input_that_was_changed(name, data):
    """See the docstring of each target."""
    TARGETS[name].test(mutated(SEEDS[name], data.draw(edits(TARGETS[name].pieces))))


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_takes_linear_time(name):
    """See ``assert_linear``: each piece of the grammar, thousands of times, alone and behind a sound input."""
    for piece in TARGETS[name].pieces:
        assert_linear(TARGETS[name].outcome, piece)
        assert_linear(lambda data, name=name: TARGETS[name].outcome(SEEDS[name] + data), piece)


@fuzz(200)
@given(
    soup=inputs((b"\r\n", b".", b"\r", b"\n", b"..", b"\0", b"a", b"\r\n.\r", b"\r\n.\r\n")),
    cuts=st.lists(st.integers(1, 7), min_size=1),
)
def test_the_data_of_a_message_is_the_same_however_the_network_cuts_it(soup, cuts):
    """DataReader never raises before the end, and its result does not depend on where the chunks were cut."""
    stream = soup + b"\r\n.\r\n"
    whole, pieces = DataReader(1_000), DataReader(1_000)
    assert whole.feed(stream) is DataState.COMPLETE
    at = turn = 0
    state = DataState.READING
    while state is DataState.READING:
        size = cuts[turn % len(cuts)]
        state = pieces.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    one, other = whole.content, pieces.content
    assert (one.bare_control, one.bare_lf, one.too_large) == (other.bare_control, other.bare_lf, other.too_large)
    assert one.take() == other.take()
