"""A running ``expertmail serve`` as a separate process, and a person at its command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from tests.fresh_record import put_fresh_record
from tests.proofs.command_server import Forked, begin

START_SECONDS = 40  # a cold start on a busy two-core machine
STOP_SECONDS = 30
RUN_SECONDS = 60


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """One data folder with its settings file; ``start`` and ``stop`` may be called again and again."""

    def __init__(
        self,
        folder: Path,
        extra: str = "",
        *,
        environment: Mapping[str, str] | None = None,
        migrated: bool = True,
        forked: bool = False,
    ) -> None:
        """With ``migrated`` an empty record is there already, which takes others a second at their first start.

        ``forked``: ``serve`` begins with its modules imported (``command_server``), where its start is not what is tried.
        """
        self.folder = folder
        self.smtp_port = free_port()
        self.console_port = free_port()
        self.config = folder / "expertmail.toml"
        self.config.write_text(
            f'data_dir = "{folder}/var"\n'
            + extra.replace("[smtp]", f"[smtp]\nport = {self.smtp_port}")
            + ("" if "[smtp]" in extra else f"[smtp]\nport = {self.smtp_port}\n")
            + f"[console]\nport = {self.console_port}\n"
        )
        if migrated and "[database]" not in extra:
            put_fresh_record(self.database)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("EXPERTMAIL_")}
        self.environment |= dict(environment or {})
        self.forked = forked and self._is_usual()
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self.log = folder / "serve.log"

    @property
    def outbox(self) -> Path:
        """Where the default world delivers to."""
        return self.folder / "var" / "outbox"

    @property
    def database(self) -> Path:
        """The embedded default's database."""
        return self.folder / "var" / "expertmail.db"

    def command(self, *arguments: str) -> list[str]:
        """The argument vector of one command."""
        return [sys.executable, "-m", "expertmail", *arguments, "--config", str(self.config)]

    def _is_usual(self) -> bool:
        """Whether commands are run as everybody runs them: by no other program or account."""
        return type(self).command is Served.command

    def _fork(
        self, arguments: Sequence[str], out: IO[bytes], err: IO[bytes], *, session: bool = False
    ) -> Forked:
        named = (*arguments, "--config", str(self.config))
        return begin(named, self.folder, self.environment, out, err, session=session)

    def start_without_waiting(self, *prefix: str) -> None:
        """Start it, by another program if one is named."""
        with self.log.open("ab") as log:
            if self.forked and not prefix:
                self.process = self._fork(("serve",), log, log, session=True)
                return
            self.process = subprocess.Popen(
                [*prefix, *self.command("serve")],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment,
                start_new_session=True,
            )

    def start(self, *prefix: str) -> None:
        """Start and wait until it says that it is ready."""
        self.start_without_waiting(*prefix)
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(
                    f"serve ended with {self.process.returncode}: {self.log.read_text()[-2000:]}"
                )
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.console_port}/readyz", timeout=2
                ) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"serve did not get ready: {self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """Kill -9 the process and what it started."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to end, as a service manager does; its exit code."""
        if self.process is None or self.process.poll() is not None:
            return 0
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"serve did not end: {self.log.read_text()[-2000:]}") from None

    def run(self, *arguments: str, expect: int | None = 0) -> str:
        """Run one command from a second terminal; its output."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = (
                self._fork(arguments, out, err)
                if self._is_usual()
                else subprocess.Popen(
                    self.command(*arguments), stdout=out, stderr=err, cwd=self.folder, env=self.environment
                )
            )
            try:
                code = process.wait(RUN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            said, fault = (file.seek(0) or file.read().decode() for file in (out, err))
        assert expect is None or code == expect, f"{arguments}: {code}\n{said}\n{fault}"
        return said

    def json(self, *arguments: str):
        """Run one command with --json; its parsed output."""
        return json.loads(self.run(*arguments, "--json"))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
