"""Outlook .msg files: what is rebuilt from them, and how that is judged.

No files of Outlook's own are at hand that could be kept here: all are made by ``outlook_writer``, after [MS-CFB] and
[MS-OXMSG], and read by olefile, which is somebody else's.
"""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from expertmail.cli import run
from expertmail.message_notes import Note
from expertmail.saved_messages import SavedMessage, load
from tests.expertmail.outlook_writer import Folder, Properties, compressed, container, embedding, message
from verifier.message import read_message

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
ZONE = ["--zone", str(SAMPLES / "zone.db")]
GENUINE = (SAMPLES / "genuine-notification.eml").read_bytes()
FORGED = (SAMPLES / "false-display-name.eml").read_bytes()
ORDINARY = (SAMPLES / "customer-question.eml").read_bytes()
SUBJECT, HEADER, TEXT, HTML, RTF = 0x0037, 0x007D, 0x1000, 0x1013, 0x1009
AUTHOR, AUTHOR_KIND, AUTHOR_ADDRESS, AUTHOR_SMTP = 0x0042, 0x0064, 0x0065, 0x5D02
SENDER, SENDER_KIND, SENDER_ADDRESS = 0x0C1A, 0x0C1E, 0x0C1F
DATA, NAME, MEDIA_TYPE, CONTENT_ID, METHOD = 0x3701, 0x3707, 0x370E, 0x3712, 0x3705
INTERNET_PAGE, MESSAGE_PAGE = 0x3FDE, 0x3FFD
FILE: Properties = {METHOD: 1, NAME: "report.pdf", MEDIA_TYPE: "application/pdf", DATA: b"%PDF\r\n\0\xff"}


def split(raw: bytes) -> tuple[str, str]:
    head, _, body = raw.partition(b"\r\n\r\n")
    return head.decode() + "\r\n\r\n", body.decode()


def like(raw: bytes, **more: object) -> Folder:
    """A message in Outlook's shape with the header and the body of a mail."""
    head, body = split(raw)
    return message({HEADER: head, TEXT: body, SUBJECT: "shown"}, **more)


def saved(folder: Folder) -> SavedMessage:
    (found,) = load("-", io.BytesIO(container(folder)))
    return found


def parsed(folder: Folder) -> EmailMessage:
    return message_from_bytes(saved(folder).raw, policy=policy.default)


def verdict(capsys, tmp_path: Path, folder: Folder) -> tuple[int, dict]:
    file = tmp_path / "saved.msg"
    file.write_bytes(container(folder))
    code = run(["verify", "--json", "--explain", str(file), *ZONE])
    out, err = capsys.readouterr()
    assert err == ""
    return code, json.loads(out)


def codes(found: dict) -> set[str]:
    return {reason["code"] for reason in found["reasons"]}


def test_a_genuine_message_is_unproven_once_it_is_saved_as_msg(capsys, tmp_path: Path) -> None:
    code, found = verdict(capsys, tmp_path, like(GENUINE))
    assert (code, found["verdict"]) == (2, "unproven")
    assert {r["code"] for r in found["reasons"] if r["effect"] == "weakens"} == {"rebuilt-message"}
    assert [(d["result"], d["reason"], d["acceptable"]) for d in found["dkim"]] == [
        ("neutral", "rebuilt-message", False)
    ]
    assert found["dmarc"]["result"] == "none"
    assert [note["code"] for note in found["notes"]] == ["rebuilt"]
    assert ".eml" in found["sentence"]
    assert any(".eml" in text for text in found["explanation"]["would_change"])


def test_imitation_is_forged_in_a_msg_file_too(capsys, tmp_path: Path) -> None:
    code, found = verdict(capsys, tmp_path, like(FORGED))
    assert (code, found["verdict"]) == (1, "forged")
    assert {"imitates-display-name", "rebuilt-message"} <= codes(found)


def test_a_message_that_claims_nothing_claims_nothing_in_a_msg_file(capsys, tmp_path: Path) -> None:
    code, found = verdict(capsys, tmp_path, like(ORDINARY))
    assert (code, found["verdict"]) == (3, "no-claim")


