"""Every kind of mail that a person writes, from the command line to the queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_string, policy
from typing import Any

import pytest

from expertmail.compose_words import WRITTEN_KINDS
from outbound.model import MailKind
from tests.outbound.catalogue import FORMS, PORTAL

Command = Callable[..., Any]
CONTACTS = {"en": "alice@contoso.test", "ja": "hanako@contoso.test"}
OUTSIDE = "counsel@lawyers.test"
HELLO = ("compose", "write", "reply", "INC-000001", "--set", "text=We saw it.")
REASON = ("--outside", "their counsel has to know")


@pytest.fixture
def desk(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A customer whose contacts read English and Japanese, and an incident."""
    monkeypatch.setenv("EXPERTMAIL_MAIL__PORTAL_HOSTS", PORTAL)
    assert command("dns", "show").code == 0
    for language, address in CONTACTS.items():
        added = command(
            "contacts", "add", address, "--name", "Someone", "--org", "Contoso", "--language", language
        )
        assert added.code == 0, added.err
    opened = command("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins", "--severity", "high")
    assert opened.code == 0, opened.err
    return command


def raw_of(desk: Command, number: int) -> Any:
    """The mail of a number, as it will leave."""
    return message_from_string(desk("outbox", "show", str(number), "--raw").out, policy=policy.default)


def text_of(desk: Command, number: int) -> str:
    return str(raw_of(desk, number).get_body(("plain",)).get_content())


def test_every_kind_that_a_person_writes_is_in_the_catalogue_of_forms() -> None:
    assert set(WRITTEN_KINDS) == {kind for kind, _en, _ja in FORMS.values() if not kind.automatic}


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_kind_is_written_from_a_file_judged_genuine_and_queued(desk, language, tmp_path) -> None:
    kinds: dict[MailKind, dict[str, Any]] = {}
    for kind, english, japanese in FORMS.values():
        if not kind.automatic:
            kinds.setdefault(kind, english if language == "en" else japanese)
    for number, (kind, words) in enumerate(kinds.items(), 1):
        file = tmp_path / f"{kind.value}.json"
        file.write_text(json.dumps(words), encoding="utf-8")
        sent = desk(
            "compose", "write", kind.value, "INC-000001", "--to", CONTACTS[language], "--words", str(file),
            "--json",
        )  # fmt: skip
        assert sent.code == 0, (kind, sent.err)
        assert "reads" not in sent.err, (kind, sent.err)
        (mail,) = sent.json
        assert (mail["number"], mail["verdict"], mail["state"]) == (number, "genuine", "queued"), kind
        item = desk("outbox", "show", str(number), "--json").json
        assert item["kind"] == kind.value
        assert item["language"] == language
    assert len(desk("outbox", "list", "--json").json) == len(kinds)


def test_a_managed_response_tells_of_the_tasks_on_record(desk) -> None:
    write = (
        "compose", "write", "managed-response", "INC-000001", "--to", CONTACTS["en"], "--set",
        "summary=We looked into it.",
    )  # fmt: skip
    nothing = desk(*write)
    assert nothing.code == 65
    assert "needs 'pending' or 'completed'" in nothing.err
    done = ("--source", "defenderExpertsManagedResponse")
    for title, more in (
        ("Reset the password", ()),
        ("Tell the bank", ()),
        ("Block the address", done),
        ("Look at the mailbox", done),
    ):
        assert desk("incidents", "task", "add", "INC-000001", title, *more).code == 0
    assert desk("incidents", "task", "set", "INC-000001", "2", "completed").code == 0
    assert desk(*write).code == 0
    pending = text_of(desk, 1)
    assert "1. Reset the password" in pending
    assert "Block the address" not in pending, "nobody has done it yet"
    assert "Tell the bank" not in pending, "the customer has done it"
    assert desk("incidents", "task", "set", "INC-000001", "3", "completed").code == 0
    assert desk(*write).code == 0
    both = text_of(desk, 2)
    assert "Reset the password" in both
    assert "Block the address" in both
    assert "Look at the mailbox" not in both
    assert desk("incidents", "task", "set", "INC-000001", "1", "completed").code == 0
    assert desk(*write).code == 0
    completed = text_of(desk, 3)
    assert "Reset the password" not in completed
    assert "Block the address" in completed
    assert desk(*write, "--set", "pending=Call us.").code == 0
    chosen = text_of(desk, 4)
    assert "Call us." in chosen
    assert "Block the address" not in chosen, "who says the steps says all of them"


