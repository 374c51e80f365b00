"""What the command line tells of mail that came back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from outbound.mail_event import MailEvent
from outbound.store import record_event
from tests.expertmail.test_daily_commands import hold, world
from threads.model import Disposition, MessageKind
from threads.store.engine import open_database

__all__ = ["world"]
Command = Callable[..., Any]


@pytest.fixture
def asked(world: Command, tmp_path: Path) -> Command:
    """The world, with a question to Alice, number 1."""
    sent = world("compose", "request", "INC-000001", "--to", "alice@contoso.test", "--question", "Was it you?", "--as", "Ana")
    assert sent.code == 0, sent.err
    hold(tmp_path, "BOUNCE", Disposition.FILED, 1)
    return world


def came_back(folder: Path, kind: MessageKind, at: datetime, thread_id: int = 1) -> None:
    event = MailEvent(kind, at, "BOUNCE", thread_id, 1, 1, "alice@contoso.test", "5.1.1", "failed", "no such user\x1b[31m")
    database = open_database(f"sqlite:///{folder}/var/expertmail.db")
    with database.writing() as conn:
        record_event(conn, event, returned=True)
    database.close()


def test_a_question_that_came_back_is_listed_and_shown(asked: Command, tmp_path: Path) -> None:
    assert "Nothing came back." in asked("outbox", "returned").out
    came_back(tmp_path, MessageKind.BOUNCE, datetime.now(UTC) - timedelta(days=3))
    listed = asked("outbox", "returned").out
    assert "INC-000001" in listed
    assert "Ana" in listed
    (item,) = asked("outbox", "returned", "--json").json
    assert (item["event"]["recipient"], item["event"]["status"]) == ("alice@contoso.test", "5.1.1")
    assert asked("outbox", "returned", "--days", "2", "--json").json == []
    shown = asked("outbox", "show", "1").out
    assert "bounce  Not delivered: alice@contoso.test (5.1.1): no such user" in shown
    assert "\x1b[31m" not in shown
    assert asked("outbox", "show", "1", "--json").json["events"][0]["kind"] == "bounce"


def test_an_absence_is_shown_and_is_no_mail_that_came_back(asked: Command, tmp_path: Path) -> None:
    came_back(tmp_path, MessageKind.AUTO_REPLY, datetime.now(UTC))
    assert asked("outbox", "returned", "--json").json == []
    assert "An automatic reply came" in asked("outbox", "show", "1").out


def test_inspect_tells_every_recipient_of_a_report(command: Command, tmp_path: Path) -> None:
    report = tmp_path / "report.eml"
    report.write_text(
        "From: mailer-daemon@contoso.test\nSubject: failure notice\n\n"
        "<a@b.test>: user unknown\n\n<c@d.test>: mailbox is full\n",
        encoding="utf-8",
    )
    shown = command("inspect", str(report)).out
    assert "a@b.test · 5.1.1 · failed" in shown
    assert "c@d.test · 5.2.2 · failed" in shown
    bounce = command("inspect", str(report), "--json").json["bounce"]
    assert (bounce["recipient"], bounce["status"]) == ("a@b.test", "5.1.1")
    assert [(one["recipient"], one["status"]) for one in bounce["recipients"]] == [("a@b.test", "5.1.1"), ("c@d.test", "5.2.2")]
