"""A real recursive resolver (unbound) on loopback that knows the tests' domains and asks nobody else."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import dns.exception
import dns.message
import dns.query

from tests.proofs.served import free_port

START_SECONDS = 20
HOST = "127.0.0.1"


class Unbound:
    """``kill`` and ``start``, ``freeze`` and ``thaw`` it; it keeps its port."""

    def __init__(self, program: str, folder: Path, records: Iterable[str]) -> None:
        """``records`` are lines of a master file, names absolute."""
        folder.mkdir()
        self._program = program
        self._log = folder / "log"
        self._settings = folder / "unbound.conf"
        self.address = (HOST, _free_port())
        lines = [f"  local-data: '{record}'" for record in records]
        self._settings.write_text(
            f"server:\n  interface: {HOST}@{self.address[1]}\n  access-control: 127.0.0.0/8 allow\n"
            f'  username: ""\n  chroot: ""\n  directory: "{folder}"\n  pidfile: ""\n  logfile: "{self._log}"\n'
            "  use-syslog: no\n  do-daemonize: no\n  do-ip6: no\n  num-threads: 1\n  module-config: iterator\n"
            # All there is: what is not named below does not exist, and no question leaves the machine.
            '  local-zone: "." static\n' + "\n".join(lines) + "\nremote-control:\n  control-enable: no\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen([self._program, "-d", "-c", str(self._settings)])
        query = dns.message.make_query("ready.test", "TXT")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self._log.read_text()
            with contextlib.suppress(dns.exception.DNSException, OSError):
                dns.query.udp(query, HOST, 0.5, self.address[1])
                return
            time.sleep(0.05)
        raise AssertionError(f"unbound does not answer: {self._log.read_text()}")

    def kill(self) -> None:
        """Kill -9: its port is closed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Bound and silent: questions are taken by the system, and nobody reads them."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on, beginning with the questions that wait."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _free_port() -> int:
    """A port that is free for UDP and TCP."""
    while True:
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
