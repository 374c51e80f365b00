"""``expertmail held``: what waits, what cannot be read, what has expired; on a temporary world without a gateway."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

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
from threads.store.engine import open_database
from threads.store.intake import store_message

Command = Callable[..., Any]
NOW = datetime.now(UTC)
REPORT = {
    "verdict": "forged",
    "spf": {"result": "none", "scope": "mailfrom"},
    "reasons": [{"code": "x", "effect": "contradicts", "text": "It imitates the experts."}],
}


@pytest.fixture
def world(command: Command) -> Command:
    """A customer with an incident."""
    assert command("dns", "show").code == 0  # makes the world, as serve does
    added = command("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso")
    assert added.code == 0, added.err
    assert command("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins").code == 0
    return command


def hold(
    folder: Path, *ids: str, days: float = 1, thread_id: int | None = 1, report: str | None = None
) -> None:
    """Store forged messages that wait, as the gateway does."""
    database = open_database(f"sqlite:///{folder}/var/expertmail.db")
    with database.writing() as conn:
        for identifier in ids:
            arrival = Arrival(
                id=identifier,
                raw=f"Subject: {identifier}\r\n\r\nhi\r\n".encode(),
                sha256=identifier.ljust(64, "0"),
                mail_from="mallory@stranger.test",
                rcpt_to="query@experts.test",
                received_at=NOW - timedelta(days=days),
                client_ip="127.0.0.1",
                helo="stranger.test",
                tls=None,
                message_id=None,
                subject="Close it \x1b[31m",
                author="mallory@stranger.test",
                kind=MessageKind.HUMAN,
                verdict="forged",
                report=report or json.dumps(REPORT),
                evidence="{}",
                evaluator="1",
                settings_hash="",
            )
            filing = Filing(
                Disposition.TRIAGE if thread_id is None else Disposition.HELD,
                "the sender is not known",
                Standing(StandingKind.UNKNOWN, "no contact"),
                ThreadMatch(thread_id, MatchRule.NONE, "nothing matched"),
                thread_id,
                text="Close it, please.",
            )
            store_message(conn, arrival, filing)
    database.close()


def damage(folder: Path, statement: str) -> None:
    """Write past our own store."""
    with sqlite3.connect(folder / "var" / "expertmail.db") as other:
        assert other.execute(statement).rowcount == 1
    other.close()


def test_the_list_tells_the_day_on_which_each_expires(world: Command, tmp_path: Path) -> None:
    hold(tmp_path, "01A", days=10)
    (item,) = world("held", "list", "--json").json
    expires = NOW + timedelta(days=20)
    assert item["expires_at"] == expires.isoformat().replace("+00:00", "Z")
    assert f"{expires:%Y-%m-%d}" in world("held", "list").out
    assert f"{expires:%Y-%m-%d}" in world("held", "show", "01A").out
    Path("forever.toml").write_text("[held]\nretention_days = 0\n")
    (item,) = world("held", "list", "--json", "--config", "forever.toml").json or [None]
    assert item["expires_at"] is None


@pytest.mark.parametrize("by_thread", [True, False])
def test_what_a_legal_hold_keeps_has_no_day_on_which_it_expires(
    world: Command, tmp_path: Path, by_thread: bool
) -> None:
    hold(tmp_path, "01A", days=10, thread_id=1 if by_thread else None)
    if not by_thread:  # the hold is on whom the author belongs to
        added = world("contacts", "add", "mallory@stranger.test", "--name", "Mallory", "--org", "Contoso")
        assert added.code == 0, added.err
    (item,) = world("held", "list", "--json").json
    assert not item["legal_hold"]
    assert world("orgs", "hold", "Contoso", "--reason", "a court asked").code == 0
    (item,) = world("held", "list", "--json").json
    assert (item["expires_at"], item["legal_hold"]) == (None, True)
    assert "kept (legal hold)" in world("held", "list").out
    assert "kept (legal hold)" in world("held", "show", "01A").out
    assert world("orgs", "end-hold", "Contoso", "--reason", "it is over").code == 0
    assert "legal hold" not in world("held", "show", "01A").out
    (item,) = world("held", "list", "--json").json
    assert item["expires_at"] is not None


def test_what_is_due_expires_by_a_command_and_its_trace_is_shown(world: Command, tmp_path: Path) -> None:
    hold(tmp_path, "01OLD", days=31)
    hold(tmp_path, "01NEW", days=2)
    previewed = world("held", "expire", "--preview")
    assert "01OLD" in previewed.out
    assert "1 message would expire." in previewed.out
    assert len(world("held", "list", "--json").json) == 2
    assert [c["id"] for c in world("held", "expire", "--by", "Robin", "--json").json] == ["01OLD"]
    assert [i["id"] for i in world("held", "list", "--json").json] == ["01NEW"]
    (trace,) = world("held", "list", "--expired", "--json").json
    assert (trace["id"], trace["verdict"], trace["expired_by"]) == ("01OLD", "forged", "Robin")
    assert "01OLD" in world("held", "list", "--expired").out
    shown = world("held", "show", "01OLD").out
    assert "by Robin; its content is removed" in shown
    assert "It imitates the experts." in shown
    assert "Close it, please." not in shown
    assert "\x1b" not in shown
    assert world("held", "show", "01OLD", "--json").json["report"] == REPORT
    assert "expired undecided" in world("incidents", "show", "INC-000001").out
    assert world("held", "expire").out.strip() == "Nothing is due."


@pytest.mark.parametrize(
    "arguments", [("held", "release", "01OLD"), ("held", "discard", "01OLD"), ("replay", "01OLD")]
)
def test_who_asks_for_an_expired_message_is_told_what_became_of_it(
    world: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    hold(tmp_path, "01OLD", days=31)
    world("held", "expire")
    ended = world(*arguments)
    assert ended.code == 66
    assert ended.err.count("\n") == 1
    assert "was removed when its time was over" in ended.err
    assert "held show 01OLD" in ended.err


def test_a_day_may_be_named_and_has_to_be_where_nothing_expires(world: Command, tmp_path: Path) -> None:
    hold(tmp_path, "01A", days=10)
    hold(tmp_path, "01B", days=3)
    Path("forever.toml").write_text("[held]\nretention_days = 0\n")
    refused = world("held", "expire", "--config", "forever.toml")
    assert refused.code == 64
    assert "--before" in refused.err
    assert world("held", "expire", "--before", f"{NOW + timedelta(days=2):%Y-%m-%d}").code == 64
    assert world("held", "expire", "--before", "yesterday").code == 64
    day = f"{NOW - timedelta(days=5):%Y-%m-%d}"
    gone = world("held", "expire", "--before", day, "--config", "forever.toml", "--json").json
    assert [one["id"] for one in gone] == ["01A"]


def test_damaged_rows_are_listed_between_the_others_and_the_exit_code_says_so(
    world: Command, tmp_path: Path
) -> None:
    hold(tmp_path, "01A", "01B", "01C")
    damage(tmp_path, "UPDATE messages SET received_at = 'yesterday', kind = 'x' WHERE id = '01B'")
    listed = world("held", "list", "--json")
    assert listed.code == 65
    assert listed.err == "expertmail: 1 message cannot be read: 01B; the list says what to do.\n"
    by_id = {one["id"]: one for one in listed.json}
    assert set(by_id) == {"01A", "01B", "01C"}
    assert by_id["01B"]["damaged"] == ["received_at", "kind"]
    table = world("held", "list")
    assert table.code == 65
    assert "held discard 01B" in table.out.replace("\n", " ")
    for action in (("show", "01B"), ("release", "01B"), ("release", "01B", "--to", "INC-000001")):
        refused = world("held", *action)
        assert refused.code == 65
        assert "cannot be read (received_at, kind)" in refused.err
        assert refused.err.count("\n") == 1
    discarded = world("held", "discard", "01B", "--reason", "damaged", "--json")
    assert discarded.code == 0
    assert discarded.json["id"] == "01B"
    assert world("held", "list").code == 0
    assert world("held", "discard", "01B").code == 65, "it is decided already"


@pytest.mark.parametrize("report", ["{", "null", "[]", "1", "[" * 100_000])
def test_a_verdict_that_cannot_be_read_hides_no_message(world: Command, tmp_path: Path, report: str) -> None:
    hold(tmp_path, "01A", report=report)
    shown = world("held", "show", "01A")
    assert shown.code == 0
    assert "cannot be read" in shown.out
    assert "Close it, please." in shown.out
    assert world("held", "show", "01A", "--json").json["report"] is None


def test_a_long_list_is_cut_and_says_so(world: Command, tmp_path: Path) -> None:
    hold(tmp_path, *(f"LONG{number:04}" for number in range(1_050)))
    assert world("held", "list").out.endswith("50 more wait; --limit 1050 lists all of them.\n")
    assert world("held", "list", "--limit", "1050").out.count("LONG") == 1_050
    assert len(world("held", "list", "--json").json) == 1_050
    assert [one["id"] for one in world("held", "list", "--json", "--limit", "2").json] == [
        "LONG0000",
        "LONG0001",
    ]


def test_a_release_leaves_a_forgery_a_forgery(world: Command, tmp_path: Path) -> None:
    hold(tmp_path, "01A")
    assert world("held", "release", "01A", "--add-contact", "Mallory").code == 0
    shown = world("incidents", "show", "INC-000001").out
    assert "[unverified]  forged  01A" in shown
    assert "genuine" not in shown
    entry = world("incidents", "show", "INC-000001", "--json").json["timeline"][-1]
    assert (entry["verdict"], entry["mark"]) == ("forged", "unverified")
    assert world("held", "show", "01A", "--json").json["verdict"] == "forged"
