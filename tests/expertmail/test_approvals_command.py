"""Mail that needs a second person, that cannot wait for one, that was asked for twice, and that goes nowhere but to us."""

from __future__ import annotations

import pytest

TO = ("INC-000001", "--to", "alice@contoso.test")
HELLO = ("compose", "reply", *TO, "--text", "We saw it.")


@pytest.fixture
def desk(command):
    assert command("dns", "show").code == 0
    assert command("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso").code == 0
    assert command("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins").code == 0
    return command


@pytest.fixture
def second(desk, monkeypatch):
    monkeypatch.setenv("EXPERTMAIL_SENDING__SECOND_PERSON", "reply, acknowledgement")
    return desk


def test_a_first_start_shows_that_no_second_person_is_asked_for(desk) -> None:
    assert "off for every kind" in desk("approvals", "list").out
    sent = desk(*HELLO, "--by", "ana")
    assert "is queued" in sent.out, sent.err
    shown = desk("approvals", "show", "1")
    assert "approved (composer)" in shown.out


def test_a_second_person_approves_what_was_shown_and_the_trail_tells(second) -> None:
    written = second(*HELLO, "--by", "ana")
    assert "awaiting approval" in written.out, written.err
    assert "reply, acknowledgement" in second("approvals", "list").out
    item = second("approvals", "show", "1", "--json").json
    assert item["rcpt_to"] == "alice@contoso.test"
    own = second("approvals", "approve", "1", item["digest"], "--by", "Ana")
    assert own.code != 0
    assert "somebody else" in own.err
    assert second("approvals", "approve", "1", "0" * 64, "--by", "ben").code != 0
    assert second("approvals", "approve", "1", item["digest"][:16], "--by", "ben").code == 0
    assert second("outbox", "list", "--json").json[0]["state"] == "queued"
    assert "mail-approved" in second("audit", "show").out


def test_the_list_says_why_each_mail_waits(second) -> None:
    second(*HELLO, "--by", "ana")
    assert "awaiting approval" in " ".join(second("approvals", "list").out.split())
    second("approvals", "standing", "acknowledgement", "--by", "ben")
    item = second("approvals", "show", "1", "--json").json
    assert item["last_word"] == "awaiting approval"
    assert second("approvals", "list", "--json").json["waiting"][0]["last_word"] == "awaiting approval"


def test_a_refused_mail_says_why(second) -> None:
    second(*HELLO, "--by", "ana")
    assert second("approvals", "refuse", "1", "--reason", "wrong customer", "--by", "ben").code == 0
    assert "wrong customer" in second("outbox", "show", "1").out
    assert "Nothing waits" in second("approvals", "list").out


def test_breaking_the_glass_is_listed_until_it_was_reviewed(second) -> None:
    sent = second(*HELLO, "--by", "ana", "--break-glass", "encryption is running")
    assert "is queued" in sent.out, sent.err
    assert "encryption is running" in second("approvals", "reviews").out
    assert second("approvals", "review", "1", "--note", "fine", "--by", "ana").code != 0
    assert second("approvals", "review", "1", "--note", "fine", "--by", "ben").code == 0
    assert "Nothing waits" in second("approvals", "reviews").out


def test_automatic_mail_is_approved_once_for_its_version_and_way(second) -> None:
    assert "while delivery is by files" in second("approvals", "standing", "acknowledgement", "--by", "ben").out
    again = second("approvals", "standing", "acknowledgement", "--by", "ben")
    assert "approved already" in again.err
    assert second("approvals", "standing", "reply").code != 0


def test_standing_approvals_are_listed_and_withdrawn_and_the_trail_tells(second) -> None:
    assert "No automatic mail has" in second("approvals", "standing").out
    second("approvals", "standing", "acknowledgement", "--by", "ben")
    (one,) = second("approvals", "standing", "--json").json
    assert (one["kind"], one["route"], one["approver"]) == ("acknowledgement", "files", "ben")
    listed = second("approvals", "standing").out
    assert "acknowledgement" in listed
    assert "ben" in listed
    gone = second("approvals", "standing", "acknowledgement", "--withdraw", "--by", "eva")
    assert "0 mails wait for a person" in gone.out, gone.err
    assert "still goes by itself" not in gone.out
    assert "No automatic mail has" in second("approvals", "standing").out
    again = second("approvals", "standing", "acknowledgement", "--withdraw")
    assert again.code != 0
    assert "no standing approval" in again.err
    assert second("approvals", "standing", "--withdraw").code == 64
    (act,) = second("audit", "show", "--act", "standing-withdrawn", "--json").json
    assert act["by"] == "eva"
    assert second("approvals", "standing", "acknowledgement", "--by", "ben").code == 0  # may be given again


def test_withdrawing_says_where_a_kind_goes_by_itself_all_the_same(desk) -> None:
    desk("approvals", "standing", "acknowledgement", "--by", "ben")
    assert "still goes by itself" in desk("approvals", "standing", "acknowledgement", "--withdraw").out


