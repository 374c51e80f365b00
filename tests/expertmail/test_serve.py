"""``serve`` as a real process on free ports: what it says, how it ends, and that a restart finds everything."""

from __future__ import annotations

import contextlib
import json
import os
import smtplib
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proofs.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path, migrated=False)
    yield one
    one.stop()


def get(served: Served, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{served.console_port}{path}", timeout=10) as answer:
        return answer.status, answer.read().decode()


def verify(served: Served, raw: bytes, kind: str = "message/rfc822") -> tuple[int, dict]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{served.console_port}/api/v1/verify", data=raw, headers={"Content-Type": kind}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def send(served: Served, sender: str, recipient: str, subject: str) -> None:
    text = f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\nWhat is this about?\r\n"
    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as client:
        client.sendmail(sender, [recipient], text)


def delivered(served: Served, count: int) -> list[Path]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = sorted(served.outbox.glob("*.eml"))
        if len(found) >= count:
            return found
        time.sleep(0.1)
    raise AssertionError(served.log.read_text()[-2000:])


def test_a_first_start_works_and_a_restart_finds_everything(served: Served) -> None:
    served.start()
    assert get(served, "/healthz") == (200, '{"status":"ok"}')
    assert json.loads(get(served, "/readyz")[1])["ready"] is True
    said = served.log.read_text()
    assert f"127.0.0.1:{served.smtp_port}" in said
    assert "contacts add" in said, "it tells what to do next"

    served.run(
        "contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso", "--domain", "contoso.test"
    )  # fmt: skip
    served.run("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins")
    served.run(
        "compose", "request", "INC-000001", "--to", "alice@contoso.test", "--question", "Was this you?"
    )
    ours = delivered(served, 1)[0].read_bytes()

    status, verdict = verify(served, ours)
    assert (status, verdict["verdict"]) == (200, "genuine"), verdict
    described = json.loads(get(served, "/api/v1/openapi.json")[1])["components"]["schemas"]["Verdict"]
    assert set(described["required"]) <= set(verdict)
    assert verify(served, ours.replace(b"Was this", b"Was that"))[1]["verdict"] != "genuine"
    padded = ours + b"\r\n".join([b"x" * 76] * 20_000)  # large enough to be judged off the event loop
    assert verify(served, padded)[1]["verdict"] == "unproven"
    assert verify(served, b"x", "text/plain")[0] == 415

    send(served, "alice@contoso.test", "query@experts.test", "A question")
    assert "INQ-000001" in served.run("incidents", "list")
    send(served, "mallory@stranger.test", "query@experts.test", "Another question")
    waiting = served.json("held", "list")
    assert [item["author"] for item in waiting] == ["mallory@stranger.test"]
    page = get(served, "/metrics")[1]
    assert 'expertmail_messages_total{outcome="filed",verdict="no-claim"} 1.0' in page
    assert 'expertmail_outbox{state="delivered"}' in page
    for name in (
        "expertmail_intake_seconds_count",
        "expertmail_commit_seconds_count",
        "expertmail_smtp_connections",
    ):
        assert name in page
    replayed = served.run("replay", waiting[0]["id"])
    assert "Nothing differs." in replayed

    def state() -> list[object]:
        commands = (
            ("incidents", "list"),
            ("incidents", "show", "INC-000001"),
            ("held", "list"),
            ("outbox", "list"),
        )
        return [served.json(*command) for command in commands]

    delivered(served, 2)  # the request and the acknowledgement of the inquiry
    before = state()
    assert served.stop() == 0
    served.start()
    assert state() == before
    assert verify(served, ours)[1]["verdict"] == "genuine", "the keys are the same"
    assert "Made the" not in served.log.read_text().split("stopped")[-1]
    log = served.log.read_text()
    assert "What is this about" not in log
    assert "Traceback" not in log


def test_a_stop_first_takes_no_new_mail_and_lets_the_message_under_way_end(served: Served) -> None:
    served.start()
    with contextlib.closing(smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20)) as client:
        client.ehlo()
        client.mail("alice@contoso.test")
        client.rcpt("query@experts.test")
        assert client.docmd("DATA")[0] == 354
        served.process.terminate()
        deadline = time.monotonic() + 10
        while _listens(served.smtp_port):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert get(served, "/healthz")[0] == 200, "the console is still there while mail is drained"
        text = b"From: alice@contoso.test\r\nSubject: Late\r\n\r\nStill here?\r\n.\r\n"
        client.send(text)
        assert client.getreply()[0] == 250
    assert served.process.wait(20) == 0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_log_lines_of_a_message_share_its_id(served: Served) -> None:
    served.start()
    send(served, "mallory@stranger.test", "query@experts.test", "Hello")
    identifier = served.json("held", "list")[0]["id"]
    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as client:
        client.ehlo()
        client.mail("mallory@stranger.test")
        assert client.rcpt("nobody@experts.test")[0] == 550
        assert client.rcpt("query@experts.test")[0] == 250
        assert client.docmd("DATA")[0] == 354
        client.send(b"From: mallory@stranger.test\r\n\r\nbare \0 NUL\r\n.\r\n")
        assert client.getreply()[0] == 550
        assert client.docmd("STARTTLS", "now")[0] == 501
    served.stop()
    lines = [json.loads(line) for line in served.log.read_text().splitlines() if line.startswith("{")]
    accepted = [line for line in lines if line["event"] == "accepted"]
    assert [line["id"] for line in accepted] == [identifier]
    assert accepted[0]["message"] == identifier
    assert accepted[0]["connection"]
    second = [line for line in lines if line.get("message") not in (None, identifier)]
    assert [line["event"] for line in second] == ["refused", "not accepted"], "both before anybody judged it"
    assert len({line["message"] for line in second}) == 1
    assert not [line for line in lines if "message" in line and line["event"] in ("stopping", "stopped")]


@pytest.mark.parametrize(("setting", "which"), [("smtp_port", "smtp.port"), ("console_port", "console.port")])
def test_a_port_in_use_is_told_in_one_sentence(tmp_path: Path, setting: str, which: str) -> None:
    served = Served(tmp_path, migrated=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", getattr(served, setting)))
        taken.listen()
        served_error(served, "in use", which)


def served_error(served: Served, *said: str) -> None:
    """``serve`` ends by itself with one sentence that holds ``said``."""
    with pytest.raises(AssertionError, match=r"serve ended with [1-9]"):
        served.start()
    log = served.log.read_text()
    sentence = [line for line in log.splitlines() if line.startswith("expertmail: ")]
    assert len(sentence) == 1, log
    assert "Traceback" not in log
    for part in said:
        assert part in sentence[0]


def test_a_missing_certificate_is_told(tmp_path: Path) -> None:
    served = Served(tmp_path, '[smtp]\ntls_certificate = "no.pem"\ntls_key = "no.pem"\n', migrated=False)
    served_error(served, "smtp.tls_certificate", "no.pem", "cannot be read")


def test_a_file_that_is_no_certificate_is_told(tmp_path: Path) -> None:
    (tmp_path / "some.pem").write_text("nothing")
    served = Served(tmp_path, '[smtp]\ntls_certificate = "some.pem"\ntls_key = "some.pem"\n', migrated=False)
    served_error(served, "some.pem", "PEM")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file where the folder should be")
    served_error(Served(tmp_path, migrated=False), "set data_dir")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir(mode=0o500)
    served_error(Served(tmp_path, migrated=False), "make it writable")


def test_a_database_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "expertmail.db").write_bytes(b"this is no database at all" * 100)
    served_error(Served(tmp_path, migrated=False), "expertmail.db", "not a database")
