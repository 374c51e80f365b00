"""A benchmark kit: one client, one set of signed messages and one zone for any SMTP server, each peer one command.

It is a folder with ``bench.py``, ``gen.py``, ``load.c`` and ``peers/``, named by ``KIT`` and looked for beside this
project where that is not set. It is never written to: a copy is made, with the client compiled and the messages signed,
and kept for the next run (``KIT_BUILD``). Needs root: the zone is served on port 53 of a loopback address, and each
peer has a resolv.conf of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from bench import mailauth

PROJECT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = Path(os.environ.get("KIT") or PROJECT.parent / "shared" / "bench")
BUILD: Final = Path(os.environ.get("KIT_BUILD") or PROJECT / "build" / "kit")
PEER_PORT: Final = 2525  # where the kit starts its peers
DNS_PORT: Final = 53
DNS_ADDRESSES: Final = tuple(f"127.0.0.{last}" for last in range(77, 100))  # the first that is free
DNS_SECONDS: Final = 30.0  # until the zone is served
STOP_SECONDS: Final = 30.0  # for a peer with its helpers

_DNS_LOG: Final = "dns.log"
_BENCH_LOG: Final = "bench.log"
# Writes down what the client was asked and what it found, of each of its starts: the kit tells of the middle run only.
_NOTED_LOAD: Final = """#!/bin/sh
told=$("$0.real" "$@") || exit
printf '%s\\t%s\\n' "$*" "$told" >> "$0.log"
printf '%s\\n' "$told"
"""


class KitError(Exception):
    """The kit, or a server that it should measure, did not do its work; the text says what it said last."""


@dataclass(frozen=True, slots=True)
class Kit:
    """The prepared copy, and the address that its zone is served on."""

    folder: Path
    dns: str

    @property
    def work(self) -> Path:
        """Messages and zone; under ``run`` what servers store, on one file system for all."""
        return self.folder / "work"

    def file_digests(self, digest: Callable[[bytes], str]) -> dict[str, list[str]]:
        """``digest`` of each file's bytes, for each list of the client, in its order."""
        return {
            kind: [digest(path.read_bytes()) for path in sorted((self.work / kind).glob("*.eml"))]
            for kind in ("small", "big")
        }


@dataclass(frozen=True, slots=True)
class Effort:
    """Repeats of each measurement, and messages of each."""

    repeats: int
    messages: int


def missing() -> str | None:
    """Why there is nothing to measure with here, with what to do; None when there is."""
    if not (FOLDER / "bench.py").is_file():
        return f"there is no benchmark kit in {FOLDER}; KIT names its folder"
    if os.geteuid() != 0:
        return "the kit needs root (port 53 of a loopback address, a mount namespace)"
    wanted = [
        *(_program(name) for name in ("unbound", "unshare", "cc")),
        *(_module(name) for name in ("nacl", "dkim", "cryptography")),
        (_free("127.0.0.1", PEER_PORT), f"port {PEER_PORT} is in use; the kit's peers listen there"),
        (_dns_address() is not None, "port 53 is in use on each loopback address tried (KIT_DNS names one)"),
    ]
    return next((text for there, text in wanted if not there), None) or _no_namespace()


def _no_namespace() -> str | None:
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return "no mount namespace can be made here" if tried.returncode else None


def peers() -> tuple[list[str], dict[str, str]]:
    """The peers that can be run here, and why each other one can not."""
    modules = mailauth.FOLDER / "node_modules"
    npm = mailauth.INSTALL.replace("node@22", "smtp-server Haraka node@22")
    needs: dict[str, list[tuple[bool, str]]] = {
        "postfix-rspamd": [_program("postfix"), _program("rspamd")],
        "mailauth-2": [
            (mailauth.missing() is None, mailauth.missing() or ""),
            ((modules / "smtp-server").is_dir(), f"smtp-server is not installed; {npm}"),
        ],
        "haraka-2": [
            (mailauth.missing() is None, mailauth.missing() or ""),
            ((modules / "Haraka").is_dir(), f"Haraka is not installed; {npm}"),
        ],
        "aiosmtpd-2": [_module(name) for name in ("aiosmtpd", "spf", "publicsuffix2")],
        "postfix-opendkim": [_program(name) for name in ("postfix", "opendkim", "opendmarc", "policyd-spf")],
    }
    why = {name: next((text for there, text in one if not there), None) for name, one in needs.items()}
    return [name for name, text in why.items() if text is None], {
        n: t for n, t in why.items() if t is not None
    }


def _program(name: str) -> tuple[bool, str]:
    return shutil.which(name) is not None, f"{name} is not installed"


