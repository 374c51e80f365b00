"""Attached files are described by what they are; their names and lists are hostile, and nothing is opened."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import quopri
import random
import struct
import tarfile
import time
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from threads import attachment_octets
from threads.archive_listing import MAX_ENTRIES, listing_of
from threads.attachment_name import (
    MAX_NAME_BYTES,
    double_extension,
    extension,
    leads_out,
    runs_by_name,
    safe_name,
)
from threads.attachment_octets import octets_of
from threads.attachment_type import type_of
from threads.attachments import (
    MAX_MESSAGES_DEEP,
    AttachedFile,
    FileFlag,
    archive_entries,
    attached_files,
    file_octets,
)
from verifier.message import read_message
from verifier.parts import body_bytes, walk

PE = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00" + bytes(100)
ELF = b"\x7fELF\x02\x01\x01" + bytes(60)
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


def zipped(files: dict[str, bytes], *, flags: int = 0) -> bytes:
    """A ZIP; with flag 1 set in both headers it is what an encrypted one looks like from outside."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            # Not as of now: what is collected by two processes would differ by a second.
            archive.writestr(zipfile.ZipInfo(name), content)
    data = made.getvalue()
    if flags:
        data = data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00" + struct.pack("<H", flags))
    return data


def tarred(names: list[str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 5
            archive.addfile(member, io.BytesIO(b"12345"))
    return made.getvalue()


def ole(*streams: str, class_id: bytes = bytes(16)) -> bytes:
    """A compound file's header, and a directory in its first sector ([MS-CFB] 2.2, 2.6.1)."""
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(22) + struct.pack("<H", 9) + bytes(16) + struct.pack("<I", 0)
    directory = bytearray(128 * (1 + len(streams)))
    directory[0:22] = "Root Entry\0".encode("utf-16-le")
    directory[80:96] = class_id
    for place, name in enumerate(streams, start=1):
        stored = (name + "\0").encode("utf-16-le")
        directory[place * 128 : place * 128 + len(stored)] = stored
    return header.ljust(512, b"\0") + bytes(directory).ljust(512, b"\0")


def rar5(*, header_encrypted: bool = False, file_encrypted: bool = False) -> bytes:
    """Headers of the RAR 5.0 archive format: main, then encryption or a file with an encryption record."""

    def header(kind: int, rest: bytes) -> bytes:
        body = bytes([kind]) + rest
        return bytes(4) + bytes([len(body)]) + body

    if header_encrypted:
        return b"Rar!\x1a\x07\x01\x00" + header(4, bytes(20))
    extra = bytes([3, 1, 0, 0]) if file_encrypted else b""
    file = header(2, bytes([1, len(extra)]) + b"fields" + extra) if extra else header(2, bytes([0]) + b"fields")
    return b"Rar!\x1a\x07\x01\x00" + header(1, bytes([0, 0])) + file


def rar4(*, headers_encrypted: bool = False, file_encrypted: bool = False) -> bytes:
    """The same of RAR 4: a main header, then a file's; each says how long it is."""
    main = struct.pack("<HBHH6x", 0, 0x73, 0x0080 if headers_encrypted else 0, 13)
    file = struct.pack("<HBHHI21x", 0, 0x74, 0x8000 | (0x0004 if file_encrypted else 0), 32, 5) + b"12345"
    return b"Rar!\x1a\x07\x00" + main + file + file


def seven_zip(method: bytes, *, size: int | None = None) -> bytes:
    """A 7z signature header, four octets of data, and a last header that names a method."""
    header = b"\x17\x06\x01\x09" + method
    start = struct.pack("<QQI", 4, len(header) if size is None else size, 0)
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(4) + start + b"data" + header


def described(name: str | None, content: bytes, declared: str = "application/octet-stream") -> AttachedFile:
    """What is found of one file attached to an ordinary message."""
    main, _, sub = declared.partition("/")
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "anna@contoso.test", "files"
    mail.set_content("see attached\n")
    mail.add_attachment(content, maintype=main, subtype=sub, filename=name)
    message = read_message(mail.as_bytes().replace(b"\n", b"\r\n"))
    (found,) = attached_files(message, walk(message))
    assert file_octets(message, walk(message), 1) == content
    assert file_octets(message, walk(message), 2) is None
    return found


BY_CONTENT = [
    ("application/vnd.microsoft.portable-executable", PE),
    ("application/x-elf", ELF),
    ("application/x-mach-binary", b"\xcf\xfa\xed\xfe" + bytes(30)),
    ("application/x-mach-binary", b"\xca\xfe\xba\xbe\x00\x00\x00\x02" + bytes(30)),
    ("application/java-vm", b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + bytes(30)),
    ("application/x-shellscript", b"#!/bin/sh\nrm -rf ~\n"),
    ("application/x-ms-shortcut", b"L\x00\x00\x00\x01\x14\x02\x00" + bytes(40)),
    ("application/pdf", PDF),
    ("application/pdf", b"\r\n\r\nsome junk before\r\n" + PDF),
    ("image/png", PNG),
    ("image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF"),
    ("image/webp", b"RIFF\x24\x00\x00\x00WEBPVP8 "),
    ("image/heif", b"\x00\x00\x00\x18ftypheic"),
    ("image/svg+xml", b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>'),
    ("text/html", b"\xef\xbb\xbf  <!DOCTYPE html><html><body>x</body></html>"),
    ("text/html", "\ufeff<html><script>x</script></html>".encode("utf-16-le")),
    ("application/hta", b"<html><head><HTA:APPLICATION id=x></head></html>"),
    ("message/rfc822", b"From: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n"),
    ("text/calendar", b"BEGIN:VCALENDAR\r\n"),
    ("text/plain", b"MZ is also how a note can begin\n"),
    ("text/plain", "Grüße\n".encode("latin-1")),
    ("application/octet-stream", bytes(range(256))),
    ("application/octet-stream", b""),
    ("application/rtf", b"{\\rtf1\\ansi x}"),
    ("application/onenote", bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(20)),
    ("application/vnd.efi.iso", bytes(32_769) + b"CD001" + bytes(100)),
    ("application/x-virtualbox-vhd", bytes(2048) + b"conectix".ljust(512, b"\0")),
    ("application/vnd.rar", rar5()),
    ("application/x-tar", tarred(["a"])),
    ("application/msword", ole("WordDocument")),
    ("application/x-msi", ole("Property", class_id=bytes.fromhex("84100c0000000000c000000000000046"))),
    ("application/vnd.ms-outlook", ole("x", class_id=bytes.fromhex("0b0d020000000000c000000000000046"))),
    ("application/x-encrypted-office", ole("EncryptionInfo", "EncryptedPackage")),
    ("application/x-ole-storage", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
]


@pytest.mark.parametrize(("kind", "content"), BY_CONTENT)
def test_a_file_is_what_its_octets_say(kind, content):
    assert type_of(content) == kind


ZIPS = [
    ("application/vnd.openxmlformats-officedocument.wordprocessingml", {"[Content_Types].xml": b"", "word/document.xml": b""}),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml", {"[Content_Types].xml": b"", "xl/workbook.xml": b""}),
    ("application/vnd.oasis.opendocument.text", {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b""}),
    ("application/vnd.android.package-archive", {"AndroidManifest.xml": b"", "classes.dex": b""}),
    ("application/java-archive", {"META-INF/MANIFEST.MF": b"", "a/B.class": b""}),
    ("application/zip", {"a.txt": b""}),
]


@pytest.mark.parametrize(("kind", "files"), ZIPS)
def test_what_is_a_zip_underneath_is_told_by_the_names_in_it(kind, files):
    assert described("x.bin", zipped(files)).type == kind


FLAGS = [
    ("report.pdf", PDF, "application/pdf", set()),
    ("photo.png", PNG, "image/png", set()),
    ("table.csv", b"a;b\n1;2\n", "text/csv", set()),
    ("letter.docx", zipped({"[Content_Types].xml": b"", "word/document.xml": b""}), "application/octet-stream", set()),
    ("photo.jpg", PNG, "image/jpeg", set()),  # one picture under another's ending harms nobody
    ("setup.exe", PE, "application/octet-stream", {"executable"}),
    ("setup", ELF, "application/octet-stream", {"executable"}),
    ("run.js", b"WScript.Echo(1)", "text/javascript", {"executable"}),
    ("x.bin", b"a", "application/x-msdownload", {"executable"}),
    ("invoice.pdf", PE, "application/pdf", {"executable", "type-mismatch"}),
    ("invoice.pdf.exe", PE, "application/octet-stream", {"executable", "double-extension"}),
    ("invoice.pdf          .scr", PE, "application/octet-stream", {"executable", "double-extension"}),
    ("invoice\u202efdp.exe", PE, "application/octet-stream", {"executable", "bidi-name"}),
    ("invoice.e\u200dxe. ", b"x", "application/octet-stream", {"executable"}),
    ("notes.txt", ELF, "text/plain", {"executable", "type-mismatch"}),
    ("page.html", b"<html><script>location='x'</script></html>", "text/html", {"script"}),
    ("drawing.svg", b"<svg><script>x()</script></svg>", "image/svg+xml", {"script"}),
    ("disk.iso", bytes(32_769) + b"CD001" + bytes(99), "application/octet-stream", {"executable", "disk-image", "not-listed"}),
    ("a.zip", zipped({"a.txt": b"a"}), "application/zip", set()),
    ("a.zip", zipped({"b/setup.exe": b"a"}), "application/zip", {"executable-inside"}),
    ("a.zip", zipped({"b\\offer.pdf.scr": b"a"}), "application/zip", {"executable-inside", "double-extension"}),
    ("a.zip", zipped({"inner.zip": b"a"}), "application/zip", {"archive-inside"}),
    ("a.zip", zipped({"../../etc/cron.d/x": b"a"}), "application/zip", {"leads-out"}),
    ("a.zip", zipped({"secret.txt": b"a"}, flags=1), "application/zip", {"encrypted"}),
    ("a.zip", zipped({"secret.exe": b"a"}, flags=1), "application/zip", {"encrypted", "executable-inside"}),
    ("a.docx", zipped({"[Content_Types].xml": b"", "word/vbaProject.bin": b""}), "application/zip", {"macros"}),
    ("a.xlsx", zipped({"[Content_Types].xml": b"", "xl/macrosheets/sheet1.xml": b""}), "application/zip", {"macros"}),
    ("a.doc", ole("WordDocument", "Macros", "_VBA_PROJECT"), "application/msword", {"macros"}),
    ("a.doc", ole("WordDocument"), "application/msword", set()),
    ("a.docx", ole("EncryptionInfo", "EncryptedPackage"), "application/octet-stream", {"encrypted"}),
    ("a.pdf", PDF.replace(b"/Root", b"/Encrypt 5 0 R /Root"), "application/pdf", {"encrypted"}),
    ("a.tar", tarred(["x/run.sh", "y.txt"]), "application/x-tar", {"executable-inside"}),
    ("a.tar", tarred(["a" * 300 + ".exe"]), "application/x-tar", {"executable-inside"}),
    ("a.gz", b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03run.exe\x00" + gzip.compress(b"x")[10:], "application/gzip", {"executable-inside"}),
    ("a.rar", rar5(), "application/vnd.rar", {"not-listed"}),
    ("a.rar", rar5(header_encrypted=True), "application/vnd.rar", {"not-listed", "encrypted"}),
    ("a.rar", rar5(file_encrypted=True), "application/vnd.rar", {"not-listed", "encrypted"}),
    ("a.rar", rar4(), "application/vnd.rar", {"not-listed"}),
    ("a.rar", rar4(headers_encrypted=True), "application/vnd.rar", {"not-listed", "encrypted"}),
    ("a.rar", rar4(file_encrypted=True), "application/vnd.rar", {"not-listed", "encrypted"}),
    ("a.7z", seven_zip(b"\x03\x01\x01"), "application/octet-stream", {"not-listed"}),
    ("a.7z", seven_zip(b"\x06\xf1\x07\x01"), "application/octet-stream", {"not-listed", "encrypted"}),
    ("a.7z", seven_zip(b"\x03", size=1 << 40), "application/octet-stream", {"not-listed", "damaged"}),
    ("a.zip", zipped({"a.txt": b"a"})[:-10], "application/zip", {"damaged"}),
    ("a.zip", b"PK\x03\x04" + bytes(50), "application/zip", {"damaged"}),
    ("a.pdf", b"\x00\x01\x02\x03", "application/octet-stream", {"type-mismatch"}),
]


@pytest.mark.parametrize(("name", "content", "declared", "flags"), FLAGS)
def test_what_speaks_against_a_file_is_told_and_nothing_else(name, content, declared, flags):
    found = described(name, content, declared)
    assert {flag.value for flag in found.flags} == flags
    assert (found.size, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_an_archive_lists_its_names_with_the_sizes_it_claims():
    content = zipped({"a.txt": b"12345", "Ordner/ü.txt": b"1"})
    assert [(entry.name, entry.size) for entry in archive_entries(content)] == [("a.txt", 5), ("Ordner/ü.txt", 1)]
    assert [entry.name for entry in archive_entries(tarred(["x", "y" * 200]))] == ["x", "y" * 200]


def test_a_zip_behind_a_program_and_one_in_zip64_are_listed_all_the_same():
    plain = zipped({"a.txt": b"12345"})
    end = plain.rfind(b"PK\x05\x06")
    number, size, offset = struct.unpack_from("<HII", plain, end + 10)
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, number, number, size, offset)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1)
    classic = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    for data in (b"#!/bin/sh\nexit\n" + plain, plain[:end] + record + locator + classic):
        listing = listing_of(data, "application/zip")
        assert [entry.name for entry in listing.entries] == ["a.txt"]
        assert not listing.damaged


def test_lying_sizes_and_counts_are_told_and_cost_nothing():
    plain = zipped({f"{n}.txt": b"x" for n in range(3)})
    end = plain.rfind(b"PK\x05\x06")
    more = plain[: end + 10] + struct.pack("<H", 900) + plain[end + 12 :]
    assert listing_of(more, "application/zip").damaged
    entry = plain.find(b"PK\x01\x02")
    bomb = plain[: entry + 24] + struct.pack("<I", 0xFFFF_FFFE) + plain[entry + 28 :]
    assert listing_of(bomb, "application/zip").expands
    packed = plain[: entry + 20] + struct.pack("<I", 0x7FFF_FFFF) + plain[entry + 24 :]
    assert listing_of(packed, "application/zip").damaged
    header = bytearray(tarred(["a"]))
    header[124:136] = b"77777777777\0"
    assert listing_of(bytes(header), "application/x-tar").damaged


def test_more_names_than_are_read_are_told():
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0) + b"a"
    many = MAX_ENTRIES + 5
    data = b"PK\x03\x04" + entry * many
    data += struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, many, many, len(entry) * many, 4, 0)
    listing = listing_of(data, "application/zip")
    assert listing.cut
    assert len(listing.entries) == MAX_ENTRIES


NAMES = [
    ("report.pdf", "report.pdf"),
    ("../../../etc/passwd", "passwd"),
    ("C:\\Users\\anna\\a.doc", "a.doc"),
    ("a/b/", "b"),
    ("", "attachment-3.bin"),
    (None, "attachment-3.bin"),
    ("...", "attachment-3.bin"),
    (".bashrc", "bashrc"),
    ("-rf", "rf"),
    ("con.txt", "_con.txt"),
    ("LPT1", "_LPT1"),
    ("a\r\nb\x00c.txt", "a bc.txt"),
    ("invoice\u202efdp.exe", "invoicefdp.exe"),
    ('a<b>c:"d|e?f*.txt', "a_b_c__d_e_f_.txt"),
    ("name.txt. . ", "name.txt"),
    ("Ärger.pdf", "Ärger.pdf"),
    ("x" * 500 + ".pdf", "x" * (MAX_NAME_BYTES - 4) + ".pdf"),
    ("ü" * 500 + ".pdf", "ü" * ((MAX_NAME_BYTES - 4) // 2) + ".pdf"),
    ("\udcff.txt", "txt"),
]


@pytest.mark.parametrize(("given", "safe"), NAMES)
def test_a_name_is_one_component_that_every_system_takes(given, safe):
    assert safe_name(given, 3) == safe


def test_an_ending_is_what_a_double_click_goes_by():
    assert extension("a.tar.GZ") == "gz"
    assert extension("a.exe. .") == "exe"
    assert extension(".exe") == "exe"  # a name that is an ending only runs as well
    assert extension("README") == ""
    assert runs_by_name("A.SettingContent-ms")
    assert not runs_by_name("setup.exe.txt")
    assert double_extension("a.docx.lnk")
    assert not double_extension("v1.2.exe")
    assert [leads_out(path) for path in ("a/b", "/a", "a/../b", "..\\x", "D:x", "a..b")] == [False, True, True, True, True, False]


def test_each_flag_is_one_that_is_looked_for():
    """Every flag of the table above is found by some case, so that none is left out by accident."""
    seen = {flag for _, _, _, flags in FLAGS for flag in flags} | {"listing-cut", "expands"}
    assert seen == {flag.value for flag in FileFlag}


def test_a_messages_own_text_is_no_attachment_and_an_attached_message_is_one():
    inner = EmailMessage()
    inner["Subject"] = "inside"
    inner.set_content("x")
    mail = EmailMessage()
    mail.set_content("text")
    mail.add_alternative("<p>text</p>", subtype="html")
    mail.add_attachment(inner)
    mail.add_attachment(PNG, maintype="image", subtype="png", filename="logo.png", disposition="inline")
    message = read_message(mail.as_bytes().replace(b"\n", b"\r\n"))
    found = attached_files(message, walk(message))
    assert [(file.number, file.declared, file.name) for file in found] == [
        (1, "message/rfc822", "attachment-1.bin"),
        (2, "image/png", "logo.png"),
    ]
    plain = read_message(b"From: a@b.test\r\n\r\nhello\r\n")
    assert attached_files(plain, walk(plain)) == ()


def forwarded(name: str, content: bytes, times: int) -> bytes:
    """A file in a message, attached to another message, and so on."""
    mail = EmailMessage()
    mail.set_content("see attached\n")
    mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    for _ in range(times):
        outer = EmailMessage()
        outer.set_content("forwarded\n")
        outer.add_attachment(mail)
        mail = outer
    return mail.as_bytes().replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("times", "flags"),
    [(1, {"executable-inside"}), (3, {"executable-inside"}), (MAX_MESSAGES_DEEP + 1, {"not-listed"})],
)
def test_a_program_in_a_forwarded_message_is_seen_as_deep_as_is_looked(times, flags):
    message = read_message(forwarded("setup.exe", PE, times))
    (found,) = attached_files(message, walk(message))
    assert {flag.value for flag in found.flags} == flags
    assert found.runs == ("executable-inside" in flags)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
@pytest.mark.as_source
def test_a_large_file_decoded_in_pieces_is_the_same_as_in_one(encoding, monkeypatch):
    chance = random.Random(7)
    for _ in range(300):
        monkeypatch.setattr(attachment_octets, "PIECE", chance.randrange(5, 60))
        content = bytes(chance.choice(b"ab=\r\n 0123456789ABCDEF=") for _ in range(chance.randrange(400)))
        body = content
        if chance.random() < 0.7:
            body = base64.encodebytes(content) if encoding == "base64" else quopri.encodestring(content)
        raw = b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + body
        message = read_message(raw)
        (part,) = walk(message)
        assert octets_of(message, part) == body_bytes(message, part)


SEEDS = [content for _, content in BY_CONTENT] + [content for _, content, _, _ in FLAGS] + [zipped(files) for _, files in ZIPS]


def test_hostile_octets_never_raise_and_always_give_the_same():
    """Whatever the octets are, they are described, in flags and a name that can be stored and written."""
    chance = random.Random(5)
    rounds = 60_000 if os.environ.get("FULL") else 4_000
    for _ in range(rounds):
        data = bytearray(chance.choice(SEEDS)[:4_096])
        for _ in range(chance.randrange(1, 8)):
            if not data:
                break
            at = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
                case 1:
                    del data[at : at + chance.randrange(64)]
                case 2:
                    data[at:at] = chance.choice(SEEDS)[:64]
                case _:
                    data[at : at + 8] = chance.choice((b"\xff" * 8, bytes(8), b"\x80" * 8))
        octets = bytes(data)
        listing = listing_of(octets, type_of(octets))
        assert len(listing.entries) <= MAX_ENTRIES
        for kind in ("application/zip", "application/x-tar", "application/gzip", "application/vnd.rar", "application/x-7z-compressed"):
            assert listing_of(octets, kind) == listing_of(octets, kind)


def test_hostile_messages_never_raise_and_their_files_can_be_had_by_number():
    """Whatever is changed in a message, each listed file has the octets, the size and the hash that are listed."""
    chance = random.Random(8)
    bases = [forwarded(name or "x", content[:2_000], 1) for name, content, _, _ in FLAGS]
    for _ in range(20_000 if os.environ.get("FULL") else 1_000):
        raw = bytearray(chance.choice(bases))
        for _ in range(chance.randrange(1, 12)):
            at = chance.randrange(len(raw))
            match chance.randrange(3):
                case 0:
                    raw[at] = chance.randrange(256)
                case 1:
                    del raw[at : at + chance.randrange(80)]
                case _:
                    raw[at:at] = chance.choice(
                        (b"\r\n\r\n", b"--", b"Content-Type: message/rfc822\r\n", b"; name*0*=utf-8''%FF", b"=", b'"')
                    )
        message = read_message(bytes(raw))
        parts = walk(message)
        found = attached_files(message, parts)
        assert [file.number for file in found] == list(range(1, len(found) + 1))
        for file in found:
            octets = file_octets(message, parts, file.number)
            assert octets is not None
            assert (len(octets), hashlib.sha256(octets).hexdigest()) == (file.size, file.sha256)
            assert file.name == safe_name(file.name, file.number)


def test_hostile_names_never_raise_and_lead_nowhere():
    chance = random.Random(6)
    letters = "ab./\\:\0\r\n \u202e\u200d\ud800\U0001f600üCON1~-"
    for _ in range(3_000):
        name = "".join(chance.choice(letters) for _ in range(chance.randrange(40)))
        safe = safe_name(name, 1)
        assert safe
        assert safe == Path(safe).name
        assert not safe.startswith((".", "-", "~"))
        assert len(safe.encode()) <= MAX_NAME_BYTES
        assert safe.isprintable()
        assert safe_name(safe, 1) == safe


HOSTILE = {
    "entries": b"PK\x03\x04" + (struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *[0] * 16)) * 40_000 + b"PK\x05\x06" + bytes(18),
    "ends": b"PK\x03\x04" + b"PK\x05\x06" * 500_000,
    "rar5 headers": b"Rar!\x1a\x07\x01\x00" + (bytes(4) + b"\x7f\x02\x01\x7f" + b"\x02\x00" * 63) * 15_000,
    "rar4 headers": b"Rar!\x1a\x07\x00" + (b"\0\0\x74\0\0\x07\0" + bytes(4)) * 180_000,
    "tar blocks": (tarred(["a"])[:512].replace(b"00000000005", b"00000000000")) * 4_000,
    "markup": b"<" * 2_000_000,
    "fields": b"a:\n" * 600_000,
    "names": zipped({"." * 60_000: b"", "a." * 20_000: b""}),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_costs_no_more_than_its_size(kind):
    data = HOSTILE[kind]
    started = time.process_time()
    listing_of(data, type_of(data))
    described("x" * 100, data[:100_000])
    assert time.process_time() - started < 2.0  # a tenth of that on a slow machine