@pytest.mark.parametrize(
    "about",
    [
        {NAME: "original.eml", MEDIA_TYPE: "message/rfc822"},
        {NAME: "original.eml", MEDIA_TYPE: "application/octet-stream"},
        {NAME: "ORIGINAL.EML"},
        {NAME: "no name that says so", MEDIA_TYPE: "message/rfc822"},
    ],
)
def test_an_attached_eml_file_keeps_its_bytes_and_its_verdict(
    capsys, tmp_path: Path, about: Properties
) -> None:
    folder = like(ORDINARY, attachments=[FILE, {METHOD: 1, DATA: GENUINE, **about}, FILE])
    assert saved(folder).raw.count(GENUINE) == 1
    code, found = verdict(capsys, tmp_path, folder)
    assert [inner["verdict"] for inner in found["inner"]] == ["genuine"]
    assert "rebuilt-message" not in codes(found["inner"][0])
    assert (code, found["verdict"]) == (0, "no-claim")


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\r\n--", b"\r\n--x--\r\n"])
def test_attached_bytes_stand_there_whatever_they_end_in(end: bytes) -> None:
    from verifier.parts import attached_messages

    raw = b"From: a@b.example\n\n--x\r\n\0\xff" + end
    found = saved(message({TEXT: "x"}, attachments=[{METHOD: 1, NAME: "a.eml", DATA: raw}, FILE]))
    assert attached_messages(read_message(found.raw)) == (raw,)


@pytest.mark.parametrize("file", [False, True], ids=["embedded", "a .msg file attached"])
def test_an_embedded_message_of_outlook_is_judged_apart_and_as_rebuilt(
    capsys, tmp_path: Path, file: bool
) -> None:
    attachment = (
        {METHOD: 1, NAME: "mail.msg", DATA: container(like(GENUINE))}
        if file
        else embedding(like(GENUINE, embedded=True))
    )
    code, found = verdict(capsys, tmp_path, like(ORDINARY, attachments=[attachment]))
    (inner,) = found["inner"]
    assert (code, found["verdict"], inner["verdict"]) == (2, "no-claim", "unproven")
    assert "rebuilt-message" in codes(inner)
    assert inner["dkim"][0]["result"] == "neutral"


def test_an_original_inside_an_embedded_message_is_still_genuine(capsys, tmp_path: Path) -> None:
    original = {METHOD: 1, NAME: "original.eml", DATA: GENUINE}
    embedded = embedding(like(ORDINARY, attachments=[original], embedded=True))
    _, found = verdict(capsys, tmp_path, like(ORDINARY, attachments=[embedded]))
    assert found["inner"][0]["verdict"] == "no-claim"
    assert found["inner"][0]["inner"][0]["verdict"] == "genuine"


def test_the_header_stands_as_it_was_without_what_describes_the_body() -> None:
    head = (
        "Microsoft Mail Internet Headers Version 2.0\r\nReceived: from a\r\n\tby b\r\nFrom: x@y.example\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=b\r\nSubject:  odd   blanks\r\n"
        "content-transfer-encoding: 7bit\r\nX: last\r\n\r\nContent-Type: text/plain\r\nFrom: below@y.example\r\n"
    )
    raw = saved(message({HEADER: head, TEXT: "x"})).raw
    assert raw.startswith(
        b"Received: from a\r\n\tby b\r\nFrom: x@y.example\r\nSubject:  odd   blanks\r\nX: last\r\nMIME-Version: 1.0\r\n"
    )
    assert b"below" not in raw
    assert [f.lower for f in read_message(raw).fields].count(b"content-type") == 1


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("code_page", [None, "cp1252"])
def test_line_ends_and_kinds_of_text_make_no_difference_to_the_header(
    ends: str, code_page: str | None
) -> None:
    head = ends.join(["From: x@y.example", "Subject: é", "", ""])
    raw = saved(message({HEADER: head, TEXT: "x"}, code_page=code_page)).raw
    octets = "é".encode("cp1252" if code_page else "utf-8")  # 8-bit text stands as it was
    assert raw.startswith(b"From: x@y.example\r\nSubject: " + octets + b"\r\nMIME-Version")


