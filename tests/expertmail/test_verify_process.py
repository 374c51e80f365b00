"""``expertmail verify`` as a process among others: Ctrl-C, closed pipes, terminals, and what it leaves behind."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
COMMAND = [sys.executable, "-m", "expertmail", "verify", "--zone", str(SAMPLES / "zone.db")]
MANY = 400
MARK = "VERIFY_TEST_MARK"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "mail"
    inside.mkdir()
    raw = (SAMPLES / "customer-question.eml").read_bytes()
    for number in range(MANY):
        (inside / f"{number:04}.eml").write_bytes(raw)
    return inside


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SAMPLES.parent), MARK: str(tmp_path)}


def left_over(environment: dict[str, str]) -> list[str]:
    """Processes that carry this test's mark."""
    mark = f"{MARK}={environment[MARK]}\0".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in place.read_bytes() + b"\0":
                found.append(place.parent.name)
        except OSError:
            continue
    return found


def none_left(environment: dict[str, str]) -> bool:
    deadline = time.monotonic() + 10
    while left_over(environment) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not left_over(environment)


def test_a_folder_is_printed_in_order_and_nothing_stands_on_a_piped_standard_error(folder, environment) -> None:
    done = subprocess.run(
        [*COMMAND, "--json", str(folder)], env=environment, capture_output=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (3, b"")
    files = [json.loads(line)["file"] for line in done.stdout.splitlines()]
    assert files == [str(folder / f"{number:04}.eml") for number in range(MANY)]
    assert none_left(environment)


def test_text_ends_with_a_table_of_all(folder, environment) -> None:
    done = subprocess.run([*COMMAND, str(folder)], env=environment, capture_output=True, timeout=120, check=False)
    lines = done.stdout.decode().splitlines()
    assert lines[-MANY - 1].split() == ["verdict", "author", "file"]
    assert all(line.startswith("no-claim  ") for line in lines[-MANY:])


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_a_command_that_is_stopped(folder, environment, sent: signal.Signals) -> None:
    with subprocess.Popen(
        [*COMMAND, "--json", *[str(folder)] * 50],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A shell starts what runs in its background with SIGINT ignored, and so would whoever runs the tests there.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        os.killpg(process.pid, sent)
        _, err = process.communicate(timeout=30)
    assert none_left(environment)
    if sent is signal.SIGINT:
        assert process.returncode == 130
        assert err == b"expertmail: Stopped.\n"


def test_a_closed_pipe_ends_it_quietly(folder, environment) -> None:
    with subprocess.Popen(
        [*COMMAND, "--json", *[str(folder)] * 50], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 141
    assert none_left(environment)


def test_a_terminal_shows_how_far_it_is_and_clears_the_line(folder, environment) -> None:
    ours, theirs = pty.openpty()
    shown = bytearray()

    def read() -> None:
        try:
            while data := os.read(ours, 65_536):
                shown.extend(data)
        except OSError:  # the terminal's other side was closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(
        [*COMMAND, "--json", str(folder)],
        env={**environment, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=120,
        check=False,
    )
    os.close(theirs)
    reader.join(timeout=10)
    os.close(ours)
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == MANY
    assert b" messages" in shown
    assert b"%" in shown
    assert shown.endswith(b"\r\x1b[2K")
