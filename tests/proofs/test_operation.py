"""Operation under load: whatever the admin does, clients see clean replies, and what was acknowledged is there once."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import smtplib
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proofs.load import alice_is_known, every_acknowledged_message_is_there_once, load
from tests.proofs.served import Served

FULL = bool(os.environ.get("FULL"))
CLIENTS = 8
WAIT_SECONDS = 30
ALONE, WITH_WORKERS = "", "workers = 2\n"
FORMS = pytest.mark.parametrize("form", [ALONE, WITH_WORKERS], ids=["one process", "two workers"])


def settings(form: str, level: str = "info") -> str:
    return f'[log]\nlevel = "{level}"\n[smtp]\n{form}'


def lines(served: Served, event: str) -> list[dict]:
    """The log's lines of one kind, all starts together."""
    told = (line for line in served.log.read_text().splitlines() if line.startswith("{"))
    return [line for line in map(json.loads, told) if line["event"] == event]


def until(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not found():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def worker_processes(served: Served) -> list[int]:
    """The processes that take mail, by the system's own word."""
    servers = fork_servers(served)
    return sorted(pid for pid, parent in processes_called("expertmail-smtp").items() if parent in servers)


def fork_servers(served: Served) -> list[int]:
    """The processes that workers are forked from."""
    return [
        pid for pid, parent in processes_called("expertmail-fork").items() if parent == served.process.pid
    ]


def processes_called(name: str) -> dict[int, int]:
    """Every process of that name, with its parent."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            parent = re.search(r"^PPid:\s+(\d+)", (folder / "status").read_text(), re.MULTILINE)
            called = (folder / "comm").read_text().strip()
        except OSError:
            continue
        if parent and called == name:
            found[int(folder.name)] = int(parent[1])
    return found


def page(served: Served, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{served.console_port}{path}", timeout=10) as answer:
        return answer.read().decode()


def counted(served: Served, name: str) -> float:
    """The sum of a metric over its labels."""
    return sum(
        float(n) for n in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", page(served, "/metrics"), re.MULTILINE)
    )


@pytest.mark.slow
@FORMS
def test_sigterm_under_load_gives_clean_replies_only(serve: Callable[..., Served], form: str) -> None:
    served = serve(settings(form, "warning"))
    served.start()
    alice_is_known(served)
    with load(served, CLIENTS) as clients:
        for _ in range(20 if FULL else 3):
            time.sleep(1)
            assert served.stop() == 0
            served.start()
        time.sleep(1)
    served.stop()
    assert [line for client in clients for line in client.unclean] == []
    assert sum(client.told_to_come_again for client in clients) > 0, "no session was there when it stopped"
    assert every_acknowledged_message_is_there_once(served, clients) > 100
    assert "Traceback" not in served.log.read_text()


@pytest.mark.slow
@FORMS
def test_sighup_under_load_loses_no_connection(serve: Callable[..., Served], form: str) -> None:
    served = serve(settings(form))
    served.start()
    alice_is_known(served)
    rounds = 20 if FULL else 4
    with load(served, CLIENTS) as clients:
        for done in range(1, rounds + 1):
            time.sleep(0.7)
            os.kill(served.process.pid, signal.SIGHUP)
            until(lambda done=done: len(lines(served, "reloaded")) == done)
        time.sleep(0.7)
    served.stop()
    assert [line for client in clients for line in client.unclean] == []
    assert sum(client.told_to_come_again for client in clients) == 0, "a reload ends nobody's session"
    assert every_acknowledged_message_is_there_once(served, clients) > 100
    assert "Traceback" not in served.log.read_text()


@pytest.mark.slow
def test_workers_that_are_killed_are_started_again_and_nothing_is_lost(serve: Callable[..., Served]) -> None:
    chance = random.Random(20261126)
    served = serve(settings(WITH_WORKERS))
    served.start()
    alice_is_known(served)
    with load(served, CLIENTS) as clients:
        for client in clients:
            client.gentle = False
        for kind in ["one", "all"] * 2:
            time.sleep(chance.uniform(0.5, 1.5))
            workers, seen = worker_processes(served), counted(served, "expertmail_messages_total")
            for number in workers if kind == "all" else workers[:1]:
                os.kill(number, signal.SIGKILL)
            before = sum(len(client.acknowledged) for client in clients)
            until(lambda before=before: sum(len(client.acknowledged) for client in clients) > before + 10)
            assert counted(served, "expertmail_messages_total") >= seen, "what the dead told is still counted"
    until(lambda: len(worker_processes(served)) == 2)
    assert json.loads(page(served, "/readyz"))["ready"] is True
    assert len(lines(served, "worker ended: starting it again")) >= 4
    assert {line["code"] for line in lines(served, "worker ended: starting it again")} == {-signal.SIGKILL}
    until(lambda: counted(served, "expertmail_smtp_connections") == 0)
    served.stop()
    assert every_acknowledged_message_is_there_once(served, clients) > 50


@pytest.mark.slow
def test_a_kill_of_all_processes_is_recovered_from_by_a_start(serve: Callable[..., Served]) -> None:
    served = serve(settings(WITH_WORKERS, "warning"))
    served.start()
    alice_is_known(served)
    with load(served, CLIENTS) as clients:
        for client in clients:
            client.gentle = False
        for _ in range(10 if FULL else 2):
            time.sleep(1)
            served.kill()
            served.start()
        time.sleep(1)
    served.stop()
    assert every_acknowledged_message_is_there_once(served, clients) > 50


def test_workers_end_when_the_process_that_started_them_is_killed(serve: Callable[..., Served]) -> None:
    served = serve(settings(WITH_WORKERS))
    served.start()
    workers = worker_processes(served)
    assert len(workers) == 2
    os.kill(served.process.pid, signal.SIGKILL)
    served.process.wait(WAIT_SECONDS)
    until(lambda: not any(Path(f"/proc/{number}").exists() for number in workers))
    served.start()  # the port is free again
    assert len(lines(served, "the process that started this worker is gone: draining")) == 2


def test_counts_of_all_workers_are_on_one_page_and_their_mail_wakes_the_delivery(
    serve: Callable[..., Served],
) -> None:
    served = serve(settings(WITH_WORKERS))
    served.start()
    alice_is_known(served)
    with load(served, 4) as clients:
        until(lambda: {line["worker"] for line in lines(served, "accepted")} == {1, 2})
    sent = sum(len(client.acknowledged) for client in clients)
    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as refused:
        refused.ehlo()
        refused.mail("a@b.test")
        assert [refused.rcpt("nobody@experts.test")[0] for _ in range(3)] == [550] * 3
    until(lambda: 'expertmail_smtp_refusals_total{code="550",stage="rcpt"} 3.0' in page(served, "/metrics"))
    until(lambda: counted(served, "expertmail_messages_total") == sent)
    assert counted(served, "expertmail_intake_seconds_count") == sent
    assert counted(served, "expertmail_commit_seconds_count") == sent
    assert counted(served, "expertmail_copies") == sent, "what is read from the record is not summed"
    until(lambda: counted(served, "expertmail_smtp_connections") == 0)
    until(lambda: list(served.outbox.glob("*.eml")))


@pytest.fixture
def certify(tmp_path: Path) -> Callable[[str], None]:
    """Make a certificate for a name at the path of the settings."""

    def make(name: str) -> None:
        command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout tls.pem -out chain.pem"
        subprocess.run(command.split(), check=True, capture_output=True, cwd=tmp_path)

    return make


def presented(client: smtplib.SMTP) -> bytes:
    """STARTTLS, and the certificate that the server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client.starttls(context=context)
    return client.sock.getpeercert(binary_form=True)


@FORMS
def test_a_reload_changes_certificate_limits_and_routes_for_new_sessions(
    serve: Callable[..., Served], certify: Callable[[str], None], tmp_path: Path, form: str
) -> None:
    certify("old.experts.test")
    served = serve(
        settings(form) + f'tls_certificate = "{tmp_path}/chain.pem"\ntls_key = "{tmp_path}/tls.pem"\n'
    )
    served.start()

    def reload(event: str, count: int) -> None:
        os.kill(served.process.pid, signal.SIGHUP)
        until(lambda: len(lines(served, event)) == count)

    def size() -> str:
        with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as client:
            client.ehlo()
            return client.esmtp_features["size"]

    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as early:
        early.ehlo()
        certify("new.experts.test")
        served.config.write_text(
            served.config.read_text().replace("[smtp]\n", "[smtp]\nmax_message_bytes = 100000\n")
            + '[mail]\nquery_address = "ask@experts.test"\n'
        )
        reload("reloaded", 1)
        until(lambda: size() == "100000")
        with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as late:
            late.ehlo()
            late.mail("a@b.test")
            assert late.rcpt("query@experts.test")[0] == 550
            assert late.rcpt("ask@experts.test")[0] == 250
            late.rset()
            new = presented(late)
        assert early.mail("a@b.test")[0] == 250
        assert early.rcpt("query@experts.test")[0] == 250, "a session ends by what it began with"
        early.rset()
        assert presented(early) != new
    good = served.config.read_text()
    for spoiled in (
        "this is no TOML",
        good.replace("max_message_bytes = 100000", "max_message_bytes = 1"),
        good.replace("chain.pem", "none.pem"),
        good.replace(f'data_dir = "{served.folder}/var"', f'data_dir = "{served.folder}/other"'),
    ):
        served.config.write_text(spoiled)
        count = len(lines(served, "not reloaded: the old settings stay")) + 1
        reload("not reloaded: the old settings stay", count)
        assert size() == "100000"
    told = [line["why"] for line in lines(served, "not reloaded: the old settings stay")]
    for sentence, word in zip(told, ("TOML", "max_message_bytes", "none.pem", "data_dir"), strict=True):
        assert word in sentence
    served.config.write_text(good.replace(f"port = {served.smtp_port}", "port = 1"))
    reload("reloaded", 2)
    assert [line["setting"] for line in lines(served, "changes only with a restart")] == ["smtp.port"]
    assert size() == "100000"
    assert json.loads(page(served, "/readyz"))["ready"] is True
    assert served.stop() == 0


@FORMS
def test_a_reload_that_finds_no_descriptor_left_changes_nothing_and_ends_nothing(
    serve: Callable[..., Served], form: str
) -> None:
    served = serve(settings(form))
    served.start()
    number = served.process.pid
    before = resource.prlimit(number, resource.RLIMIT_NOFILE)
    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as client:
        client.ehlo()
        resource.prlimit(number, resource.RLIMIT_NOFILE, (3, before[1]))
        os.kill(number, signal.SIGHUP)
        until(lambda: lines(served, "not reloaded: the old settings stay"))
        assert client.mail("a@b.test")[0] == 250
        resource.prlimit(number, resource.RLIMIT_NOFILE, before)
        os.kill(number, signal.SIGHUP)
        until(lambda: lines(served, "reloaded"))
        assert client.rcpt("query@experts.test")[0] == 250
