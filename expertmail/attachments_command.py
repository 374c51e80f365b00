"""``expertmail attachments``: what came attached, one file handed out, and HTML made harmless. Nothing is opened here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from expertmail.desk import AsJson, By, Config, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.tables import moment, plain, say, show_facts, show_json, show_table
from threads.attachments import AttachedFile, archive_entries
from threads.harmless_html import harmless_page
from threads.store import Connection
from threads.store.attachments import files_of, messages_with, octets_of_file
from threads.store.audit import record_act
from threads.store.read import list_copies, raw_message, stored_copy
from threads.store.thread import thread_by_id, thread_by_reference

commands = typer.Typer(no_args_is_help=True, help="List what came attached, and write one file to disk.")

ENTRIES_SHOWN: Final = 100
"""Names of an archive that a table shows; --json has all that were read."""
_REFERENCE: Final = re.compile(r"[A-Za-z]{3}-\d{6,}")
_HASH: Final = re.compile(r"[0-9A-Fa-f]{64}")

Message = Annotated[str, typer.Argument(metavar="MESSAGE-ID", help="The message's id, as in `held list`.")]
Number = Annotated[int, typer.Argument(metavar="N", min=1, help="Which file, as in `attachments list`.")]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="attachments")


@commands.command("list")
def list_(
    where: Annotated[
        str | None,
        typer.Argument(metavar="[MESSAGE-ID|REF]", help="A message's id, or a thread such as INC-000001."),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="List the messages that the file with this hash came with."),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List the files of a message or of all messages on a thread, or the messages that a file came with."""
    if (where is None) == (sha256 is None):
        raise typer.BadParameter("Name a message or a thread, or give --sha256.")
    with open_desk(config) as desk, desk.database.reading() as conn:
        if sha256 is not None:
            _list_messages(conn, sha256, as_json=as_json)
            return
        named = where or ""
        files = [(copy_id, file) for copy_id in _copies(conn, named) for file in files_of(conn, copy_id)]
    if as_json:
        show_json([{"message": copy_id, **plain(file)} for copy_id, file in files])
        return
    show_table(
        ("MESSAGE", "N", "NAME", "TYPE", "SIZE", "FLAGS", "SHA-256"),
        (
            (copy_id, str(f.number), f.name, f.type, str(f.size), ", ".join(f.flags), f.sha256)
            for copy_id, f in files
        ),
        "Nothing is attached.",
    )


def _copies(conn: Connection, named: str) -> Iterable[str]:
    """The ids of the messages that a person named, oldest first."""
    if not _REFERENCE.fullmatch(named):
        return (named,)
    copies = list_copies(conn, thread_id=thread_by_reference(conn, named).id)
    once = {copy.sha256: copy.id for copy in copies}  # of one message to several of our addresses, the first
    return tuple(once.values())[::-1]


def _list_messages(conn: Connection, sha256: str, *, as_json: bool) -> None:
    if not _HASH.fullmatch(sha256.strip()):
        raise typer.BadParameter("--sha256 takes 64 hexadecimal digits.")
    seen = messages_with(conn, sha256)
    if as_json:
        show_json(seen)
        return
    show_table(
        ("MESSAGE", "N", "NAME", "RECEIVED", "AUTHOR", "IS", "THREAD"),
        (
            (
                s.copy_id,
                str(s.number),
                s.name,
                moment(s.received_at),
                s.author or "",
                s.disposition,
                s.thread or "",
            )
            for s in seen
        ),
        "No message on record came with it.",
    )


