"""Customers, their circumstances and the audit trail at the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.expertmail.test_daily_commands import hold as held_mail
from threads.model import Disposition
from threads.store.engine import open_database

Command = Callable[..., Any]


@pytest.fixture
def world(command: Command) -> Command:
    """Contoso with its domain, Alex who can be called, and INC-000001; all done by Ana."""
    assert command("dns", "show").code == 0
    for arguments in (
        ("orgs", "add", "Contoso"),
        ("orgs", "add-domain", "contoso", "Contoso.test"),
        (
            "contacts",
            "add",
            "alex@contoso.test",
            "--name",
            "Alex",
            "--org",
            "Contoso",
            "--phone",
            "+1 555 0100",
        ),
        ("incidents", "open", "--org", "Contoso", "--title", "Odd sign-in"),
    ):
        done = command(*arguments, "--as", "Ana")
        assert done.code == 0, done.err
    return command


def acts(world: Command) -> list[tuple[str, str, str]]:
    return [(row["act"], row["by"], row["subject"]) for row in world("audit", "show", "--json").json]


def test_each_act_is_on_the_trail_with_who_did_it(world: Command) -> None:
    assert acts(world) == [
        ("thread-opened", "Ana", "INC-000001"),
        ("contact-added", "Ana", "alex@contoso.test"),
        ("domain-added", "Ana", "contoso.test"),
        ("customer-added", "Ana", "Contoso"),
    ]


# Every command that changes the record, and the act it leaves. In order: each finds what the ones before it made.
ACTS = (
    (("orgs", "add", "Fabrikam"), "customer-added"),
    (("orgs", "rename", "Fabrikam", "Northwind"), "customer-renamed"),
    (("orgs", "add-domain", "Northwind", "northwind.test", "--unverified"), "domain-added"),
    (("orgs", "remove-domain", "Northwind", "northwind.test"), "domain-removed"),
    (("orgs", "retention", "Contoso", "365"), "retention-set"),
    (("orgs", "hold", "Contoso", "--reason", "a court asked"), "legal-hold-begun"),
    (("orgs", "end-hold", "Contoso", "--reason", "settled"), "legal-hold-ended"),
    (("contacts", "add", "sam@contoso.test", "--name", "Sam", "--org", "Contoso"), "contact-added"),
    (("contacts", "change", "sam@contoso.test", "--language", "pt-BR"), "contact-changed"),
    (("contacts", "remove", "sam@contoso.test"), "contact-removed"),
    (("incidents", "open", "--org", "Contoso", "--title", "What?", "--kind", "inquiry"), "thread-opened"),
    (("incidents", "change", "INC-000001", "--severity", "high"), "thread-changed"),
    (("incidents", "task", "add", "INC-000001", "Reset the password"), "task-added"),
    (("incidents", "task", "set", "INC-000001", "1", "completed"), "task-set"),
    (("incidents", "chat", "INC-000001", "Done?"), "chat-recorded"),
    (("incidents", "call", "INC-000001", "It was me.", "--from", "customer"), "call-recorded"),
    (("incidents", "note", "INC-000001", "Called."), "note-added"),
    (("incidents", "state", "INC-000001", "in progress"), "state-set"),
    (("compose", "reply", "INC-000001", "--to", "alex@contoso.test", "--text", "Hello."), "reply-written"),
    (("outbox", "cancel", "1"), "mail-cancelled"),
    (("outbox", "retry", "1"), "mail-retried"),
    (("outbox", "suppress", "alex@contoso.test", "--reason", "left"), "address-suppressed"),
    (("outbox", "allow", "alex@contoso.test"), "address-allowed"),
    (("held", "release", "01HELD"), "mail-released"),
    (("held", "discard", "01OTHER"), "mail-discarded"),
    (("held", "expire", "--before", "2026-06-01"), "mail-expired"),
    (("orgs", "distrust", "Contoso", "--reason", "an intruder"), "mail-distrusted"),
    (("compose", "notice", "INC-000001", "--to", "alex@contoso.test"), "portal-notice-written"),
    (("orgs", "trust", "Contoso"), "mail-trusted"),
    (("incidents", "resolve", "INC-000001", "--classification", "true positive"), "state-set"),
    (("orgs", "erase", "Northwind", "--yes"), "customer-erased"),
)


def test_every_command_that_changes_the_record_leaves_an_act(world: Command, tmp_path: Path) -> None:
    for identifier in ("01HELD", "01OTHER", "01OLD"):
        held_mail(tmp_path, identifier, Disposition.HELD, 1)
    number = len(acts(world))
    for arguments, act in ACTS:
        done = world(*arguments, "--by", "Robin")
        assert done.code == 0, (arguments, done.err)
        found = acts(world)
        number += 1
        assert len(found) == number, arguments
        assert found[0][:2] == (act, "Robin"), arguments
    verified = world("audit", "verify")
    assert verified.code == 0
    assert f"All {number} rows hold" in verified.out


def test_what_changes_nothing_leaves_no_act(world: Command) -> None:
    before = acts(world)
    for arguments in (
        ("contacts", "change", "alex@contoso.test", "--name", "Alex"),
        ("incidents", "state", "INC-000001", "active"),
        ("incidents", "change", "INC-000001", "--severity", "medium"),
        ("orgs", "erase", "Contoso"),
        ("compose", "reply", "INC-000001", "--to", "alex@contoso.test", "--text", "x", "--preview"),
    ):
        assert world(*arguments).code == 0, arguments
    assert acts(world) == before


# fmt: off
REFUSED: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("orgs", "add", "CONTOSO"), 65, "named CONTOSO already"),
    (("orgs", "add", "  "), 65, "needs a name"),
    (("orgs", "show", "Nobody"), 66, "no customer named Nobody"),
    (("orgs", "add-domain", "Contoso", "not a domain"), 65, "is not a domain"),
    (("orgs", "remove-domain", "Contoso", "other.test"), 66, "does not have the domain"),
    (("orgs", "trust", "Contoso"), 65, "is not marked untrusted"),
    (("orgs", "distrust", "Contoso", "--reason", " "), 65, "Say why"),
    (("orgs", "distrust", "Contoso"), 64, "--reason"),
    (("orgs", "end-hold", "Contoso", "--reason", "x"), 65, "no legal hold"),
    (("orgs", "retention", "Contoso", "-1"), 64, ""),
    (("contacts", "add", "a@b.test", "--name", "A", "--org", "Contoso", "--language", "Klingon!"), 65, "language tag"),
    (("contacts", "remove", "nobody@b.test"), 66, "no such contact"),
    (("incidents", "state", "INC-000001", "sleeping"), 64, ""),
    (("incidents", "task", "set", "INC-000001", "7", "completed"), 66, "has no task 7"),
    (("incidents", "task", "add", "INC-000001", " "), 65, "needs a title"),
    (("incidents", "change", "INC-000001", "--about", "INC-000001"), 65, "is no inquiry"),
    (("incidents", "open", "--org", "Contoso", "--title", "x", "--kind", "inquiry", "--about", "SVC-000001"), 66, "no SVC"),
    (("audit", "show", "--org", "Nobody"), 66, "no customer"),
    (("db", "restore", "nothing.db"), 66, "no file"),
)
# fmt: on


def test_what_cannot_be_done_is_told_in_one_sentence_and_leaves_no_act(world: Command) -> None:
    before = acts(world)
    for arguments, code, says in REFUSED:
        ended = world(*arguments)
        assert ended.code == code, (arguments, ended.err)
        assert ended.err.count("\n") == 1, arguments
        assert says in ended.err, arguments
    assert acts(world) == before


@pytest.mark.parametrize(
    ("steps", "refused", "says"),
    [
        (("in progress",), "active", "it is In progress and has been taken up; from there it goes to"),
        (("awaiting customer action",), "active", "In progress or Resolved"),
        (("resolved",), "awaiting customer action", "it is resolved; reopen it first: Active or In progress"),
        (("resolved", "in progress", "resolved", "active", "awaiting customer action"), "active", "taken up"),
    ],
)
def test_a_step_that_is_none_is_refused_in_plain_words(
    world: Command, steps: tuple[str, ...], refused: str, says: str
) -> None:
    for step in steps:
        assert world("incidents", "state", "INC-000001", step).code == 0
    ended = world("incidents", "state", "INC-000001", refused)
    assert ended.code == 65
    assert says in ended.err


def test_tasks_go_their_way_and_are_told_at_the_end(world: Command) -> None:
    world("incidents", "task", "add", "INC-000001", "Reset the password")
    world(
        "incidents",
        "task",
        "add",
        "INC-000001",
        "Isolate the device",
        "--source",
        "defenderExpertsManagedResponse",
    )
    assert world("incidents", "task", "set", "INC-000001", "1", "inProgress").code == 0
    assert world("incidents", "task", "set", "INC-000001", "2", "completed").code == 0
    ended = world("incidents", "task", "set", "INC-000001", "1", "open")
    assert ended.code == 65
    assert "Task 1 of INC-000001 cannot be open: it is inProgress; from there it goes to" in ended.err
    shown = world("incidents", "show", "INC-000001", "--json").json
    assert [(t["number"], t["source"], t["status"]) for t in shown["tasks"]] == [
        (1, "defenderExpertsGuidedResponse", "inProgress"),
        (2, "defenderExpertsManagedResponse", "completed"),
    ]
    assert "Still pending: task 1;" in world("incidents", "resolve", "INC-000001").out
    world(
        "incidents",
        "open",
        "--org",
        "Contoso",
        "--title",
        "A question",
        "--kind",
        "inquiry",
        "--about",
        "INC-000001",
    )
    assert world("incidents", "task", "add", "INQ-000001", "x").code == 65
    assert world("incidents", "show", "INQ-000001", "--json").json["about"] == "INC-000001"
    assert re.search(r"^about +INC-000001$", world("incidents", "show", "INQ-000001").out, re.MULTILINE)


def test_who_spoke_in_a_chat_or_a_call_is_told_and_what_a_customer_said_is_marked_as_reported(
    world: Command,
) -> None:
    world("incidents", "chat", "INC-000001", "Shall I look?", "--from", "virtual assistant")
    world(
        "incidents", "call", "INC-000001", "It was me.", "--from", "customer", "--name", "Alex", "--as", "Ana"
    )
    world("incidents", "chat", "INC-000001", "Closed by rule.", "--from", "automation")
    entries = world("incidents", "show", "INC-000001", "--json").json["timeline"]
    assert [(e["kind"], e["actor"], e["actor_kind"], e["mark"]) for e in entries] == [
        ("state", "Ana", "expert", "expert"),
        ("chat", "virtual assistant", "virtual assistant", "assistant"),
        ("call", "Alex", "customer", "reported"),
        ("chat", "automation", "automation", "automation"),
    ]


def test_a_domain_tells_who_verified_it_and_a_contact_what_it_is(world: Command) -> None:
    world(
        "contacts",
        "add",
        "soc@mssp.test",
        "--name",
        "SOC",
        "--org",
        "Contoso",
        "--form",
        "team",
        "--kind",
        "service-review",
    )
    shown = world("orgs", "show", "contoso", "--json").json
    assert [(d["domain"], d["verified"], d["verified_by"]) for d in shown["domains"]] == [
        ("contoso.test", True, "Ana")
    ]
    assert [(c["address"], c["form"], c["external"]) for c in shown["contacts"]] == [
        ("alex@contoso.test", "person", False),
        ("soc@mssp.test", "team", True),
    ]
    table = world("orgs", "show", "contoso").out
    assert "team, external" in table
    assert "+1 555 0100" in table
    world("contacts", "remove", "soc@mssp.test")
    assert "soc@mssp.test" not in world("contacts", "list").out
    again = world(
        "contacts",
        "add",
        "soc@mssp.test",
        "--name",
        "SOC 2",
        "--org",
        "Contoso",
        "--kind",
        "service-review",
        "--json",
    )
    assert (again.json["name"], again.json["id"]) == ("SOC 2", 2), "who comes back is the same contact"


def test_an_address_that_is_several_contacts_has_to_be_named(world: Command) -> None:
    world(
        "contacts",
        "add",
        "alex@contoso.test",
        "--name",
        "Alex",
        "--org",
        "Contoso",
        "--kind",
        "service-review",
    )
    ended = world("contacts", "change", "alex@contoso.test", "--language", "es")
    assert ended.code == 65
    assert "service-review of Contoso" in ended.err
    assert (
        world(
            "contacts", "change", "alex@contoso.test", "--language", "es", "--of-kind", "service-review"
        ).code
        == 0
    )
    assert [c["language"] for c in world("contacts", "list", "--json").json] == ["en", "es"]


def test_while_its_mail_is_untrusted_a_customer_is_spoken_to_by_telephone(world: Command) -> None:
    ask = ("compose", "request", "INC-000001", "--to", "alex@contoso.test", "--question", "Was it you?")
    assert world(*ask).code == 0
    marked = world("orgs", "distrust", "Contoso", "--reason", "an intruder reads it", "--as", "Ana")
    assert "Withheld: 1 mails" in marked.out
    assert "Call Alex, +1 555 0100" in marked.out
    shown = world("incidents", "show", "INC-000001").out
    assert "The mail of Contoso is untrusted: an intruder reads it" in shown
    assert "Call Alex, +1 555 0100" in shown
    refused = world(*ask)
    assert refused.code == 65
    assert (
        "expertmail compose notice INC-000001 --to alex@contoso.test; or call Alex (+1 555 0100)"
        in refused.err
    )
    assert world(*ask, "--preview").code == 65
    assert world("outbox", "retry", "1").code == 65
    notice = world("compose", "notice", "INC-000001", "--to", "alex@contoso.test")
    assert "is queued: [INC-000001] Please see the portal" in notice.out
    assert "Odd sign-in" not in world("outbox", "show", "2", "--raw").out
    assert "untrusted since" in world("orgs", "show", "Contoso").out
    assert world("orgs", "trust", "Contoso", "--reason", "rebuilt").code == 0
    assert [(m["rcpt_to"], m["state"]) for m in world("outbox", "list", "--json").json] == [
        ("alex@contoso.test", "queued"),
        ("alex@contoso.test", "withheld"),
    ]
    assert "Call Alex" not in world("incidents", "show", "INC-000001").out
    assert world(*ask).code == 0


def test_a_customer_is_erased_only_when_it_is_meant_and_no_hold_forbids_it(world: Command) -> None:
    world("incidents", "note", "INC-000001", "xylophonezebra")
    previewed = world("orgs", "erase", "Contoso")
    assert re.search(r"^timeline entries +2$", previewed.out, re.MULTILINE)
    assert "Nothing is erased yet" in previewed.out
    world("orgs", "hold", "Contoso", "--reason", "a court asked", "--as", "Ana")
    refused = world("orgs", "erase", "Contoso", "--yes")
    assert refused.code == 65
    assert "legal hold on Contoso by Ana (a court asked)" in refused.err
    assert "xylophonezebra" in world("incidents", "show", "INC-000001").out
    world("orgs", "end-hold", "Contoso", "--reason", "settled")
    assert world("orgs", "erase", "Contoso", "--yes", "--as", "Ana").code == 0
    assert world("orgs", "list", "--json").json == []
    assert world("incidents", "list", "--json").json == []
    assert world("contacts", "list", "--json").json == []
    trail = world("audit", "show").out
    assert "alex" not in trail.lower()
    assert "Contoso" not in trail
    assert "(erased)" in trail
    assert "organisation 1" in trail
    assert world("audit", "verify").code == 0
    assert "sound" in world("db", "check").out


def test_a_changed_row_of_the_trail_is_named_and_a_cut_one_missed(world: Command, tmp_path: Path) -> None:
    head = re.search(r"Last digest: ([0-9a-f]{64})", world("audit", "verify").out)
    assert head is not None
    assert world("audit", "verify", "--expect", head[1]).code == 0
    database = open_database(f"sqlite:///{tmp_path}/var/expertmail.db")

    def tamper(*statements: str) -> None:
        with database.writing() as conn:
            for statement in statements:
                conn.execute(text(statement))

    tamper(
        "DROP TRIGGER audit_only_erases",
        "DROP TRIGGER audit_keeps_rows",
        "DELETE FROM audit WHERE number = 4",
    )
    cut = world("audit", "verify", "--expect", head[1])
    assert cut.code == 1
    assert "rows were cut off" in cut.out
    assert "guard against changes is gone" in cut.out
    tamper("UPDATE audit SET content = replace(content, 'Ana', 'Bob') WHERE number = 2")
    database.close()
    changed = world("audit", "verify")
    assert changed.code == 1
    assert "Row 2 does not hold: its content was changed. 1 rows before it do." in changed.out
    assert world("audit", "verify", "--json").json["chain"]["broken"]["number"] == 2


def test_a_backup_is_restored_over_a_record_only_by_force(world: Command, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy.db")
    assert world("db", "backup", copy).code == 0
    world("orgs", "add", "Fabrikam")
    refused = world("db", "restore", copy)
    assert refused.code == 65
    assert "--force" in refused.err
    done = world("db", "restore", copy, "--force", "--as", "Ana")
    assert done.code == 0, done.err
    assert "before-restore" in done.out
    assert [one["name"] for one in world("orgs", "list", "--json").json] == ["Contoso"]
    assert acts(world)[0] == ("record-restored", "Ana", "copy.db")
    assert world("audit", "verify").code == 0
    assert world("db", "check").code == 0
