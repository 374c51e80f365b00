"""``expertmail bench``: what judging a message costs on this machine, beside dkimpy and pyspf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from expertmail.tables import say, show_json, show_table

if TYPE_CHECKING:
    from expertmail.verifier_bench import Row


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.command("bench")(bench)


def bench(
    *, json: Annotated[bool, typer.Option("--json", help="Print one JSON value instead of a table.")] = False
) -> None:
    """Measure the verifier on this machine, against dkimpy and pyspf on the same messages and evidence.

    Takes some seconds, makes its own messages, asks no DNS and changes nothing.
    """
    from expertmail.verifier_bench import SHORT, compare  # noqa: PLC0415 - dkimpy and pyspf, only when measured

    rows = compare(SHORT)
    if json:
        show_json(
            [
                {
                    "what": row.what,
                    "size": row.size,
                    "ours_us": round(row.ours, 1),
                    "peer_us": round(row.peer, 1),
                    "peer": row.peer_name,
                    "ratio": round(row.ratio, 2),
                    "goal": row.goal,
                    "met": row.met,
                }
                for row in rows
            ]
        )
        return
    show(rows)


def show(rows: Sequence[Row]) -> None:
    """Print the rows of a comparison, the records behind them, and whether the goal is met."""
    from expertmail.verifier_bench import RECORDS  # noqa: PLC0415 - as above

    show_table(
        ("what", "size", "ours", "peer", "times as fast", "goal", "the peer is"),
        [
            (
                row.what,
                row.size,
                f"{row.ours:,.0f} µs",
                f"{row.peer:,.0f} µs",
                f"{row.ratio:.1f}",
                "" if row.goal is None else f"{row.goal:.0f}: {'met' if row.met else 'MISSED'}",
                row.peer_name,
            )
            for row in rows
        ],
        "Nothing was measured.",
    )
    say()
    say("Medians of CPU time a message, on one thread; each message is another one.")
    say(
        "The whole verdict is on a message that claims nothing; a claim costs dkimpy's second opinion on top."
    )
    say(
        "In batches is round by round, each side with its own code in the caches; in turns is message by message,"
    )
    say(
        "which empties them for both and costs the shorter work the larger share. The goal is set for batches."
    )
    say("Ours keeps the parsed key and policy of a record, dkimpy keeps nothing; neither keeps a result.")
    say("Our SPF is pyspf, run on evidence under limits, so that it cannot be faster than pyspf.")
    say("RSA-2048, relaxed/relaxed. The records, given to both sides from memory:")
    for (name, rrtype), value in RECORDS.items():
        say(f"  {name:<20} {rrtype:<4} {value}")
