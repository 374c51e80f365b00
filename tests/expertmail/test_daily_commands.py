"""The daily work at the command line, on a temporary world without a running gateway."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from expertmail.metrics import Metrics
from expertmail.watching import watch_process, watch_record
from outbound.model import OrderState
from outbound.orders import acknowledgement
from outbound.store import close_order, order_automatic
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
from threads.store.writer import Writer

Command = Callable[..., Any]
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def world(command: Command) -> Command:
    """A customer with a contact and an incident."""
    assert command("dns", "show").code == 0  # makes the world, as serve does
    added = command(
        "contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso",
        "--domain", "contoso.test", "--phone", "+1 555 0100",
    )  # fmt: skip
    assert added.code == 0, added.err
    opened = command("incidents", "open", "--org", "contoso", "--title", "Odd sign-ins", "--severity", "high")
    assert opened.code == 0, opened.err
    assert "INC-000001" in opened.out
    return command


def hold(folder: Path, identifier: str, disposition: Disposition, thread_id: int | None) -> None:
    """Store a message that waits, as the gateway does."""
    database = open_database(f"sqlite:///{folder}/var/expertmail.db")
    raw = f"Subject: {identifier}\r\n\r\nhi\r\n".encode()
    arrival = Arrival(
        id=identifier,
        raw=raw,
        sha256=identifier.ljust(64, "0"),
        mail_from="mallory@stranger.test",
        rcpt_to="query@experts.test",
        received_at=AT,
        client_ip="127.0.0.1",
        helo="stranger.test",
        tls=None,
        message_id=None,
        subject="Close it \x1b[31m",
        author="mallory@stranger.test",
        kind=MessageKind.HUMAN,
        verdict="no-claim",
        report='{"reasons": [{"effect": "informs", "text": "The sender is not known."}]}',
        evidence="{}",
        evaluator="1",
        settings_hash="",
    )
    filing = Filing(
        disposition,
        "the sender is not known",
        Standing(StandingKind.UNKNOWN, "no contact"),
        ThreadMatch(thread_id, MatchRule.NONE, "nothing matched"),
        thread_id,
        text="Close it.\x1b]0;owned\x07",
    )
    with database.writing() as conn:
        store_message(conn, arrival, filing)
    database.close()


def test_a_command_in_the_wrong_folder_makes_no_empty_world(command: Command, tmp_path: Path) -> None:
    ended = command("contacts", "list")
    assert ended.code == 66
    assert "--config" in ended.err
    assert not (tmp_path / "var").exists()


def test_contacts_are_listed_and_shown_with_their_customer(world: Command) -> None:
    assert "alice@contoso.test" in world("contacts", "list").out
    listed = world("contacts", "list", "--json").json
    assert [(c["address"], c["organisation"]) for c in listed] == [("alice@contoso.test", "Contoso")]
    shown = world("contacts", "show", "ALICE@contoso.test").out
    assert "contoso.test" in shown
    assert "+1 555 0100" in shown


def test_a_contact_reads_mail_only_until_somebody_says_otherwise(world: Command) -> None:
    assert "mail only" in world("contacts", "list").out
    said = world("contacts", "change", "alice@contoso.test", "--reads-chat", "--by", "ana")
    assert "reads_chat: False -> True" in said.out
    shown = world("contacts", "show", "alice@contoso.test").out.splitlines()
    assert [line.split() for line in shown if line.startswith("reads")] == [["reads", "chat"]]
    world("contacts", "change", "alice@contoso.test", "--mail-only")
    assert world("contacts", "list", "--json").json[0]["reads_chat"] is False
    made = world("contacts", "add", "carl@contoso.test", "--name", "Carl", "--org", "Contoso", "--reads-chat", "--json")
    assert made.json["reads_chat"] is True


def test_who_adds_a_contact_hears_how_to_tell_them_by_a_command_that_runs(world: Command) -> None:
    add = (
        "contacts",
        "add",
        "o'hara+soc@nile.test",
        "--name",
        "Pat",
        "--org",
        'Nile & Sons\' "Co"',
        "--kind",
        "service-review",
    )
    last = world(*add).out.splitlines()[-1]
    told = last.removeprefix("Tell them: ")
    assert told.startswith("expertmail compose write contact-added --org ")
    shown = world(*shlex.split(told)[1:], "--preview")
    assert shown.code == 0, shown.err
    assert "o'hara+soc@nile.test" in shown.out
    said = world("contacts", "add", "kim@contoso.test", "--name", "Kim", "--org", "Contoso", "--json")
    assert said.json["address"] == "kim@contoso.test"
    assert "compose write" not in said.out + said.err


def test_an_incident_keeps_its_notes_and_states_on_the_timeline(world: Command) -> None:
    assert world("incidents", "note", "INC-000001", "Called them.", "--by", "Robin").code == 0
    assert world("incidents", "state", "inc-000001", "in progress", "--to", "customer").code == 0
    shown = world("incidents", "show", "INC-000001").out
    assert "Called them." in shown
    assert "Robin  [expert]" in shown
    assert "In progress" in shown
    assert world("incidents", "resolve", "INC-000001").code == 0
    entries = world("incidents", "show", "INC-000001", "--json").json
    assert entries["state"] == "Resolved"
    assert [e["kind"] for e in entries["timeline"]] == ["state", "note", "state", "state"]
    assert [t["reference"] for t in world("incidents", "list", "--json").json] == ["INC-000001"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("incidents", "show", "INC-000099"), 66),
        (("incidents", "open", "--org", "Nobody", "--title", "x"), 66),
        (("contacts", "add", "alice@contoso.test", "--name", "A", "--org", "Contoso"), 65),
        (("contacts", "add", "not an address", "--name", "A", "--org", "Contoso"), 65),
        (("contacts", "show", "bob@contoso.test"), 66),
        (("held", "release", "01ABC"), 66),
        (("held", "discard", "01ABC"), 66),
        (("outbox", "show", "7"), 66),
        (("outbox", "cancel", "7"), 66),
        (("replay", "01ABC"), 66),
        (("compose", "request", "INC-000001", "--to", "bob@contoso.test", "--question", "?"), 66),
    ],
)
def test_what_is_not_there_is_told_in_one_sentence(
    world: Command, arguments: tuple[str, ...], code: int
) -> None:
    ended = world(*arguments)
    assert ended.code == code
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("expertmail: ")


def test_held_mail_is_listed_released_and_stays_unverified(world: Command, tmp_path: Path) -> None:
    hold(tmp_path, "01HELD", Disposition.HELD, 1)
    hold(tmp_path, "01TRIAGE", Disposition.TRIAGE, None)
    listed = world("held", "list").out
    assert "triage" in listed
    assert "\x1b" not in listed, "a subject must not move the cursor"
    assert [i["id"] for i in world("held", "list", "--held", "--json").json] == ["01HELD"]
    assert "The sender is not known." in world("held", "show", "01HELD").out
    assert world("held", "release", "01HELD").code == 0
    assert world("held", "release", "01HELD").code == 65
    shown = world("incidents", "show", "INC-000001").out
    assert "[unverified]" in shown
    assert "Close it." in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_a_strangers_mail_becomes_an_inquiry_and_its_author_a_contact(world: Command, tmp_path: Path) -> None:
    hold(tmp_path, "01TRIAGE", Disposition.TRIAGE, None)
    assert world("held", "release", "01TRIAGE").code == 65, "no thread is known for it"
    done = world("held", "release", "01TRIAGE", "--org", "Contoso", "--add-contact", "Mallory")
    assert "INQ-000001" in done.out
    assert "mallory@stranger.test" in world("contacts", "list").out


def test_discarded_mail_waits_no_longer(world: Command, tmp_path: Path) -> None:
    hold(tmp_path, "01TRIAGE", Disposition.TRIAGE, None)
    assert world("held", "discard", "01TRIAGE", "--reason", "spam").code == 0
    assert world("held", "list", "--json").json == []
    assert world("held", "list").out.strip() == "Nothing waits."


def test_a_request_can_be_previewed_without_queueing_it(world: Command) -> None:
    previewed = world(
        "compose",
        "request",
        "INC-000001",
        "--to",
        "alice@contoso.test",
        "--question",
        "Was this you?",
        "--preview",
    )
    assert previewed.code == 0, previewed.err
    assert "Was this you?" in previewed.out
    assert "[INC-000001]" in previewed.out
    assert world("outbox", "list", "--json").json == []


def test_a_request_is_signed_judged_and_queued(world: Command) -> None:
    sent = world(
        "compose", "request", "INC-000001", "--to", "alice@contoso.test", "--question", "Was this you?"
    )
    assert sent.code == 0, sent.err
    queued = world("outbox", "list", "--json").json
    assert [(m["rcpt_to"], m["state"]) for m in queued] == [("alice@contoso.test", "queued")]
    assert "DKIM-Signature: " in world("outbox", "show", "1", "--raw").out
    assert "Was this you?" in world("outbox", "show", "1").out
    assert "Awaiting customer action" in world("incidents", "show", "INC-000001").out
    assert world("outbox", "cancel", "1").code == 0
    assert world("outbox", "list", "--json").json[0]["state"] == "failed"


def test_a_mail_that_nobody_could_verify_is_withheld(world: Command, tmp_path: Path) -> None:
    zone = tmp_path / "var" / "zone.db"
    zone.write_text(
        "\n".join(line for line in zone.read_text().splitlines() if "_domainkey" not in line) + "\n"
    )
    sent = world(
        "compose", "request", "INC-000001", "--to", "alice@contoso.test", "--question", "Was this you?"
    )
    assert sent.code == 78
    assert "s1._domainkey.experts.test" in sent.err
    assert world("outbox", "list", "--json").json[0]["state"] == "withheld"


def test_keys_are_made_beside_the_one_that_signs(world: Command, tmp_path: Path) -> None:
    rotated = world("keys", "rotate", "publish")
    assert rotated.code == 0, rotated.err
    assert [(k["selector"], k["signs"]) for k in world("keys", "list", "--json").json] == [
        ("s1-ed25519", True),
        ("s1", True),
        ("s2-ed25519", False),
        ("s2", False),
    ]
    assert "s2._domainkey.experts.test" in (tmp_path / "var" / "zone.db").read_text()
    assert world("keys", "generate", "s2").code == 73
    shown = world("keys", "show", "s2").out
    assert shown.startswith("s2._domainkey.experts.test.")
    assert "PRIVATE" not in shown


def test_the_records_to_publish_are_shown(world: Command) -> None:
    shown = world("dns", "show").out
    for part in ("IN MX 10 mx.experts.test.", "v=spf1 mx -all", "s1._domainkey", "v=DMARC1; p=reject"):
        assert part in shown
    assert "contoso" not in shown


def test_identities_are_shown_and_a_file_is_checked(world: Command, tmp_path: Path) -> None:
    own, product = world("identity", "show", "--json").json
    assert own["addresses"] == ["defender-experts@experts.test"]
    assert (product["name"], product["addresses"]) == ("defender-experts", [])
    good = tmp_path / "good.toml"
    good.write_text('[[identity]]\nname = "x"\ndomains = ["x.test"]\n')
    assert (
        "nothing" in world("identity", "check", str(good)).out
        or "none" in world("identity", "check", str(good)).out
    )
    bad = tmp_path / "bad.toml"
    bad.write_text('[[identity]]\nname = "x"\ncolour = "red"\n')
    ended = world("identity", "check", str(bad))
    assert ended.code == 65
    assert "colour" in ended.err


def test_the_database_is_checked_and_backed_up(world: Command, tmp_path: Path) -> None:
    assert "sound" in world("db", "check").out
    assert world("db", "upgrade").code == 0
    assert world("db", "backup", str(tmp_path / "copy.db")).code == 0
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    assert world("db", "backup", str(tmp_path / "copy.db")).code != 0


def test_mail_and_orders_whose_rows_are_damaged_are_shown_and_counted(world: Command, tmp_path: Path) -> None:
    asked = world("compose", "request", "INC-000001", "--to", "alice@contoso.test", "--question", "You?")
    assert asked.code == 0, asked.err
    database = open_database(f"sqlite:///{tmp_path}/var/expertmail.db")
    with database.writing() as conn:
        for key in ("fine", "damaged"):
            order = acknowledgement(
                thread_id=1,
                contact_id=1,
                address="alice@contoso.test",
                idempotency_key=key,
                ordered_at=AT,
            )
            order_automatic(conn, order)
        close_order(conn, 1, OrderState.REFUSED, reason="it could not be composed")
        conn.exec_driver_sql("UPDATE automatic_orders SET ordered_at = 'yesterday' WHERE id = 2")
        conn.exec_driver_sql("UPDATE deliveries SET state = 'flying'")
    hold(tmp_path, "01", Disposition.TRIAGE, None)
    with database.writing() as conn:
        conn.exec_driver_sql("UPDATE messages SET disposition = 'lost'")

    assert world("outbox", "list", "--state", "unreadable", "--json").json[0]["state"] == "unreadable"
    damaged, refused = world("outbox", "orders", "--json").json
    assert (damaged["state"], damaged["reason"]) == (
        "unreadable",
        "its row in the database cannot be read (ValueError)",
    )
    assert (refused["state"], refused["reason"]) == ("refused", "it could not be composed")
    listed = world("outbox", "orders", "--state", "refused").out
    assert "it could not be composed" in listed
    assert "unreadable" not in listed

    metrics, writer = Metrics(), Writer(database)
    try:
        watch_record(metrics, database)
        watch_process(metrics, writer, lambda: 0)
        page = metrics.page().decode()
    finally:
        writer.close()
        database.close()
    assert 'expertmail_outbox{state="unreadable"} 1.0' in page
    assert 'expertmail_copies{disposition="lost"} 1.0' in page