def _module(name: str) -> tuple[bool, str]:
    return find_spec(name) is not None, f"the Python module {name} is not installed in this environment"


def prepare() -> Kit:
    """Copy the kit, compile its client, sign its messages where that is not done yet. Raises KitError."""
    dns = _dns_address()
    if dns is None:
        raise KitError("no loopback address has port 53 free")
    shutil.copytree(
        FOLDER,
        BUILD,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("work", "load", "node_modules", "__pycache__"),
    )
    kit = Kit(BUILD.resolve(), dns)
    _done(kit, ["cc", "-O2", "-o", "load.real", "load.c"])
    if shutil.which("opendkim"):
        _done(kit, ["cc", "-O2", "-shared", "-fPIC", "-o", "peers/ubshim.so", "peers/ubshim.c", "-ldl"])
    load = kit.folder / "load"
    load.write_text(_NOTED_LOAD)
    load.chmod(0o755)
    made, maker = kit.work / "made-by", hashlib.sha256((kit.folder / "gen.py").read_bytes()).hexdigest()
    if not made.is_file() or made.read_text() != maker:
        shutil.rmtree(kit.work, ignore_errors=True)
        _done(kit, [sys.executable, "gen.py"])
        made.write_text(maker)
    return kit


@contextmanager
def served_zone(kit: Kit) -> Iterator[None]:
    """The kit's zone on its address, as long as the block lasts. Raises KitError where it cannot be served."""
    server = _start(kit, ["serve-dns"])
    try:
        end = time.monotonic() + DNS_SECONDS
        while not _listens(kit.dns, DNS_PORT):
            if server.poll() is not None or time.monotonic() > end:
                raise KitError(f"the zone is not served: {_last_words(kit, _DNS_LOG)}")
            time.sleep(0.1)
        yield
    finally:
        _stop(server)


def measure_peer(kit: Kit, peer: str, effort: Effort, connections: tuple[int, ...]) -> Mapping[str, Any]:
    """Start a peer, measure it, stop it. Raises KitError with what was said last."""
    return _measured(kit, [peer, "speed"], effort, connections)


def measure_server(
    kit: Kit, port: int, pid: int, effort: Effort, connections: tuple[int, ...]
) -> tuple[Mapping[str, Any], str]:
    """Measure a server that runs: the kit's JSON, and the log of every start of the client. Raises KitError."""
    log = kit.folder / "load.log"
    log.unlink(missing_ok=True)
    asked = ["external", "speed", "--port", str(port), "--pid", str(pid)]
    return _measured(kit, asked, effort, connections), log.read_text()


def _measured(kit: Kit, asked: list[str], effort: Effort, connections: tuple[int, ...]) -> Mapping[str, Any]:
    out = kit.work / "told.json"
    out.unlink(missing_ok=True)
    sizes = ["--reps", str(effort.repeats), "-n", str(effort.messages)]
    process = _start(kit, [*asked, *sizes, "--conns", ",".join(map(str, connections)), "--out", str(out)])
    try:
        process.wait()
    finally:
        _stop(process)
    if process.returncode or not out.is_file():
        raise KitError(_last_words(kit, _BENCH_LOG))
    return json.loads(out.read_text())


def _start(kit: Kit, arguments: list[str]) -> subprocess.Popen[bytes]:
    name = _DNS_LOG if arguments == ["serve-dns"] else _BENCH_LOG
    with (kit.folder / name).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "bench.py", *arguments],
            cwd=kit.folder,
            env=_environment(kit),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _environment(kit: Kit) -> dict[str, str]:
    """The environment without what the kit would read there by chance."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KIT")} | {
        "KIT_DNS": kit.dns,
        "KIT_PYTHON": sys.executable,
        "KIT_NODE": mailauth.node() or "node",
        "KIT_NODE_MODULES": str((mailauth.FOLDER / "node_modules").resolve()),
    }


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM: the kit then stops what it started itself."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _done(kit: Kit, command: list[str]) -> None:
    done = subprocess.run(command, cwd=kit.folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KitError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")


def _last_words(kit: Kit, log: str) -> str:
    lines = (kit.folder / log).read_text(errors="replace").splitlines()
    return lines[-1][:500] if lines else "it said nothing"


def _dns_address() -> str | None:
    """Where the zone can be served: an address of which nobody has port 53 yet."""
    asked = os.environ.get("KIT_DNS")
    return next(
        (address for address in ([asked] if asked else DNS_ADDRESSES) if _free(address, DNS_PORT)), None
    )


def _listens(address: str, port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex((address, port)) == 0


def _free(address: str, port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
            try:
                tried.bind((address, port))
            except OSError:
                return False
    return True
