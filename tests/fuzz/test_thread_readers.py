"""The readers of what mail programs and servers write into mail: no error of their own, linear time."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.fuzzing import Target, assert_linear, fuzz, inputs, target
from threads.bounce_text import read_plain
from threads.charset_guess import decoded_words, text_of
from threads.cloud_notice import read_notice
from threads.compressed_rtf import RtfError, decompress
from threads.delivery_report import MAX_RECIPIENTS, fates_in, read_report
from threads.html_signature import with_signature_set_off
from threads.rtf_text import text_of as text_of_rtf
from threads.tnef import read_tnef
from verifier.message import read_message
from verifier.parts import walk

TNEF = struct.pack("<IH", 0x223E9F78, 1)
SNS = b"From: no-reply@sns.amazonaws.com\r\n\r\n"


@target(
    TNEF,
    *(b"\x01" + struct.pack("<II", name, 8) for name in (0x2800C, 0x69003, 0x69007, 0x69002, 0x18010, 0x6800F, 0x69005)),
    *(struct.pack("<I", number) for number in (0, 1, 2, 65001, 0xFFFFFFFF)),
    *(struct.pack("<HH", kind, name) for kind in (0x1E, 0x1F, 0x102, 3, 0x1003, 0x101F) for name in (0x1000, 0x1013, 0x1009, 0x8001)),
    *(b"\0\0", b"LZFu", b"a"),
)  # fmt: skip
def tnef(data: bytes):
    """read_tnef never raises, nor does the text of what it holds."""
    found = read_tnef(TNEF + data)
    return found, found is not None and found.rtf_text


@target(
    *(b"{\\rtf1 ", b"}", b"{", b"\\par", b"\\'e4", b"\\u228?", b"\\uc1 ", b"\\bin5 ", b"\\*\\htmltag64 <p>", b"\\htmlrtf ", b"\\htmlrtf0 "),
    *(b"\\ansicpg1251", b"\\fonttbl", b"\\~", b"\\", b"text", b"\r\n", b"\xff", b"\\tab ", b"-1 "),
)  # fmt: skip
def rtf(data: bytes):
    """Whatever is no RTF is read as some text; compressed, it is refused by the error for it."""
    try:
        decompress(struct.pack("<IIII", len(data) + 12, len(data), 0x414C454D, 0) + data)
        decompress(data)
    except RtfError:
        pass
    return text_of_rtf(data)


@target(
    *(b"=?koi8-r?B?", b"=?windows-1251?Q?", b"=?utf-8?q?", b"?=", b"=C0", b"\xcf\xc5\xc1", b"\xee\xe5\xe0", b"\x1b$B", b"\xa4\xa2", b"\xb0\xa1"),
    *(b" ", b"a", b"?", b"\xff", b"\x81", "ä".encode()),
)  # fmt: skip
def charset_guess(data: bytes):
    """Text of any named charset, or none, is read without an error."""
    words = decoded_words(data.decode("latin-1"))
    names = (None, "utf-8", "iso-8859-1", "windows-1251", "koi8-r", "gb2312", "iso-2022-jp", "no such one")
    return words, [text_of(data, name) for name in names]


@target(
    *(b"Final-Recipient: rfc822; a@b.test\r\n", b"Original-Recipient: ", b"Action: failed\r\n", b"Status: 5.1.1\r\n", b"\r\n", b" folded\r\n"),
    *(b"Diagnostic-Code: smtp; 550 5.1.1 no\r\n", b"\\x{1F408}", b"utf-8; ", b":", b"<a@b.test>: 550 user unknown\r\n", b"\xff", b'"a b"@c.test'),
    *(b"--- Below this line is a copy of the message.\r\n", b"Message-ID: <q@experts.test>\r\n", b"mailbox full ", b"a@b.test ", b"> "),
)  # fmt: skip
def bounces(data: bytes):
    """A report's fields and a mailer's words are read without an error, and name no more recipients than the cap."""
    text = data.decode("latin-1")
    assert len(fates_in(text)) <= MAX_RECIPIENTS
    head = b"Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n"
    message = read_message(head + data + b"\r\n--x--\r\n")
    plain = read_message(b"From: MAILER-DAEMON@x.test\r\n\r\n" + data)
    return read_report(message, walk(message)), read_plain(plain, walk(plain), text, passing=False)


@target(
    *(b'{"notificationType":"Bounce",', b'"bounce":{', b'"bouncedRecipients":[', b'{"emailAddress":"a@b.test"}', b"]", b"}", b",", b'"mail":{'),
    *(b'"headers":[{"name":"Message-ID","value":"<q@x.test>"}]', b'"Message":"', b'"', b"\\", b"!\r\n ", b"[", b"{", b"null", b"1e999", b"\xff"),
)  # fmt: skip
def cloud_notice(data: bytes):
    """A notice of a cloud is read, or is none; it never raises."""
    return read_notice(read_message(SNS + data), data.decode("latin-1"))


@target(
    *(b"<div id=Signature>", b'<div class="gmail_signature">', b"</div>", b"<div>", b"<hr>", b"<blockquote>", b"<div id=divRplyFwdMsg>", b"--"),
    *(b"&nbsp;", b"<", b">", b'"', b" id=", b"x_Signature", b"a", b"<span ", b"\xff"),
)  # fmt: skip
def html_signature(data: bytes):
    """At most one delimiter is put into HTML, and nothing is taken from it."""
    html = data.decode("latin-1")
    set_off = with_signature_set_off(html)
    assert set_off == html or len(set_off) == len(html) + len("<div>-- </div>")
    return set_off


TARGETS: dict[str, Target] = {
    "tnef": tnef, "rtf": rtf, "charset_guess": charset_guess, "bounces": bounces, "cloud_notice": cloud_notice,
    "html_signature": html_signature,
}  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
@fuzz(60)
@given(data=st.data())
def test_a_reader_keeps_its_word_on_soup_of_its_grammar(name, data):
    """See the docstring of each target."""
    TARGETS[name].test(data.draw(inputs(TARGETS[name].pieces)))


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_takes_linear_time(name):
    """See ``assert_linear``: each piece of the grammar, thousands of times."""
    for piece in TARGETS[name].pieces:
        assert_linear(TARGETS[name].outcome, piece)
