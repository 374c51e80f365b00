"""Workers are forked from a process that is there for that alone: what it is told, and what happens when it is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.proofs.load import alice_is_known, every_acknowledged_message_is_there_once, load
from tests.proofs.served import Served
from tests.proofs.test_operation import fork_servers, lines, until, worker_processes

SECONDS = 30.0


@contextmanager
def fork_server() -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """A fork server by itself, and the socket by which it is ordered."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(SECONDS)
    with ours, theirs:
        command = [sys.executable, "-m", "expertmail.smtp_worker", str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        try:
            yield ours, process
        finally:
            ours.close()
            process.wait(SECONDS)


def start(control: socket.socket, number: int) -> tuple[socket.socket, int]:
    """Order a worker; our end of its link, and its process."""
    ours, theirs = socket.socketpair()
    memory = os.memfd_create("test")
    try:
        with theirs:
            socket.send_fds(control, [f"start {number}".encode()], [theirs.fileno(), memory])
            word, whose, pid = control.recv(64).split()
    finally:
        os.close(memory)
    assert (word, int(whose)) == (b"born", number)
    return ours, int(pid)


def test_a_forked_worker_has_the_descriptors_that_came_with_its_order_and_nobody_else_has() -> None:
    with fork_server() as (control, _):
        link, pid = start(control, 7)
        other, _ = start(control, 8)
        with link, other:
            assert Path(f"/proc/{pid}/comm").read_text().strip() == "expertmail-smtp"
            link.shutdown(socket.SHUT_WR)  # the end of its link is the end of a worker that was told nothing
            assert control.recv(64) == b"ended 7 0"
            link.settimeout(SECONDS)
            assert link.recv(10) == b"", "neither the server nor the other worker holds the link open"


WITHOUT_ROOT = """
import ctypes, os, pathlib, sys
from expertmail.smtp_worker import _be_called
if os.getuid() == 0:
    os.setuid(65534)
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
_be_called("expertmail-smtp")
print(pathlib.Path("/proc/self/comm").read_text())
"""


def test_a_process_that_gave_root_up_has_its_name_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_ROOT], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "expertmail-smtp"


def test_a_worker_is_killed_by_its_number_and_what_it_died_of_is_told() -> None:
    with fork_server() as (control, _):
        link, pid = start(control, 1)
        with link:
            control.send(b"kill 2")  # no such worker: nothing happens
            control.send(b"kill 1")
            assert control.recv(64) == b"ended 1 -9"
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
            control.send(b"kill 1")  # it is gone, and its number in the system may be somebody else's
            start(control, 3)[0].close()


def test_the_server_ends_when_nobody_is_left_to_order_and_leaves_its_workers_alone() -> None:
    with fork_server() as (control, process):
        link, pid = start(control, 1)
        with link:
            control.close()
            assert process.wait(SECONDS) == 0
            os.kill(pid, 0)
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_killed_fork_server_is_replaced_when_it_is_needed_and_no_client_notices(tmp_path: Path) -> None:
    with Served(tmp_path, "[smtp]\nworkers = 2\n") as served:
        alice_is_known(served)
        workers = worker_processes(served)
        (first,) = fork_servers(served)
        with load(served, 4) as clients:
            os.kill(first, signal.SIGKILL)
            until(lambda: first not in fork_servers(served))
            for client in clients:
                client.gentle = False  # those whose worker is killed see their connection end
            os.kill(workers[0], signal.SIGKILL)
            until(lambda: len(lines(served, "worker accepts")) == 3)
        assert [line["code"] for line in lines(served, "worker ended: starting it again")] == [None]
        assert len(fork_servers(served)) == 1
        assert len(worker_processes(served)) == 1, "the other one went on, with another parent"
        os.kill(workers[1], 0)
    assert every_acknowledged_message_is_there_once(served, clients) > 20
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert "Traceback" not in served.log.read_text()


def test_a_fork_server_that_hangs_is_killed_when_it_is_needed_and_at_the_end(tmp_path: Path) -> None:
    with Served(tmp_path, "[smtp]\nworkers = 2\n") as served:
        workers = worker_processes(served)
        (first,) = fork_servers(served)
        os.kill(first, signal.SIGSTOP)
        os.kill(workers[0], signal.SIGKILL)
        until(lambda: len(lines(served, "worker accepts")) == 3)
        (second,) = fork_servers(served)
        assert second != first
        left = {*workers, *worker_processes(served), first, second}
        os.kill(second, signal.SIGSTOP)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
    assert "Traceback" not in served.log.read_text()