def test_words_come_from_options_over_files_over_a_table(desk, tmp_path) -> None:
    (tmp_path / "words.toml").write_text('found = "From the table."\nactions = ["Not this."]\n')
    (tmp_path / "steps.txt").write_text("Reset it.\n\nIsolate it.\n")
    shown = desk(
        "compose", "write", "Manual-Detection", "inc-000001", "--to", CONTACTS["en"], "--words", "words.toml",
        "--file", "actions=steps.txt", "--set", "severity=low", "--by", "Robin", "--preview",
    )  # fmt: skip
    assert shown.code == 0, shown.err
    for words in ("From the table.", "1. Reset it.", "2. Isolate it.", "Low", "Robin"):
        assert words in shown.out
    assert "Not this." not in shown.out
    assert desk("outbox", "list", "--json").json == []


def test_who_is_told_that_they_were_added_reads_as_what_and_of_whom(desk) -> None:
    added = desk(
        "contacts",
        "add",
        "review@contoso.test",
        "--name",
        "R",
        "--org",
        "Contoso",
        "--kind",
        "service-review",
    )
    assert added.code == 0, added.err
    shown = desk(
        "compose", "write", "contact-added", "INC-000001", "--to", CONTACTS["en"], "--to", "review@contoso.test",
        "--preview",
    )  # fmt: skip
    first, _, second = shown.out.partition("review@contoso.test")
    assert "when an incident needs your action" in first
    assert "reviews of the service" in second
    assert shown.out.count("You were added as a contact of Contoso") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("reminder", "INC-000001"), 65, "a person writes; there are: request-for-context, reply"),
        (("relayed", "INC-000001"), 65, "no kind of mail that a person writes"),
        (("reply", "INC-000009", "--set", "text=x"), 66, "no INC-000009"),
        (("manual-detection", "INC-000001"), 65, "needs 'found' (text), 'actions' (lines)"),
        (("reply", "INC-000001", "--set", "txt=x"), 65, "no place for 'txt'; it takes title (line), text (text)"),
        (("test-notification", "INC-000001", "--set", "text=x"), 65, "it takes no words"),
        (("reply", "INC-000001", "--set", "text"), 65, "NAME=VALUE"),
        (("reply", "INC-000001", "--set", "text=a", "--set", "text=b"), 65, "given twice"),
        (("reply-posted", "INC-000001", "--set", "place=somewhere"), 65, "one of: chat, inquiry"),
        (("reply", "INC-000001", "--file", "text=no/such"), 66, "cannot be read"),
        (("reply", "INC-000001", "--words", "bad.json"), 65, "bad.json: It is no JSON"),
        (("reply", "INC-000001", "--words", "list.json"), 65, "one table of names"),
        (("reply", "INC-000001", "--words", "latin.txt"), 65, "is not UTF-8"),
        (("reply", "INC-000001", "--set", "text=x", "--send-after", "tomorrow"), 65, "--send-after has to be a time"),
        (("reply", "INC-000001", "--set", "text=x", "--send-after", "2026-12-01T09:00"), 65, "with its zone"),
        (("reply", "INC-000001", "--set", "text=x", "--send-before", "2020-01-01T00:00Z"), 65, "over already"),
        (("reply", "INC-000001", "--set", "text=x", "--send-after", "9999-12-31T23:59:59Z"), 65, "days ahead"),
        (("reply", "INC-000001", "--set", "text=x", "--send-after", "0001-01-01T00:00+14:00"), 65, "time to come"),
        (("reply", "INC-000001", "--set", "text=x", "--send-before", "9999-12-31T23:59:59-14:00"), 65, "days ahead"),
        (("reply", "INC-000001", "--set", "text=x", "--outside", " "), 65, "Say why"),
    ],
)  # fmt: skip
def test_what_is_not_fit_is_told_in_one_sentence_and_nothing_is_queued(
    desk, tmp_path, arguments, code, told
) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    ended = desk("compose", "write", *arguments, "--to", CONTACTS["en"])
    assert ended.code == code, ended.err
    assert told in ended.err
    assert ended.err.startswith("expertmail: ")
    assert desk("outbox", "list", "--json").json == []


