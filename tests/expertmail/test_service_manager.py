"""Under systemd: its sockets are taken, it is told what goes on, and the unit gives the service no more than it needs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from expertmail import service_manager
from expertmail.faults import FaultError
from tests.proofs.load import alice_is_known, every_acknowledged_message_is_there_once, load
from tests.proofs.served import Served

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
UNITS = ("expertmail.service", "expertmail.socket")
EXPOSURE = 15  # tenths; systemd calls up to 20 OK
WAIT_SECONDS = 30
FORMS = pytest.mark.parametrize("workers", [1, 2])


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian package {'systemd' if 'systemd' in name else name})")
    return found


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units as installed, but for a program that is on this machine."""
    installed = tmp_path / "expertmail"
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    for name in UNITS:
        text = (PACKAGING / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/expertmail/bin/expertmail", str(installed)))
    return [str(tmp_path / name) for name in UNITS]


def test_systemd_finds_nothing_wrong_with_the_units(units: list[str]) -> None:
    done = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_is_well_confined(units: list[str]) -> None:
    command = [program("systemd-analyze"), "security", "--offline=true", f"--threshold={EXPOSURE}", units[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:]


def allowed_calls(unit: str) -> set[str]:
    """System calls that the unit's filters leave, by systemd's own lists."""
    listed = subprocess.run(
        [program("systemd-analyze"), "syscall-filter", "--no-pager"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    sets: dict[str, list[str]] = {}
    for line in listed.splitlines():
        if line.startswith("@"):
            name = line.split()[0]
            sets[name] = []
        elif line.startswith("    ") and line.strip()[:1] not in ("#", ""):
            sets[name].append(line.strip())

    def calls(name: str) -> set[str]:
        if not name.startswith("@"):
            return {name}
        return {call for one in sets[name] for call in calls(one)}

    left: set[str] = set()
    for value in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        named = {call for one in value.lstrip("~").split() for call in calls(one)}
        left = left - named if value.startswith("~") else left | named
    return left


@pytest.mark.slow
@FORMS
def test_the_unit_allows_every_system_call_that_the_gateway_makes(tmp_path: Path, workers: int) -> None:
    served = Served(tmp_path, f"[smtp]\nworkers = {workers}\n")
    seen = tmp_path / "calls"
    served.start(program("strace"), "-f", "-qq", "-c", "-o", str(seen))
    with contextlib.suppress(smtplib.SMTPException):
        for size in (100, 1_000_000):  # one is judged in a thread, and waits on disk
            with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=60) as client:
                text = (
                    b"From: experts <defender-experts@experts.test>\r\nSubject: x\r\n\r\n"
                    + b"x" * 70
                    + b"\r\n"
                )
                client.sendmail(
                    "a@b.test", ["query@experts.test"], text + (b"y" * 78 + b"\r\n") * (size // 80)
                )
    os.killpg(served.process.pid, signal.SIGHUP)
    time.sleep(2)
    served.stop()
    made = {line.split()[-1] for line in seen.read_text().splitlines()[2:-2]}
    assert {"accept4", "execve"} <= made, seen.read_text()
    allowed = allowed_calls((PACKAGING / UNITS[0]).read_text())
    assert {"accept4", "fsync"} <= allowed
    sqlite_as_root = {"fchown"}  # gives its files the owner of the database; the service is not root
    assert made - allowed - {"restart_syscall"} - sqlite_as_root == set()


# Becomes the service, as systemd's child does: the socket is descriptor 3, and the process is told that it is meant.
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """What systemd does for a service: it holds the socket, and hears what the service says."""

    def __init__(self, folder: Path, served: Served) -> None:
        self.served = served
        self.port = socket.socket()
        self.port.bind(("127.0.0.1", served.smtp_port))
        self.port.listen(512)
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.heard.bind(str(folder / "notify"))
        self.heard.settimeout(WAIT_SECONDS)
        self.environment = {"NOTIFY_SOCKET": str(folder / "notify")}

    def start(self, names: str = "smtp") -> None:
        log = self.served.log.open("ab")
        with log:
            self.served.process = subprocess.Popen(
                [sys.executable, "-c", HAND_OVER, str(self.port.fileno()), *self.served.command("serve")],
                pass_fds=(self.port.fileno(),),
                env=self.served.environment | self.environment | {"LISTEN_FDNAMES": names},
                stdout=log,
                stderr=log,
                cwd=self.served.folder,
                start_new_session=True,
            )

    def hear(self) -> list[str]:
        return self.heard.recv(1_000).decode().splitlines()

    def close(self) -> None:
        self.port.close()
        self.heard.close()


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Manager]:
    made: list[Manager] = []
    yield lambda extra: made.append(Manager(tmp_path, Served(tmp_path, extra))) or made[0]  # type: ignore[misc]
    made[0].served.stop()
    made[0].close()


@FORMS
def test_the_service_manager_hears_what_goes_on(managed, workers: int) -> None:
    manager: Manager = managed(f"[smtp]\nworkers = {workers}\n")
    manager.start()
    assert manager.hear() == ["READY=1"]
    with smtplib.SMTP("127.0.0.1", manager.served.smtp_port, timeout=20) as client:
        assert client.noop()[0] == 250, "ready means that a client is served"
    os.kill(manager.served.process.pid, signal.SIGHUP)
    first, second = manager.hear()
    assert (first, second[:15]) == ("RELOADING=1", "MONOTONIC_USEC=")
    assert int(second[15:]) == pytest.approx(time.monotonic() * 1e6, abs=30e6)
    assert manager.hear() == ["READY=1"]
    assert manager.served.stop() == 0
    assert manager.hear() == ["STOPPING=1"]


@pytest.mark.slow
@FORMS
def test_a_restart_on_a_socket_of_the_service_managers_turns_nobody_away(managed, workers: int) -> None:
    manager: Manager = managed(f'[log]\nlevel = "warning"\n[smtp]\nworkers = {workers}\n')
    manager.start()
    assert manager.hear() == ["READY=1"]
    alice_is_known(manager.served)
    refused: list[str] = []
    with load(manager.served, 6) as clients:
        for client in clients:
            client.on_refused = refused.append
        for _ in range(3):
            time.sleep(1)
            assert manager.served.stop() == 0
            assert manager.hear() == ["STOPPING=1"]
            manager.start()
            assert manager.hear() == ["READY=1"]
    manager.served.stop()
    assert refused == [], "the port is always there"
    assert [line for client in clients for line in client.unclean] == []
    assert every_acknowledged_message_is_there_once(manager.served, clients) > 50


def test_a_socket_of_another_name_is_refused_in_one_sentence(managed) -> None:
    manager: Manager = managed("")
    manager.start(
        "console:smtp"
    )  # the SMTP socket alone, called console: then SMTP is bound by ourselves, in vain
    assert manager.served.process.wait(WAIT_SECONDS) != 0
    said = [line for line in manager.served.log.read_text().splitlines() if line.startswith("expertmail: ")]
    assert len(said) == 1
    assert "in use" in said[0]


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_what_is_no_listening_socket_is_refused(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    with socket.socket(socket.AF_INET, kind) as wrong:
        monkeypatch.setattr(service_manager, "FIRST_DESCRIPTOR", wrong.fileno())
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        with pytest.raises(FaultError, match="FileDescriptorName"):
            service_manager.handed_over()
    assert not any(name in os.environ for name in ("LISTEN_PID", "LISTEN_FDS")), "nobody else is to see them"


@pytest.mark.parametrize(("pid", "count"), [("1", "1"), ("", ""), ("ours", "x")])
def test_sockets_that_are_for_another_process_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, pid: str, count: str
) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()) if pid == "ours" else pid)
    monkeypatch.setenv("LISTEN_FDS", count)
    assert service_manager.handed_over() == service_manager.HandedOver()


def test_an_abstract_address_is_told_and_a_service_manager_that_is_gone_harms_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"expertmail-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        service_manager.notify("READY=1", "STATUS=here")
        assert heard.recv(100) == b"READY=1\nSTATUS=here"
    service_manager.notify("READY=1")


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is for Linux")
def test_systemds_own_starter_is_understood(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    served = Served(tmp_path)
    request.addfinalizer(served.stop)
    activate = program("systemd-socket-activate")
    passed = [f"--setenv={name}" for name in served.environment if name in ("PYTHONPATH", "PATH", "LANG")]
    served.start_without_waiting(activate, f"--listen=127.0.0.1:{served.smtp_port}", "--fdname=smtp", *passed)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            link = smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=60)
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.05)
    with link as client:  # the connection that made it start is the first one that it serves
        assert client.noop()[0] == 250
    assert served.stop() == 0
    told = [json.loads(line) for line in served.log.read_text().splitlines() if line.startswith("{")]
    assert told[-1]["event"] == "stopped"