@commands.command()
def show(message: Message, number: Number, as_json: AsJson = False, config: Config = None) -> None:
    """Show one file: its types, hash and flags, and the names that an archive lists. Nothing is unpacked."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        file = _one(conn, message, number)
        entries = archive_entries(octets_of_file(conn, message, number))
    if as_json:
        show_json({"message": message, **plain(file), "entries": entries})
        return
    show_facts(
        {
            "name": file.name,
            "type": file.type,
            "declared": file.declared,
            "size": str(file.size),
            "sha256": file.sha256,
            "flags": ", ".join(file.flags),
        }
    )
    for entry in entries[:ENTRIES_SHOWN]:
        say(f"    {entry.size:>12}  {entry.name}{'  (encrypted)' if entry.encrypted else ''}")
    if len(entries) > ENTRIES_SHOWN:
        say(f"    and {len(entries) - ENTRIES_SHOWN} more; --json has them all")


def _one(conn: Connection, message: str, number: int) -> AttachedFile:
    for file in files_of(conn, message):
        if file.number == number:
            return file
    raise FaultError(
        f"Message {message} has no attachment {number}; see `expertmail attachments list`.", ExitCode.NO_INPUT
    )


@commands.command()
def save(
    message: Message,
    number: Number,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Where to: a new file, or a folder; else the current folder."),
    ] = None,
    *,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Write one file as it came, for nobody else to read (mode 0600). A file that exists is never overwritten.

    Without a name of yours it gets a safe form of the sender's. It may be dangerous: open it where that harms nobody.
    """
    with open_desk(config) as desk:
        written: Path | None = None
        try:
            with desk.database.writing() as conn:
                wanted = _one(conn, message, number)
                target = _target(file, wanted)
                octets = octets_of_file(conn, message, number)
                _note(conn, message, wanted, actor(by))
                _write(target, octets)
                written = target
        except BaseException:  # Ctrl-C, too: what is not in the audit trail was not handed out
            if written is not None:
                written.unlink(missing_ok=True)
            raise
    if as_json:
        show_json({"message": message, **plain(wanted), "file": str(target)})
        return
    say(f"{target}  {wanted.size} octets  {wanted.sha256}")
    if wanted.flags:
        say(f"Take care: {', '.join(wanted.flags)}.")


@commands.command("html")
def html_(
    message: Message,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to: a new file, mode 0600.")],
    config: Config = None,
) -> None:
    """Write what a message looked like as a page without pictures, scripts and links, for a browser to show."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        page = harmless_page(raw_message(conn, message))
    if page is None:
        raise FaultError(
            f"Message {message} has no HTML; `expertmail held show` has its text.", ExitCode.NO_INPUT
        )
    _write(_plain_path(file), page.encode("utf-8", "replace"))
    say(str(file))


def _note(conn: Connection, message: str, file: AttachedFile, by: str) -> None:
    """Put it on the audit trail: who took which file. Its name is the sender's, and is not repeated."""
    thread_id = stored_copy(conn, message).thread_id
    organisation = None if thread_id is None else thread_by_id(conn, thread_id).organisation_id
    record_act(
        conn,
        "attachment-saved",
        now(),
        by=by,
        subject=message,
        detail=f"attachment {file.number}, {file.sha256}",
        organisation_id=organisation,
    )


def _target(file: Path | None, wanted: AttachedFile) -> Path:
    """Where to write to; FaultError as ``_plain_path``."""
    if file is None:
        return Path(wanted.name)
    return _plain_path(file) / wanted.name if file.is_dir() else _plain_path(file)


def _plain_path(file: Path) -> Path:
    """A path that a person named. Raises FaultError for one with ``..`` in it: it hides which folder is meant."""
    if ".." in file.parts:
        raise FaultError(f"{file} leads out of its folder by “..”; name the folder itself.", ExitCode.USAGE)
    return file


def _write(target: Path, octets: bytes) -> None:
    """Make the file, whole or not at all. Raises FaultError when it exists (a link, too) or cannot be written."""
    try:
        descriptor = os.open(
            target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
    except FileExistsError as error:
        raise FaultError(
            f"{target} exists already and is not overwritten; name another file.", ExitCode.CANNOT_CREATE
        ) from error
    except OSError as error:
        raise FaultError(
            f"{target} cannot be written ({error.strerror}); name another file.", ExitCode.CANNOT_CREATE
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(octets)
    except OSError as error:
        with suppress(OSError):
            target.unlink()
        raise FaultError(f"{target} cannot be written ({error.strerror}).", ExitCode.CANNOT_CREATE) from error
