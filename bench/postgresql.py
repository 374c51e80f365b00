"""A PostgreSQL server of our own on a socket, for as long as a block lasts."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

# A quarter of a small server's memory; what is measured is reading, so nothing waits for the disk.
OPTIONS: Final = "-c listen_addresses= -c fsync=off -c shared_buffers=512MB -c max_wal_size=4GB"
_SECONDS: Final = 120


def programs() -> Path | None:
    """Where initdb and pg_ctl are: on the path, or where Debian keeps them."""
    found = shutil.which("pg_ctl")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((p for p in places if (p / "initdb").exists() and (p / "pg_ctl").exists()), None)


def missing() -> str | None:
    """Why no server can be started here; None when one can."""
    if programs() is None:
        return "PostgreSQL's server programs are not installed (Debian: postgresql)"
    if find_spec("psycopg") is None:
        return "psycopg, the driver for PostgreSQL, is not installed"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL does not run as root, and setpriv (util-linux) is not installed"
    return None


@contextmanager
def private_cluster() -> Iterator[str]:
    """The URL of an empty database; the server is stopped and its files are removed after the block."""
    there = programs()
    if there is None:
        raise RuntimeError(missing())
    with tempfile.TemporaryDirectory(
        prefix="pg-"
    ) as name:  # a short path: a socket's name has 107 characters
        folder = Path(name)
        user: list[str] = []
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]

        def run(program: str, *arguments: str) -> None:
            done = subprocess.run(
                [*user, str(there / program), "-D", str(folder / "data"), *arguments],
                capture_output=True, text=True, timeout=_SECONDS, check=False, cwd=folder,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(f"{program}: {done.stderr.strip()[-500:]}")

        run("initdb", "-U", "expertmail", "--auth=trust", "-E", "UTF8", "--locale=C", "-N")
        run("pg_ctl", "-o", f"{OPTIONS} -k {folder}", "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql+psycopg://expertmail@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-m", "immediate", "-w", "stop")
