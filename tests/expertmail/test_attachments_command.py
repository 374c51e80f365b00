"""``expertmail attachments`` lists files and hands one out, safely named, to its owner only; it overwrites nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from threads.attachments import attached_files
from threads.model import (
    Arrival,
    Disposition,
    Filing,
    MatchRule,
    MessageKind,
    Standing,
    StandingKind,
    ThreadMatch,
)
from threads.store.attachments import store_files
from threads.store.engine import open_database
from threads.store.intake import store_message
from verifier.message import read_message
from verifier.parts import walk

Command = Callable[..., Any]
PE = b"MZ\x90\x00" + bytes(60)
NAME = "../../invoice\u202efdp.exe"


def received(folder: Path, identifier: str, *, thread_id: int | None = 1, name: str = NAME, listed: bool = True, page: str | None = None) -> bytes:
    """Store a held message with two files, as the gateway does."""
    mail = EmailMessage()
    mail["Subject"] = identifier
    mail.set_content("hi\n")
    if page is not None:
        mail.add_alternative(page, subtype="html")
    mail.add_attachment(PE, maintype="application", subtype="pdf", filename=name)
    mail.add_attachment(b"a;b\n", maintype="text", subtype="csv", filename="table.csv")
    raw = mail.as_bytes().replace(b"\n", b"\r\n")
    message = read_message(raw)
    database = open_database(f"sqlite:///{folder}/var/expertmail.db")
    arrival = Arrival(
        id=identifier,
        raw=raw,
        sha256=sha256(raw).hexdigest(),
        mail_from="mallory@stranger.test",
        rcpt_to="query@experts.test",
        received_at=datetime.now(UTC),
        client_ip="127.0.0.1",
        helo="stranger.test",
        tls=None,
        message_id=None,
        subject=identifier,
        author="mallory@stranger.test",
        kind=MessageKind.HUMAN,
        verdict="no-claim",
        report="{}",
        evidence="{}",
        evaluator="1",
        settings_hash="",
    )
    filing = Filing(
        Disposition.HELD,
        "held",
        Standing(StandingKind.UNKNOWN, "nobody knows it"),
        ThreadMatch(thread_id, MatchRule.NONE, "none"),
        thread_id,
    )
    with database.writing() as conn:
        store_message(conn, arrival, filing)
        if listed:
            store_files(conn, arrival.sha256, attached_files(message, walk(message)))
    database.close()
    return raw


@pytest.fixture
def world(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    assert command("dns", "show").code == 0  # makes the world, as serve does
    assert command("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso").code == 0
    assert command("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins").code == 0
    return command


def test_the_files_of_a_message_and_of_a_thread_are_listed(world: Command, tmp_path: Path) -> None:
    received(tmp_path, "01A")
    received(tmp_path, "01B", listed=False)
    shown = world("attachments", "list", "01A")
    assert "invoicefdp.exe" in shown.out
    assert "executable, bidi-name, type-mismatch" in shown.out
    found = json.loads(world("attachments", "list", "inc-000001", "--json").out)
    assert [(one["message"], one["number"], one["name"]) for one in found] == [
        ("01A", 1, "invoicefdp.exe"),
        ("01A", 2, "table.csv"),
        ("01B", 1, "invoicefdp.exe"),
        ("01B", 2, "table.csv"),
    ]
    one = json.loads(world("attachments", "show", "01A", "1", "--json").out)
    assert (one["type"], one["declared"]) == ("application/vnd.microsoft.portable-executable", "application/pdf")
    seen = json.loads(world("attachments", "list", "--sha256", sha256(PE).hexdigest(), "--json").out)
    assert [(item["copy_id"], item["thread"]) for item in seen] == [("01A", "INC-000001")]


def test_a_file_is_handed_out_as_it_came_under_a_safe_name_for_its_owner_only(world: Command, tmp_path: Path) -> None:
    received(tmp_path, "01A")
    folder = tmp_path / "out"
    folder.mkdir()
    done = world("attachments", "save", "01A", "1", str(folder), "--by", "ana")
    assert done.code == 0, done.err
    (file,) = folder.iterdir()
    assert file.name == "invoicefdp.exe"
    assert file.read_bytes() == PE
    assert file.stat().st_mode & 0o777 == 0o600
    assert "executable" in done.out
    database = open_database(f"sqlite:///{tmp_path}/var/expertmail.db")
    with database.reading() as conn:
        acts = conn.exec_driver_sql("SELECT act, organisation_id, content FROM audit ORDER BY number").all()
    database.close()
    assert [(act.act, act.organisation_id) for act in acts][-1] == ("attachment-saved", 1)
    assert "ana" in acts[-1].content
    assert sha256(PE).hexdigest() in acts[-1].content


def test_what_a_message_looked_like_is_shown_by_a_page_that_loads_nothing(world: Command, tmp_path: Path) -> None:
    received(tmp_path, "01A", page="<h1>Hi</h1><img src='https://bad.test/x.png'><script>alert(1)</script>")
    received(tmp_path, "01B")
    page = tmp_path / "page.html"
    assert world("attachments", "html", "01A", str(page)).code == 0
    assert page.stat().st_mode & 0o777 == 0o600
    assert "<h1>Hi</h1>" in page.read_text()
    assert "bad.test" not in page.read_text()
    assert "alert" not in page.read_text()
    for message, target, code in [("01A", page, 73), ("01B", tmp_path / "b", 66), ("01C", tmp_path / "c", 66)]:
        assert world("attachments", "html", message, str(target)).code == code
    assert world("attachments", "html", "01A", f"{tmp_path}/x/../y").code == 64


def test_who_decides_on_held_mail_sees_what_is_attached(world: Command, tmp_path: Path) -> None:
    received(tmp_path, "01A")
    shown = world("held", "show", "01A").out
    flags = "(executable, bidi-name, type-mismatch)"
    kind = "application/vnd.microsoft.portable-executable"
    assert f"attachment 1: invoicefdp.exe, {kind}, {len(PE)} octets {flags}" in " ".join(shown.split())
    found = json.loads(world("held", "show", "01A", "--json").out)["attachments"]
    assert [one["sha256"] for one in found] == [sha256(PE).hexdigest(), sha256(b"a;b\n").hexdigest()]


def test_nothing_is_overwritten_no_link_is_followed_and_no_folder_is_left(world: Command, tmp_path: Path) -> None:
    received(tmp_path, "01A")
    there = tmp_path / "there"
    there.write_bytes(b"mine")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    count = "SELECT count(*) FROM audit WHERE act = 'attachment-saved'"
    for target, code, says in [
        (there, 73, "exists already"),
        (link, 73, "exists already"),
        (tmp_path / "x" / ".." / "y", 64, "leads out"),
        (tmp_path / "no" / "such", 73, "cannot be written"),
    ]:
        done = world("attachments", "save", "01A", "1", str(target))
        assert (done.code, says in done.err) == (code, True), done.err
    assert there.read_bytes() == b"mine"
    assert not os.path.lexists(tmp_path / "elsewhere")
    database = open_database(f"sqlite:///{tmp_path}/var/expertmail.db")
    with database.reading() as conn:
        assert conn.exec_driver_sql(count).scalar_one() == 0  # what was not handed out is not said to be
    database.close()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("save", "nobody", "1"), 66, "There is no message nobody"),
        (("save", "01A", "9"), 66, "no attachment 9"),
        (("show", "01A", "3"), 66, "no attachment 3"),
        (("list", "nobody"), 66, "There is no message nobody"),
        (("list", "INC-000099"), 66, "There is no INC-000099"),
        (("list",), 64, "Name a message"),
        (("list", "01A", "--sha256", "0" * 64), 64, "Name a message"),
        (("list", "--sha256", "abc"), 64, "64 hexadecimal digits"),
        (("save", "01A", "0"), 64, ""),
    ],
)
def test_what_is_not_there_is_told_in_one_sentence(
    world: Command, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    received(tmp_path, "01A")
    done = world("attachments", *arguments)
    assert done.code == code
    assert says in done.err