def test_an_address_outside_needs_a_reason_which_is_kept(desk) -> None:
    both = ("--to", CONTACTS["en"], "--to", OUTSIDE)
    refused = desk(*HELLO, *both)
    assert refused.code == 66
    assert f"{OUTSIDE} is no contact" in refused.err
    assert "--outside REASON" in refused.err
    sent = desk(*HELLO, *both, *REASON, "--by", "ana", "--json")
    assert sent.code == 0, sent.err
    assert [one["verdict"] for one in sent.json] == ["genuine", "genuine"]
    shown = desk("incidents", "show", "INC-000001").out
    assert (
        f"A reply mail goes to {OUTSIDE} outside the customer's contacts: their counsel has to know" in shown
    )
    assert any(REASON[1] in row["detail"] for row in desk("audit", "show", "--json").json)
    known, outside = raw_of(desk, 1), raw_of(desk, 2)
    assert str(outside["To"]) == OUTSIDE
    assert outside["Reply-To"].addresses[0].domain == known["Reply-To"].addresses[0].domain
    assert outside["Reply-To"] != known["Reply-To"]
    assert "Code of this mail" in text_of(desk, 1)
    assert "Code of this mail" not in text_of(desk, 2), "there is no contact whom its code could be told"


@pytest.mark.parametrize(
    "at",
    [
        "experts.test",
        "EXPERTS.Test",
        "mx.experts.test",
        "reply.experts.test",
        "a.reply.experts.test",
        "experts.test.",
        "ｅxperts.test",
        "bücher.test",
        "xn--bcher-kva.test",
    ],
)
@pytest.mark.parametrize("more", [(), REASON, (*REASON, "--preview")])
def test_no_mail_goes_outside_to_an_address_of_ours(desk, monkeypatch, at, more) -> None:
    monkeypatch.setenv("EXPERTMAIL_MAIL__DOMAINS", "experts.test, bücher.test")
    refused = desk(*HELLO, "--to", CONTACTS["en"], "--to", f"ana@{at}", *more)
    assert refused.code == 65, refused.out
    assert "is an address of ours" in refused.err
    assert "--test-to" in refused.err
    assert "test_to" in refused.err
    assert desk("outbox", "list", "--json").json == []


def test_a_domain_that_only_ends_like_ours_is_outside_and_a_contact_in_ours_is_a_contact(desk) -> None:
    assert desk(*HELLO, "--to", "ana@myexperts.test", *REASON).code == 0
    assert desk("contacts", "add", "pat@experts.test", "--name", "Pat", "--org", "Contoso").code == 0
    assert desk(*HELLO, "--to", "pat@experts.test").code == 0


def test_an_address_outside_is_read_in_the_language_that_was_named(desk) -> None:
    shown = desk(*HELLO, "--to", OUTSIDE, *REASON, "--language", "ja", "--preview")
    assert "お電話でのお問い合わせ" in shown.out
    assert f"{OUTSIDE} reads ja, and what you wrote does not look like it" in shown.err


def test_a_contact_of_another_customer_is_outside_and_noted(desk) -> None:
    assert desk("contacts", "add", "bob@fabrikam.test", "--name", "Bob", "--org", "Fabrikam").code == 0
    refused = desk(*HELLO, "--to", "bob@fabrikam.test")
    assert "is no contact of the customer of INC-000001" in refused.err
    noted = desk(*HELLO, "--to", "bob@fabrikam.test", *REASON, "--preview")
    assert "bob@fabrikam.test is a contact of Fabrikam, not of the customer of INC-000001" in noted.err
    assert desk("orgs", "distrust", "Fabrikam", "--reason", "an intruder reads it").code == 0
    marked = desk(*HELLO, "--to", "bob@fabrikam.test", *REASON)
    assert marked.code == 65
    assert "The mail of Fabrikam is marked untrusted" in marked.err


@pytest.mark.parametrize("more", [(), REASON])
def test_no_reason_reaches_an_untrusted_or_suppressed_mailbox(desk, more) -> None:
    assert desk("outbox", "suppress", OUTSIDE, "--reason", "left").code == 0
    assert desk("outbox", "suppress", CONTACTS["ja"], "--reason", "left").code == 0
    for address in (OUTSIDE, CONTACTS["ja"]) if more else (CONTACTS["ja"],):
        suppressed = desk(*HELLO, "--to", address, *more)
        assert suppressed.code == 65, suppressed.err
        assert f"{address} is suppressed" in suppressed.err
    assert desk("orgs", "distrust", "Contoso", "--reason", "an intruder reads it").code == 0
    marked = desk(*HELLO, "--to", CONTACTS["en"], *more)
    assert marked.code == 65
    assert "compose notice INC-000001" in marked.err
    assert desk("outbox", "list", "--json").json == []