PEOPLE = [
    {0x0C15: 1, 0x3001: "Ann", 0x39FE: "ann@contoso.example", 0x3003: "/O=EX/CN=ANN", 0x3002: "EX"},
    {0x0C15: 2, 0x3001: "Böb, Jr.", 0x3003: "bob@contoso.example", 0x3002: "SMTP"},
    {0x0C15: 3, 0x3001: "Blind", 0x3003: "blind@contoso.example", 0x3002: "SMTP"},
]
RECORDED: Properties = {
    SUBJECT: "Grüße, 世界",
    AUTHOR: "Dana “the boss” Ö",
    AUTHOR_KIND: "EX",
    AUTHOR_ADDRESS: "/O=EX/CN=DANA",
    AUTHOR_SMTP: "dana@contoso.example",
    SENDER: "Secretary",
    SENDER_KIND: "SMTP",
    SENDER_ADDRESS: "secretary@contoso.example",
    0x0039: datetime(2026, 11, 25, 10, 0, tzinfo=UTC),
    0x1035: "<id@contoso.example>",
    0x1042: "<before@contoso.example>",
    0x1039: "<first@contoso.example> <before@contoso.example>",
    TEXT: "Hallo",
}


def test_without_a_header_one_is_made_from_what_outlook_recorded() -> None:
    found = saved(message(RECORDED, PEOPLE))
    mail = message_from_bytes(found.raw, policy=policy.default)
    assert mail["from"].addresses[0].addr_spec == "dana@contoso.example"
    assert mail["from"].addresses[0].display_name == "Dana “the boss” Ö"
    assert mail["sender"].addresses[0].addr_spec == "secretary@contoso.example"
    assert [a.addr_spec for a in mail["to"].addresses] == ["ann@contoso.example"]
    assert [(a.display_name, a.addr_spec) for a in mail["cc"].addresses] == [
        ("Böb, Jr.", "bob@contoso.example")
    ]
    assert b"blind" not in found.raw
    assert (mail["subject"], mail["date"].datetime) == (RECORDED[SUBJECT], RECORDED[0x0039])
    assert mail["message-id"] == "<id@contoso.example>"
    assert mail["in-reply-to"] == "<before@contoso.example>"
    assert mail["references"] == "<first@contoso.example> <before@contoso.example>"
    assert found.notes == (Note.REBUILT, Note.MSG_NO_HEADER)
    head = found.raw.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert max(map(len, head.split(b"\r\n"))) <= 100


@pytest.mark.parametrize(
    ("more", "present"),
    [
        ({}, False),
        ({AUTHOR_ADDRESS: "/O=EX/CN=D@NA", AUTHOR_KIND: "EX"}, False),
        ({AUTHOR_SMTP: "d@e.example"}, True),
    ],
)
def test_a_sender_without_a_mail_address_is_no_author(more: Properties, present: bool) -> None:
    found = saved(message({AUTHOR: "Defender Experts", TEXT: "x", **more}))
    assert bool(read_message(found.raw).named(b"from")) == present
    assert (Note.MSG_NO_ADDRESS in found.notes) != present


@pytest.mark.parametrize(
    ("address", "noted"),
    [("x@y.example", False), ("X@Y.EXAMPLE", False), ("defender-experts@experts.test", True), ("", False)],
)
def test_a_sender_that_the_header_does_not_name_is_told(address: str, noted: bool) -> None:
    found = saved(message({HEADER: "From: <x@y.example>\r\n\r\n", AUTHOR_SMTP: address, TEXT: "x"}))
    assert (Note.MSG_OTHER_SENDER in found.notes) == noted