def test_what_waits_is_sent_by_its_writer_at_once_for_a_reason_and_listed(second) -> None:
    second(*HELLO, "--by", "ana")
    digest = second("approvals", "show", "1", "--json").json["digest"]
    assert second("approvals", "break-glass", "1", digest, "--by", "ana").code == 64  # why?
    assert second("approvals", "break-glass", "1", digest, "--reason", " ", "--by", "ana").code != 0
    assert second("approvals", "break-glass", "1", "0" * 64, "--reason", "now", "--by", "ana").code != 0
    assert second("outbox", "list", "--json").json[0]["state"] == "unapproved"
    sent = second("approvals", "break-glass", "1", digest[:12], "--reason", "encryption is running", "--by", "ana")
    assert sent.code == 0, sent.err
    assert second("outbox", "list", "--json").json[0]["state"] == "queued"
    assert "encryption is running" in second("approvals", "reviews").out
    (act,) = second("audit", "show", "--act", "mail-break-glass", "--json").json
    assert act["by"] == "ana"
    assert "encryption is running" in act["detail"]
    assert second("approvals", "review", "1", "--note", "fine", "--by", "ana").code != 0
    assert second("approvals", "review", "1", "--note", "fine", "--by", "ben").code == 0


def test_neither_a_refused_mail_nor_one_to_an_untrusted_customer_breaks_the_glass(second) -> None:
    for number, stop in (("1", ("approvals", "refuse", "1", "--reason", "wrong customer", "--by", "ben")), ("2", ("orgs", "distrust", "Contoso", "--reason", "an intruder reads it"))):  # fmt: skip
        second(*HELLO, "--by", "ana")
        digest = second("approvals", "show", number, "--json").json["digest"]
        assert second(*stop).code == 0
        assert second("approvals", "break-glass", number, digest, "--reason", "now", "--by", "ana").code != 0
        assert second("outbox", "retry", number).code != 0
    assert {one["state"] for one in second("outbox", "list", "--json").json} <= {"failed", "unapproved", "withheld"}
    assert "Nothing waits" in second("approvals", "reviews").out


def test_the_window_in_which_a_mail_may_go_is_shown(desk) -> None:
    desk(*HELLO, "--by", "ana")
    item = desk("approvals", "show", "1", "--json").json
    window = [item["not_before"], item["not_after"]]
    assert desk("outbox", "show", "1", "--json").json["may_go"] == window
    for shown in (desk("outbox", "show", "1").out, desk("approvals", "show", "1").out):
        assert f"{window[0][:10]} {window[0][11:19]}Z to {window[1][:10]} {window[1][11:19]}Z" in shown


def test_a_request_with_a_key_is_queued_once_and_the_key_takes_no_other_content(desk) -> None:
    assert "is queued" in desk(*HELLO, "--key", "k1").out
    again = desk(*HELLO, "--key", "k1")
    assert again.code == 0
    assert "nothing is sent again" in again.out
    other = desk("compose", "reply", *TO, "--text", "Something else.", "--key", "k1")
    assert other.code != 0
    assert "other content" in other.err
    assert len(desk("outbox", "list", "--json").json) == 1
    assert "is queued" in desk(*HELLO, "--key", "k").out
    assert desk(*HELLO, "--key", "").code != 0


def test_text_html_and_bytes_are_shown_and_nothing_is_queued(desk, tmp_path) -> None:
    shown = desk(*HELLO, "--preview-html", "mail.html", "--preview-raw", "--preview")
    assert shown.code == 0, shown.err
    assert "<html" in (tmp_path / "mail.html").read_text().lower()
    assert "\nMIME-Version: 1.0" in shown.out.replace("\r", "")
    assert "We saw it." in shown.out
    assert "Nothing was sent yet" in desk("outbox", "list").out
    assert desk(*HELLO, "--preview-html", "no/such/folder.html").code != 0


def test_a_test_goes_to_us_is_marked_and_touches_no_thread(desk) -> None:
    before = desk("incidents", "show", "INC-000001").out
    sent = desk(*HELLO, "--test-to", "ana@experts.test")
    assert "is queued: [TEST] " in sent.out, sent.err
    raw = desk("outbox", "show", "1", "--raw").out.replace("\r", "")
    assert "\nX-Test-Mode-Recipient: alice@contoso.test\n" in raw
    assert desk("outbox", "list", "--json").json[0]["rcpt_to"] == "ana@experts.test"
    assert desk("incidents", "show", "INC-000001").out == before
    assert desk(*HELLO, "--test-to", "ana@elsewhere.test").code != 0


def test_test_mode_redirects_everything_and_says_so(desk, monkeypatch) -> None:
    monkeypatch.setenv("EXPERTMAIL_SENDING__TEST_MODE_TO", "trial@experts.test")
    assert desk(*HELLO).code == 0
    (item,) = desk("outbox", "list", "--json").json
    assert item["rcpt_to"] == "trial@experts.test"
    assert item["subject"].startswith("[TEST] ")


def test_a_setting_that_names_no_kind_is_refused(desk, monkeypatch) -> None:
    monkeypatch.setenv("EXPERTMAIL_SENDING__SECOND_PERSON", "everything")
    refused = desk("approvals", "list")
    assert refused.code != 0
    assert "compose kinds" in refused.err


def test_what_waits_for_a_customer_whose_mail_is_untrusted_by_now_is_not_approved(second) -> None:
    second(*HELLO, "--by", "ana")
    digest = second("approvals", "show", "1", "--json").json["digest"]
    assert second("orgs", "distrust", "Contoso", "--reason", "an intruder reads it").code == 0
    assert second("approvals", "approve", "1", digest, "--by", "ben").code != 0
    assert second("outbox", "list", "--json").json[0]["state"] in {"unapproved", "withheld"}