def test_the_writer_is_told_what_a_reader_will_not_read_before_it_goes(desk) -> None:
    title = "title=" + "A long title " * 8
    sent = desk(*HELLO, "--set", title, "--to", CONTACTS["ja"], "--to", CONTACTS["en"])
    assert sent.code == 0, "a note refuses nothing"
    assert "telephones show some 78" in sent.err
    assert f"{CONTACTS['ja']} reads ja, and what you wrote does not look like it" in sent.err
    assert f"{CONTACTS['en']} reads" not in sent.err
    assert desk("contacts", "change", CONTACTS["en"], "--language", "pt-BR").code == 0
    other = desk(*HELLO, "--to", CONTACTS["en"], "--preview")
    assert f"{CONTACTS['en']} reads pt-BR, and this kind of mail is in en" in other.err


def test_a_sender_that_the_identity_file_does_not_pin_writes_nothing(desk, tmp_path, monkeypatch) -> None:
    (tmp_path / "identities.toml").write_text(
        '[[identity]]\nname = "operated"\ndomains = ["experts.test"]\naddresses = ["other@experts.test"]\n'
        'display_names = ["Defender Experts"]\n'
    )
    monkeypatch.setenv("EXPERTMAIL_IDENTITIES", str(tmp_path / "identities.toml"))
    refused = desk(*HELLO, "--to", CONTACTS["en"], "--preview")
    assert refused.code == 78, refused.err
    assert "does not pin defender-experts@experts.test" in refused.err


@pytest.mark.parametrize("kind", [kind.value for kind in WRITTEN_KINDS])
def test_each_kind_is_shown_as_text_html_and_bytes(desk, kind, tmp_path) -> None:
    words = next(en for found, en, _ja in FORMS.values() if found.value == kind)
    (tmp_path / "words.json").write_text(json.dumps(words), encoding="utf-8")
    shown = desk(
        "compose", "write", kind, "INC-000001", "--to", CONTACTS["en"], "--words", "words.json", "--preview",
        "--preview-html", "mail.html", "--preview-raw",
    )  # fmt: skip
    assert shown.code == 0, shown.err
    assert "<html" in (tmp_path / "mail.html").read_text().lower()
    assert "\nMIME-Version: 1.0" in shown.out.replace("\r", "")
    assert f"To:      {CONTACTS['en']}" in shown.out
    assert desk("outbox", "list", "--json").json == []


def test_a_test_of_any_kind_goes_to_us_and_leaves_no_note(desk) -> None:
    before = desk("incidents", "show", "INC-000001").out
    sent = desk(
        "compose", "write", "test-notification", "INC-000001", "--to", OUTSIDE, *REASON, "--test-to",
        "ana@experts.test", "--json",
    )  # fmt: skip
    assert sent.code == 0, sent.err
    assert (sent.json[0]["to"], sent.json[0]["verdict"]) == ("ana@experts.test", "genuine")
    assert raw_of(desk, 1)["X-Test-Mode-Recipient"] == OUTSIDE
    assert desk("incidents", "show", "INC-000001").out == before


def test_a_key_queues_once_whatever_changed_since_and_takes_no_other_content(desk) -> None:
    keyed = (*HELLO, "--to", CONTACTS["en"], "--key", "k1")
    assert desk(*keyed).code == 0
    assert desk("outbox", "suppress", CONTACTS["en"], "--reason", "left").code == 0
    again = desk(*keyed)
    assert again.code == 0, "it was sent, and whoever asks again has to hear that"
    assert "queued before as mail 1" in again.out
    known = desk(*keyed, "--json").json
    assert [(one["number"], one["known"]) for one in known] == [(1, True)]
    for other in (("--set", "title=Other"), (*REASON,), ("--send-after", "2100-01-01T00:00Z")):
        refused = desk(*keyed, *other)
        assert refused.code == 65, other
    assert len(desk("outbox", "list", "--json").json) == 1


def test_a_mail_waits_for_the_window_that_its_writer_chose(desk) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    end = begin + timedelta(hours=2)
    sent = desk(
        *HELLO, "--to", CONTACTS["en"], "--send-after", begin.isoformat(), "--send-before", end.isoformat()
    )
    assert sent.code == 0, sent.err
    shown = desk("approvals", "show", "1", "--json").json
    assert datetime.fromisoformat(shown["not_before"]) == begin
    assert datetime.fromisoformat(shown["not_after"]) == end
    (item,) = desk("outbox", "list", "--json").json
    assert item["state"] == "queued"
    assert datetime.fromisoformat(item["next_attempt_at"]) == begin


