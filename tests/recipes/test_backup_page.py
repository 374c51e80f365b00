"""docs/admin-backup.md is true: what its commands back up while mail comes in, they restore into a new folder or database."""

from __future__ import annotations

import os
import re
import smtplib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.proofs.served import Served
from tests.proofs.test_transcript import only_mail
from tests.recipes.document import block
from tests.threads.test_postgresql import server  # the fixture

__all__ = ["server"]

EXAMPLE = "2026-11-26-031500"
HOLDS = '[routes]\non_forgery = "hold"\n'


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., str]:
    """Run a block as it stands, with folders of this test, no other account, and a service manager that does nothing."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {"systemctl": "exit 0", "expertmail": f'exec {sys.executable} -m expertmail "$@"'}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)

    def run(name: str, served: Served, instead: Mapping[str, str]) -> str:
        ours = {
            "runuser -u expertmail -- ": "",
            "-o expertmail -g expertmail ": "",
            "/opt/expertmail/bin/": "",
            "/etc/expertmail/expertmail.toml": str(served.config),
            "/var/lib/expertmail": str(served.folder / "var"),
            "/var/backups/expertmail": str(tmp_path / "backups"),
        }
        text = block(name, ours | dict(instead))
        done = subprocess.run(
            ["sh", "-euc", text],
            capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
            env=served.environment | {"PATH": f"{programs}:{os.environ['PATH']}"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def send(served: Served, sender: str, recipient: str, subject: str, *more: str) -> None:
    raw = "\r\n".join([f"From: {sender}", f"Subject: {subject}", "Date: Thu, 26 Nov 2026 09:00:00 +0000",
                        f"Message-ID: <{abs(hash(subject + recipient))}@x>", *more, "", f"{subject}, they say.", ""])  # fmt: skip
    address = re.search(r"[^ <]+@[^ >]+", sender)
    assert address
    with smtplib.SMTP("127.0.0.1", served.smtp_port, "mail.contoso.test", timeout=60) as talk:
        talk.sendmail(address.group(), [recipient], raw)


@contextmanager
def mail_coming_in(served: Served) -> Iterator[None]:
    """A client that sends one message after the other until the block ends."""
    ended, faults, sent = threading.Event(), [], []

    def work() -> None:
        while not ended.is_set():
            try:
                send(served, "Alice <alice@contoso.test>", "service@experts.test", f"Load {len(sent)}")
                sent.append(True)
            except Exception as error:  # noqa: BLE001 - told by the test's own thread
                faults.append(error)
                return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert sent
    assert not faults


def a_day(served: Served) -> tuple[str, str]:
    """An incident with an expert's request, a question that is filed, a forgery that is held; incident, reply address."""
    served.run("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso",
               "--domain", "contoso.test")  # fmt: skip
    opened = served.run("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins")
    incident = re.findall(r"INC-\d{6}", opened)[0]
    served.run("compose", "request", incident, "--to", "alice@contoso.test", "--question", "Yours?")
    request = message_from_bytes(only_mail(served)[0].read_bytes(), policy=policy.default)
    address = request["Reply-To"].addresses[0].addr_spec
    send(served, "Alice <alice@contoso.test>", address, "We know nothing of it")
    send(served, "Defender Experts <mallory@nowhere.contoso.test>", "query@experts.test", "Click here")
    return incident, address


def assert_all_there(served: Served, incident: str, address: str) -> None:
    shown = served.run("incidents", "show", incident)
    assert "We know nothing of it, they say." in shown
    assert "alice@contoso.test  [verified]" in shown
    (held,) = (one for one in served.json("held", "list") if one["verdict"] == "forged")
    assert "Click here, they say." in served.run("held", "show", held["id"])
    assert served.run("db", "check") == "The database is sound and up to date.\n"
    # The secret of the reply addresses is the old one, and the record goes on.
    send(served, "Alice <alice@contoso.test>", address, "One thing more")
    assert "One thing more, they say." in served.run("incidents", "show", incident)
    assert served.run("replay", held["id"])  # ends with 1 for any difference from the verdict of that day


def test_a_sqlite_backup_made_while_mail_comes_in_is_restored_into_a_new_folder(
    serve: Callable[..., Served], shell: Callable[..., str], tmp_path: Path
) -> None:
    served = serve(HOLDS)
    served.start()
    incident, address = a_day(served)
    with mail_coming_in(served):
        shell("backup sqlite", served, {})
    (backup,) = (tmp_path / "backups").iterdir()
    assert backup.stat().st_mode & 0o777 == 0o700
    send(served, "Alice <alice@contoso.test>", address, "After the backup")
    served.stop()
    said = shell("restore sqlite", served, {EXAMPLE: backup.name})
    assert "sound and up to date" in said
    served.start()
    assert_all_there(served, incident, address)
    assert "After the backup" not in served.run("incidents", "show", incident)
    assert (served.folder / "var.old" / "expertmail.db").exists()


def test_a_postgresql_backup_made_while_mail_comes_in_is_restored_into_a_new_database(
    serve: Callable[..., Served], shell: Callable[..., str], tmp_path: Path, server: str
) -> None:
    socket_folder = server.partition("?host=")[2]
    place = "postgresql://expertmail@db.example.com"
    names = ("expertmail_restored", "expertmail", "postgres")
    instead = {f"{place}/{name}": f"'postgresql://expertmail@/{name}?host={socket_folder}'" for name in names}
    instead = {theirs + end: ours + end for theirs, ours in instead.items() for end in (" ", "\n")}
    url = f"postgresql+psycopg://expertmail@/%s?host={socket_folder}"
    done = subprocess.run(
        ["createdb", f"--maintenance-db=postgresql://expertmail@/postgres?host={socket_folder}", "expertmail"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    served = serve(HOLDS, environment={"EXPERTMAIL_DATABASE__URL": url % "expertmail"})
    served.start()
    incident, address = a_day(served)
    with mail_coming_in(served):
        shell("backup postgresql", served, instead)
    (backup,) = (tmp_path / "backups").iterdir()
    send(served, "Alice <alice@contoso.test>", address, "After the backup")
    served.stop()
    shell("restore postgresql", served, {EXAMPLE: backup.name} | instead)
    served.environment["EXPERTMAIL_DATABASE__URL"] = url % "expertmail_restored"
    served.start()
    assert_all_there(served, incident, address)
    assert "After the backup" not in served.run("incidents", "show", incident)
