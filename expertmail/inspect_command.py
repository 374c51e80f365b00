"""The ``inspect`` command: how the gateway reads saved messages."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from expertmail.faults import ExitCode, FaultError
from expertmail.saved_messages import NOTE_TEXT, SavedMessage, load
from threads.inspect_json import as_json
from threads.match import subject_tags
from threads.people_view import people_view
from threads.reading import Reading, read
from verifier.message import read_message

# Lines of quoted text and signature that a person is shown; --json has all.
_SHOWN_QUOTE = 6
_SHOWN_TEXT = 200


def register(app: typer.Typer) -> None:
    """Add ``inspect`` to the command line."""
    app.command("inspect")(inspect)


def inspect(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH…", help=".eml, mbox or .msg files, folders, or - for standard input."),
    ],
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object per message, one a line.")
    ] = False,
) -> None:
    """Show how the gateway reads a message: kind, new text, quoted text, thread keys, attachments.

    Exit codes: 0, or 66 when a path cannot be read (what can be read is shown all the same).
    """
    console = Console(highlight=False)
    unreadable: FaultError | None = None
    for path in paths:
        try:
            for saved in load(path, sys.stdin.buffer):
                reading = read(saved.raw)
                if json_lines:
                    # ASCII only: lone surrogates from hostile headers stay valid JSON, on any terminal.
                    typer.echo(json.dumps(as_json(reading, saved.file)))
                else:
                    _show(console, saved, reading)
        except FaultError as fault:
            typer.echo(f"expertmail: {fault.sentence}", err=True)
            unreadable = fault
    if unreadable is not None:
        raise typer.Exit(ExitCode.NO_INPUT)


def _show(console: Console, saved: SavedMessage, reading: Reading) -> None:
    """One message for a person. Text from mail is shown as text: no markup, no control characters."""
    console.rule(_safe(saved.file), align="left")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows = [
        ("Kind", reading.kind.value),
        ("From", reading.author or "no single, well-formed author"),
        *_people(saved.raw),
        ("Subject", reading.subject),
        ("Base subject", reading.base_subject),
        ("Message-ID", reading.message_id or "-"),
        ("Answers", ", ".join(reading.in_reply_to) or "-"),
        ("References", str(len(reading.references)) if reading.references else "-"),
        ("Subject tags", ", ".join(subject_tags(reading.subject)) or "-"),
    ]
    rows += [
        ("Attachment", f"{a.name or '(no name)'}, {a.type}, {a.size:,} bytes, SHA-256 {a.sha256}")
        for a in reading.attachments or ()
    ]
    if reading.inner_messages:
        rows.append(("Attached messages", str(reading.inner_messages)))
    if reading.bounce is not None:
        bounce = reading.bounce
        said = (bounce.recipient, bounce.status, bounce.action, bounce.diagnostic, bounce.original_message_id)
        rows.append(("Delivery", " · ".join(item for item in said if item) or "-"))
        further = [fate for fate in bounce.recipients if fate.recipient != bounce.recipient]
        rows += [
            ("Recipient", " · ".join(item for item in (fate.recipient, fate.status, fate.action) if item))
            for fate in further
        ]
    if reading.flags:
        rows.append(("Flags", ", ".join(reading.flags)))
    rows += [("Note", NOTE_TEXT[note]) for note in saved.notes]
    for name, value in rows:
        table.add_row(name, _safe(value))
    console.print(table)
    _block(console, "New text", reading.body.new, _SHOWN_TEXT)
    _block(console, "Quoted text", reading.body.quoted, _SHOWN_QUOTE)
    _block(console, "Signature", reading.body.signature, _SHOWN_QUOTE)


def _people(raw: bytes) -> list[tuple[str, str]]:
    """To, Cc and Date as the sender wrote them."""
    view = people_view(read_message(raw))
    if view is None:
        return []
    rows = [("To", ", ".join(view.to)), ("Cc", ", ".join(view.cc))]
    return [row for row in rows if row[1]] + (
        [("Date", f"{view.date:%Y-%m-%d %H:%M} UTC")] if view.date else []
    )


def _block(console: Console, title: str, text: str, most: int) -> None:
    lines = text.split("\n") if text else []
    if not lines:
        return
    console.print(f"\n[bold]{title}[/bold]")
    for line in lines[:most]:
        console.print("  " + _safe(line), soft_wrap=True)
    if len(lines) > most:
        console.print(f"  … {len(lines) - most} more lines; --json shows all")


def _safe(text: str) -> str:
    """Text without control characters (they could move a terminal's cursor), and without markup."""
    return escape("".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text))