OFF_THREAD = {
    "contact-added": (),
    "test-notification": (),
    "service-review": ("--set", "title=First talk", "--set", "occasion=readiness", "--set", "text=When can we meet?", "--by", "Kim Park"),
}  # fmt: skip


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_mail_about_no_incident_goes_to_a_contact_without_a_thread(desk, language) -> None:
    for number, (kind, words) in enumerate(OFF_THREAD.items(), 1):
        sent = desk(
            "compose", "write", kind, "--org", "contoso", "--to", CONTACTS[language], *words, "--json"
        )
        assert sent.code == 0, (kind, sent.err)
        (mail,) = sent.json
        assert (mail["number"], mail["verdict"], mail["state"]) == (number, "genuine", "queued"), kind
        raw = raw_of(desk, number)
        assert raw["Reply-To"] == "query@experts.test"
        assert "INC-" not in raw.as_string()
        assert raw["References"] is None
        assert desk("outbox", "show", str(number), "--json").json["language"] == language
    told = desk("audit", "show", "--org", "Contoso", "--json").json
    assert {f"{kind}-written" for kind in OFF_THREAD} <= {one["act"] for one in told}


def test_what_no_thread_lets_go_astray_is_refused_in_words(desk) -> None:
    assert desk("contacts", "add", "bob@fabrikam.test", "--name", "Bob", "--org", "Fabrikam").code == 0
    hello = ("compose", "write", "test-notification")
    to = ("--to", CONTACTS["en"])
    for arguments, words in (
        ((*hello, *to), "--org"),
        ((*hello, "INC-000001", "--org", "Contoso", *to), "one of them"),
        ((*hello, "--org", "Nobody", *to), "no customer named Nobody"),
        ((*hello, "--org", "Contoso", "--to", "bob@fabrikam.test"), "no contact of Contoso"),
        ((*hello, "--org", "Contoso", "--to", OUTSIDE, *REASON), "contacts of the customer only"),
        (
            ("compose", "write", "reply", "--org", "Contoso", *to, "--set", "text=Hello"),
            "written on a thread",
        ),
        (("compose", "write", "service-review", "--org", "Contoso", *to, "--set", "text=Hello"), "title"),
    ):
        refused = desk(*arguments)
        assert refused.code in {64, 65, 66}, arguments
        assert words in refused.err, (arguments, refused.err)
    assert desk("orgs", "distrust", "Contoso", "--reason", "an intruder").code == 0
    refused = desk(*hello, "--org", "Contoso", *to)
    assert refused.code == 65
    assert "marked untrusted" in refused.err
    assert desk("outbox", "list", "--json").json == []


def test_a_key_of_a_mail_on_no_thread_belongs_to_its_customer(desk) -> None:
    assert desk("contacts", "add", CONTACTS["en"], "--name", "Alice", "--org", "Fabrikam").code == 0
    hello = ("compose", "write", "test-notification", "--to", CONTACTS["en"], "--key", "k1", "--org")
    assert desk(*hello, "Contoso").code == 0
    assert "nothing is sent again" in desk(*hello, "Contoso").out
    refused = desk(*hello, "Fabrikam")
    assert refused.code == 65, refused.out
    assert len(desk("outbox", "list", "--json").json) == 1


def test_what_is_done_with_a_mail_on_no_thread_is_erased_with_its_customer(desk) -> None:
    assert desk("compose", "write", "test-notification", "--org", "Contoso", "--to", CONTACTS["en"]).code == 0
    assert desk("outbox", "cancel", "1").code == 0
    retried = desk("outbox", "retry", "1")
    assert retried.code == 0
    assert "no approval" not in retried.out
    told = {one["act"] for one in desk("audit", "show", "--org", "Contoso", "--json").json}
    assert {"test-notification-written", "mail-cancelled", "mail-retried"} <= told
    assert desk("orgs", "erase", "Contoso", "--yes").code == 0
    assert desk("outbox", "list", "--json").json == []
    assert CONTACTS["en"] not in desk("audit", "show", "--json").out


def test_a_retry_of_mail_that_nobody_approved_says_that_it_is_no_approval(desk, monkeypatch) -> None:
    monkeypatch.setenv("EXPERTMAIL_SENDING__SECOND_PERSON", "test-notification")
    written = desk("compose", "write", "test-notification", "--org", "Contoso", "--to", CONTACTS["en"])
    assert "awaiting approval" in written.out, written.err
    assert "expertmail approvals show 1" in desk("outbox", "retry", "1").out
