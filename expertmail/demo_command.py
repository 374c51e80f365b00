"""``expertmail demo``: the whole main job on loopback, shown in a table."""

from __future__ import annotations

import asyncio
import tempfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from expertmail.demo.play import Row, play, strangers_mail
from expertmail.demo.scenes import SceneOutcome
from expertmail.demo.stage import copy_world, staged
from expertmail.tables import MARK_STYLES, console, safe, say

ONCE_SECONDS = 30  # the contract's bound; a run takes some 6


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.command("demo")(demo)


def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End by itself; exit 0 only if all came out as expected.")
    ] = False,
    world: Annotated[
        Path | None,
        typer.Option(
            "--world", metavar="FOLDER", help="Messages, zone and keys to use instead of the packaged ones."
        ),
    ] = None,
) -> None:
    """Run the whole main job on loopback, with real SMTP and DNS, and show what came of each message.

    Nothing leaves this machine, and nothing stays on it: the work is done in a temporary folder.
    """
    with tempfile.TemporaryDirectory(prefix="expertmail-demo-") as name:
        folder = Path(name)
        used = world or copy_world(_samples(), folder / "world")
        if once:
            code = asyncio.run(_once(used, folder))
        else:
            try:
                code = asyncio.run(_run(used, folder, stay=True))
            except KeyboardInterrupt:
                code = 0
    raise typer.Exit(code)


def _samples() -> Traversable:
    """The packaged samples; in a checkout the folder beside the package, which an editable install does not map."""
    try:
        return files("expertmail.samples")
    except ModuleNotFoundError:
        return files("expertmail").joinpath("..", "samples")


async def _once(world: Path, folder: Path) -> int:
    try:
        async with asyncio.timeout(ONCE_SECONDS):
            return await _run(world, folder, stay=False)
    except TimeoutError:
        say(f"The demo did not end within {ONCE_SECONDS} s.")
        return 1


async def _run(world: Path, folder: Path, *, stay: bool) -> int:
    say(
        "A gateway, a DNS server and a customer's mailbox start on loopback; every mail below travels by SMTP.\n"
    )
    async with staged(world, folder) as stage:
        rows: list[Row] = []
        async for row in play(stage, world):
            rows.append(row)
            say(f"  {'ok ' if row.right else 'NOT'}  {row.title}", style="" if row.right else "red")
        say()
        _show(rows)
        wrong = [row for row in rows if not row.right]
        for row in wrong:
            altered = " The message is not the one that was made." if row.altered else ""
            say(f"Not as expected: {row.title}.{altered}")
            say(f"  expected {_told(row.expected)}\n  found    {_told(row.outcome)}: {row.why}")
        strangers = strangers_mail(stage)
        if strangers:
            say(f"Mail went to people who must not get any: {', '.join(strangers)}")
        good = not wrong and not strangers
        say(
            f"{len(rows) - len(wrong)} of {len(rows)} came out as expected; strangers got no mail."
            if good
            else "Not as expected."
        )
        if stay:
            say(
                f"\nIt keeps running until Ctrl-C: SMTP 127.0.0.1:{stage.smtp_port}, console 127.0.0.1:{stage.console_port}."
                f"\nLook around from a second terminal:\n  expertmail incidents show INC-000001 --config {stage.config}"
                f"\n  expertmail held list --config {stage.config}"
            )
            await asyncio.Event().wait()
    return 0 if good else 1


def _show(rows: list[Row]) -> None:
    """The table: message, verdict, where it was filed, why."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("MESSAGE", overflow="fold", ratio=4)
    table.add_column("VERDICT", no_wrap=True)
    table.add_column("FILED", no_wrap=True)
    table.add_column("WHY", overflow="fold", ratio=6)
    for row in rows:
        found = row.outcome
        verdict = found.verdict if found else "?"
        filed = " ".join(filter(None, (found.filed, found.thread))) if found else "?"
        mark = "" if row.right else "NOT AS EXPECTED: "
        table.add_row(
            Text(safe(row.title)),
            Text(verdict, style=MARK_STYLES.get(verdict, "")),
            Text(safe(filed)),
            Text(safe(mark + row.why), style="" if row.right else "red"),
        )
    console().print(table)
    say()


def _told(outcome: SceneOutcome | None) -> str:
    if outcome is None:
        return "something else"
    facts = [
        outcome.verdict,
        f"author {outcome.author}",
        f"DKIM {', '.join(outcome.dkim) or 'none'}",
        f"aligned by {', '.join(outcome.aligned_by) or 'nothing'}",
        " ".join(filter(None, (outcome.filed, outcome.thread))),
    ]
    return "; ".join(facts) + (f"; attached: {', '.join(outcome.inner)}" if outcome.inner else "")
