"""Split, merge, move, the tree and the reasons at the command line, with mail that came in by the gateway's own code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from threads.match import match, thread_keys
from threads.model import Arrival, Disposition, Filing, MessageKind, Standing, StandingKind
from threads.signals import unknown_ancestors
from threads.store.engine import open_database
from threads.store.intake import store_message
from threads.store.lookup import candidates
from threads.store.thread import record_outgoing, thread_by_reference
from verifier.message import read_message

Command = Callable[..., Any]
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def world(command: Command) -> Command:
    """A customer with a contact and two incidents."""
    assert command("dns", "show").code == 0
    added = command(
        "contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso", "--domain", "contoso.test"
    )  # fmt: skip
    assert added.code == 0, added.err
    for title in ("Odd sign-ins", "Another one"):
        assert command("incidents", "open", "--org", "contoso", "--title", title).code == 0
    return command


def sent(folder: Path) -> str:
    """A question of ours on the first incident, as delivery leaves it on record; returns its Message-ID."""
    database = open_database(f"sqlite:///{folder}/var/expertmail.db")
    with database.writing() as conn:
        thread = thread_by_reference(conn, "INC-000001")
        record_outgoing(conn, thread.id, "q1@experts.test", AT, actor="Ana", text="Was this you?")
    database.close()
    return "q1@experts.test"


def composed(world: Command) -> str:
    """A question of ours that was written and queued; returns its Message-ID."""
    asked = world(
        "compose", "request", "INC-000001", "--to", "alice@contoso.test", "--question", "Was this you?"
    )
    assert asked.code == 0, asked.err
    entries = world("incidents", "show", "INC-000001", "--json").json["timeline"]
    return next(str(entry["message_id"]) for entry in entries if entry["kind"] == "mail-out")


def arrive(
    folder: Path,
    name: str,
    *parents: str,
    subject: str = "Re: sign-in",
    standing: StandingKind = StandingKind.CONTACT,
) -> None:
    """Match and store a mail as the gateway does; without standing it is held."""
    raw = (
        f"From: alice@contoso.test\r\nMessage-ID: <{name}@contoso.test>\r\nSubject: {subject}\r\n"
        f"References: {' '.join(f'<{one}>' for one in parents)}\r\n\r\nText of {name}.\r\n"
    ).encode()
    database = open_database(f"sqlite:///{folder}/var/expertmail.db")
    keys = thread_keys(read_message(raw))
    with database.writing() as conn:
        found = candidates(conn, keys, "alice@contoso.test")
        matched = match(keys, found, AT)
        thread_id = matched.thread_id or thread_by_reference(conn, "INC-000001").id
        may_speak = standing is StandingKind.CONTACT
        store_message(
            conn,
            Arrival(
                id=f"01{name.upper()}",
                raw=raw,
                sha256=hashlib.sha256(raw).hexdigest(),
                mail_from="SRS0=abcd=2A=contoso.test=alice@forwarder.test",
                rcpt_to="query@experts.test",
                received_at=AT + timedelta(minutes=int(name[1:])),
                client_ip="127.0.0.1",
                helo="contoso.test",
                tls=None,
                message_id=f"<{name}@contoso.test>",
                subject=subject,
                author="alice@contoso.test",
                kind=MessageKind.HUMAN,
                verdict="no-claim",
                report="{}",
                evidence="{}",
                evaluator="1",
                settings_hash="",
            ),
            Filing(
                Disposition.FILED if may_speak else Disposition.HELD,
                "as the test has it",
                Standing(standing, "as the test has it"),
                matched,
                thread_id,
                text=f"Text of {name}.",
                ancestors=unknown_ancestors(keys, found),
            ),
        )
    database.close()


def test_each_signal_and_what_became_of_it_is_shown(world: Command, tmp_path: Path) -> None:
    asked = sent(tmp_path)
    arrive(tmp_path, "c1", asked, subject="AW: [INC-000002] sign-in")
    (entry,) = [e for e in world("incidents", "show", "INC-000001", "--json").json["timeline"] if e["match"]]
    assert entry["match"]["rule"] == "references"
    assert entry["match"]["reason"] == "it answers a mail of ours on INC-000001"
    proof, hint = entry["match"]["signals"]
    assert proof == {
        "rule": "references", "key": asked, "thread": "INC-000001", "direction": "out", "strength": "proof",
        "followed": True, "note": "",
    }  # fmt: skip
    assert (hint["thread"], hint["followed"], hint["note"]) == (
        "INC-000002",
        False,
        "INC-000001 is named by a proof",
    )
    shown = world("incidents", "show", "INC-000001", "--why").out
    assert (
        "subject-tag INC-000002 -> INC-000002 (hint): not followed: INC-000001 is named by a proof" in shown
    )
    assert "subject-tag" not in world("incidents", "show", "INC-000001").out


def test_what_waits_stands_outside_the_conversation(world: Command, tmp_path: Path) -> None:
    arrive(tmp_path, "c1", sent(tmp_path), standing=StandingKind.UNAUTHENTICATED)
    shown = world("incidents", "show", "INC-000001").out
    assert "Text of c1." not in shown
    assert "Outside the conversation" in shown
    assert "01C1" in shown
    (waiting,) = world("incidents", "show", "INC-000001", "--json").json["outside"]
    assert (waiting["id"], waiting["author"]) == ("01C1", "alice@contoso.test")
    held = world("held", "show", "01C1")
    assert "forwarded for  alice@contoso.test" in held.out
    assert "references" in held.out
    assert world("held", "show", "01C1", "--json").json["match"]["signals"][0]["followed"] is True
    assert world("held", "release", "01C1").code == 0
    released = world("incidents", "show", "INC-000001").out
    assert "! outside the conversation: nobody has proven who wrote this" in released
    assert "    ! Text of c1." in released
    preview = ("--to", "alice@contoso.test", "--question", "And this?", "--preview", "--json")
    (written,) = world("compose", "request", "INC-000001", *preview).json
    assert "<q1@experts.test>" in written["raw"]
    assert "c1@contoso.test" not in written["raw"]


def test_a_conversation_is_shown_as_a_tree(world: Command, tmp_path: Path) -> None:
    asked = sent(tmp_path)
    arrive(tmp_path, "c1", asked)
    arrive(tmp_path, "c2", asked, "c1@contoso.test")
    arrive(tmp_path, "c3", asked)
    lines = [
        (line[: line.index("─ ") + 2], line.rsplit("  ", 1)[-1])
        for line in world("incidents", "show", "INC-000001", "--tree").out.splitlines()
        if "─ " in line
    ]
    assert lines == [
        ("└─ ", "Was this you?"),
        ("   ├─ ", "Text of c1."),
        ("   │  └─ ", "Text of c2."),
        ("   └─ ", "Text of c3."),
    ]
    flat = world("incidents", "show", "INC-000001", "--tree", "--json").json["tree"]
    assert [place["depth"] for place in flat] == [0, 1, 2, 1]


def test_mails_are_split_off_moved_and_brought_together_again(world: Command, tmp_path: Path) -> None:
    asked = composed(world)
    arrive(tmp_path, "c1", asked)
    split = world("incidents", "split", "INC-000001", "01C1", "--title", "The second part", "--by", "Robin")
    assert split.code == 0, split.err
    assert "Opened INC-000003: The second part" in split.out
    arrive(tmp_path, "c2", asked, "c1@contoso.test")
    assert "Text of c2." in world("incidents", "show", "INC-000003").out
    moved = world("incidents", "move", f"<{asked}>", "--to", "INC-000002", "--json", "--by", "Robin").json
    assert moved == [
        {"entry": moved[0]["entry"], "message_id": asked, "from": "INC-000001", "to": "INC-000002"}
    ]
    arrive(tmp_path, "c3", asked)
    assert "Text of c3." in world("incidents", "show", "INC-000002").out
    merged = world("incidents", "merge", "INC-000003", "--into", "INC-000002", "--by", "Robin")
    assert merged.code == 0, merged.err
    shown = world("incidents", "show", "INC-000003")
    assert "merged into" in shown.out
    assert "Text of c1." not in shown.out
    for told in (
        "Text of c1.",
        "Text of c2.",
        "Text of c3.",
        "Moved here from INC-000001",
        "Robin  [expert]",
    ):
        assert told in world("incidents", "show", "INC-000002").out
    # Whoever names the merged one acts on the one that goes on.
    assert "Noted on INC-000002." in world("incidents", "note", "INC-000003", "Seen.").out


def test_what_cannot_be_is_told_and_changes_nothing(world: Command) -> None:
    before = world("incidents", "list", "--json").json
    for arguments, code in (
        (("move", "01NOBODY", "--to", "INC-000002"), 66),
        (("move", "01NOBODY", "--to", "INC-000009"), 66),
        (("merge", "INC-000001", "--into", "INC-000001"), 65),
        (("merge", "INC-000009", "--into", "INC-000001"), 66),
        (("split", "INC-000001", "01NOBODY", "--title", "x"), 66),
        (("split", "INC-000001", "--title", "x"), 64),
        (("move", "01C1"), 64),
    ):
        ended = world("incidents", *arguments)
        assert ended.code == code, (arguments, ended.err)
        assert code == 64 or ended.err.startswith("expertmail: ")
    assert world("incidents", "list", "--json").json == before
