"""The demo's world: a DNS server, a gateway process and a customer's mailbox, all on loopback and temporary."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as SmtpSession

from expertmail.faults import FaultError
from verifier.zone import ZoneError, read_zone
from verifier.zone_server import ZoneServer

READY_SECONDS = 20.0  # a cold start on a slow machine takes some 3
MAIL_SECONDS = 15.0  # composing, checking and delivering take well under one
STOP_SECONDS = 10.0
COMMAND_SECONDS = 20.0
MAX_SINK_BYTES = 1_000_000  # our own mail has some KB

LOOPBACK = "127.0.0.1"


@dataclass
class Mailbox:
    """The customer's mailbox: a real SMTP server that keeps what it is given."""

    mails: list[tuple[str, bytes]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_DATA(self, _server: SMTP, _session: SmtpSession, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep one mail for each recipient."""
        content = envelope.original_content or b""
        self.mails += [(recipient, content) for recipient in envelope.rcpt_tos]
        self.arrived.set()
        return "250 2.0.0 kept"

    async def wait_for(self, recipient: str, what: bytes, known: int = 0) -> bytes | None:
        """The first mail to ``recipient`` after the ``known`` first that holds ``what``; None if none comes in time."""
        try:
            async with asyncio.timeout(MAIL_SECONDS):
                while True:
                    for to, mail in self.mails[known:]:
                        if to == recipient and what in mail:
                            return mail
                    self.arrived.clear()
                    await self.arrived.wait()
        except TimeoutError:
            return None


@dataclass(frozen=True, slots=True)
class Stage:
    """What the play is given: the running parts and where they are."""

    folder: Path
    config: Path
    mailbox: Mailbox
    smtp_port: int
    console_port: int
    pid: int  # of the gateway

    async def command(self, *arguments: str) -> Any:
        """Run one command as a person would, with --json; its parsed answer. Raises FaultError with what it said."""
        process = await asyncio.create_subprocess_exec(
            *_expertmail(),
            *arguments,
            "--json",
            "--config",
            str(self.config),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
        )
        out, err = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
        if process.returncode:
            raise FaultError(f"expertmail {' '.join(arguments[:2])}: {err.decode(errors='replace').strip()}")
        return json.loads(out)


def _expertmail() -> tuple[str, ...]:
    return (sys.executable, "-m", "expertmail")


def _environment() -> dict[str, str]:
    """The environment without settings of a gateway that this machine may run."""
    return {name: value for name, value in os.environ.items() if not name.startswith("EXPERTMAIL_")}


@asynccontextmanager
async def staged(world: Path, folder: Path) -> AsyncIterator[Stage]:
    """Start everything in ``folder`` with the zone and keys of ``world``; all of it ends with the block."""
    try:
        zone = read_zone((world / "zone.db").read_text(), "zone.db")
        key = (world / "sample-key-experts.test-s1.pem").read_bytes()
    except (OSError, ZoneError) as error:
        raise FaultError(f"The demo's world in {world} cannot be used: {error}.") from error
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    sink = await loop.create_server(
        lambda: SMTP(mailbox, hostname="mx.contoso.test", data_size_limit=MAX_SINK_BYTES), LOOPBACK, 0
    )
    async with sink, ZoneServer(zone) as dns:
        config = _configure(folder, key, dns.address, sink.sockets[0].getsockname()[1])
        with (folder / "serve.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *_expertmail(),
                "serve",
                "--config",
                str(config),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=_environment(),
            )
        try:
            smtp_port, console_port = await _ports(process, folder)
            yield Stage(folder, config, mailbox, smtp_port, console_port, process.pid)
        finally:
            await _end(process)


def _configure(folder: Path, key: bytes, dns: tuple[str, int], sink_port: int) -> Path:
    keys = folder / "var" / "keys"
    keys.mkdir(parents=True, mode=0o700)
    path = keys / "experts.test.s1.pem"
    path.touch(mode=0o600)
    path.write_bytes(key)
    config = folder / "expertmail.toml"
    config.write_text(
        f"""data_dir = "{folder}/var"
[mail]
default_tlp = "GREEN"
[smtp]
port = 0
[console]
port = 0
[dns]
resolvers = ["{dns[0]}:{dns[1]}"]
[delivery]
mode = "smarthost"
smarthost = "{LOOPBACK}"
smarthost_port = {sink_port}
smarthost_tls = "none"
[log]
format = "json"
"""
    )
    return config


async def _ports(process: asyncio.subprocess.Process, folder: Path) -> tuple[int, int]:
    """Read from what ``serve`` announces where it listens."""
    found: dict[str, int] = {}
    if process.stdout is None:
        raise FaultError("The gateway's output cannot be read.")
    try:
        async with asyncio.timeout(READY_SECONDS):
            while len(found) < len(("SMTP", "Console")):
                line = (await process.stdout.readline()).decode(errors="replace")
                if not line:
                    raise FaultError(f"The gateway did not start: {_last_words(folder)}")
                name, _, rest = line.partition(" ")
                if name in ("SMTP", "Console"):
                    address = rest.split("://")[-1].split(",")[0].split("/")[0].strip()
                    found[name] = int(address.rpartition(":")[2])
    except TimeoutError:
        raise FaultError(f"The gateway did not get ready: {_last_words(folder)}") from None
    return found["SMTP"], found["Console"]


def _last_words(folder: Path) -> str:
    lines = (folder / "serve.log").read_text(errors="replace").strip().splitlines()
    return lines[-1][:500] if lines else "it said nothing"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.communicate(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def copy_world(source: Traversable, target: Path) -> Path:
    """Copy the packaged samples (an importlib resource) to a plain folder."""
    target.mkdir()
    for item in source.iterdir():
        if item.is_file() and not item.name.endswith((".py", ".pyc")):
            with item.open("rb") as found, (target / item.name).open("wb") as copy:
                shutil.copyfileobj(found, copy)
    return target
