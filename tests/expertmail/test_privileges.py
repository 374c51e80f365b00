"""Started as root: the port is bound, then root is given up, and everything else is done by the account."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proofs.served import Served

USER = "nobody"
WORKERS = pytest.mark.parametrize("workers", [1, 2])
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give root up")


def interpreter() -> str:
    """A Python of this version that the account may run: ours may lie in somebody's home."""
    for path in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run(
                [path, "-c", "import sys; print(sys.version_info[:2])"],
                user=USER, group="nogroup", extra_groups=[], capture_output=True, text=True, check=False, cwd="/",
            )  # fmt: skip
        except OSError:
            continue
        if done.stdout.strip() == str(sys.version_info[:2]):
            return path
    pytest.skip("there is no Python that another account may run (Debian package python3)")


class ForAll(Served):
    """A gateway run by that interpreter, with our modules."""

    python = sys.executable

    def command(self, *arguments: str) -> list[str]:
        return [self.python, "-m", "expertmail", *arguments, "--config", str(self.config)]


def privileged_port() -> int:
    for port in range(1023, 600, -1):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no port under 1024 is free")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the account can reach, unlike pytest's."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    (made / "var").mkdir(mode=0o700)
    shutil.chown(made / "var", USER)
    yield made
    shutil.rmtree(made)


def gateway(folder: Path, smtp: str) -> ForAll:
    modules = [str(Path(__file__).resolve().parents[2]), sysconfig.get_path("purelib")]
    served = ForAll(folder, f"[smtp]\n{smtp}", migrated=False, environment={"PYTHONPATH": os.pathsep.join(modules)})
    served.python = interpreter()
    return served


def family(number: int) -> list[int]:
    """A process and all that it has started."""
    found = [number]
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parent = re.search(r"^PPid:\s+(\d+)", (folder / "status").read_text(), re.MULTILINE)
            except OSError:
                continue
            if parent and int(parent[1]) == number:
                found += family(int(folder.name))
    return found


@WORKERS
def test_the_port_is_bound_as_root_and_the_rest_is_done_as_the_account(folder: Path, workers: int) -> None:
    served = gateway(folder, f'user = "{USER}"\nworkers = {workers}\n')
    served.config.write_text(
        served.config.read_text().replace(f"port = {served.smtp_port}", "port = PORT", 1)
    )
    served.smtp_port = privileged_port()
    served.config.write_text(served.config.read_text().replace("PORT", str(served.smtp_port)))
    with served:
        with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as client:
            client.sendmail("a@b.test", ["query@experts.test"], b"From: a@b.test\r\nSubject: x\r\n\r\nx\r\n")
        os.kill(served.process.pid, signal.SIGHUP)
        deadline = time.monotonic() + 20
        while '"event": "reloaded"' not in served.log.read_text():
            assert time.monotonic() < deadline, served.log.read_text()[-2000:]
            time.sleep(0.05)
        numbers = family(served.process.pid)
        assert len(numbers) >= workers
        account = pwd.getpwnam(USER)
        for number in numbers:
            status = Path(f"/proc/{number}/status").read_text()
            for kind, wanted in (("Uid", account.pw_uid), ("Gid", account.pw_gid)):
                ids = re.search(rf"^{kind}:\s+(.*)", status, re.MULTILINE)
                assert set(ids[1].split()) == {str(wanted)}, f"{kind} of process {number}: {ids}"
            groups = re.search(r"^Groups:(.*)", status, re.MULTILINE)
            assert set(groups[1].split()) <= {str(account.pw_gid)}, "root's groups are gone, too"
            assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE), "no capability is left"
        assert {path.stat().st_uid for path in (folder / "var").rglob("*")} == {account.pw_uid}


def test_root_without_an_account_is_warned_of(folder: Path) -> None:
    with gateway(folder, "") as served:
        told = [json.loads(line) for line in served.log.read_text().splitlines() if line.startswith("{")]
    warned = [line["event"] for line in told if line["level"] == "warning"]
    assert warned == ["runs as root: set smtp.user to an account that owns the data folder"]


@pytest.mark.parametrize(
    ("user", "owner", "sentence"),
    [
        ("no-such-account", USER, "there is no such account"),
        (USER, "root", "make it writable or set data_dir"),
    ],
)
def test_an_account_that_cannot_do_the_work_is_told(
    folder: Path, user: str, owner: str, sentence: str
) -> None:
    shutil.chown(folder / "var", owner)
    served = gateway(folder, f'user = "{user}"\n')
    with pytest.raises(AssertionError, match="serve ended with"):
        served.start()
    said = [line for line in served.log.read_text().splitlines() if line.startswith("expertmail: ")]
    assert len(said) == 1
    assert sentence in said[0]
    assert "Traceback" not in served.log.read_text()