@pytest.mark.parametrize("number", [SUBJECT, AUTHOR, SENDER, AUTHOR_SMTP, 0x1035, 0x1042, 0x1039, 0x0E04])
def test_no_property_adds_a_field(number: int) -> None:
    evil = "x@y.example\r\nBcc: evil@evil.example\r\n\r\n\u2028\u202e\0body"
    found = saved(
        message({AUTHOR_SMTP: "a@b.example", SENDER_ADDRESS: "c@d.example", TEXT: "x", number: evil})
    )
    assert not read_message(found.raw).named(b"bcc")
    assert not read_message(found.raw).defects


@pytest.mark.parametrize("field", [NAME, MEDIA_TYPE, CONTENT_ID])
@pytest.mark.parametrize(
    "evil",
    [
        'a"\r\nContent-Type: text/html\r\n\r\nx',
        "multipart/mixed; boundary=b",
        "é\0\u202e\ud800x",
        "x" * 30_000,
        "",
    ],
)
def test_no_property_of_an_attachment_breaks_its_part(field: int, evil: str) -> None:
    from verifier.parts import walk

    file = {**FILE, field: evil.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")}
    found = saved(message({TEXT: "x"}, attachments=[file]))
    parts = walk(read_message(found.raw))
    assert [p.content_type for p in parts][:2] == ["multipart/mixed", "text/plain"]
    assert len(parts) == 3
    assert not any(p.defects for p in parts)


@pytest.mark.parametrize(
    ("page", "codec", "text"),
    [
        (1252, "cp1252", "Grüße €"),
        (1251, "cp1251", "Привет"),
        (932, "cp932", "日本語"),
        (936, "gb18030", "中文"),
        (949, "cp949", "한국어"),
        (950, "big5", "繁體"),
        (65001, "utf-8", "ünïcödé 世界"),
    ],
)
def test_eight_bit_text_is_read_by_the_code_page_of_the_message(page: int, codec: str, text: str) -> None:
    file = {**FILE, NAME: f"{text}.pdf"}
    folder = message(
        {SUBJECT: text, TEXT: text, MESSAGE_PAGE: page}, [{0x0C15: 1, 0x3001: text, 0x3003: "a@b.example"}], [file],
        code_page=codec,
    )  # fmt: skip
    mail = parsed(folder)
    assert mail["subject"] == text
    assert mail["to"].addresses[0].display_name == text
    assert mail.get_body().get_content().strip() == text
    assert [a.get_filename() for a in mail.iter_attachments()] == [f"{text}.pdf"]


def test_html_is_binary_in_the_code_page_of_the_internet() -> None:
    html = "<p>Привет</p>"
    mail = parsed(message({HTML: html.encode("koi8-r"), INTERNET_PAGE: 20866, TEXT: "Привет"}))
    assert mail.get_content_type() == "multipart/alternative"
    assert mail.get_body(("plain",)).get_content().strip() == "Привет"
    assert mail.get_body(("html",)).get_content().strip() == html
    alone = parsed(message({HTML: html}))  # some writers give a text
    assert alone.get_content_type() == "text/html"
    assert alone.get_content().strip() == html


def test_rtf_is_read_only_where_there_is_no_other_body() -> None:
    rtf = compressed(rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\pard Gr\'fc\u223?e\par zwei}")
    found = saved(message({RTF: rtf}))
    assert Note.MSG_RTF_ONLY in found.notes
    mail = message_from_bytes(found.raw, policy=policy.default)
    assert mail.get_content() == "Grüße\nzwei"
    assert Note.MSG_RTF_ONLY not in saved(message({RTF: rtf, TEXT: "plain"})).notes
    broken = saved(message({RTF: rtf[:-3] + b"xxx"}))
    assert Note.MSG_DAMAGED in broken.notes
    assert message_from_bytes(broken.raw, policy=policy.default).get_content() == ""


def test_attachments_are_all_there_with_their_names_types_and_ids() -> None:
    picture = {
        METHOD: 1,
        NAME: "Bild ä.png",
        MEDIA_TYPE: "image/png",
        CONTENT_ID: "img1@x",
        DATA: b"\x89PNG" * 5_000,
    }
    short = {METHOD: 1, 0x3704: "SHORT~1.TXT", DATA: b"short"}
    mail = parsed(like(ORDINARY, attachments=[FILE, picture, short]))
    found = [
        (a.get_filename(), a.get_content_type(), a.get_payload(decode=True)) for a in mail.iter_attachments()
    ]
    assert found == [
        ("report.pdf", "application/pdf", FILE[DATA]),
        ("Bild ä.png", "image/png", picture[DATA]),
        ("SHORT~1.TXT", "application/octet-stream", b"short"),
    ]
    assert [a["content-id"] for a in mail.iter_attachments()] == [None, "<img1@x>", None]


@pytest.mark.parametrize(
    "attachment",
    [
        {METHOD: 2, NAME: "link"},
        {METHOD: 7, NAME: "link to the web", DATA: b"x"},
        {METHOD: 1, NAME: "nothing in it"},
        {METHOD: 5, NAME: "an embedded message that is none"},
        embedding({"x": b"an object of another program"}, method=6),
        embedding({"x": b"no properties"}),
        {},
    ],
)
def test_what_no_mail_can_hold_is_left_out_and_told(attachment: Properties | Folder) -> None:
    found = saved(like(ORDINARY, attachments=[attachment, FILE]))
    assert Note.MSG_LEFT_OUT in found.notes
    mail = message_from_bytes(found.raw, policy=policy.default)
    assert [a.get_filename() for a in mail.iter_attachments()] == ["report.pdf"]


def test_messages_in_messages_end_at_a_depth_and_attachments_at_a_number() -> None:
    folder = like(ORDINARY, embedded=True)
    for _ in range(12):
        folder = like(ORDINARY, attachments=[embedding(folder)], embedded=True)
    folder["__properties_version1.0"] = b"\0" * 32
    found = saved(folder)
    assert len(found.rebuilt) == 6
    assert Note.MSG_LEFT_OUT in found.notes
    many = saved(message({TEXT: "x"}, attachments=[FILE] * 501))
    assert Note.MSG_LEFT_OUT in many.notes
    assert many.raw.count(b"report.pdf") == 500


def test_the_same_file_gives_the_same_bytes() -> None:
    folder = like(ORDINARY, attachments=[FILE, embedding(like(GENUINE, embedded=True))])
    assert saved(folder) == saved(folder)


def test_inspect_reads_a_msg_file(capsys, tmp_path: Path) -> None:
    file = tmp_path / "saved.msg"
    file.write_bytes(container(message({**RECORDED, HTML: b"<p>Hallo</p>"}, PEOPLE, [FILE])))
    assert run(["inspect", "--json", str(file)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["from"], found["subject"], found["new_text"].strip()) == (
        "dana@contoso.example",
        RECORDED[SUBJECT],
        "Hallo",
    )
    assert [(a["name"], a["size"]) for a in found["attachments"]] == [("report.pdf", 8)]
    assert run(["inspect", str(file)]) == 0
    assert "rebuilt" in " ".join(capsys.readouterr().out.split())


def test_a_folder_with_msg_files_is_judged_whole(capsys, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(GENUINE)
    (tmp_path / "b.msg").write_bytes(container(like(GENUINE)))
    assert run(["verify", "--json", str(tmp_path), *ZONE]) == 2
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["verdict"] for one in found] == ["genuine", "unproven"]


def test_without_the_extra_the_fault_names_the_install_line(capsys, monkeypatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.startswith("expertmail.outlook")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "olefile", None)
    file = tmp_path / "saved.msg"
    file.write_bytes(container(like(ORDINARY)))
    for command in (["verify", "--json", str(file), *ZONE], ["inspect", str(file)]):
        assert run(command) == 66
        out, err = capsys.readouterr()
        assert out == ""
        assert "pip install 'expertmail[msg]'" in err
        assert len(err.splitlines()) == 1
