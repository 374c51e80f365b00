"""Links that are good once: for the first account, for a new one, and for who has lost a password."""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Final

from expertmail.settings import Settings
from threads.session import SECRET_BYTES, secret_text
from threads.store import Connection
from threads.store.accounts import any_account
from threads.store.engine import Database
from threads.store.sessions import add_link

SET_UP: Final = "/set-up/"
FIRST_LINK_FILE: Final = "first-account-link"
"""In the folder of the data, where nobody sits at a terminal: what a service prints is kept by a log that others read."""


def console_url(settings: Settings, port: int | None = None) -> str:
    """Where people find the console; ``port``: the one it listens on, if the system chose it."""
    if settings.console.url is not None:
        return settings.console.url
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.console.host, settings.console.host)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{settings.console.port if port is None else port}"


def new_link(conn: Connection, account_id: int | None, at: datetime, *, by: str) -> str:
    """Make a link for an account (None: for the first one); what comes back is its secret, which is not stored."""
    secret = secret_text(secrets.token_bytes(SECRET_BYTES))
    add_link(conn, secret, account_id, at, by=by)
    return secret


def link_url(settings: Settings, secret: str, port: int | None = None) -> str:
    """The whole link."""
    return f"{console_url(settings, port)}{SET_UP}{secret}"


def first_link(database: Database, settings: Settings, at: datetime, port: int) -> str | None:
    """A new link for the first account; None where there is one."""
    with database.writing() as conn:
        if any_account(conn):
            return None
        return link_url(settings, new_link(conn, None, at, by="serve"), port)


def keep_first_link(folder: Path, link: str | None) -> Path:
    """Write the link to its file, for nobody else to read (mode 0600), or take the file away; OSError where that cannot be done."""
    path = folder / FIRST_LINK_FILE
    path.unlink(missing_ok=True)
    if link is not None:
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, how, 0o600), "w", encoding="ascii") as file:
            file.write(f"{link}\n")
    return path
