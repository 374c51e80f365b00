"""``expertmail audit``: who did what, and whether the trail is what was written."""

from __future__ import annotations

from typing import Annotated

import typer

from expertmail.desk import AsJson, Config, open_desk
from expertmail.tables import say, show_json, show_table
from threads.model.audit import told
from threads.store.audit import check_audit, digest_on_record, list_audit, trail_is_guarded
from threads.store.people import organisation_named

commands = typer.Typer(no_args_is_help=True, help="Show who did what, and check that nobody changed it.")


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="audit")


@commands.command()
def show(
    org: Annotated[str | None, typer.Option(help="Only about this customer.")] = None,
    act: Annotated[str | None, typer.Option(help="Only these, such as contact-added.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="So many at most.")] = 100,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List what persons and programs did, newest first. What was erased is shown as such."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        whose = None if org is None else organisation_named(conn, org).id
        rows = list(told(list_audit(conn, organisation_id=whose, act=act, limit=limit)))
    if as_json:
        show_json(rows)
        return
    show_table(
        ("NUMBER", "WHEN", "BY", "ACT", "WHAT", "MORE"),
        [
            (
                str(row["number"]),
                f"{str(row['at'])[:19].replace('T', ' ')}Z",
                "(erased)" if row["by"] is None else str(row["by"]),
                str(row["act"]),
                str(row["subject"] or ""),
                str(row["detail"] or ""),
            )
            for row in rows
        ],
        "Nothing was done yet.",
    )


@commands.command()
def verify(
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="DIGEST",
            help="A last digest that you noted before: that it is on record still, and nothing was cut off.",
        ),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Work the whole chain out again; exit code 1 if a row is not what was written. Prints the last digest: keep it elsewhere."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        chain = check_audit(conn)
        guarded = trail_is_guarded(conn)
        cut_off = expect is not None and not digest_on_record(conn, expect.strip().lower())
    if as_json:
        show_json({"chain": chain, "guarded": guarded, "expected": None if expect is None else not cut_off})
    else:
        if chain.broken is not None:
            say(
                f"Row {chain.broken.number} does not hold: {chain.broken.why}. {chain.rows} rows before it do."
            )
        else:
            say(f"All {chain.rows} rows hold, {chain.erased} of them erased. Last digest: {chain.head}")
        if cut_off:
            say(f"No row has the digest {expect}: rows were cut off, or this is another record.")
        if not guarded:
            say(
                "The database's own guard against changes is gone; run `expertmail db check`, or restore a backup."
            )
    if chain.broken is not None or cut_off or not guarded:
        raise typer.Exit(1)
