"""``expertmail review``: what a month or quarter was like for a customer, shown, and sent to the contacts for service reviews."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from expertmail.compose_desk import Sight, write
from expertmail.compose_options import BreakGlass, Key, Preview, PreviewHtml, PreviewRaw, TestTo
from expertmail.desk import AsJson, By, Config, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.service_reviews import review_json, review_letter, review_to_send
from expertmail.tables import say, show_json
from outbound.figure_text import table_text
from outbound.review_period import Period, last_month, period_named
from outbound.store.service_review import review
from outbound.template_files import load_templates
from threads.store.people import organisation_named

commands = typer.Typer(no_args_is_help=True, help="Show and send the figures of a month or quarter.")

Org = Annotated[str, typer.Option(help="The customer.")]
PeriodName = Annotated[
    str | None,
    typer.Option("--period", metavar="PERIOD", help="Such as 2026-10 or 2026-Q3; by default the last month."),
]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="review")


@commands.command()
def show(*, org: Org, period: PeriodName = None, as_json: AsJson = False, config: Config = None) -> None:
    """Show the figures as the mail tells them. Of a period that is not over: what there is by now."""
    wanted = _period(period)
    with open_desk(config) as desk:
        with desk.database.reading() as conn:
            told = review(conn, organisation_named(conn, org), wanted)
        if as_json:
            show_json(review_json(told))
            return
        words = load_templates().figure_words()
        so_far = "" if wanted.over(now()) else ", which is not over"
        say(f"{told.organisation}, {wanted.name} ({wanted.first_day} to {wanted.last_day}, UTC){so_far}")
        for table in told.tables:
            say(f"\n{words[table.name]}\n\n{table_text(table, words)}")


@commands.command()
def send(
    *,
    org: Org,
    period: PeriodName = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="A contact; repeatable. By default all contacts for service reviews."
        ),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            metavar="REF", help="The service thread to write on, such as SVC-000001; by default on none."
        ),
    ] = "",
    text: Annotated[str, typer.Option(help="What stands before the figures.")] = "",
    preview: Preview = False,
    preview_html: PreviewHtml = None,
    preview_raw: PreviewRaw = False,
    key: Key = None,
    break_glass: BreakGlass = None,
    test_to: TestTo = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Write the figures of a period that is over to the contacts for service reviews."""
    wanted = _period(period)
    if not wanted.over(now()):
        raise FaultError(
            f"{wanted.name} is not over: its figures would change. See: expertmail review show", ExitCode.DATA
        )
    with open_desk(config) as desk:
        with desk.database.reading() as conn:
            told, addresses = review_to_send(conn, organisation_named(conn, org), wanted, to or ())
        manager = by or desk.settings.service_reviews.manager
        letter = review_letter(
            told, addresses, manager=manager, actor=actor(by), text=text, reference=on, key=key
        )
        letter = replace(letter, break_glass=break_glass or "", test_to=test_to)
        write(desk, letter, Sight(preview, preview_html, preview_raw), as_json=as_json)


def _period(name: str | None) -> Period:
    if name is None:
        return last_month(now())
    try:
        return period_named(name)
    except ValueError as error:
        raise FaultError(str(error), ExitCode.DATA) from error
