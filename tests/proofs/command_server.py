"""A process that has imported what commands run, and forks each one: they begin at once, and not a second later.

Each command is a process of its own still, with its own folder, environment and output. ``expertmail serve`` itself, where its
start is what is tried, is started as everybody starts it.
"""

from __future__ import annotations

import array
import atexit
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Final

MAX_ORDER: Final = 200_000
TICK_SECONDS: Final = 0.02
ROOT: Final = Path(__file__).resolve().parents[2]
PRELOADED: Final = ("expertmail.serve", "expertmail.smtp_worker", "expertmail.console.server")


class Forked:
    """A command that runs, with what is used of ``subprocess.Popen``."""

    def __init__(self, done: int) -> None:
        self._done = done
        self._told = b""
        self.returncode: int | None = None
        while b"\n" not in self._told:
            self._hear(None)
        self.pid = int(self._told.split(b"\n")[0])

    def _hear(self, seconds: float | None) -> bool:
        """Whether there was something to hear."""
        ready, _, _ = select.select([self._done], [], [], seconds)
        if not ready:
            return False
        heard = os.read(self._done, 100)
        self._told += heard
        if not heard:
            self.returncode = int(self._told.split(b"\n")[1])
            os.close(self._done)
        return True

    def poll(self) -> int | None:
        while self.returncode is None and self._hear(0):
            pass
        return self.returncode

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired("expertmail", timeout or 0)
            self._hear(left)
        return self.returncode


@cache
def _server(_process: int) -> socket.socket:
    """Started with the first command of this process, and ended with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXPERTMAIL_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.proofs.command_server", str(theirs.fileno())],
        cwd=ROOT,
        env=environment,
        pass_fds=(theirs.fileno(),),
        stdin=subprocess.DEVNULL,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def begin(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    out: IO[bytes],
    err: IO[bytes],
    *,
    session: bool = False,
) -> Forked:
    """Run ``expertmail`` with these arguments; ``session``: in a session of its own, to be killed as a whole."""
    order = json.dumps(
        {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "session": session,
        }
    )
    hears, tells = os.pipe()
    with_it = array.array("i", [out.fileno(), err.fileno(), tells])
    _server(os.getpid()).sendmsg([order.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, with_it)])
    os.close(tells)
    return Forked(hears)


def _serve(control: socket.socket) -> dict[str, object] | None:
    """Fork as ordered. Returns the order in each forked process, None in this one at the end."""
    living: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control], [], [], TICK_SECONDS if living else None)
        for process in list(living):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                done = living.pop(process)
                os.write(done, b"%d\n" % os.waitstatus_to_exitcode(status))
                os.close(done)
        if not ready:
            continue
        order, given, _, _ = socket.recv_fds(control, MAX_ORDER, 3)
        if not order:
            return None
        out, err, done = given
        process = os.fork()
        if process == 0:
            control.close()
            for number in (done, *living.values()):
                os.close(number)
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.close(out)
            os.close(err)
            asked: dict[str, object] = json.loads(order)
            return asked
        os.close(out)
        os.close(err)
        living[process] = done
        os.write(done, b"%d\n" % process)


def main() -> None:
    """Serve until whoever started this is gone; in each forked process: be the command."""
    from expertmail.cli import COMMANDS, load, run

    for name in COMMANDS:
        load(name)
    for module in PRELOADED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    asked = _serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is None:
        return
    if asked["session"]:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[arg-type]
    random.seed()
    code = run(asked["arguments"])  # type: ignore[arg-type]
    sys.stdout.flush()
    sys.stderr.flush()
    # To take down, one by one, what has been imported takes five times as long as most commands.
    os._exit(code)


if __name__ == "__main__":
    main()
