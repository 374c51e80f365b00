"""MAIL FROM and RCPT TO are read by the grammar and by nothing more lenient."""

from __future__ import annotations

import pytest

from smtp_gateway.paths import EMPTY_PATH, read_mail, read_rcpt
from smtp_gateway.replies import SmtpRefusal


def mail(argument: str | bytes, *, extended: bool = True):
    raw = argument if isinstance(argument, bytes) else argument.encode()
    return read_mail(raw, extended=extended, smtputf8_offered=True)


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("FROM:<a@b.test>", "a@b.test"),
        ("from:<a@B.Test>", "a@b.test"),
        ("FROM: <a@b.test>", "a@b.test"),
        ("FROM:<a.b+c=d@x.y.test>", "a.b+c=d@x.y.test"),
        ('FROM:<"a b"@b.test>', '"a b"@b.test'),
        ('FROM:<"a>b"@b.test>', '"a>b"@b.test'),
        ('FROM:<"a\\"b"@b.test>', '"a\\"b"@b.test'),
        ("FROM:<用户@bücher.test> SMTPUTF8", "用户@xn--bcher-kva.test"),
    ],
)
def test_a_good_path_is_read(argument: str, address: str) -> None:
    path, _ = mail(argument)
    assert str(path) == address


def test_the_empty_reverse_path_is_read() -> None:
    path, _ = mail("FROM:<>")
    assert path == EMPTY_PATH
    assert path.empty


@pytest.mark.parametrize(
    "argument",
    [
        "FROM:<any@legit.test(a.attack.test>",
        "FROM:<(any@legit.test>",
        "FROM:<a(b)@c.test>",
        "FROM:<@relay.test:a@b.test>",
        "FROM:<@a.test,@b.test:c@d.test>",
        "FROM:<a b@c.test>",
        "FROM:<a@b c.test>",
        "FROM:<a@b@c.test>",
        "FROM:<a>",
        "FROM:<@b.test>",
        "FROM:<a@>",
        "FROM:<.a@b.test>",
        "FROM:<a..b@c.test>",
        "FROM:<a.@b.test>",
        "FROM:<a@-b.test>",
        "FROM:<a@b.test.>",
        "FROM:<a@.b.test>",
        "FROM:<a@b..test>",
        "FROM:<a@[127.0.0.1]>",
        "FROM:<a@[IPv6:::1]>",
        "FROM:<a\x00@b.test>",
        "FROM:<a\x01@b.test>",
        "FROM:<a\t@b.test>",
        "FROM:<a@b.test",
        'FROM:<"a@b.test>',
        'FROM:<"a"b@c.test>',
        "FROM:<<a@b.test>>",
        "FROM:<ä@b.test>",
        "FROM:<a@ä.test>",
        b"FROM:<\xff@b.test>",
        "FROM:<a@" + "b" * 64 + ".test>",
        "FROM:<" + "a" * 600 + "@b.test>",
        "FROM:<a@b.test,c@d.test>",
        "FROM:<a;b@c.test>",
    ],
)
def test_anything_else_is_501_5_1_7(argument: str | bytes) -> None:
    with pytest.raises(SmtpRefusal) as refused:
        mail(argument)
    assert (refused.value.reply.code, refused.value.reply.enhanced) in ((501, "5.1.7"), (501, "5.5.2"))
    assert refused.value.reply.code == 501


