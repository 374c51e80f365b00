"""A worker that lives and does nothing is killed and started again; its siblings take its clients meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

from tests.proofs.load import alice_is_known, every_acknowledged_message_is_there_once, load
from tests.proofs.served import Served
from tests.proofs.test_operation import lines, until, worker_processes

HUNG_SECONDS = 4.0
IMPATIENT = f"""
import sys
from expertmail import cli, smtp_workers
smtp_workers.HUNG_SECONDS = {HUNG_SECONDS}
cli.main()
"""


class Impatient(Served):
    """A gateway that waits for a hung worker for seconds, and not for a minute."""

    def command(self, *arguments: str) -> list[str]:
        command = super().command(*arguments)
        return [sys.executable, "-c", IMPATIENT, *command[3:]] if arguments[0] == "serve" else command


def test_a_stopped_worker_is_killed_and_started_again_and_its_sibling_goes_on(tmp_path: Path) -> None:
    with Impatient(tmp_path, "[smtp]\nworkers = 2\n") as served:
        alice_is_known(served)
        hung, other = worker_processes(served)
        with load(served, 4) as clients:
            for client in clients:
                client.gentle = False  # those whose worker is killed see their connection end
            os.kill(hung, signal.SIGSTOP)
            begun = time.monotonic()
            until(lambda: lines(served, "worker hangs: killed"))
            seconds = time.monotonic() - begun
            until(lambda: len(set(worker_processes(served)) - {hung}) == 2)
            until(lambda: len(lines(served, "worker accepts")) == 3)
            time.sleep(HUNG_SECONDS * 1.5)  # whoever works under load is left in peace
        assert HUNG_SECONDS * 0.7 < seconds < HUNG_SECONDS * 3
        assert [line["pid"] for line in lines(served, "worker hangs: killed")] == [hung]
        assert [line["code"] for line in lines(served, "worker ended: starting it again")] == [-signal.SIGKILL]
        assert other in worker_processes(served)
    assert every_acknowledged_message_is_there_once(served, clients) > 20


def test_a_gateway_that_stood_still_as_a_whole_kills_nobody(tmp_path: Path) -> None:
    """As when its machine slept, or was moved to another host."""
    with Impatient(tmp_path, "[smtp]\nworkers = 2\n") as served:
        assert served.process is not None
        workers = worker_processes(served)
        os.killpg(served.process.pid, signal.SIGSTOP)
        time.sleep(HUNG_SECONDS * 1.5)
        os.killpg(served.process.pid, signal.SIGCONT)
        time.sleep(HUNG_SECONDS / 2)
        assert worker_processes(served) == workers
        with socket.create_connection(("127.0.0.1", served.smtp_port), 10) as link:
            assert link.recv(100).startswith(b"220")
        assert not lines(served, "worker hangs: killed")
