"""How messages are read: kinds, text, attachments, bounces; and that no input raises or takes long."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.expertmail.outlook_writer import compressed
from threads.html_text import html_to_text
from threads.inspect_json import as_json
from threads.model import MessageKind
from threads.people_view import people_view
from threads.reading import ReadingFlag, read, read_parsed
from threads.signed_content import signed_content
from threads.subject import base_subject
from threads.tnef import read_tnef
from verifier.message import read_message


def mail(body: str | bytes, *fields: str, kind: str = "text/plain; charset=utf-8") -> bytes:
    header = [*fields, "From: Alex <alex@contoso.test>", "Subject: Re: hello", f"Content-Type: {kind}"]
    text = body.encode() if isinstance(body, str) else body
    return "\r\n".join(header).encode() + b"\r\n\r\n" + text.replace(b"\n", b"\r\n")


def multipart(subtype: str, *parts: str, rest: str = "") -> bytes:
    body = "".join(f"--B\n{part}\n" for part in parts) + "--B--\n"
    return mail(body, kind=f"multipart/{subtype}; boundary=B{rest}")


REPORT = (
    "Content-Type: text/plain\n\nYour mail was not delivered.",
    (
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.contoso.test\n\n"
        "Final-Recipient: rfc822; gone@contoso.test\nAction: {}\nStatus: {}\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such\n user"
    ),
    "Content-Type: text/rfc822-headers\n\nMessage-ID: <ours@experts.test>\nSubject: x",
)


def report(action: str, status: str) -> bytes:
    parts = [part.format(action, status) for part in REPORT]
    return multipart("report", *parts, rest="; report-type=delivery-status")


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (MessageKind.HUMAN, mail("hello")),
        (MessageKind.HUMAN, mail("hello", "Auto-Submitted: no")),
        (MessageKind.AUTO_REPLY, mail("I am away", "Auto-Submitted: auto-replied")),
        (MessageKind.AUTO_REPLY, mail("I am away", "Auto-Submitted: auto-generated (x); y=z")),
        (MessageKind.AUTO_REPLY, mail("I am away", "X-Autoreply: yes")),
        (MessageKind.AUTO_REPLY, mail("x", "Subject: Automatic reply: hello")),
        *((MessageKind.AUTO_REPLY, mail("x", f"Subject: {words}: hello")) for words in (
            "Auto-Reply", "Out of Office", "Automatische Antwort", "Réponse automatique", "Respuesta automática", "Risposta automatica",
            "Resposta automática", "Automatisch antwoord", "Automatiskt svar", "Automatyczna odpowiedź", "Otomatik yanıt", "自动回复", "자동 응답",
        )),
        (MessageKind.HUMAN, mail("x", "Subject: Auto: broken")),
        (MessageKind.AUTO_REPLY, mail("x", "Subject: =?utf-8?b?6Ieq5YuV5b+c562UOiBoZWxsbw==?=")),
        (MessageKind.BOUNCE, report("failed", "5.1.1")),
        (MessageKind.BOUNCE, report("Failed (bad mailbox)", "5.1.1")),
        (MessageKind.DELAY, report("delayed", "4.4.1")),
        (MessageKind.DELIVERED, report("delivered", "2.0.0")),
        (MessageKind.BOUNCE, mail("no such user", "X-Failed-Recipients: gone@contoso.test")),
        (
            MessageKind.DISPOSITION,
            multipart(
                "report",
                "Content-Type: text/plain\n\nread",
                "Content-Type: message/disposition-notification\n\nDisposition: manual-action/x; displayed",
            ),
        ),
        (
            MessageKind.FEEDBACK_REPORT,
            multipart(
                "report",
                "Content-Type: text/plain\n\nspam",
                "Content-Type: message/feedback-report\n\nFeedback-Type: abuse",
            ),
        ),
        (
            MessageKind.CALENDAR,
            multipart("alternative", "\n\nMeeting", "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR"),
        ),
        (MessageKind.UNSUBSCRIBE, mail("", "Subject: unsubscribe")),
        (MessageKind.HUMAN, mail("Please tell me how I can unsubscribe the other team from this. " * 3, "Subject: Unsubscribe")),
    ],
)  # fmt: skip
def test_kinds(kind: MessageKind, raw: bytes) -> None:
    # A case's own Subject stands first, and the first one is read.
    assert read(raw).kind is kind


def test_a_bounce_tells_whom_why_and_which_mail_of_ours() -> None:
    bounce = read(report("failed", "5.1.1")).bounce
    assert bounce is not None
    assert (bounce.recipient, bounce.status, bounce.action) == ("gone@contoso.test", "5.1.1", "failed")
    assert bounce.original_message_id == "ours@experts.test"
    assert bounce.diagnostic == "550 5.1.1 no such user"


ALTERNATIVE = ("Content-Type: text/plain\n\nplain words", "Content-Type: text/html\n\n<p>html words</p>")
ATTACHED = (
    "Content-Type: application/pdf; name=a.pdf\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n\n"
    + base64.b64encode(b"%PDF-1.7").decode()
)


@pytest.mark.parametrize(
    ("raw", "text", "attached"),
    [
        (multipart("alternative", *ALTERNATIVE), "plain words", 0),
        (multipart("alternative", ALTERNATIVE[1]), "html words", 0),
        (multipart("alternative", "Content-Type: text/plain\n\n \n", ALTERNATIVE[1]), "html words", 0),
        (multipart("mixed", ALTERNATIVE[0], ATTACHED), "plain words", 1),
        (multipart("mixed", ALTERNATIVE[0], "\nmore"), "plain words\nmore", 0),
        (multipart("mixed", ALTERNATIVE[0], "Content-Disposition: attachment\n\nlog"), "plain words", 1),
        (multipart("mixed", ATTACHED), "", 1),
        (mail("<p>one<br>two</p>", kind="text/html"), "one\ntwo", 0),
        (mail("caf\xe9".encode("latin-1"), kind="text/plain; charset=iso-8859-1"), "café", 0),
        (mail("日本語".encode("iso-2022-jp"), kind="text/plain; charset=iso-2022-jp"), "日本語", 0),
        (mail("x", kind="application/octet-stream"), "", 1),
        (b"", "", 0),
        (b"Subject: no body", "", 0),
    ],
)
def test_the_text_that_a_person_sees_and_what_is_attached(raw: bytes, text: str, attached: int) -> None:
    reading = read(raw)
    assert reading.body.new == text
    assert len(reading.attachments or ()) == attached


def test_an_attachment_is_named_measured_and_hashed_as_decoded() -> None:
    (attachment,) = read(multipart("mixed", ALTERNATIVE[0], ATTACHED)).attachments or ()
    assert (attachment.name, attachment.type, attachment.size) == ("a.pdf", "application/pdf", 8)
    assert attachment.sha256 == hashlib.sha256(b"%PDF-1.7").hexdigest()


OCTETS = bytes(range(200))
UUENCODED = (
    "begin 644 a b.bin\n"
    + "".join(binascii.b2a_uu(OCTETS[start : start + 45]).decode() for start in range(0, len(OCTETS), 45))
    + "`\nend\n"
)


@pytest.mark.parametrize(
    ("flag", "raw"),
    [
        (ReadingFlag.CHARSET_GUESSED, mail(b"\xff\xfe", kind="text/plain; charset=nonsense")),
        (ReadingFlag.TRUNCATED, mail("--B\n\nhello", kind="multipart/mixed; boundary=B")),
        (ReadingFlag.MALFORMED_MIME, mail("hello", kind="multipart/mixed")),
        (ReadingFlag.ENCRYPTED, multipart("encrypted", "Content-Type: application/pgp-encrypted\n\nVersion: 1")),
        (ReadingFlag.ENCRYPTED, mail("x", kind="application/pkcs7-mime; smime-type=enveloped-data")),
        (ReadingFlag.HTML_ONLY, mail("<p>x</p>", kind="text/html")),
        (ReadingFlag.NO_SINGLE_AUTHOR, b"From: a@b.test, c@d.test\r\n\r\nx"),
        (ReadingFlag.MALFORMED_HEADER, b"From: a@b.test\r\nno field\r\n\r\nx"),
        (ReadingFlag.TEXT_CUT, mail("x" * 1_100_000)),
        (ReadingFlag.TNEF, mail("x", kind="application/ms-tnef")),
        (ReadingFlag.UUENCODED, mail(f"See the file.\n\n{UUENCODED}")),
        (ReadingFlag.SMIME, mail("x", kind="application/pkcs7-mime; smime-type=enveloped-data")),
        (ReadingFlag.SIGNED, mail("x", kind="application/pkcs7-mime; smime-type=signed-data")),
        (ReadingFlag.SIGNED, multipart("signed", "\nhello", "Content-Type: application/pkcs7-signature\n\nx")),
        (ReadingFlag.PGP, multipart("signed", "\nhello", "Content-Type: application/pgp-signature\n\nx")),
        (ReadingFlag.PGP, mail("-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----")),
        (ReadingFlag.SIGNED, mail("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nhello")),
        (ReadingFlag.CALENDAR, multipart("mixed", "\nhello", "Content-Type: text/calendar\n\nBEGIN:VCALENDAR")),
        (ReadingFlag.CHARSET_GUESSED, mail("朱镕基".encode("gbk"), kind="text/plain; charset=gb2312")),
        (ReadingFlag.CHARSET_GUESSED, mail("Привет, мир".encode("cp1251"), kind="text/plain")),
        (ReadingFlag.CHARSET_GUESSED, b"Subject: =?utf-8?B?5pel5pys\r\nFrom: a@b.test\r\n\r\nx"),
    ],
)  # fmt: skip
def test_flags(flag: ReadingFlag, raw: bytes) -> None:
    assert flag in read(raw).flags


def test_a_file_inside_the_text_is_listed_and_not_taken_for_new_text() -> None:
    reading = read(mail(f"See the file.\n\n{UUENCODED}\nAlex"))
    (attachment,) = reading.attachments or ()
    assert (attachment.name, attachment.size) == ("a b.bin", len(OCTETS))
    assert attachment.sha256 == hashlib.sha256(OCTETS).hexdigest()
    assert reading.body.new.split() == ["See", "the", "file.", "Alex"]
    assert UUENCODED in reading.body.text


@pytest.mark.parametrize(
    "text",
    [
        "begin 644 x\nno data\nend",
        "begin 644 x\n",
        "begin 999 x\n`\nend",
        f"{UUENCODED}".replace("\nend\n", "\n"),
        "begin 644 x\n`\n" * 20_000,
    ],
    ids=["no data", "nothing below", "no mode", "no end", "many"],
)
def test_what_only_begins_like_such_a_file_is_text(text: str) -> None:
    start = time.process_time()
    reading = read(mail(text))
    assert time.process_time() - start < 5
    assert reading.attachments == ()
    assert ReadingFlag.UUENCODED not in reading.flags
    assert reading.body.new == text.strip()


def test_a_signed_text_is_new_without_its_armour() -> None:
    signed = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nYes.\n-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----"
    reading = read(mail(f"{signed}\n\n> Was it you?"))
    assert (reading.body.new, reading.body.quoted) == ("Yes.", "> Was it you?")


@pytest.mark.parametrize(
    ("name", "words", "files"),
    [
        ("body", 622, []),
        ("two-files", 0, [("AUTHORS", 244), ("README", 893)]),
        ("multi-value-attribute", 11, [("208225__5_seconds__Voice_Mail.mp3", 10_656)]),
        ("unicode-mapi-attr", 2, [("example.dat", 1_024)]),
    ],
)
def test_what_winmail_dat_holds_is_shown(
    shared_data: Path, name: str, words: int, files: list[tuple[str, int]]
) -> None:
    octets = (shared_data / "mail/mimekit/UnitTests/TestData/tnef" / f"{name}.tnef").read_bytes()
    held = base64.encodebytes(octets).decode()
    raw = mail(held, "Content-Transfer-Encoding: base64", kind="application/ms-tnef; name=winmail.dat")
    reading = read(raw)
    (outer, *inside) = reading.attachments or ()
    assert outer.name == "winmail.dat"
    assert [(file.name, file.size) for file in inside] == files
    assert len(reading.body.text.split()) == words


def der(tag: int, *inside: bytes, indefinite: bool = False) -> bytes:
    body = b"".join(inside)
    if indefinite:
        return bytes([tag, 0x80]) + body + b"\0\0"
    size = len(body).to_bytes(3, "big")
    return bytes([tag, 0x83]) + size + body


def signed(content: bytes, *, streamed: bool) -> bytes:
    """SignedData as Outlook (definite lengths) and OpenSSL (streamed) write it, without certificates and signers."""
    oid = bytes.fromhex
    chunks = [der(0x04, content[start : start + 50]) for start in range(0, len(content), 50)]
    octets = der(0x24, *chunks, indefinite=True) if streamed else der(0x04, content)
    data = der(
        0x30, oid("06092a864886f70d010701"), der(0xA0, octets, indefinite=streamed), indefinite=streamed
    )
    inside = der(0x30, oid("020101"), oid("3100"), data, oid("3100"), indefinite=streamed)
    return der(
        0x30, oid("06092a864886f70d010702"), der(0xA0, inside, indefinite=streamed), indefinite=streamed
    )


@pytest.mark.parametrize("streamed", [False, True])
def test_what_an_opaque_signature_holds_is_shown_as_the_message(streamed: bool) -> None:
    entity = multipart("mixed", ALTERNATIVE[0], ATTACHED)
    held = base64.encodebytes(signed(entity, streamed=streamed)).decode()
    kind = "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m"
    reading = read(mail(held, "Content-Transfer-Encoding: base64", kind=kind))
    assert reading.body.new == "plain words"
    assert [attachment.name for attachment in reading.attachments or ()] == ["smime.p7m", "a.pdf"]
    assert {ReadingFlag.SMIME, ReadingFlag.SIGNED} <= set(reading.flags)


@given(st.binary(max_size=60), st.integers(0, 120))
def test_no_signature_raises(noise: bytes, at: int) -> None:
    for streamed in (False, True):
        good = signed(b"\r\nhello", streamed=streamed)
        signed_content(good[:at] + noise + good[at:])
        signed_content(good[:at])


@pytest.mark.parametrize(
    "unit", [b"\x30\x80", b"\x24\x80\x04\x01a", b"\x04\x00", b"\x30\x84\xff\xff\xff\xff"]
)
def test_no_signature_of_a_megabyte_takes_long(unit: bytes) -> None:
    start = time.process_time()
    signed_content(signed(unit * (700_000 // len(unit)), streamed=True))
    signed_content(unit * (1_000_000 // len(unit)))
    assert time.process_time() - start < 5


@given(st.binary(max_size=200), st.integers(0, 120))
def test_no_winmail_dat_raises(noise: bytes, at: int) -> None:
    good = (
        b"\x78\x9f\x3e\x22\x01\x00" + b"\x01\x03\x90\x06\x00" + bytes([60, 0, 0, 0, 2, 0, 0, 0]) + bytes(200)
    )
    read_tnef(good[:at] + noise + good[at:])
    read_tnef(good[:at])


def test_lines_that_are_no_fields_are_text_where_the_blank_line_was_left_out() -> None:
    reading = read(b"From: a@b.test\r\nHello, it was us.\r\nTo: be or not\r\n\r\nAlex")
    assert reading.body.new == "Hello, it was us.\nTo: be or not\nAlex"
    assert ReadingFlag.MALFORMED_HEADER in reading.flags


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (mail("hello", kind="multipart/mixed"), "hello"),
        (mail("just words, no base64", "Content-Transfer-Encoding: base64"), "just words, no base64"),
        (multipart("alternative", "\none", "\ntwo", "\none"), "one\ntwo"),
        (multipart("mixed", "\none", "Content-Type: text/x-diff\n\n+two"), "one\n+two"),
        (
            multipart("report", "\none", "Content-Type: text/plain\n\nreturned", rest="; report-type=x"),
            "one\nreturned",
        ),
        (mail("<p>one</p></body></html>\ntwo", kind="text/html"), "one\n\ntwo"),
        (b"From: a@b.test\rSubject: x\r\rhello", "hello"),
    ],
    ids=[
        "no boundary",
        "no base64",
        "other forms",
        "another text",
        "returned as text",
        "below html",
        "macintosh",
    ],
)
def test_text_in_odd_places_is_read(raw: bytes, text: str) -> None:
    assert read(raw).body.text.strip() == text


HTML_REPLIES = ("gmail", "hotmail", "mail_ru", "ms_outlook_2003", "ms_outlook_2007", "ms_outlook_2010", "thunderbird", "windows_mail", "yandex_ru")  # fmt: skip


@pytest.mark.parametrize("name", HTML_REPLIES)
def test_the_public_replies_in_html_are_told_apart(shared_data: Path, name: str) -> None:
    html = (shared_data / f"mail/talon/tests/fixtures/html_replies/{name}.html").read_text("utf-8", "replace")
    body = read(mail(html, kind="text/html; charset=utf-8")).body
    assert body.new.split() == ["Hi.", "I", "am", "fine.", "Thanks,", "Alex"]


def test_a_line_across_the_page_sets_off_what_is_below() -> None:
    html = "<p>Yes.</p>Alex<hr size=1>From: Experts<br>Sent: Friday<br>Subject: Hello<p>Was it you?</p>"
    assert read(mail(html, kind="text/html")).body.new == "Yes.\n\nAlex"


def test_a_plain_mail_has_no_flags() -> None:
    assert read(mail("hello")).flags == ()


def test_a_second_author_is_not_shown_as_the_author() -> None:
    assert read(b"From: a@b.test\r\nFrom: c@d.test\r\n\r\nx").author is None


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Re: hello", "hello"),
        ("RE: Fwd: AW: SV: hello (fwd)", "hello"),
        ("Re[2]: [INC-000001] hello", "hello"),
        ("[Fwd: hello]", "hello"),
        ("回复: hello", "hello"),
        ("Re:hello", "hello"),
        ("TR : hello", "hello"),
        ("Re:", "Re:"),
        ("[INC-000001]", "[INC-000001]"),
        ("Report: hello", "Report: hello"),
        ("", ""),
    ],
)
def test_base_subjects(subject: str, base: str) -> None:
    assert base_subject(subject) == base


def test_intake_decodes_no_attachment() -> None:
    big = base64.encodebytes(bytes(10_000_000)).decode()
    raw = multipart(
        "mixed",
        ALTERNATIVE[0],
        f"Content-Type: application/zip\nContent-Disposition: attachment; filename=a.zip\n"
        f"Content-Transfer-Encoding: base64\n\n{big}",
    )
    message = read_message(raw)
    start = time.process_time()
    reading = read_parsed(message, attachments=False)
    assert time.process_time() - start < 5
    assert reading.attachments is None
    assert reading.body.new == "plain words"


def test_the_contract_names_every_field() -> None:
    shown = as_json(read(report("failed", "5.1.1")), "x.eml")
    assert list(shown) == ["file", "kind", "subject", "base_subject", "from", "message_id", "in_reply_to", "references",
                           "new_text", "quoted_text", "signature", "attachments", "inner_messages", "bounce", "flags"]  # fmt: skip
    assert set(shown["bounce"]) == {
        *("recipient", "status", "action", "original_message_id", "diagnostic", "recipients"),
    }
    json.dumps(shown)


@given(st.binary(max_size=400))
def test_no_bytes_raise(data: bytes) -> None:
    json.dumps(as_json(read(data), "x"))
    json.dumps(as_json(read(multipart("mixed", ALTERNATIVE[1]) + data), "x"))
    json.dumps(as_json(read(mail(data, kind="text/html")), "x"))
    people_view(read_message(data))


def test_no_public_message_raises_and_each_is_read_within_a_second(shared_data: Path) -> None:
    count = 0
    for path in sorted((shared_data / "mail").rglob("*")):
        if path.is_file() and path.name != "SOURCE.txt":
            raw = path.read_bytes()
            start = time.process_time()
            json.dumps(as_json(read(raw), path.name))
            assert time.process_time() - start < 1 + len(raw) / 1_000_000, path
            people_view(read_message(raw))
            count += 1
    assert count > 2_000


HOSTILE = {
    "deep parts": b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(1_000)),
    "deep messages": b"Content-Type: message/rfc822\r\n\r\n" * 1_000,
    "a thousand parts": multipart("mixed", *["\n\nx"] * 20_000),
    "deep html": mail("<div>" * 150_000, kind="text/html"),
    "deep lists": mail("<ul><li>" * 120_000, kind="text/html"),
    "tables": mail("<table><tr><td>" * 60_000, kind="text/html"),
    "open tags": mail("<" * 900_000, kind="text/html"),
    "open words": mail("<a" * 450_000, kind="text/html"),
    "comments": mail("<!--" * 200_000, kind="text/html"),
    "scripts": mail("<script>" * 100_000, kind="text/html"),
    "entities": mail("&amp" * 200_000, kind="text/html"),
    "subject": b"Subject: " + b"Re: " * 240_000 + b"\r\n\r\n",
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 60_000 + b"\r\n\r\n",
    "references": b"References: " + b"<" * 900_000 + b"\r\n\r\n",
    "from": b"From: " + b"(" * 60_000 + b"\r\n\r\nx",
    "status": report("failed", "5." * 400_000),
    "nul": b"\x00" * 900_000,
    "one line": b"a" * 900_000,
    "header only": b"A: b\r\n" * 150_000,
}  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_messages_under_a_megabyte_are_read_in_time(raw: bytes) -> None:
    start = time.process_time()
    json.dumps(as_json(read(raw), "x"))
    assert time.process_time() - start < 10  # under one on an idle machine


def test_a_layout_of_indentation_does_not_blow_up() -> None:
    html = "<ul>" * 140 + "<li>a</li>" * 10_000
    assert len(html_to_text(html)) < 4 * len(html)


def test_the_people_view_is_what_the_sender_wrote() -> None:
    view = people_view(
        read_message(mail("x", "To: Experts <query@experts.test>", "Date: Wed, 25 Nov 2026 09:00:00 +0000"))
    )
    assert view is not None
    assert view.to == ("Experts <query@experts.test>",)
    assert view.date is not None


@pytest.mark.parametrize(
    ("html", "new"),
    [
        (
            (
                '<blockquote type="cite"><div>On 25 Nov 2026, at 18:03, X &lt;x@y.test&gt; wrote:</div><br><div>Which host?</div>'
                "</blockquote><div><br></div>WS-17.<div><br><blockquote>Who?</blockquote><br>Petra.</div>"
            ),
            "WS-17.\n\nPetra.",
        ),
        (
            "<p>On 25 Nov 2026, X &lt;x@y.test&gt; wrote:</p><blockquote><p>Yours?</p></blockquote><p>It is ours.</p>",
            "It is ours.",
        ),
        (
            "Ours.<br>On 25 Nov 2026, X &lt;x@y.test&gt; wrote:<blockquote>Yours?<blockquote>Older</blockquote></blockquote>",
            "Ours.",
        ),
        # Nobody can tell where this one ends: nothing is taken for quoted.
        ("<p>Ours.</p><blockquote><p>It is off.</p>", "Ours.\n\nIt is off."),
        ("<p>Ours.</p></blockquote><blockquote><p>It is off.</p>", "Ours.\n\nIt is off."),
        ("<p>Ours\ufdd0.</p><blockquote></blockquote><p>Off\ufdd1.</p>", "Ours.\n\nOff."),
    ],
)
def test_answers_between_quotations_of_html_are_new_and_the_quotations_are_not(html: str, new: str) -> None:
    lines = [line.strip() for line in read(mail(html, kind="text/html; charset=utf-8")).body.new.split("\n")]
    assert [line for line in lines if line] == [line for line in new.split("\n") if line]


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (MessageKind.HUMAN, "On vacation sign-in from Spain?"),
        (MessageKind.HUMAN, "Re: out of office rules abused by an intruder"),
        (MessageKind.AUTO_REPLY, "On vacation"),
        (MessageKind.AUTO_REPLY, "Out of office: Re: Odd sign-in"),
        (MessageKind.AUTO_REPLY, "Out of Office until Monday"),
        (MessageKind.AUTO_REPLY, "Out of office reply"),
        (MessageKind.AUTO_REPLY, "OOO: Odd sign-in"),
        (MessageKind.AUTO_REPLY, "Frånvarande: Odd sign-in"),
        (MessageKind.AUTO_REPLY, "Nieobecność w biurze: Odd sign-in"),
    ],
)
def test_an_absence_is_told_from_a_sentence_about_one(kind: MessageKind, subject: str) -> None:
    raw = mail("hello").replace(b"Subject: Re: hello", f"Subject: {subject}".encode())
    assert read(raw).kind is kind


def tnef_property(number: int, value: bytes) -> bytes:
    """A binary property of a winmail.dat (MS-OXTNEF 2.1.3.4), one value."""
    return struct.pack("<HHII", 0x0102, number, 1, len(value)) + value + b"\0" * (-len(value) % 4)


def winmail(*properties: bytes) -> bytes:
    listed = struct.pack("<I", len(properties)) + b"".join(properties)
    checksum = struct.pack("<H", sum(listed) & 0xFFFF)
    octets = struct.pack("<IHBII", 0x223E9F78, 1, 1, 0x00069003, len(listed)) + listed + checksum
    held = base64.encodebytes(octets).decode()
    return mail(held, "Content-Transfer-Encoding: base64", kind="application/ms-tnef; name=winmail.dat")


RTF = rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\f0 Gr\'fc\'dfe, it was me.\par Alex\par}"
WRAPPED_HTML = rb"{\rtf1\ansi\ansicpg1252\fromhtml1{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 It was me.{\*\htmltag72 </p>}\htmlrtf\par}\htmlrtf0}"


@pytest.mark.parametrize(
    ("rtf", "told"),
    [
        (RTF, "Grüße, it was me.\nAlex"),
        (WRAPPED_HTML, "It was me."),
        # What is not in the wrapped HTML ends with its group, and only HTML that was wrapped has such a thing.
        (rb"{\rtf1\fromhtml1{\htmlrtf not this}It was me.}", "It was me."),
        (rb"{\rtf1\fromhtml1 It {\htmlrtf{not}\htmlrtf0 was }{{\htmlrtf not}me.}}", "It was me."),
        (rb"{\rtf1\htmlrtf It was me.}", "It was me."),
        # Only before a word that readers may not know a star hides; footnotes are read.
        (rb"{\rtf1 It\* was {\*\b me}{\*\unknown not}.}", "It was me."),
        (rb"{\rtf1 It was {\footnote me}.}", "It was me."),
        # A page holds for what stands below it, and no page makes other letters of ASCII.
        (rb"{\rtf1\ansicpg1200 It was me.}", "It was me."),
        (rb"{\rtf1\ansicpg1251 \'cf\'f0\'e8\ansicpg1252 \'fc}", "Приü"),
        (rb"{\rtf1\ansi\ansicpg1252 It was me.\ansicpg1201}", "It was me."),
        (rb"{\rtf1 It \htmlrtf1 was{\htmlrtf  me}.}", "It was me."),
    ],
)
def test_a_winmail_file_that_holds_only_rtf_shows_its_text(rtf: bytes, told: str) -> None:
    assert read(winmail(tnef_property(0x1009, compressed(rtf)))).body.new == told


@pytest.mark.parametrize(
    "damaged", [b"", compressed(RTF)[:-1], b"LZFu" * 10, compressed(RTF)[:30] + b"?" + compressed(RTF)[31:]]
)
def test_rtf_that_is_damaged_leaves_no_text_and_raises_nothing(damaged: bytes) -> None:
    reading = read(winmail(tnef_property(0x1009, damaged)))
    assert reading.body.text == ""
    assert ReadingFlag.TNEF in reading.flags


def test_rtf_is_not_told_beside_the_same_text_in_html() -> None:
    html = b"<p>It was me.</p>"
    assert (
        read(winmail(tnef_property(0x1013, html), tnef_property(0x1009, compressed(RTF)))).body.new
        == "It was me."
    )


@pytest.mark.parametrize("padding", [b" ", b"{}", rb"{\pict 00}"])
def test_of_rtf_that_is_larger_than_what_is_read_the_beginning_is_shown_and_told_to_be_cut(
    padding: bytes,
) -> None:
    for times, cut in ((100, False), (1_500_000 // len(padding), True)):
        large = compressed(rb"{\rtf1 It was me." + padding * times + b" The end}")
        reading = read(winmail(tnef_property(0x1009, large)))
        assert reading.body.new.startswith("It was me.")
        assert reading.body.new.endswith("The end") is not cut
        assert (ReadingFlag.TEXT_CUT in reading.flags) is cut


def test_rtf_is_read_in_bounded_time_however_much_of_it_a_small_file_holds() -> None:
    hostile = compressed(rb"{\rtf1 " + b"{}" * 500_000)
    raw = winmail(tnef_property(0x1009, hostile))
    start = time.perf_counter()
    assert read(raw).body.text == ""
    assert time.perf_counter() - start < 2