@pytest.mark.parametrize(
    "argument", ["", "FROM", "FROM:", "FROM:a@b.test", "TO:<a@b.test>", "FROM:<a@b.test>X"]
)
def test_a_malformed_command_is_501(argument: str) -> None:
    with pytest.raises(SmtpRefusal) as refused:
        mail(argument)
    assert refused.value.reply.code == 501


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ("SIZE=100", None),
        ("BODY=8BITMIME SIZE=1", None),
        ("body=7bit", None),
        ("SMTPUTF8", None),
        ("AUTH=<>", None),
        ("AUTH=a+40b", None),
        ("RET=HDRS ENVID=x", None),
        ("ret=full envid=QQ314159+3D", None),
        ("AUTH=<> RET=FULL ENVID=" + "x" * 100 + " SIZE=1 BODY=8BITMIME SMTPUTF8", None),
        ("AUTH", 501),
        ("AUTH=", 501),
        ("AUTH=a+4", 501),
        ("AUTH=a=b", 501),
        ("AUTH=<> AUTH=<>", 501),
        ("RET=BODY", 501),
        ("RET", 501),
        ("RET=FULL ret=HDRS", 501),
        ("ENVID=" + "x" * 101, 501),
        ("ENVID=a+zz", 501),
        ("NOTIFY=NEVER", 555),
        ("ORCPT=rfc822;a", 555),
        ("BY=120;R", 555),
        ("MT-PRIORITY=3", 555),
        ("SIZE=x", 501),
        ("SIZE=-1", 501),
        ("SIZE=", 501),
        ("SIZE", 501),
        ("SIZE=1 SIZE=2", 501),
        ("SIZE=" + "9" * 30, 501),
        ("BODY=BINARYMIME", 501),
        ("SMTPUTF8=yes", 501),
        ("XYZ=1", 555),
        ("HOLDFOR=1", 555),
        ("=1", 501),
        ("A=B=C", 501),
    ],
)
def test_parameters_are_taken_tolerated_or_refused(parameters: str, code: int | None) -> None:
    if code is None:
        mail(f"FROM:<a@b.test> {parameters}")
        return
    with pytest.raises(SmtpRefusal) as refused:
        mail(f"FROM:<a@b.test> {parameters}")
    assert refused.value.reply.code == code


def test_parameters_after_helo_are_refused() -> None:
    with pytest.raises(SmtpRefusal) as refused:
        mail("FROM:<a@b.test> SIZE=1", extended=False)
    assert refused.value.reply.code == 555


def test_a_recipient_is_read_and_dsn_parameters_are_ignored() -> None:
    path = read_rcpt(b"TO:<Query@Experts.Test> NOTIFY=NEVER ORCPT=rfc822;a@b", extended=True, smtputf8=False)
    assert str(path) == "Query@experts.test"
    assert read_rcpt(b"TO:<PostMaster>", extended=True, smtputf8=False).domain == ""


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ("NOTIFY=NEVER", None),
        ("NOTIFY=SUCCESS,FAILURE,DELAY", None),
        ("notify=failure ORCPT=rfc822;a+40b.test", None),
        ("ORCPT=utf-8;jürgen@b.test", None),
        ("NOTIFY", 501),
        ("NOTIFY=", 501),
        ("NOTIFY=NEVER,FAILURE", 501),
        ("NOTIFY=SOMETIMES", 501),
        ("NOTIFY=FAILURE,", 501),
        ("NOTIFY=NEVER NOTIFY=NEVER", 501),
        ("ORCPT=rfc822", 501),
        ("ORCPT=;a", 501),
        ("ORCPT=rfc822;a+", 501),
        ("ORCPT=rfc822;" + "x" * 500, 501),
        ("SIZE=1", 555),
        ("RET=HDRS", 555),
        ("X=1", 555),
    ],
)
def test_parameters_of_a_recipient_are_checked_and_ignored(parameters: str, code: int | None) -> None:
    argument = f"TO:<a@b.test> {parameters}".encode()
    if code is None:
        assert str(read_rcpt(argument, extended=True, smtputf8=False)) == "a@b.test"
        return
    with pytest.raises(SmtpRefusal) as refused:
        read_rcpt(argument, extended=True, smtputf8=False)
    assert (refused.value.reply.code, refused.value.reply.enhanced) == (code, "5.5.4")


@pytest.mark.parametrize("argument", [b"TO:<>", b"TO:<a>", b"TO:<a@[1.2.3.4]>", b"TO:<@x.test:a@b.test>"])
def test_a_bad_recipient_is_501_5_1_3(argument: bytes) -> None:
    with pytest.raises(SmtpRefusal) as refused:
        read_rcpt(argument, extended=True, smtputf8=False)
    assert (refused.value.reply.code, refused.value.reply.enhanced) == (501, "5.1.3")


def test_hostile_arguments_are_read_in_linear_time_and_only_ever_refused() -> None:
    for unit in ("a.", '"', "\\", "<", "@", "(", "ä", "a@"):
        with pytest.raises(SmtpRefusal):
            mail(f"FROM:<{unit * 20_000}>")
