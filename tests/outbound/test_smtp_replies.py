from __future__ import annotations

import pytest

from outbound.smtp_replies import MAX_LINE, MAX_WAITING, NotSmtpError, ServerReply, first_reply


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        (b"250 ok\r\n", ServerReply(250, "ok")),
        (b"250\r\n", ServerReply(250, "")),
        (b"250 \n", ServerReply(250, "")),
        (b"250-mx.test\r\n250-SIZE 1\r\n250 PIPELINING\r\n", ServerReply(250, "mx.test\nSIZE 1\nPIPELINING")),
        (b"550-no\r\n550\r\n", ServerReply(550, "no\n")),
        (b"250 \xff\r\n", ServerReply(250, "\ufffd")),
        (b"999 what\r\n", ServerReply(999, "what")),
    ],
)
def test_a_reply_is_read_when_it_is_whole_and_what_follows_is_left(said, reply):
    for end in range(len(said)):
        assert first_reply(said[:end]) is None
    assert first_reply(said) == (reply, len(said))
    assert first_reply(said + b"354 go on\r\n2") == (reply, len(said))


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"25\r\n",
        b"2500 ok\r\n",
        b"25x ok\r\n",
        b"+25 ok\r\n",
        b"250-ok\r\nsomething else\r\n",
        "²50 ok\r\n".encode("latin-1"),
        b"250 " + b"x" * MAX_LINE + b"\r\n",
        b"x" * (MAX_WAITING + 1),
        b"250-more\r\n" * (MAX_WAITING // 10 + 1),
    ],
)
def test_what_is_no_reply_is_said_to_be_none(said):
    with pytest.raises(NotSmtpError):
        first_reply(said)
