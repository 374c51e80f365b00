"""The questions that experts asked, beside the answers that came."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from outbound.answers import questions_in
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

QUESTIONS = (
    "Was this sign-in yours?",
    "Which device was used, and who else is able to unlock it with a code of their own?",
    "Since when?",
)


def file_reply(folder: Path, name: str, body: str, refers_to: str = "") -> None:
    """Put a contact's mail on the first thread, as the gateway does."""
    raw = (
        f"From: alice@contoso.test\r\nSubject: Re\r\nMessage-ID: <{name}@contoso.test>\r\n"
        + (f"In-Reply-To: <{refers_to}>\r\n" if refers_to else "")
        + "Content-Type: text/plain; charset=utf-8\r\n\r\n"
        + body.replace("\n", "\r\n")
    ).encode()
    at = datetime.now(UTC) + timedelta(seconds=1)
    arrival = Arrival(
        id=name, raw=raw, sha256=hashlib.sha256(raw).hexdigest(), mail_from="alice@contoso.test", rcpt_to="query@experts.test",
        received_at=at, client_ip="127.0.0.1", helo="contoso.test", tls=None, message_id=f"{name}@contoso.test", subject="Re",
        author="alice@contoso.test", kind=MessageKind.HUMAN, verdict="no-claim", report="{}", evidence="{}", evaluator="1",
        settings_hash="",
    )  # fmt: skip
    standing = Standing(StandingKind.CONTACT, "a contact", 1, 1)
    filing = Filing(
        Disposition.FILED, "a contact", standing, ThreadMatch(1, MatchRule.NONE, "named"), 1, text=body
    )
    database = open_database(f"sqlite:///{folder}/var/expertmail.db")
    with database.writing() as conn:
        store_message(conn, arrival, filing)
    database.close()


@pytest.fixture
def asked(command):
    """A world in which two questions lists were sent; gives the Message-IDs of the requests."""
    assert command("dns", "show").code == 0
    assert command("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso").code == 0
    assert command("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins").code == 0
    assert "No questions" in command("incidents", "answers", "INC-000001").out
    numbers = []
    for questions in (QUESTIONS, ("Is it over?",)):
        options = [word for question in questions for word in ("--question", question)]
        sent = command("compose", "request", "INC-000001", "--to", "alice@contoso.test", *options, "--json")
        assert sent.code == 0, sent.err
        numbers.append(json.loads(sent.out)[0]["message_id"].strip("<>"))
    assert "Nobody has answered" in command("incidents", "answers", "INC-000001").out
    return numbers


def test_each_question_is_shown_beside_what_was_answered(command, asked, tmp_path):
    file_reply(tmp_path, "r1", "Hello,\n1. Yes, mine\n3. Since Monday\x1b[31m\n", asked[0])
    file_reply(tmp_path, "r2", "It is over.\n")
    told = json.loads(command("incidents", "answers", "INC-000001", "--json").out)
    assert [one["request"] for one in told] == asked
    assert [pair["question"] for pair in told[0]["answers"]] == list(QUESTIONS)
    assert [pair["answer"] for pair in told[0]["answers"]][:2] == ["Yes, mine", None]
    assert told[0]["rest"] == "Hello,"
    assert told[1]["answers"] == [{"question": "Is it over?", "answer": "It is over."}]
    shown = command("incidents", "answers", "INC-000001").out
    assert "1. Was this sign-in yours?\n     Yes, mine" in shown
    assert "(no answer)" in shown
    assert "\x1b[31m" not in shown


def test_questions_are_read_back_from_what_a_request_said_in_any_script():
    from outbound.model import MailKind
    from tests.outbound.catalogue import EN_QUESTIONS, JA_QUESTIONS, catalogue_mail
    from tests.outbound.test_catalogue import _Office

    for language, questions in (("en", EN_QUESTIONS), ("ja", JA_QUESTIONS)):
        opening = "What we know:\n\n1. One thing.\n2. Another.\n\nAnd more."
        mail = catalogue_mail(
            MailKind.REQUEST_FOR_CONTEXT, "request-for-context", language, _Office, opening=opening
        )
        assert questions_in(mail.said) == questions
    assert questions_in("no list") == ()
